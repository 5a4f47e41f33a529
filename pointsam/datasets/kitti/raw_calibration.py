"""The three calibration files of a day of KITTI raw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pointsam.base.remote import DataPath
from pointsam.datasets.kitti.files import Calibration, matrix_of, read_values, rigid
from pointsam.geometry.se3 import SE3

FILES = _CAMERAS, _MOUNTING, _IMU = ("calib_cam_to_cam.txt", "calib_velo_to_cam.txt", "calib_imu_to_velo.txt")
_RECTIFICATION = ("R_rect_00",)


@dataclass(frozen=True, eq=False)
class RawCalibration:
    """The calibration of a day.

    Args:
        cameras: the rectified cameras by the name of their folder.
        sizes_px: (width, height) of the rectified images by camera, where the file states them.
        lidar_SE3_imu: from the frame of the inertial unit to the LiDAR frame; None if it was not asked for.
    """

    cameras: Mapping[str, Calibration]
    sizes_px: Mapping[str, tuple[float, float]]
    lidar_SE3_imu: SE3 | None


def read_raw_calibration(folder: DataPath, cameras: tuple[str, ...], imu: bool) -> RawCalibration:
    """The calibration files of a day's folder.

    Points of the LiDAR get into the rectified frame of camera 0 by R_rect_00 [R | T] of calib_velo_to_cam.txt, and into
    the image of camera x by P_rect_0x.
    Source: readme.txt of KITTI raw.

    Args:
        folder: the folder.
        cameras: folders of the cameras, image_0x.
        imu: whether the mounting of the inertial unit is needed.

    Raises:
        DatasetError: DAT004 if a file is missing.
        CalibrationError: CAL001 or CAL003 naming file and key.
    """
    path = folder / _CAMERAS
    number = {name: name.removeprefix("image_") for name in cameras}
    wanted = {f"{what}_rect_{n}" for what in ("P", "S") for n in number.values()}
    values = read_values(path, {*_RECTIFICATION, *wanted})
    rectification = rigid(path, _RECTIFICATION[0], matrix_of(path, values, _RECTIFICATION, (3, 3)), np.zeros(3))
    rect_SE3_lidar = rectification @ _transform(folder / _MOUNTING)
    lidar_SE3_imu = _transform(folder / _IMU) if imu else None
    found, sizes_px = dict[str, Calibration](), dict[str, tuple[float, float]]()
    for name, n in number.items():
        key = f"P_rect_{n}"
        found[name] = Calibration(path, matrix_of(path, values, (key,), (3, 4)), rect_SE3_lidar, lidar_SE3_imu, key)
        if f"S_rect_{n}" in values:
            width, height = matrix_of(path, values, (f"S_rect_{n}",), (1, 2))[0].tolist()
            sizes_px[name] = (width, height)
    return RawCalibration(found, sizes_px, lidar_SE3_imu)


def _transform(path: DataPath) -> SE3:
    """R and T of a file: from the frame of its first sensor to that of its second."""
    values = read_values(path, ("R", "T"))
    rotation, translation = matrix_of(path, values, ("R",), (3, 3)), matrix_of(path, values, ("T",), (1, 3))
    return rigid(path, "R", rotation, translation[0])
