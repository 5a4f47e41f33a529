"""Poses of the vehicle in scenes whose data set has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.code import versions
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.odometry import PACKAGE, odometry
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, FramePoints

NO_ODOMETRY = "none"
"""The version of odometry where none is installed."""


def odometry_version() -> str:
    """The version of the library that registers sweeps, `NO_ODOMETRY` if it is not installed."""
    return versions([PACKAGE])[PACKAGE]


def lack_poses(frames: Sequence[Frame]) -> bool:
    """Whether the frames of a scene are several, and all have the same identity as their pose."""
    return len(frames) > 1 and all(frame.sweep.world_SE3_ego.is_identity for frame in frames)


def registered(
    frames: Sequence[Frame], read: Callable[[Frame], FramePoints | None] = read_frame_points
) -> dict[str, SE3]:
    """Pose of the vehicle in each frame, from registering the sweeps of all in the order of time.

    Args:
        frames: the frames of a scene.
        read: reads the points of a frame; None leaves the frame out.

    Raises:
        ImportError: as `odometry`.
        DatasetError: what reading points raises.
    """
    kept: list[Frame] = []

    def clouds() -> Iterator[NDArray[np.float32]]:
        for frame in sorted(frames, key=lambda frame: frame.sweep.t_us):
            points = read(frame)
            if points is not None:
                kept.append(frame)
                yield points.xyz_lidar_m[points.present]

    poses = list(odometry(clouds()))
    return {
        frame.frame_id: kept[0].sweep.ego_SE3_lidar @ pose @ frame.sweep.ego_SE3_lidar.inverse()
        for frame, pose in zip(kept, poses, strict=True)
    }
