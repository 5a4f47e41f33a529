"""The sensors of vehicles, timed as in nuScenes: cameras, and one or two LiDARs that turn or scan a field.

The vehicle frame has x forward, y left, z up and its origin on the ground below the rear axle. The frame of an upright
LiDAR has x right, y forward, z up. A revolution starts on the left of the sensor and turns clockwise seen from above
it. A sweep's time stamp is its end, and a camera exposes when the beam of the first LiDAR passes its optical axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3
from pointsam.synth.mesh import rotation
from pointsam.types import RollingShutter

SWEEP_US = 50_000
SWEEPS_PER_KEY = 10


@dataclass(frozen=True, eq=False)
class LidarModel:
    """A LiDAR that turns: all rings of a column are measured at once.

    Args:
        columns: number of columns per revolution.
        elevation_rad: (R,) elevation of the rings, lowest first.
        ego_SE3_lidar: its mounting.
        name: its channel.
        early_us: time from the end of its sweep to that of the first LiDAR of the rig.
    """

    columns: int
    elevation_rad: NDArray[np.float64]
    ego_SE3_lidar: SE3
    name: str = "LIDAR_TOP"
    early_us: int = 0

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

    def rays(self, end_s: float) -> NDArray[np.float64]:
        """(C,R,3) unit vectors in the LiDAR frame of the sweep that ends at a time, which are those of any other."""
        azimuth = self.azimuth_rad()[:, None]
        flat, up = np.cos(self.elevation_rad), np.sin(self.elevation_rad)
        return np.stack(
            [flat * np.cos(azimuth), flat * np.sin(azimuth), np.broadcast_to(up, (self.columns, self.rings))], axis=2
        )

    def ring_of_points(self) -> NDArray[np.float32]:
        """(C*R,) ring of every point of a sweep."""
        return np.tile(np.arange(self.rings, dtype=np.float32), self.columns)


@dataclass(frozen=True, eq=False)
class SolidStateLidar:
    """A LiDAR with a limited field of view and without rings: two turning prisms lead its lines along a rosette.

    At time t the lines point to `half_field_rad * (cos a + cos b, sin a + sin b) / 2`, right and up from forward, with
    a and b the angles of the prisms. No sweep repeats another. The sensor is invented.

    Args:
        shots: number of times per sweep at which all lines are measured, S.
        lines_rad: (L,) elevation of the lines relative to their common direction.
        half_field_rad: half the width and half the height of the rosette.
        prism_hz: turns per second of both prisms; negative is the other way round.
        ego_SE3_lidar: its mounting.
        name: its channel.
        early_us: time from the end of its sweep to that of the first LiDAR of the rig.
    """

    shots: int
    lines_rad: NDArray[np.float64]
    half_field_rad: tuple[float, float]
    prism_hz: tuple[float, float]
    ego_SE3_lidar: SE3
    name: str
    early_us: int

    def delay_s(self) -> NDArray[np.float64]:
        """(S,) time from each measurement to the end of the sweep, seconds."""
        return (1 - (np.arange(self.shots) + 0.5) / self.shots) * SWEEP_US * 1e-6

    def rays(self, end_s: float) -> NDArray[np.float64]:
        """(S,L,3) unit vectors in the LiDAR frame of the sweep that ends at a time, seconds."""
        time = end_s - self.delay_s()
        a, b = (2 * np.pi * hz * time for hz in self.prism_hz)
        width, height = self.half_field_rad
        right = (width * (np.cos(a) + np.cos(b)) / 2)[:, None]
        up = (height * (np.sin(a) + np.sin(b)) / 2)[:, None] + self.lines_rad
        return np.stack([np.cos(up) * np.sin(right), np.cos(up) * np.cos(right), np.sin(up)], axis=2)

    def ring_of_points(self) -> NDArray[np.float32]:
        """(S*L,) zeros: nuScenes' files have this column, the sensor has no rings."""
        return np.zeros(self.shots * len(self.lines_rad), dtype=np.float32)


AnyLidar: TypeAlias = LidarModel | SolidStateLidar
"""A LiDAR of a rig."""


