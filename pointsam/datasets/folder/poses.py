"""Files of poses: TUM (stamp, position, quaternion), KITTI (3x4 matrices), and CSV with a header."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.datasets.folder.calibration import PosesEntry, Unit
from pointsam.datasets.folder.stamps import inferred_unit, microseconds
from pointsam.datasets.folder.trajectory import PoseFile
from pointsam.datasets.kitti.files import text_lines
from pointsam.geometry.se3 import SE3
from pointsam.geometry.trajectory import Trajectory

Form = Literal["tum", "kitti", "csv"]

NAMES = ("poses.txt", "poses.csv")
_TUM, _KITTI = 8, 12
_SPLIT = re.compile(r"[,;\s]+")
_UNITS: dict[str, Unit] = {"s": "s", "sec": "s", "ms": "ms", "us": "us", "ns": "ns", "nsec": "ns"}
_TIME = re.compile(r"(?:time_?stamp|stamp|time|t)(?:[_ \[(]+(s|sec|ms|us|ns|nsec)[\])]?)?")
_POSITION = (("x", "tx", "px", "pos_x"), ("y", "ty", "py", "pos_y"), ("z", "tz", "pz", "pos_z"))
_ROTATION = (("qw", "rot_w"), ("qx", "rot_x"), ("qy", "rot_y"), ("qz", "rot_z"))
_SHOWN = 60


@dataclass(frozen=True, eq=False)
class PoseTable:
    """A file of poses as it stands.

    Args:
        path: the file.
        form: its format.
        stamps: stamp of each pose as a text; empty for KITTI's, which have none.
        unit: unit of the stamps that the file states; None if it states none.
        position_m: (N,3) float64.
        rotation: (N,3,3) float64.
        rows: (N,) int64 place of each among the poses of the file.
        lost: lines of the poses that are left out, because they are not finite.
    """

    path: DataPath
    form: Form
    stamps: tuple[str, ...]
    unit: Unit | None
    position_m: NDArray[np.float64]
    rotation: NDArray[np.float64]
    rows: NDArray[np.int64]
    lost: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of all poses of the file."""
        return len(self.rows) + len(self.lost)

    def times_us(self, unit: Unit | None) -> NDArray[np.int64]:
        """(N,) time of each pose.

        Args:
            unit: unit of the stamps; None takes that of the file, or infers it.

        Raises:
            DatasetError: DAT011 if the unit is not known, or a stamp is no number.
        """
        unit = unit or self.unit or inferred_unit(self.stamps)
        if unit is None:
            if self.form != "tum":
                raise DatasetError(
                    "DAT011",
                    f"{self.path}: stamps such as {self.stamps[0]!r} do not show their unit",
                    "state poses.unit (s, ms, us or ns), or name the column time_s or time_ns",
                )
            unit = "s"  # as the TUM format defines it
        found = [microseconds(stamp, unit) for stamp in self.stamps]
        bad = next((k for k, t_us in enumerate(found) if t_us is None), None)
        if bad is not None:
            raise DatasetError("DAT011", f"{self.path}: {self.stamps[bad]!r} is no time", "correct the line")
        return np.array(found, dtype=np.int64)


def read_poses(path: DataPath, form: Form | None = None) -> PoseTable:
    """A file of poses. Those that hold NaN or infinity are left out.

    Args:
        path: the file. Empty lines and lines that start with # are passed over.
        form: its format; None infers it: CSV has a header of names, TUM eight numbers a line, KITTI twelve.

    Raises:
        DatasetError: DAT004 if it is missing, DAT011 naming the line of a malformed pose.
        CalibrationError: CAL001 or CAL003 naming the line of a rotation that is none.
    """
    lines = [
        (number, text)
        for number, text in enumerate(text_lines(path, "file of poses"), start=1)
        if text and not text.startswith("#")
    ]
    if not lines:
        raise DatasetError("DAT011", f"{path}: it holds no pose", "write a line for each pose, or remove the file")
    header = [name.lower().strip() for name in re.split(r"[,;\t]", lines[0][1])]
    named = not _is_number(_SPLIT.split(lines[0][1])[0])
    if form == "csv" or (form is None and named):
        return _of_table(path, header, lines[1:])
    if named:
        raise _malformed(path, lines[0][0], f"{lines[0][1][:_SHOWN]!r} is no pose")
    rows = [_numbers(path, number, text) for number, text in lines]
    width = {"tum": _TUM, "kitti": _KITTI}.get(form or "", len(rows[0][1]))
    for (number, _), (_, values) in zip(lines, rows, strict=True):
        if len(values) != width or width not in (_TUM, _KITTI):
            raise _malformed(path, number, f"{counted(len(values), 'number')}; TUM has {_TUM}, KITTI {_KITTI}")
    table = np.array([values for _, values in rows])
    if width == _KITTI:
        matrices = table.reshape(-1, 3, 4)
        return _table(path, "kitti", (), None, [n for n, _ in lines], SE3, matrices[:, :, :3], matrices[:, :, 3])
    stamps = tuple(words[0] for words, _ in rows)
    quaternions, make = table[:, [7, 4, 5, 6]], SE3.from_quaternion
    return _table(path, "tum", stamps, None, [n for n, _ in lines], make, quaternions, table[:, 1:4])


