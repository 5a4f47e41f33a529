"""Poses of a LiDAR from its sweeps alone, where a data set has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pointsam.base.arrays import FloatArray
from pointsam.geometry.se3 import SE3

PACKAGE = "kiss-icp"
"""The distribution that registers the sweeps (extra `odometry`)."""

_FARTHEST_M, _VOXEL_M = 100.0, 1.0


def odometry(clouds: Iterable[FloatArray]) -> Iterator[SE3]:
    """Pose of each sweep in the frame of the first one, by KISS-ICP.

    Points are used as they are: motion within a sweep is not removed. One thread registers them, so that equal sweeps
    give equal poses.

    Args:
        clouds: (N,3) points of consecutive sweeps, metres, without rows that have no position.

    Raises:
        ImportError: if kiss-icp is not installed.

    Source: Vizzo et al., "KISS-ICP: In Defense of Point-to-Point ICP", RA-L 2023.
    """
    from kiss_icp.config import KISSConfig
    from kiss_icp.config.config import AdaptiveThresholdConfig, DataConfig, MappingConfig, RegistrationConfig
    from kiss_icp.kiss_icp import KissICP

    # All sections are given: others would be read from variables of the environment.
    config = KISSConfig(
        data=DataConfig(max_range=_FARTHEST_M, min_range=0.0, deskew=False),
        registration=RegistrationConfig(max_num_iterations=500, convergence_criterion=1e-4, max_num_threads=1),
        mapping=MappingConfig(voxel_size=_VOXEL_M, max_points_per_voxel=20),
        adaptive_threshold=AdaptiveThresholdConfig(fixed_threshold=None, initial_threshold=2.0, min_motion_th=0.1),
    )
    register = KissICP(config)
    for cloud in clouds:
        register.register_frame(np.asarray(cloud, dtype=np.float64), np.zeros(len(cloud)))
        pose = register.last_pose
        yield SE3(pose[:3, :3].copy(), pose[:3, 3].copy())
