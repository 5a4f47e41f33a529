"""The level frame of a LiDAR: the sensor's origin, and axes of which z points up."""

from __future__ import annotations

import numpy as np

from pointsam.geometry.se3 import SE3

_STEEP = 0.9
"""An axis whose vertical part is larger says too little about a direction in the ground plane."""
_LEVEL = 1 - 1e-12
"""Cosine of the tilt above which a LiDAR is level: rounding must not move its points."""


def level_SE3_lidar(ego_SE3_lidar: SE3) -> SE3:
    """The rotation from the LiDAR frame to its level frame.

    z is that of the vehicle. x is the LiDAR's x axis without its vertical part; if the x axis stands steeply, the
    LiDAR's y axis takes its place. A sensor that is only turned about the vertical axis keeps its own axes.

    Args:
        ego_SE3_lidar: mounting of the sensor; z of the vehicle points up.
    """
    ego_R_lidar = ego_SE3_lidar.rotation
    if ego_R_lidar[2, 2] > _LEVEL:
        return SE3.identity()
    ahead = ego_R_lidar[:, 0] if abs(ego_R_lidar[2, 0]) <= _STEEP else ego_R_lidar[:, 1]
    x = np.array([ahead[0], ahead[1], 0.0]) / np.hypot(ahead[0], ahead[1])
    z = np.array([0.0, 0.0, 1.0])
    level_R_ego = np.stack([x, np.cross(z, x), z])
    return SE3(level_R_ego @ ego_R_lidar, np.zeros(3))
