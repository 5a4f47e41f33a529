"""KITTI's calibration files, and the lines of its text files."""

from __future__ import annotations

import codecs
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.io import ImageFile, image_size, point_source
from pointsam.geometry.camera import Camera
from pointsam.geometry.revolution import Revolution
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Sweep

LIDAR, COLUMNS = "velodyne", ("x", "y", "z", "intensity")
"""Name of the sensor, and the values of a point in its files."""

_LEAST_NORMAL = 0.5
"""Smallest share of the camera's vertical axis in the normal of a road plane: no road is as steep as 60 degrees."""

RING_GAP_RAD = math.radians(26.8 / 63)
"""Of the HDL-64E, mean of its two blocks."""

REVOLUTION = Revolution(-0.05, 0.05)
"""Of the HDL-64E, which turns ten times a second and faces forward at the time stamp. Sweeps begin and end behind. The
turn is clockwise seen from above: with these times, surfaces that face along the road are twice as well aligned in
sweeps 0.5 s apart, and with those of the other way round half as well (docs/lidars.md)."""

# The tracking release uses the second names, the odometry release the third; images of the latter are rectified.
_RECTIFICATION = ("R0_rect", "R_rect")
_MOUNTING = ("Tr_velo_to_cam", "Tr_velo_cam", "Tr")
_PROJECTION = ("P2",)
_IMU = ("Tr_imu_to_velo", "Tr_imu_velo")
_KEYS = (*_RECTIFICATION, *_MOUNTING, *_PROJECTION, *_IMU)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks that editors write, and the encodings that they mean."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration of one camera.

    Args:
        path: file of the projection.
        P_px: (3,4) float64 projection from the rectified frame (the frame of labels) into the camera.
        rect_SE3_lidar: from the LiDAR frame to the rectified frame, R0_rect Tr_velo_to_cam.
        lidar_SE3_imu: from the frame of the inertial unit to the LiDAR frame; None if it was not asked for.
        key: name of the projection in its file.
    """

    path: DataPath
    P_px: NDArray[np.float64]
    rect_SE3_lidar: SE3
    lidar_SE3_imu: SE3 | None = None
    key: str = _PROJECTION[0]

    def camera(self, width_px: int, height_px: int) -> Camera:
        """The camera.

        Raises:
            CalibrationError: CAL002 naming the file, if the projection is not of a pinhole camera.
        """
        try:
            return Camera(self.P_px[:, :3], width_px, height_px)
        except CalibrationError as error:
            raise CalibrationError(error.code, f"{self.path}, {self.key}: {error.message}", error.hint) from error

    def cam_SE3_lidar(self, camera: Camera) -> SE3:
        """From the LiDAR frame to the camera: P = K [I | t], and t is the offset of the camera from camera 0."""
        offset_m = np.linalg.solve(camera.K, self.P_px[:, 3])
        return SE3(np.eye(3), offset_m) @ self.rect_SE3_lidar

    def view(self, name: str, image: ImageFile, sweep: Sweep) -> CameraView:
        """An image of the camera with the time and the pose of a sweep; the ego frame is the LiDAR frame.

        Raises:
            DatasetError: DAT004 if the image is missing, DAT005 if it has no readable header.
            CalibrationError: CAL002 as `camera`.
        """
        height_px, width_px = image_size(image)
        camera = self.camera(width_px, height_px)
        ego_SE3_cam = self.cam_SE3_lidar(camera).inverse()
        return CameraView(name, image, sweep.t_us, camera, ego_SE3_cam, sweep.world_SE3_ego)


def read_calibration(path: DataPath, imu: bool = False) -> Calibration:
    """A calibration file; keys may end in a colon or not, and unknown keys are passed over.

    Args:
        path: the file.
        imu: whether the mounting of the inertial unit is needed.

    Raises:
        DatasetError: DAT004 if the file is missing.
        CalibrationError: naming file and key: CAL003 on a missing key, a wrong number of values or a value that is
            not a finite number, or two different lines of one key, CAL001 on an invalid rotation.
    """
    values = read_values(path, _KEYS)
    if "Tr" in values:
        values.setdefault(_RECTIFICATION[0], ["1", "0", "0", "0", "1", "0", "0", "0", "1"])
    projection = matrix_of(path, values, _PROJECTION, (3, 4))
    rectification = rigid(path, _RECTIFICATION[0], matrix_of(path, values, _RECTIFICATION, (3, 3)), np.zeros(3))
    mounting = matrix_of(path, values, _MOUNTING, (3, 4))
    cam0_SE3_lidar = rigid(path, _MOUNTING[0], mounting[:, :3], mounting[:, 3])
    lidar_SE3_imu = None
    if imu:
        of_imu = matrix_of(path, values, _IMU, (3, 4))
        lidar_SE3_imu = rigid(path, _IMU[0], of_imu[:, :3], of_imu[:, 3])
    return Calibration(path, projection, rectification @ cam0_SE3_lidar, lidar_SE3_imu)


def read_values(path: DataPath, keys: Collection[str]) -> dict[str, list[str]]:
    """The words behind some keys of a calibration file, of those that it has.

    Raises:
        DatasetError: DAT004 if the file is missing.
        CalibrationError: CAL003 naming file and key on two different lines of one key.
    """
    values: dict[str, list[str]] = {}
    for line in text_lines(path, "calibration file"):
        key, *words = line.replace(":", " ", 1).split() or [""]
        if key in keys and values.setdefault(key, words) != words:
            raise CalibrationError(
                "CAL003", f"{path}: two lines with key {key} and different values", "keep the right one"
            )
    return values


def read_plane(path: DataPath) -> tuple[float, float, float, float]:
    """a, b, c, d of a plane a x + b y + c z + d = 0 in the rectified frame, metres: the last line of a file.

    Raises:
        DatasetError: DAT004 if the file is missing, DAT011 if it holds no plane that a vertical line meets once.
    """
    words = [line.split() for line in text_lines(path, "road plane") if line]
    try:
        a, b, c, d = (float(word) for word in (words or [[]])[-1])
    except ValueError:
        a = b = c = d = math.nan
    if not (math.isfinite(a + b + c + d) and abs(b) > _LEAST_NORMAL * math.hypot(a, b, c)):
        raise DatasetError("DAT011", f"{path}: no plane in the last line", "its four numbers are a b c d of the road")
    return a, b, c, d


def sweep_at(
    path: DataPath, columns: tuple[str, ...], t_us: int, world_SE3_ego: SE3, revolution: Revolution | None = None
) -> Sweep:
    """A sweep of the LiDAR, whose frame is the ego frame.

    Args:
        path: its file.
        columns: names of all values of a point.
        t_us: its time.
        world_SE3_ego: pose of the LiDAR.
        revolution: the turn within which it was measured; None if its ego motion is compensated.
    """
    return Sweep(
        point_source(path, columns),
        t_us,
        SE3.identity(),
        world_SE3_ego,
        RING_GAP_RAD,
        LIDAR,
        motion_compensated=revolution is None,
        revolution=revolution,
    )


def text_lines(path: DataPath, what: str) -> list[str]:
    """Lines of a text file without blanks at their ends; a byte order mark and Windows' line ends are no part of them.

    Args:
        path: the file.
        what: what it is ("label file"), for the error.

    Raises:
        DatasetError: DAT004 if it is missing or cannot be read.
    """
    content = read_bytes(path, what)
    encoding = "utf-8"
    for mark, name in _MARKS:
        if content.startswith(mark):
            content, encoding = content[len(mark) :], name
            break
    return [line.strip() for line in content.decode(encoding, errors="replace").splitlines()]


def matrix_of(
    path: DataPath, values: Mapping[str, list[str]], names: tuple[str, ...], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """The matrix of the first of some keys that a calibration file has.

    Args:
        path: the file, for errors.
        values: its words by key.
        names: the keys.
        shape: rows and columns of the matrix.

    Raises:
        CalibrationError: CAL003 naming file and key if it has none of the keys, or not so many finite numbers.
    """
    name = next((name for name in names if name in values), None)
    hint = f"a calibration file has a line '{names[0]}:' with {shape[0] * shape[1]} numbers"
    if name is None:
        raise CalibrationError("CAL003", f"{path}: no key {names[0]}", hint)
    try:
        numbers = np.array([float(text) for text in values[name]])
    except ValueError as error:
        raise CalibrationError("CAL003", f"{path}, {name}: {error}", hint) from error
    if len(numbers) != shape[0] * shape[1] or not np.isfinite(numbers).all():
        raise CalibrationError(
            "CAL003", f"{path}, {name}: expected {shape[0] * shape[1]} finite numbers, got {values[name]}", hint
        )
    return numbers.reshape(shape)


def rigid(path: DataPath, name: str, rotation: NDArray[np.float64], translation_m: NDArray[np.float64]) -> SE3:
    """A transform of a calibration file.

    Raises:
        CalibrationError: CAL001 naming file and key on an invalid rotation.
    """
    try:
        return SE3(rotation, translation_m)
    except CalibrationError as error:
        raise CalibrationError(error.code, f"{path}, {name}: {error.message}", error.hint) from error
