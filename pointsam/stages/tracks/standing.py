"""Standing: clusters of which other frames show one at the same place.

Rows of barriers or parked cars look as if they moved if one of them is missed: from each to the next. A cluster at
whose place most frames around it have one too stands, and is no step of a motion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.tracks.config import MotionConfig
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.scene import Observations
from pointsam.stages.tracks.shift import residual_m, shift_bounds_m

_Ints = NDArray[np.int64]


def standing(seen: Observations, segment: _Ints, gates: Gates, config: MotionConfig) -> NDArray[np.bool_]:
    """(O,) whether an observation stands.

    Another frame agrees if it has a cluster whose extents overlap those of the observation, and need no larger shift
    than those of a static object. At least two frames must agree, and a fraction of those within `standing_s`.

    Args:
        seen: the observations.
        segment: (F,) uncut part of the scene that each frame belongs to.
        gates: traits of the classes.
        config: the rule.
    """
    out = np.zeros(len(seen), dtype=np.bool_)
    by_frame = [np.flatnonzero(seen.frame == k) for k in range(len(segment))]
    present = [k for k, its in enumerate(by_frame) if len(its)]
    frame_s = {k: seen.t_s[by_frame[k][0]] for k in present}
    for k in present:
        around = [
            n
            for n in present
            if n != k and segment[n] == segment[k] and abs(frame_s[n] - frame_s[k]) <= config.standing_s
        ]
        count = sum((_shown(seen, by_frame[k], by_frame[n], gates) for n in around), np.zeros(len(by_frame[k])))
        out[by_frame[k]] = (count >= 2) & (count >= config.standing_share * len(around))
    return out


def _shown(seen: Observations, here: _Ints, there: _Ints, gates: Gates) -> NDArray[np.bool_]:
    """(A,) whether one of B observations of another frame is at the place of each of A."""
    a, b = here[:, None], there[None, :]
    bounds = shift_bounds_m(seen.low_m[a], seen.high_m[a], seen.low_m[b], seen.high_m[b])
    allowed = np.minimum(gates.still_m[seen.class_id[a]], gates.still_m[seen.class_id[b]])
    still = residual_m(np.zeros(3), bounds) <= allowed
    still &= (np.maximum(seen.low_m[a], seen.low_m[b]) <= np.minimum(seen.high_m[a], seen.high_m[b])).all(axis=2)
    return np.asarray((still & gates.alike[seen.class_id[a], seen.class_id[b]]).any(axis=1))
