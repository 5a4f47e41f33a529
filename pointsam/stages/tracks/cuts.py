"""Cuts: where the poses of a scene jump, so that no track may cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.config import CutConfig

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """A jump of poses between two frames that follow each other.

    Args:
        before, after: ids of the frames.
        reason: what is wrong, for people.
    """

    before: str
    after: str
    reason: str


def find_cuts(
    frame_ids: Sequence[str], t_us: NDArray[np.int64], world_SE3_lidar: Sequence[SE3], config: CutConfig
) -> dict[int, Cut]:
    """Jumps by the index of the frame after them.

    A step is a jump if it needs a speed or a turn that is not possible, or if it agrees with neither of its neighbours:
    with the speed of the step before and with that of the step after, the vehicle would be elsewhere. A pose that is
    wrong alone makes two jumps.

    Args:
        frame_ids: (F) frames in order of time.
        t_us: (F,) their times, rising.
        world_SE3_lidar: (F) their poses.
        config: what is possible.
    """
    place = np.array([pose.translation_m for pose in world_SE3_lidar]).reshape(-1, 3)
    step_s = np.diff(t_us) * 1e-6
    velocity = np.diff(place, axis=0) / step_s[:, None]
    turn_deg = np.array([_turn_deg(a, b) for a, b in pairwise(world_SE3_lidar)])
    rate = turn_deg / step_s
    speed = np.linalg.norm(velocity, axis=1)
    off_m = _off(velocity, step_s) * step_s
    off_deg = _off(rate[:, None], step_s) * step_s
    allowed_m = config.jump_m + 0.5 * config.acceleration_mps2 * step_s**2
    found = {}
    for k in range(len(step_s)):
        reason = ""
        if not speed[k] <= config.fastest_mps:
            reason = f"the poses imply a speed of {speed[k]:.0f} m/s"
        elif not rate[k] <= config.fastest_turn_dps:
            reason = f"the poses imply a turn of {rate[k]:.0f} degrees per second"
        elif not off_m[k] <= allowed_m[k]:
            reason = f"the pose is {off_m[k]:.1f} m from where its neighbours lead"
        elif not off_deg[k] <= config.jump_deg:
            reason = f"the pose is turned by {off_deg[k]:.0f} degrees from where its neighbours lead"
        if reason:
            found[k + 1] = Cut(frame_ids[k], frame_ids[k + 1], reason)
    return found


def _turn_deg(a: SE3, b: SE3) -> float:
    cosine = (np.trace(a.rotation.T @ b.rotation) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _off(rate: _Floats, step_s: _Floats) -> _Floats:
    """(S,) how much each of (S,D) rates differs from that of the neighbour it agrees with best; 0 if it has none.

    A neighbour much longer than the step says little about it.
    """
    out = np.full(len(rate), np.inf)
    if len(rate):
        apart = np.linalg.norm(np.diff(rate, axis=0), axis=1)
        shorter, longer = np.minimum(step_s[1:], step_s[:-1]), np.maximum(step_s[1:], step_s[:-1])
        apart[longer > 3 * shorter] = np.inf
        out[1:] = np.minimum(out[1:], apart)
        out[:-1] = np.minimum(out[:-1], apart)
    return np.where(np.isfinite(out), out, 0.0)


def segments(num_frames: int, cuts: dict[int, Cut]) -> NDArray[np.int64]:
    """(F,) number of the uncut part of the scene that each frame belongs to."""
    starts = np.zeros(num_frames, dtype=np.int64)
    starts[list(cuts)] = 1
    return np.cumsum(starts)
