"""Sensors: sweeps, cameras, and the key frames that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3


@dataclass(frozen=True, eq=False)
class Sweep:
    """One LiDAR revolution on disk: little-endian float32 rows that start with x, y, z in metres.

    Args:
        path: the file.
        floats_per_point: 5 in nuScenes (x, y, z, intensity, ring), 4 in KITTI.
        t_us: time stamp, microseconds.
        ego_SE3_lidar: mounting of the sensor.
        world_SE3_ego: pose of the vehicle at `t_us`.
        ring_gap_rad: angle between neighbouring rings, 0 where nobody knows.
    """

    path: Path
    floats_per_point: int
    t_us: int
    ego_SE3_lidar: SE3
    world_SE3_ego: SE3
    ring_gap_rad: float = 0.0


@dataclass(frozen=True, eq=False)
class CameraView:
    """One exposure of one camera.

    Args:
        name: the channel, unique in a frame (CAM_FRONT, image_2).
        image_path: the image file.
        t_us: exposure time, microseconds.
        camera: intrinsics.
        ego_SE3_cam: mounting of the camera.
        world_SE3_ego: pose of the vehicle at `t_us` - not that of the LiDAR.
    """

    name: str
    image_path: Path
    t_us: int
    camera: PinholeCamera
    ego_SE3_cam: SE3
    world_SE3_ego: SE3


@dataclass(frozen=True, eq=False)
class Frame:
    """One key frame: the sweep to label, its neighbours, and the cameras that look at it.

    Args:
        frame_id: unique in the data set.
        scene: the drive it belongs to.
        sweep: the key sweep; labels follow its file order.
        neighbours: sweeps by offset along the sensor's own chain (-1 = one revolution before); at the end of a chain
            the last reachable sweep stands in (method.md A.2).
        cameras: in the data set's fixed order.
    """

    frame_id: str
    scene: str
    sweep: Sweep
    neighbours: Mapping[int, Sweep]
    cameras: tuple[CameraView, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "neighbours", MappingProxyType(dict(self.neighbours)))