def _of_table(path: DataPath, header: Sequence[str], lines: Sequence[tuple[int, str]]) -> PoseTable:
    times = [k for k, name in enumerate(header) if _TIME.fullmatch(name)]
    at = [next((header.index(name) for name in names if name in header), -1) for names in (*_POSITION, *_ROTATION)]
    missing = [names[0] for names, k in zip((*_POSITION, *_ROTATION), at, strict=True) if k < 0]
    if len(times) != 1 or missing:
        lacks = ", ".join([*(["one column of times"] if len(times) != 1 else []), *missing])
        raise DatasetError(
            "DAT011",
            f"{path}: its header lacks {lacks}; it has {', '.join(header)[:200]}",
            "name the columns time_s (or time_ns, ...), x, y, z, qw, qx, qy, qz; angles are not read",
        )
    stamps, numbers = list[str](), list[list[float]]()
    for number, text in lines:
        words = [word.strip() for word in re.split(r"[,;\t]", text)]
        if len(words) != len(header):
            raise _malformed(path, number, f"{counted(len(words), 'value')} for {len(header)} columns")
        try:
            numbers.append([float(words[k] or "nan") for k in at])  # tables of other tools leave NaN empty
        except ValueError as error:
            raise _malformed(path, number, str(error)) from error
        stamps.append(words[times[0]])
    if not numbers:
        raise DatasetError("DAT011", f"{path}: it holds no pose", "write a line for each pose, or remove the file")
    values = np.array(numbers)
    found = _TIME.fullmatch(header[times[0]])
    unit = _UNITS.get(found[1] or "") if found else None
    numbers_of, make = [n for n, _ in lines], SE3.from_quaternion
    return _table(path, "csv", tuple(stamps), unit, numbers_of, make, values[:, 3:], values[:, :3])


def trajectory(
    table: PoseTable, entry: PosesEntry, vehicle_SE3_frame: SE3, times_us: NDArray[np.int64] | None
) -> tuple[PoseFile, list[str]]:
    """The poses of the vehicle, and what is wrong with their stamps.

    Args:
        table: the poses of a frame of the vehicle.
        entry: what the calibration file states of them.
        vehicle_SE3_frame: that frame; the identity for the vehicle's own.
        times_us: time of each row of a file without stamps.

    Raises:
        DatasetError: DAT011 if there are fewer or more times than poses, and as `PoseTable.times_us`.
    """
    if times_us is not None and len(times_us) != table.count:
        raise DatasetError(
            "DAT011",
            f"{table.path}: {counted(table.count, 'pose')} for {counted(len(times_us), 'time')}",
            "KITTI's poses need one line in times.txt each, or one file of the reference LiDAR each",
        )
    t_us = table.times_us(entry.unit) if times_us is None else times_us[table.rows]
    t_us = t_us + round(entry.time_offset_s * 1e6)
    step, found = np.diff(t_us), list[str]()
    if table.lost:
        found.append(
            f"{counted(len(table.lost), 'pose')} left out: NaN or infinity, first in line {table.lost[0]}; between the "
            "poses before and after, poses are interpolated if these are not too far apart"
        )
    if (step < 0).any():
        first = int(np.argmax(step < 0)) + 1
        found.append(f"{counted(int((step < 0).sum()), 'pose')} before the one that it follows, first pose {first + 1}")
    order = np.argsort(t_us, kind="stable")
    kept = order[np.append(True, np.diff(t_us[order]) > 0)]
    if len(kept) < len(order):
        found.append(f"{counted(len(order) - len(kept), 'pose')} left out: its time is that of another pose")
    back = vehicle_SE3_frame.inverse()
    rotation = table.rotation[kept]
    position = table.position_m[kept] + rotation @ back.translation_m
    return PoseFile(str(table.path), Trajectory(t_us[kept], position, rotation @ back.rotation)), found


def _table(
    path: DataPath,
    form: Form,
    stamps: tuple[str, ...],
    unit: Unit | None,
    lines: Sequence[int],
    make: Callable[[NDArray[np.float64], NDArray[np.float64]], SE3],
    rotation: NDArray[np.float64],
    position_m: NDArray[np.float64],
) -> PoseTable:
    """The poses that are finite.

    Args:
        path: as of `PoseTable`.
        form: as of `PoseTable`.
        stamps: of all poses; empty for a form without.
        unit: as of `PoseTable`.
        lines: line of each pose.
        make: a pose from a rotation in the form of the file, and a position.
        rotation: (N,...) rotations.
        position_m: (N,3) positions.
    """
    finite = np.isfinite(position_m).all(axis=1) & np.isfinite(rotation.reshape(len(rotation), -1)).all(axis=1)
    rows, lost = np.flatnonzero(finite), tuple(lines[k] for k in np.flatnonzero(~finite))
    if not len(rows):
        raise _malformed(path, lost[0], "it holds NaN or infinity, as all others do")
    poses = [_checked(path, lines[k], make, rotation[k], position_m[k]) for k in rows]
    kept = tuple(stamps[k] for k in rows) if stamps else ()
    where, turns = np.array([pose.translation_m for pose in poses]), np.array([pose.rotation for pose in poses])
    return PoseTable(path, form, kept, unit, where, turns, rows, lost)


def _checked(
    path: DataPath,
    line: int,
    make: Callable[[NDArray[np.float64], NDArray[np.float64]], SE3],
    rotation: NDArray[np.float64],
    position_m: NDArray[np.float64],
) -> SE3:
    try:
        return make(rotation, position_m)
    except CalibrationError as error:
        hint = "TUM: stamp x y z qx qy qz qw, scalar last; KITTI: a 3x4 matrix in rows; CSV: by the names of columns"
        raise type(error)(error.code, f"{path}, line {line}: {error.message}", hint) from error


def _numbers(path: DataPath, line: int, text: str) -> tuple[list[str], list[float]]:
    words = [word for word in _SPLIT.split(text) if word]
    try:
        return words, [float(word) for word in words]
    except ValueError as error:
        raise _malformed(path, line, str(error)) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _malformed(path: DataPath, line: int, what: str) -> DatasetError:
    return DatasetError(
        "DAT011", f"{path}, line {line}: {what}", "write TUM, KITTI or CSV with a header (docs/folder.md)"
    )
