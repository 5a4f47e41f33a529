"""The calibration file of a folder: calibration.yaml, .yml or .json (docs/folder.md).

`read_calibration` reads one, `calibration_text` writes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from pointsam.base.document import document_from, json_object, parse_json
from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.paths import name_problem
from pointsam.base.remote import DataPath, read_bytes
from pointsam.base.yaml_text import parse_yaml, yaml_text
from pointsam.datasets.columns import row_layout
from pointsam.datasets.folder.transforms import FrameTree, Transform
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3

NAMES = ("calibration.yaml", "calibration.yml", "calibration.json")
"""Names of the file."""
TODO = "TODO"
"""Value of a field that the user must complete."""
COLUMNS = ("x", "y", "z", "intensity")
_LONGEST_S = 1e10
_FARTHEST_S = 5.0
_WIDEST_GAP_DEG = 45.0
_SHOWN = 12
_SEPARATORS = re.compile(r"[,;\t]")

Unit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True)
class Distortion:
    """How the lens departs from a pinhole.

    Args:
        model: "pinhole" for images without distortion; "brown" for OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]];
            "fisheye" for OpenCV's fisheye model, k1 to k4.
        coefficients: of the model, in OpenCV's order.
    """

    model: Literal["pinhole", "brown", "fisheye"] = "pinhole"
    coefficients: tuple[float, ...] = ()


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point in pixels; pixel (0, 0) is the centre of the top left pixel."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class CameraEntry:
    """One camera; its images are in images/NAME.

    Args:
        size: width and height of the images, pixels.
        intrinsics: focal lengths and principal point; this, `K` or `P`.
        K: camera matrix in rows, three lists of three numbers or nine numbers.
        P: projection matrix K [I | t] in rows, three lists of four numbers or twelve numbers, as KITTI's P2. It takes
            points of `frame`, so that the camera is beside the origin of it, with its axes.
        distortion: of the images as they are.
        frame: name of its frame (x right, y down, z forward) in `transforms`; the name of the camera if left out.
        readout_s: of a rolling shutter: seconds from the time of the image at which the first and the last row are
            exposed. Left out for a global shutter.
        readout_axis: "rows", or "columns" for a sensor that reads columns from left to right.
        time_offset_s: added to the stamps of its files.
    """

    size: tuple[int, int]
    intrinsics: Intrinsics | None = None
    K: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None
    P: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = field(default=None, repr=False)
    distortion: Distortion = Distortion()
    frame: str | None = None
    readout_s: tuple[float, float] | None = None
    readout_axis: Literal["rows", "columns"] = "rows"
    time_offset_s: float = 0.0

    def camera(self, where: str) -> Camera:
        """The camera.

        Args:
            where: file and field, for errors.

        Raises:
            CalibrationError: CAL002 on values that no camera has, CAL003 unless one of K, P and intrinsics is there.
        """
        if sum(one is not None for one in (self.intrinsics, self.K, self.P)) != 1:
            raise CalibrationError(
                "CAL003",
                f"{where}.intrinsics: one of `intrinsics`, `K` and `P` must be there",
                "state fx, fy, cx and cy",
            )
        model, coefficients = self.distortion.model, self.distortion.coefficients
        if (model == "pinhole") != (len(coefficients) == 0):
            raise CalibrationError(
                "CAL002",
                f"{where}.distortion.coefficients: {len(coefficients)} numbers for the model {model!r}",
                "a pinhole has none; brown has k1, k2, p1, p2[, k3[, k4, k5, k6]], fisheye k1, k2, k3, k4",
            )
        lens: Literal["brown", "fisheye"] = "fisheye" if model == "fisheye" else "brown"
        try:
            return Camera(self._matrix(), self.size[0], self.size[1], coefficients, lens)
        except (CalibrationError, ValueError) as error:
            message, hint = (
                ("P is no 3x4 matrix", "write three rows of four numbers; a 3x3 matrix is `K`")
                if self.P is not None
                else ("K is no 3x3 matrix", "write three rows of three numbers; a 3x4 matrix K [I | t] is `P`")
            )
            if isinstance(error, CalibrationError):
                way = "P is K [I | t]: write a K [R | t] as `K`, with R and t in `transforms`"
                message, hint = error.message, error.hint if self.P is None else way
            raise CalibrationError("CAL002", f"{where}: {message}", hint) from error

    def _matrix(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        if self.intrinsics is not None:
            fx, fy, cx, cy = self.intrinsics.fx, self.intrinsics.fy, self.intrinsics.cx, self.intrinsics.cy
            return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)
        if self.P is not None:
            return self._projection()[:, :3]
        return np.array(self.K, dtype=np.float64).reshape(3, 3)

    def _projection(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        values = np.array(self.P, dtype=np.float64).reshape(3, 4)
        if not np.isfinite(values).all():
            raise ValueError("not finite")
        return values

    def frame_SE3_cam(self) -> SE3:
        """From the camera to its `frame`: the identity, or the shift that `P` holds. The entry must have a camera."""
        if self.P is None:
            return SE3.identity()
        projection = self._projection()
        return SE3(np.eye(3), -np.linalg.solve(projection[:, :3], projection[:, 3]))


@dataclass(frozen=True)
class LidarEntry:
    """One LiDAR; its clouds are in clouds/NAME.

    Args:
        columns: the values of a point in .bin and .npy files, as `--columns` states them (docs/own_data.md).
        frame: name of its frame in `transforms`; the name of the LiDAR if left out.
        motion_compensated: whether the points of a sweep are all in the sensor's frame at the time of the sweep.
        ring_gap_deg: angle between neighbouring rings; 0 for a sensor without rings, or if it is unknown.
        time_offset_s: added to the stamps of its files.
    """

    columns: tuple[str, ...] = COLUMNS
    frame: str | None = None
    motion_compensated: bool = True
    ring_gap_deg: float = 0.0
    time_offset_s: float = 0.0


@dataclass(frozen=True)
class Files:
    """How files of one moment are found.

    Args:
        match: "stamp": names of files are times, and the nearest belong together; "index": equal names do.
        unit: unit of the stamps; None infers it from their size.
        tolerance_s: how far apart files of one moment may be.
        period_s: with "index", the time between two indices; None = see times.txt, or times are not known.
    """

    match: Literal["stamp", "index"] = "stamp"
    unit: Unit | None = None
    tolerance_s: float = 0.05
    period_s: float | None = None


@dataclass(frozen=True)
class PosesEntry:
    """The file of poses of each drive.

    Args:
        file: name of the file in the drive; None = the first of poses.txt and poses.csv that is there.
        format: of the file; None infers it from the number of its columns.
        frame: name of the frame whose poses these are: the vehicle, if left out, or an inertial unit or a LiDAR.
        unit: unit of its stamps; None infers it.
        time_offset_s: added to its stamps.
    """

    file: str | None = None
    format: Literal["tum", "kitti", "csv"] | None = None
    frame: str | None = None
    unit: Unit | None = None
    time_offset_s: float = 0.0


@dataclass(frozen=True)
class BoxesEntry:
    """The ground-truth boxes.

    Args:
        frame: name of the frame that they are in: "world", or one of `transforms`; None = that of the format.
        unit: unit of the stamps in them; None infers it.
        angles: unit of `yaw` and of Euler angles in them; "rad" or "deg".
    """

    frame: str | None = None
    unit: Unit | None = None
    angles: Literal["rad", "deg"] | None = None


@dataclass(frozen=True)
class Calibration:
    """A calibration file.

    Args:
        cameras: by the name of their folder, in the order in which frames have them.
        lidars: by the name of their folder; the first is the reference LiDAR.
        transforms: between frames; they connect every sensor to the vehicle.
        vehicle: name of the vehicle's frame (x forward, y left, z up).
        files: how files are matched.
        poses: of the vehicle.
        boxes: ground truth.
    """

    cameras: dict[str, CameraEntry]
    lidars: dict[str, LidarEntry]
    transforms: tuple[Transform, ...] = ()
    vehicle: str = "vehicle"
    files: Files = Files()
    poses: PosesEntry = PosesEntry()
    boxes: BoxesEntry = BoxesEntry()
    path: str = field(default="calibration.yaml", init=False, compare=False, repr=False)

    @cached_property
    def tree(self) -> FrameTree:
        """The frames of the transforms.

        Raises:
            CalibrationError: as `FrameTree.of`.
        """
        return FrameTree.of(self.transforms, self.vehicle, self.path)

    def vehicle_SE3_cam(self, name: str) -> SE3:
        """The mounting of a camera.

        Raises:
            CalibrationError: as `FrameTree.pose`.
        """
        entry = self.cameras[name]
        return self.tree.pose(entry.frame or name, f"cameras.{name}") @ entry.frame_SE3_cam()


def find_calibration(folder: DataPath) -> DataPath | None:
    """The calibration file in a folder; None if there is none.

    Raises:
        DatasetError: DAT012 if there are several.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DatasetError("DAT012", f"{folder}: {names} are both there", "keep one calibration file")
    return found[0] if found else None


