"""The frame of a detector's map at a key frame: the origin of the reference LiDAR, and z up.

A level LiDAR keeps its own frame, as in published code. Samples and predictions are in the map frame; data sets, labels
and files are in the LiDAR frame. Source: docs/training.md, "The map frame".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.level import is_level, level_SE3_lidar
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes, Frame


@dataclass(frozen=True, eq=False)
class MapFrame:
    """The rotation between the LiDAR frame and the map frame of a key frame.

    Args:
        map_R_lidar: (3,3); None if the LiDAR is level. Values are then not touched, to the last bit.
    """

    map_R_lidar: NDArray[np.float64] | None = None

    @staticmethod
    def of(frame: Frame) -> MapFrame:
        """The map frame of a key frame."""
        mount = frame.sweep.ego_SE3_lidar
        return MapFrame(None if is_level(mount) else level_SE3_lidar(mount).rotation)

    @property
    def is_lidar(self) -> bool:
        """Whether it is the LiDAR frame."""
        return self.map_R_lidar is None

    def pose(self, target_SE3_lidar: SE3) -> SE3:
        """target_SE3_map of target_SE3_lidar."""
        if self.map_R_lidar is None:
            return target_SE3_lidar
        return target_SE3_lidar @ SE3(self.map_R_lidar.T, np.zeros(3))

    def points(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P,C) values of points, of which x, y and z, the first, are moved from the LiDAR frame to the map frame."""
        if self.map_R_lidar is None:
            return values
        turn = np.eye(values.shape[1], dtype=np.float32)
        turn[:3, :3] = self.map_R_lidar.T
        return values @ turn

    def boxes(self, boxes: Boxes) -> Boxes:
        """Boxes of the LiDAR frame in the map frame."""
        if self.map_R_lidar is None:
            return boxes
        return replace(boxes, center_m=boxes.center_m @ self.map_R_lidar.T, rotation=self.map_R_lidar @ boxes.rotation)

    def lidar_boxes(self, rows: FloatArray) -> Boxes:
        """(N,7) boxes of the map frame in the LiDAR frame, without classes and tokens."""
        from pointsam.detect.data.sample import oriented  # imports torch, which budgets do without

        boxes = oriented(np.asarray(rows, dtype=np.float64))
        if self.map_R_lidar is None:
            return boxes
        return replace(boxes, center_m=boxes.center_m @ self.map_R_lidar, rotation=self.map_R_lidar.T @ boxes.rotation)

    def lidar_velocity(self, velocity_mps: FloatArray) -> NDArray[np.float64]:
        """(N,3) velocities in the LiDAR frame of (N,2) horizontal velocities, along x and y of the map frame."""
        flat = np.column_stack([velocity_mps, np.zeros(len(velocity_mps))])
        return flat if self.map_R_lidar is None else flat @ self.map_R_lidar
