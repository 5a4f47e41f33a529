"""KITTI's text files: calib/*.txt and label_2/*.txt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, names_in, read_bytes
from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3

LIDAR, COLUMNS = "velodyne", ("x", "y", "z", "intensity")
"""Name of the sensor, and the values of a point in its files."""

# The tracking release uses the second names, the odometry release the third; images of the latter are rectified.
_RECTIFICATION = ("R0_rect", "R_rect")
_MOUNTING = ("Tr_velo_to_cam", "Tr_velo_cam", "Tr")
_PROJECTION = ("P2",)

KINDS = frozenset({"Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare"})


@dataclass(frozen=True, eq=False)
class Calibration:
    """One frame's calibration.

    Args:
        path: file of the calibration.
        P2_px: (3,4) float64 projection from the rectified frame (the frame of labels) into camera 2.
        rect_SE3_lidar: from the LiDAR frame to the rectified frame, R0_rect Tr_velo_to_cam.
    """

    path: DataPath
    P2_px: NDArray[np.float64]
    rect_SE3_lidar: SE3

    def camera(self, width_px: int, height_px: int) -> PinholeCamera:
        """Camera 2.

        Raises:
            CalibrationError: CAL002 naming the file, if P2 is not of a pinhole camera.
        """
        try:
            return PinholeCamera(self.P2_px[:, :3], width_px, height_px)
        except CalibrationError as error:
            raise CalibrationError(error.code, f"{self.path}, P2: {error.message}", error.hint) from error

    def cam_SE3_lidar(self, camera: PinholeCamera) -> SE3:
        """From the LiDAR frame to camera 2: P2 = K [I | t], and t is the offset of camera 2 from camera 0."""
        offset_m = np.linalg.solve(camera.K, self.P2_px[:, 3])
        return SE3(np.eye(3), offset_m) @ self.rect_SE3_lidar


@dataclass(frozen=True)
class LabelRow:
    """One object of a label file.

    Args:
        line: line number in the file, from 1.
        kind: KITTI's class name.
        box_xyxy_px: 2D box in the image of camera 2.
        size_hwl_m: height, width, length.
        bottom_rect_m: centre of the box's bottom face in the rectified camera frame.
        rotation_y: heading about the camera's y axis, radians; 0 points along its x axis.
        truncated: fraction of the object outside the image.
        occluded: 0 visible, 1 partly occluded, 2 largely occluded, 3 unknown.
    """

    line: int
    kind: str
    box_xyxy_px: tuple[float, float, float, float]
    size_hwl_m: tuple[float, float, float]
    bottom_rect_m: tuple[float, float, float]
    rotation_y: float
    truncated: float = 0.0
    occluded: int = 0

    def rect_SE3_box(self) -> SE3:
        """From the frame of the box (x along its length, y along its width, z up, origin at its centre)."""
        c, s = np.cos(self.rotation_y), np.sin(self.rotation_y)
        x, y, z = self.bottom_rect_m
        rotation = np.array([[c, s, 0], [0, 0, -1], [-s, c, 0]])
        return SE3(rotation, np.array([x, y - self.size_hwl_m[0] / 2, z]))


@runtime_checkable
class HasKittiLabels(Protocol):
    """A data set with KITTI's label files: predictions are also evaluated by KITTI's average precision."""

    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """The rows of the label file of a frame; None if it has none.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT011 on a line that cannot be read.
        """


def read_calibration(path: DataPath) -> Calibration:
    """A calibration file; keys may end in a colon or not.

    Raises:
        DatasetError: DAT004 if the file is missing.
        CalibrationError: naming file and key: CAL003 on a missing key, a wrong number of values or a value that is
            not a finite number, CAL001 on an invalid rotation.
    """
    values: dict[str, list[str]] = {}
    for line in _lines(path, "calibration file"):
        key, *numbers = line.replace(":", " ", 1).split() or [""]
        values[key] = numbers
    if "Tr" in values:
        values.setdefault(_RECTIFICATION[0], ["1", "0", "0", "0", "1", "0", "0", "0", "1"])
    projection = _matrix(path, values, _PROJECTION, (3, 4))
    rectification = _rigid(path, _RECTIFICATION[0], _matrix(path, values, _RECTIFICATION, (3, 3)), np.zeros(3))
    mounting = _matrix(path, values, _MOUNTING, (3, 4))
    cam0_SE3_lidar = _rigid(path, _MOUNTING[0], mounting[:, :3], mounting[:, 3])
    return Calibration(path, projection, rectification @ cam0_SE3_lidar)


def read_labels(path: DataPath) -> tuple[LabelRow, ...]:
    """A label file, DontCare regions included.

    Raises:
        DatasetError: DAT004 if the file is missing, DAT011 naming file and line of a malformed row.
    """
    rows = enumerate(_lines(path, "label file"), start=1)
    return tuple(_label(path, line, text) for line, text in rows if text)


def numbers_in(folder: DataPath, suffix: str) -> list[str]:
    """Names of the files in a folder that end in a suffix, without it, sorted; none if there is no such folder."""
    return [name.removesuffix(suffix) for name in names_in(folder) if name.endswith(suffix)]


def _lines(path: DataPath, what: str) -> list[str]:
    return [line.strip() for line in read_bytes(path, what).decode(errors="replace").splitlines()]


def _matrix(
    path: DataPath, values: dict[str, list[str]], names: tuple[str, ...], shape: tuple[int, int]
) -> NDArray[np.float64]:
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


def _rigid(path: DataPath, name: str, rotation: NDArray[np.float64], translation_m: NDArray[np.float64]) -> SE3:
    try:
        return SE3(rotation, translation_m)
    except CalibrationError as error:
        raise CalibrationError(error.code, f"{path}, {name}: {error.message}", error.hint) from error


def _label(path: DataPath, line: int, text: str) -> LabelRow:
    kind, *fields = text.split()
    hint = "a row is: type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]"

    def malformed(what: str) -> DatasetError:
        return DatasetError("DAT011", f"{path}, line {line}: {what}", hint)

    if kind not in KINDS:
        raise malformed(f"unknown type {kind!r}, expected one of {', '.join(sorted(KINDS))}")
    if len(fields) not in (14, 15):
        raise malformed(f"{len(fields) + 1} columns, expected 15 or 16")
    try:
        numbers = [float(field) for field in fields]
    except ValueError as error:
        raise malformed(str(error)) from error
    if not np.isfinite(numbers).all():
        raise malformed("NaN or infinity")
    if kind != "DontCare" and min(numbers[7:10]) <= 0:
        raise malformed(f"height, width, length must be positive, got {numbers[7:10]}")
    if not -1 <= numbers[1] <= 3:
        raise malformed(f"occluded is {fields[1]}, expected -1 to 3")
    left, top, right, bottom, height, width, length, x, y, z, rotation_y = numbers[3:14]
    truncated, occluded = numbers[0], int(numbers[1])
    box, size = (left, top, right, bottom), (height, width, length)
    return LabelRow(line, kind, box, size, (x, y, z), rotation_y, truncated, occluded)
