"""The vehicle's sensors: six cameras and a 32-beam LiDAR, mounted and timed as in nuScenes.

The vehicle frame has x forward, y left, z up and its origin on the ground below the rear axle. The LiDAR frame has x
right, y forward, z up. The beam starts a revolution on the left and turns clockwise seen from above; a sweep bears the
time of its end, and a camera exposes when the beam passes its optical axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3
from pointsam.synth.mesh import rotation

SWEEP_US = 50_000
SWEEPS_PER_KEY = 10
COLUMNS, RINGS = 1084, 32
ELEVATION_RAD: NDArray[np.float64] = np.radians(-30.67 + 4 / 3 * np.arange(RINGS))
"""(32,) of the rings, lowest first (HDL-32E)."""

EGO_SE3_LIDAR = SE3(rotation(-np.pi / 2), np.array((0.94, 0.0, 1.84)))

WIDTH_PX, HEIGHT_PX = 1600, 900
_CAMERAS = {
    "CAM_FRONT": ((1.70, 0.02, 1.51), 0.0, 1266.0),
    "CAM_FRONT_RIGHT": ((1.55, -0.49, 1.50), -56.0, 1260.0),
    "CAM_BACK_RIGHT": ((1.01, -0.48, 1.56), -110.0, 1259.0),
    "CAM_BACK": ((0.03, 0.0, 1.58), 180.0, 809.0),
    "CAM_BACK_LEFT": ((1.04, 0.48, 1.59), 109.0, 1257.0),
    "CAM_FRONT_LEFT": ((1.52, 0.49, 1.51), 55.0, 1272.0),
}
"""Position in the vehicle frame, metres; yaw, degrees; focal length, pixels."""
_PRINCIPAL_PX = (815.0, 491.0)


@dataclass(frozen=True, eq=False)
class MountedCamera:
    """A camera of the rig.

    Args:
        name: channel.
        camera: intrinsics.
        ego_SE3_cam: mounting.
        delay_us: how long before the end of a sweep it exposes.
    """

    name: str
    camera: PinholeCamera
    ego_SE3_cam: SE3
    delay_us: int


def cameras(scale: float = 1.0) -> tuple[MountedCamera, ...]:
    """The six cameras, in nuScenes' order.

    Args:
        scale: of the images; 1 is 1600 x 900 pixels.
    """
    mounted = []
    for name, (position, yaw_deg, focal_px) in _CAMERAS.items():
        # Pixel centres lie at whole numbers, so the image's corner is at -0.5 and scales about it.
        cx, cy = ((c + 0.5) * scale - 0.5 for c in _PRINCIPAL_PX)
        K = np.array([[focal_px * scale, 0, cx], [0, focal_px * scale, cy], [0, 0, 1]])
        camera = PinholeCamera(K, round(WIDTH_PX * scale), round(HEIGHT_PX * scale))
        upright = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera axes in the vehicle's
        pose = SE3(rotation(np.radians(yaw_deg)) @ upright, np.array(position))
        turned = (90.0 - yaw_deg) % 360.0 / 360.0
        mounted.append(MountedCamera(name, camera, pose, round((1 - turned) * SWEEP_US)))
    return tuple(mounted)


def column_azimuth() -> NDArray[np.float64]:
    """(1084,) azimuth of each column in the LiDAR frame, radians from x (right) towards y (forward)."""
    return np.pi - (np.arange(COLUMNS) + 0.5) * 2 * np.pi / COLUMNS


def column_delay_s() -> NDArray[np.float64]:
    """(1084,) how long before the end of the sweep each column is measured, seconds."""
    return (1 - (np.arange(COLUMNS) + 0.5) / COLUMNS) * SWEEP_US * 1e-6


def beam_delay_s(xy_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how long before the end of a sweep the beam passes (N,2) points of the LiDAR frame, seconds."""
    turned = (np.pi - np.arctan2(xy_lidar_m[:, 1], xy_lidar_m[:, 0])) % (2 * np.pi) / (2 * np.pi)
    delay: NDArray[np.float64] = (1 - turned) * SWEEP_US * 1e-6
    return delay
