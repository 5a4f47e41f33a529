"""The rigs of vehicles, timed as in nuScenes: cameras, and one or two LiDARs.

The vehicle frame has x forward, y left, z up and its origin on the ground below the rear axle. A camera exposes when
the beam of the first LiDAR passes its optical axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pointsam.geometry.camera import Camera, LensModel
from pointsam.geometry.se3 import SE3
from pointsam.synth.mesh import rotation
from pointsam.synth.sensors import AnyLidar, LidarModel, SolidStateLidar, beam_delay_s
from pointsam.types import RollingShutter


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
    camera: Camera
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

    Args:
        cameras: position in the vehicle frame, metres; yaw, degrees; focal length, pixels.
        lenses: model and coefficients of the cameras that distort.
        shutter: exposure times of the rows of all cameras.
    """

    width_px: int
    height_px: int
    principal_px: tuple[float, float]
    cameras: Mapping[str, tuple[tuple[float, float, float], float, float]]
    lenses: Mapping[str, tuple[LensModel, tuple[float, ...]]] = field(default_factory=dict)
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
_LENSES: Mapping[str, tuple[LensModel, tuple[float, ...]]] = {
    "CAM_FRONT": ("brown", (-0.32, 0.12, 0.0008, -0.0006)),
    "CAM_FRONT_RIGHT": ("brown", (-0.30, 0.11, -0.0005, 0.0007, -0.012)),
    "CAM_BACK_RIGHT": ("brown", (0.16, -0.05, 0.0004, 0.0003)),
    "CAM_BACK": ("fisheye", (0.02, -0.01, 0.003, -0.0005)),
    "CAM_BACK_LEFT": ("brown", (0.30, 0.10, 0.0006, -0.0004, 0.0, 0.62, 0.21, 0.02)),
    "CAM_FRONT_LEFT": ("brown", (-0.28, 0.09, 0.0003, 0.0005)),
}
_FISHEYE_FOCAL_PX = 520.0
_WIDE = {**_SIX.cameras, "CAM_BACK": (*_SIX.cameras["CAM_BACK"][:2], _FISHEYE_FOCAL_PX)}
_DISTORTED = replace(_SIX, cameras=_WIDE, lenses=_LENSES)
_ROLLING = replace(_SIX, shutter=RollingShutter(-0.015, 0.015))
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
    "lens": (_HDL_32E, _DISTORTED),
    "rolling": (_HDL_32E, _ROLLING),
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
        size_px = round(optics.width_px * scale), round(optics.height_px * scale)
        model, coefficients = optics.lenses.get(channel, ("brown", ()))
        camera = Camera(K, *size_px, coefficients, model)
        upright = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera axes in the vehicle frame
        pose = SE3(rotation(np.radians(yaw_deg)) @ upright, np.array(position))
        axis_lidar = lidar.ego_SE3_lidar.rotation.T @ pose.rotation[:, 2]
        delay_us = round(float(beam_delay_s(axis_lidar[None, :2])[0]) * 1e6)
        mounted.append(MountedCamera(channel, camera, pose, delay_us, optics.shutter))
    return Rig(lidar, tuple(mounted), _OTHERS.get(name, ()))