def read_calibration(path: DataPath) -> Calibration:
    """Read and check a calibration file: every sensor has a mounting, and every camera is one.

    Raises:
        DatasetError: DAT004 if it is missing, DAT010 on malformed columns.
        CalibrationError: naming the field: CAL003 on one that is malformed, unknown or to be completed, or on a missing
            or contradictory chain of transforms; CAL001 on a rotation that is none; CAL002 on an impossible camera.
    """
    values = raw_values(path)
    todo = list(to_complete(values))
    if todo:
        more = f" and {len(todo) - _SHOWN} more" if len(todo) > _SHOWN else ""
        raise _refused(
            path, f"to be completed: {', '.join(todo[:_SHOWN])}{more}", f"replace {TODO} by the value (docs/folder.md)"
        )
    read = document_from(values, Calibration, lambda problem: _refused(path, problem), partial=True)
    object.__setattr__(read, "path", str(path))
    require_sensors(read)
    return read


def require_sensors(calibration: Calibration) -> None:
    """Refuse a calibration of which a camera or a mounting is not possible.

    Raises:
        DatasetError, CalibrationError: as `read_calibration`.
    """
    path = calibration.path
    _require_names(calibration)
    _require_times(calibration)
    if not calibration.lidars:
        raise _refused(path, "lidars is empty", "name a folder of clouds/")
    for name, camera in calibration.cameras.items():
        camera.camera(f"{path}: cameras.{name}")
        calibration.vehicle_SE3_cam(name)
    for name, lidar in calibration.lidars.items():
        calibration.tree.pose(lidar.frame or name, f"lidars.{name}")
        if not 0 <= lidar.ring_gap_deg < _WIDEST_GAP_DEG:
            raise _refused(
                path, f"lidars.{name}.ring_gap_deg: {lidar.ring_gap_deg:g}", "state degrees, or 0 without rings"
            )
        try:
            row_layout(lidar.columns)
        except DatasetError as error:
            raise DatasetError(error.code, f"{path}: lidars.{name}.columns: {error.message}", error.hint) from error
    if calibration.poses.frame is not None:
        calibration.tree.pose(calibration.poses.frame, "poses.frame")


