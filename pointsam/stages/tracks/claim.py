"""Claims: which points of a frame lie where the points of a track are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointsam.stages.tracks.config import ClaimConfig, RecoverConfig
from pointsam.stages.tracks.values import Track, Tracks

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_FARTHEST_M = 150.0
"""Tracks that are farther from the LiDAR claim nothing."""


@dataclass(frozen=True, eq=False)
class Models:
    """Points of tracks as they should be at the time of a frame.

    Args:
        xyz_lidar_m: (P,3) in the frame of its reference LiDAR.
        track: (P,) track_id of each.
    """

    xyz_lidar_m: _Floats
    track: _Ints


def models(tracks: Tracks, wanted: Sequence[Track], index: int, claim: ClaimConfig, recover: RecoverConfig) -> Models:
    """The points of tracks that may be seen in a frame.

    A static object has its place in all frames of its part of the scene, a moving one from shortly before its first
    cluster to shortly after its last.

    Args:
        tracks: the tracks of the scene.
        wanted: some of them.
        index: index of the frame.
        claim: how far in time points are taken from.
        recover: how long beyond its clusters a moving track is looked for.
    """
    lidar_SE3_world = tracks.world_SE3_lidar[index].inverse()
    here_m = tracks.world_SE3_lidar[index].translation_m
    t_s = tracks.t_s(index)
    clouds, owner = [np.zeros((0, 3))], [np.zeros(0, dtype=np.int64)]
    for track in wanted:
        if track.segment != tracks.segment[index]:
            continue
        xyz = _moved(track, t_s, claim, recover) if track.moving else track.points_m[0]
        if len(xyz) and np.linalg.norm(xyz[0] - here_m) <= _FARTHEST_M:
            clouds.append(lidar_SE3_world.apply(xyz))
            owner.append(np.full(len(xyz), track.track_id, dtype=np.int64))
    return Models(np.concatenate(clouds), np.concatenate(owner))


def _moved(track: Track, t_s: float, claim: ClaimConfig, recover: RecoverConfig) -> _Floats:
    """Points of a moving track at a time, from the nearest two frames before and after it."""
    times = track.path.t_s
    if not times[0] - recover.ends_s <= t_s <= times[-1] + recover.ends_s:
        return np.zeros((0, 3))
    after = int(np.searchsorted(times, t_s, side="right"))
    near = [k for k in range(max(after - 2, 0), min(after + 2, len(times))) if abs(times[k] - t_s) <= claim.others_s]
    there = track.path.at(t_s)
    parts = [track.points_m[k] + there - track.path.position_m[k] for k in near]
    return np.concatenate([np.zeros((0, 3)), *parts])


def claims(xyz_lidar_m: _Floats, range_m: _Floats, at: Models, config: ClaimConfig) -> _Ints:
    """(N,) track whose points are nearest to each point, if they are near enough; -1 for none.

    Args:
        xyz_lidar_m: (N,3) points.
        range_m: (N,) their range.
        at: points of the tracks.
        config: how near is near enough.
    """
    out = np.full(len(xyz_lidar_m), -1, dtype=np.int64)
    if len(at.track) == 0 or len(out) == 0:
        return out
    reach = np.maximum(config.floor_m, config.range_coef * range_m)
    tree = cKDTree(at.xyz_lidar_m)
    nearest, which = tree.query(xyz_lidar_m, distance_upper_bound=float(reach.max()) * (1 + 1e-9))
    within = np.flatnonzero(nearest <= reach)
    out[within] = at.track[which[within]]
    return out
