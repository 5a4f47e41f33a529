"""The level frame of a LiDAR: the sensor's origin, and axes of which z points up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3

LEVEL_DEG = 5.0
"""A LiDAR whose z axis is nearer to that of the vehicle is level, and its own frame serves as its map frame.

LiDARs of published data sets are mounted upright, up to 1.4 degrees off (nuScenes), and published code trains in their
frames. A sensor that is tilted on purpose is off by more. On a flat road, the ground at 50 m is 4.4 m off at 5 degrees.
"""

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


def is_level(ego_SE3_lidar: SE3) -> bool:
    """Whether z of the LiDAR is that of the vehicle, up to LEVEL_DEG."""
    return bool(ego_SE3_lidar.rotation[2, 2] >= np.cos(np.deg2rad(LEVEL_DEG)))


def map_SE3_lidar(ego_SE3_lidar: SE3) -> SE3:
    """The rotation from the LiDAR frame to its map frame: the level frame, or the LiDAR frame itself if it is level.

    Args:
        ego_SE3_lidar: mounting of the sensor; z of the vehicle points up.
    """
    return SE3.identity() if is_level(ego_SE3_lidar) else level_SE3_lidar(ego_SE3_lidar)


def over_ground_mps(velocity_lidar_mps: NDArray[np.float64], ego_SE3_lidar: SE3) -> NDArray[np.float64]:
    """(M,2) velocities along x and y of the map frame, of (M,3) velocities in the LiDAR frame."""
    if is_level(ego_SE3_lidar):
        return velocity_lidar_mps[:, :2]
    return (velocity_lidar_mps @ level_SE3_lidar(ego_SE3_lidar).rotation.T)[:, :2]
