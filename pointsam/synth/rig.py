"""The vehicle's sensors, timed as in nuScenes: six cameras and a 32-beam LiDAR, or one camera and 64 beams as in KITTI.

The vehicle frame has x forward, y left, z up and its origin on the ground below the rear axle. The LiDAR frame has x
right, y forward, z up. A revolution starts on the left and turns clockwise seen from above. A sweep's time stamp is its
end, and a camera exposes when the beam passes its optical axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3
from pointsam.synth.mesh import rotation

SWEEP_US = 50_000
SWEEPS_PER_KEY = 10


@dataclass(frozen=True, eq=False)
class LidarModel:
    """A rolling LiDAR.

    Args:
        columns: number of columns per revolution.
        elevation_rad: (R,) elevation of the rings, lowest first.
        ego_SE3_lidar: its mounting.
    """

    columns: int
    elevation_rad: NDArray[np.float64]
    ego_SE3_lidar: SE3

    @property
    def rings(self) -> int:
        """Number of rings, R."""
        return len(self.elevation_rad)

    def azimuth_rad(self) -> NDArray[np.float64]:
        """(C,) azimuth of each column in the LiDAR frame, radians from x (right) towards y (forward)."""
        return np.pi - (np.arange(self.columns) + 0.5) * 2 * np.pi / self.columns

    def delay_s(self) -> NDArray[np.float64]:
        """(C,) time from the measurement of each column to the end of the sweep, seconds."""
        return (1 - (np.arange(self.columns) + 0.5) / self.columns) * SWEEP_US * 1e-6


@dataclass(frozen=True, eq=False)
class MountedCamera:
    """A camera of the rig.

    Args:
        name: its channel.
        camera: its intrinsics.
        ego_SE3_cam: its mounting.
        delay_us: time from its exposure to the end of the sweep.
    """

    name: str
    camera: PinholeCamera
    ego_SE3_cam: SE3
    delay_us: int


@dataclass(frozen=True, eq=False)
class Rig:
    """All sensors of a vehicle."""

    lidar: LidarModel
    cameras: tuple[MountedCamera, ...]


@dataclass(frozen=True)
class _Optics:
    width_px: int
    height_px: int
    principal_px: tuple[float, float]
    cameras: Mapping[str, tuple[tuple[float, float, float], float, float]]
    """Position in the vehicle frame, metres; yaw, degrees; focal length, pixels."""


_SIX = _Optics(
    1600,
    900,
    (815.0, 491.0),
    {
        "CAM_FRONT": ((1.70, 0.02, 1.51), 0.0, 1266.0),
        "CAM_FRONT_RIGHT": ((1.55, -0.49, 1.50), -56.0, 1260.0),
        "CAM_BACK_RIGHT": ((1.01, -0.48, 1.56), -110.0, 1259.0),
        "CAM_BACK": ((0.03, 0.0, 1.58), 180.0, 809.0),
        "CAM_BACK_LEFT": ((1.04, 0.48, 1.59), 109.0, 1257.0),
        "CAM_FRONT_LEFT": ((1.52, 0.49, 1.51), 55.0, 1272.0),
    },
)
_ONE = _Optics(1242, 375, (609.6, 172.9), {"CAM_FRONT": ((1.03, 0.06, 1.65), 0.0, 721.5)})
_HDL_32E = LidarModel(
    1084, np.radians(-30.67 + 4 / 3 * np.arange(32)), SE3(rotation(-np.pi / 2), np.array((0.94, 0.0, 1.84)))
)
_HDL_64E = LidarModel(
    2083,
    np.radians(np.concatenate([-24.8 + np.arange(32) / 2, -8.33 + np.arange(32) / 3])),
    SE3(rotation(-np.pi / 2), np.array((0.76, 0.0, 1.73))),
)
_RIGS: Mapping[str, tuple[LidarModel, _Optics]] = {"nuscenes": (_HDL_32E, _SIX), "kitti": (_HDL_64E, _ONE)}
RIGS = tuple(_RIGS)


def rig(name: str = "nuscenes", scale: float = 1.0) -> Rig:
    """A vehicle's sensors.

    Args:
        name: one of RIGS.
        scale: size of the images; 1 is that of the real cameras.
    """
    lidar, optics = _RIGS[name]
    mounted = []
    for channel, (position, yaw_deg, focal_px) in optics.cameras.items():
        # Pixel centres lie at whole numbers, so the image's corner is at -0.5 and scales about it.
        cx, cy = ((c + 0.5) * scale - 0.5 for c in optics.principal_px)
        K = np.array([[focal_px * scale, 0, cx], [0, focal_px * scale, cy], [0, 0, 1]])
        camera = PinholeCamera(K, round(optics.width_px * scale), round(optics.height_px * scale))
        upright = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera axes in the vehicle frame
        pose = SE3(rotation(np.radians(yaw_deg)) @ upright, np.array(position))
        turned = (90.0 - yaw_deg) % 360.0 / 360.0
        mounted.append(MountedCamera(channel, camera, pose, round((1 - turned) * SWEEP_US)))
    return Rig(lidar, tuple(mounted))


def beam_delay_s(xy_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) time from the passage of the beam at (N,2) points of the LiDAR frame to the end of the sweep, seconds."""
    turned = (np.pi - np.arctan2(xy_lidar_m[:, 1], xy_lidar_m[:, 0])) % (2 * np.pi) / (2 * np.pi)
    delay: NDArray[np.float64] = (1 - turned) * SWEEP_US * 1e-6
    return delay
