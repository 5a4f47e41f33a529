"""Stepping stones: velocities of clusters from the sweeps around a key frame.

Key frames of nuScenes are half a second apart, in which a car passes its own length. Its sweeps are 50 ms apart. The
points of a cluster are followed from sweep to sweep: their extents are shifted to the component of points that they fit
(`pointsam.stages.tracks.align`). A line through the places gives the velocity, from which association starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.ground import OWN_M, height_above_ground_m, level_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.align import best_shift
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.scene import SceneFrame
from pointsam.taxonomy import Taxonomy

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stone:
    """The points of a sweep that stand above the ground.

    Args:
        t_us: time of the sweep, microseconds.
        xyz_world_m: (N,3) float64 points in the world.
        range_m: (N,) range in the ground plane.
    """

    t_us: int
    xyz_world_m: _Floats
    range_m: _Floats

    @staticmethod
    def of(xyz_lidar_m: FloatArray, t_us: int, world_SE3_ego: SE3, ego_SE3_lidar: SE3, config: TracksConfig) -> Stone:
        """The stone of the (N,3) points of a sweep; rows without a position are left out."""
        rules = config.claim.grow
        xyz = np.asarray(xyz_lidar_m, dtype=np.float64)
        height = height_above_ground_m(ego_SE3_lidar.apply(xyz))
        level = level_m(xyz, ego_SE3_lidar)
        range_m = np.hypot(level[:, 0], level[:, 1])
        kept = (height >= rules.clearance_m) & (height <= rules.highest_m) & (range_m > OWN_M)
        return Stone(t_us, (world_SE3_ego @ ego_SE3_lidar).apply(xyz[kept]), range_m[kept])


def with_velocities(frame: SceneFrame, stones: Sequence[Stone], taxonomy: Taxonomy, config: TracksConfig) -> SceneFrame:
    """The frame with the velocities of its clusters, NaN where they cannot be told.

    A shift that is no longer than that of a static object means that it stands.

    Args:
        frame: the frame.
        stones: sweeps before and after it, in any order; its own is not among them.
        taxonomy: the classes.
        config: the rules.
    """
    velocity = np.full((len(frame.clusters), 3), np.nan)
    if not config.stones.enabled or not stones:
        return replace(frame, velocity_mps=velocity)
    gates = Gates.of(taxonomy, config.link, config.motion)
    later = sorted((one for one in stones if one.t_us > frame.t_us), key=lambda one: one.t_us)
    earlier = sorted((one for one in stones if one.t_us < frame.t_us), key=lambda one: -one.t_us)
    xyz = frame.xyz_world_m()
    for cluster in frame.clusters:
        model = xyz[frame.cluster_id == cluster.cluster_id]
        steps = [step for side in (earlier, later) for step in _followed(model, frame.t_us, side, config)]
        velocity[cluster.cluster_id] = _line(steps, float(gates.still_m[cluster.class_id]), config)
    return replace(frame, velocity_mps=velocity)


def _followed(model: _Floats, t_us: int, stones: Sequence[Stone], config: TracksConfig) -> list[tuple[float, _Floats]]:
    """(seconds, (3,) shift) of points in sweeps, from one to the next, until they are lost."""
    out: list[tuple[float, _Floats]] = []
    for stone in stones:
        seconds = (stone.t_us - t_us) * 1e-6
        expected = out[-1][1] * (seconds / out[-1][0]) if out else np.zeros(3)
        shift, held = best_shift(model + expected, stone.xyz_world_m, stone.range_m, config.claim)
        if held < config.stones.least_held * len(model):
            break
        out.append((seconds, expected + shift))
    return out


def _line(steps: Sequence[tuple[float, _Floats]], still_m: float, config: TracksConfig) -> _Floats:
    """(3,) velocity through the origin that fits places best, NaN if they are few or do not lie on a line."""
    if len(steps) < config.stones.least_sweeps:
        return np.full(3, np.nan)
    seconds, shift = np.array([s for s, _ in steps]), np.array([d for _, d in steps])
    velocity: _Floats = seconds @ shift / (seconds @ seconds)
    off = shift - seconds[:, None] * velocity
    if np.sqrt((off**2).sum(axis=1).mean()) > config.stones.spread_m:
        return np.full(3, np.nan)
    moves = np.linalg.norm(velocity) * np.ptp(np.append(seconds, 0.0)) > still_m
    return velocity if moves else np.zeros(3)
