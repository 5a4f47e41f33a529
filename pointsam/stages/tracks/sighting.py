"""In which frames an object should have been found, but was not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.tracks.motion import Path
from pointsam.stages.tracks.scene import SceneFrame

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_MOST = 40
"""Points of a track that are looked for."""
_SHARE = 0.5
"""Fraction of them that must be in sight."""


def unseen_frames(
    observed: _Ints,
    points_m: Sequence[_Floats],
    path: Path,
    moving: bool,
    frames: Sequence[SceneFrame],
    segment: _Ints,
    window_s: float,
) -> _Ints:
    """(U,) indices of frames without a cluster of a track in which the LiDAR and a camera saw its place.

    Args:
        observed: (K,) indices of the frames with a cluster.
        points_m: points of the track in the world, of a moving one by frame.
        path: its path.
        moving: whether it moves.
        frames: all frames.
        segment: (F,) uncut part of the scene that each belongs to.
        window_s: frames at most so long before the first and after the last cluster are asked.
    """
    t_s = np.array([(frame.t_us - frames[0].t_us) * 1e-6 for frame in frames])
    asked = (t_s >= path.t_s[0] - window_s) & (t_s <= path.t_s[-1] + window_s)
    asked &= segment == segment[observed[0]]
    asked[observed] = False
    out = []
    for index in np.flatnonzero(asked):
        nearest = int(np.abs(path.t_s - t_s[index]).argmin()) if moving else 0
        xyz = points_m[nearest]
        xyz = xyz[np.linspace(0, len(xyz) - 1, min(len(xyz), _MOST)).astype(np.int64)]
        if moving:
            xyz = xyz + path.at(t_s[index]) - path.position_m[nearest]
        frame = frames[index]
        if frame.panorama.visible(frame.world_SE3_lidar.inverse().apply(xyz)).mean() >= _SHARE:
            out.append(index)
    return np.array(out, dtype=np.int64)