def _require_names(calibration: Calibration) -> None:
    """Refuse names that would lead out of the folder of a drive."""
    names = {f"cameras.{name}": name for name in calibration.cameras}
    names |= {f"lidars.{name}": name for name in calibration.lidars}
    if calibration.poses.file is not None:
        names["poses.file"] = calibration.poses.file
    for where, name in names.items():
        problem = name_problem(name)
        if problem:
            raise _refused(
                calibration.path, f"{where}: {name!r} names no file of a drive: {problem}", "name one below the drive"
            )


def _require_times(calibration: Calibration) -> None:
    """Refuse times that are not possible."""
    offsets = {f"cameras.{name}.time_offset_s": one.time_offset_s for name, one in calibration.cameras.items()}
    offsets |= {f"lidars.{name}.time_offset_s": one.time_offset_s for name, one in calibration.lidars.items()}
    for name, value in {**offsets, "poses.time_offset_s": calibration.poses.time_offset_s}.items():
        if abs(value) > _LONGEST_S:
            raise _refused(calibration.path, f"{name}: {value:g} s", "state the difference of the clocks in seconds")
    for name, length in (("tolerance_s", calibration.files.tolerance_s), ("period_s", calibration.files.period_s)):
        if length is not None and not 0 < length < _LONGEST_S:
            raise _refused(calibration.path, f"files.{name}: {length:g} s", "it must be positive")
    if calibration.files.tolerance_s > _FARTHEST_S:
        raise _refused(
            calibration.path,
            f"files.tolerance_s: {calibration.files.tolerance_s:g} s: images of other moments would belong to a frame",
            f"state seconds, at most {_FARTHEST_S:g}: half the period of the slowest sensor",
        )


def calibration_text(calibration: Calibration) -> str:
    """A calibration as YAML, for calibration.yaml; what is not stated is left out.

    `read_calibration` reads an equal one back.
    """
    return yaml_text({name: _stated(value) for name, value in json_object(calibration).items() if name != "path"})


def raw_values(path: DataPath) -> Mapping[str, object]:
    """The values of a calibration file before they are checked.

    Raises:
        DatasetError: DAT004 if it is missing.
        CalibrationError: CAL003 if it is no YAML or JSON, or no mapping.
    """
    content = read_bytes(path, "calibration file")
    try:
        values = parse_json(content) if path.suffix.lower() == ".json" else parse_yaml(content)
    except ValueError as error:
        raise _refused(path, str(error), _way(content)) from error
    if not isinstance(values, Mapping):
        raise _refused(path, "it holds no fields", _way(content))
    return values


def to_complete(values: object, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields with the value TODO."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from to_complete(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(values, list):
        if any(value == TODO for value in values):
            yield prefix
        else:
            for k, value in enumerate(values):
                yield from to_complete(value, f"{prefix}.{k}")
    elif values == TODO:
        yield prefix


def _stated(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _stated(item) for name, item in value.items() if item is not None}
    return value


def _way(content: bytes) -> str:
    lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip() and line[0] != "#"][:2]
    if len({len(_SEPARATORS.findall(line)) for line in lines} - {0}) == 1 and not any(":" in line for line in lines):
        return "it looks like a table (CSV): write YAML or JSON with the fields cameras, lidars and transforms"
    return "write YAML or JSON with the fields cameras, lidars and transforms (docs/folder.md)"


def _refused(path: DataPath | str, problem: str, hint: str = "docs/folder.md describes each field") -> CalibrationError:
    return CalibrationError("CAL003", f"{path}: {problem}", hint)