@dataclass(frozen=True, eq=False)
class MountedCamera:
    """A camera of the rig.

    Args:
        name: its channel.
        camera: its intrinsics.
        ego_SE3_cam: its mounting.
        delay_us: time from its exposure to the end of the sweep.
        shutter: exposure times of its rows; None if all are exposed at once.
    """

    name: str
    camera: PinholeCamera
    ego_SE3_cam: SE3
    delay_us: int
    shutter: RollingShutter | None = None


@dataclass(frozen=True, eq=False)
class Rig:
    """All sensors of a vehicle.

    Args:
        lidar: the first LiDAR. It turns, and gives key frames and boxes their times.
        cameras: the cameras.
        others: further LiDARs.
    """

    lidar: LidarModel
    cameras: tuple[MountedCamera, ...]
    others: tuple[SolidStateLidar, ...] = ()

    @property
    def lidars(self) -> tuple[AnyLidar, ...]:
        """All LiDARs."""
        return (self.lidar, *self.others)


@dataclass(frozen=True)
class _Optics:
    """Cameras of one image size.

    `cameras` holds the position in the vehicle frame, metres; yaw, degrees; focal length, pixels. `lens` holds the lens
    model and coefficients of cameras that have any.
    """

    width_px: int
    height_px: int
    principal_px: tuple[float, float]
    cameras: Mapping[str, tuple[tuple[float, float, float], float, float]]
    shutter: RollingShutter | None = None


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

_UPRIGHT = rotation(-np.pi / 2)
"""Axes of an upright LiDAR in the vehicle frame."""
_ROOF_M = np.array((0.94, 0.0, 1.84))
_HDL_32E = LidarModel(1084, np.radians(-30.67 + 4 / 3 * np.arange(32)), SE3(_UPRIGHT, _ROOF_M))
_HDL_64E = LidarModel(
    2083,
    np.radians(np.concatenate([-24.8 + np.arange(32) / 2, -8.33 + np.arange(32) / 3])),
    SE3(_UPRIGHT, np.array((0.76, 0.0, 1.73))),
)
_TILTED = replace(_HDL_32E, ego_SE3_lidar=SE3(rotation(pitch=np.radians(20)) @ _UPRIGHT, _ROOF_M))
_UPSIDE_DOWN = LidarModel(
    1024, np.radians(np.linspace(-22.5, 22.5, 32)), SE3(_UPRIGHT @ np.diag((-1.0, 1.0, -1.0)), _ROOF_M)
)
_128_BEAMS = LidarModel(1024, np.radians(np.linspace(-25, 15, 128)), SE3(_UPRIGHT, _ROOF_M))
_BUMPER = SolidStateLidar(
    5000,
    np.radians(np.linspace(-2, 2, 6)),
    (np.radians(55), np.radians(12)),
    (147.3, -91.7),
    SE3(rotation(pitch=np.radians(3), roll=np.radians(12)) @ _UPRIGHT, np.array((3.45, 0.1, 0.62))),
    "LIDAR_FRONT",
    17_000,
)
_RIGS: Mapping[str, tuple[LidarModel, _Optics]] = {
    "nuscenes": (_HDL_32E, _SIX),
    "kitti": (_HDL_64E, _ONE),
    "two-lidars": (_HDL_32E, _SIX),
    "tilted": (_TILTED, _SIX),
    "inverted": (_UPSIDE_DOWN, _SIX),
    "beams-128": (_128_BEAMS, _SIX),
}
_OTHERS: Mapping[str, tuple[SolidStateLidar, ...]] = {"two-lidars": (_BUMPER,)}
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
        axis_lidar = lidar.ego_SE3_lidar.rotation.T @ pose.rotation[:, 2]
        delay_us = round(float(beam_delay_s(axis_lidar[None, :2])[0]) * 1e6)
        mounted.append(MountedCamera(channel, camera, pose, delay_us))
    return Rig(lidar, tuple(mounted), _OTHERS.get(name, ()))


def beam_delay_s(xy_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) time from the beam of a turning LiDAR at (N,2) points of its frame to the end of the sweep, seconds."""
    turned = (np.pi - np.arctan2(xy_lidar_m[:, 1], xy_lidar_m[:, 0])) % (2 * np.pi) / (2 * np.pi)
    delay: NDArray[np.float64] = (1 - turned) * SWEEP_US * 1e-6
    return delay
