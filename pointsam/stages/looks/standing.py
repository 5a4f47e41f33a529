"""The points of a frame that may belong to objects that no mask found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.ground import OWN_M, height_above_ground_m, level_m
from pointsam.geometry.origins import origin_of_point_m
from pointsam.types import NO_INSTANCE, Frame, FrameLabels, FramePoints

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of a frame with their heights.

    Args:
        xyz_lidar_m: (N,3) points, metres.
        level_m: (N,3) the same with z up.
        range_m: (N,) range in the ground plane from the LiDAR that measured each.
        height_m: (N,) height above the ground.
        foot_lidar_m: (N,3) the place on the ground below each.
        held: (N,) bool, whether a cluster holds the point.
    """

    xyz_lidar_m: _Floats
    level_m: _Floats
    range_m: _Floats
    height_m: _Floats
    foot_lidar_m: _Floats
    held: NDArray[np.bool_]

    @staticmethod
    def of(frame: Frame, points: FramePoints, found: FrameLabels) -> Cloud:
        """The points of a frame with its labels of the first round."""
        mount = frame.sweep.ego_SE3_lidar
        xyz = points.xyz_lidar_m.astype(np.float64)
        level, origin = level_m(xyz, mount), origin_of_point_m(frame, points.sweep_index)
        away = level if origin is None else level_m(xyz - origin, mount)
        height = height_above_ground_m(mount.apply(xyz))
        up = mount.rotation.T @ np.array([0.0, 0.0, 1.0])
        held = found.labels.instance_id != NO_INSTANCE
        foot = xyz - height[:, None] * up
        return Cloud(xyz, level, np.hypot(away[:, 0], away[:, 1]), height, foot, held)

    def standing(self, clearance_m: float, highest_m: float) -> _Ints:
        """(S,) indices of the points between two heights above the ground, without those of the vehicle itself."""
        high = (self.height_m >= clearance_m) & (self.height_m <= highest_m) & (self.range_m > OWN_M)
        return np.flatnonzero(high).astype(np.int64)
