"""KITTI's label files: label_2/*.txt of the object release, and label_02/*.txt of the tracking release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.kitti.files import text_lines
from pointsam.geometry.se3 import SE3

KINDS = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")
_KIND = {kind.lower(): kind for kind in KINDS}
_TRACKING_KIND = _KIND | {"person": "Person_sitting"}
"""Type by its name in small letters; the tracking release has another name for people who sit."""

UNKNOWN_OCCLUSION = 3
_RATED_PX, _RATED_OCCLUSION, _RATED_TRUNCATION = 25, 2, 0.5
"""Smallest height of the 2D box, and largest occlusion and truncation of the level "hard"."""
NO_TRACK = -1
_VALUES = 14


@dataclass(frozen=True)
class LabelRow:
    """One object of a label file.

    Args:
        line: line number in the file, from 1.
        kind: KITTI's class name; any other name as the file has it.
        box_xyxy_px: 2D box in the image of camera 2.
        size_hwl_m: height, width, length.
        bottom_rect_m: centre of the box's bottom face in the rectified camera frame.
        rotation_y: heading about the camera's y axis, radians; 0 points along its x axis.
        truncated: fraction of the object outside the image. In the tracking release 0, 1 or 2.
        occluded: 0 visible, 1 partly occluded, 2 largely occluded, 3 unknown.
        track: id of the object in its sequence, NO_TRACK without one.
    """

    line: int
    kind: str
    box_xyxy_px: tuple[float, float, float, float]
    size_hwl_m: tuple[float, float, float]
    bottom_rect_m: tuple[float, float, float]
    rotation_y: float
    truncated: float = 0.0
    occluded: int = 0
    track: int = NO_TRACK

    @property
    def is_known(self) -> bool:
        """Whether its type is one of KITTI's."""
        return self.kind in KINDS

    @property
    def is_region(self) -> bool:
        """Whether it is a region of the image without a 3D box: DontCare, or an unknown type without a size."""
        return self.kind == "DontCare" or not (self.is_known or min(self.size_hwl_m) > 0)

    @property
    def is_rated(self) -> bool:
        """Whether it belongs to a level of difficulty; "hard" includes the others. Both edges of the 2D box count."""
        _, top, _, bottom = self.box_xyxy_px
        tall = bottom - top + 1 >= _RATED_PX
        return tall and self.occluded <= _RATED_OCCLUSION and self.truncated <= _RATED_TRUNCATION

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
        """The rows of the labels of a frame; None if it has none. Those with `is_region` are no boxes.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT011 on a line that cannot be read.
        """


def read_labels(path: DataPath) -> tuple[LabelRow, ...]:
    """A label file of one frame, DontCare regions included.

    Types are known in any letter case. The columns of KITTI may be followed by a score, and preceded by a track id, or
    by a frame number and a track id as in the tracking release.

    Raises:
        DatasetError: DAT004 if the file is missing, DAT011 naming file and line of a malformed row.
    """
    rows = enumerate(text_lines(path, "label file"), start=1)
    return tuple(_row(path, line, text.split()) for line, text in rows if text)


class SequenceLabels:
    """A label file of one sequence, whose rows start with a frame number and a track id.

    A row that cannot be read makes the labels of its frame unreadable; one without a frame number, those of the frames
    of the rows around it.

    Args:
        path: the file.

    Raises:
        DatasetError: DAT004 if it is missing.
    """

    def __init__(self, path: DataPath) -> None:
        self._rows: dict[int, list[LabelRow]] = {}
        self._bad: list[tuple[int, int | None, DatasetError]] = []
        latest, nameless = 0, list[DatasetError]()
        for line, text in enumerate(text_lines(path, "label file"), start=1):
            fields = text.split()
            if not fields:
                continue
            if not (fields[0].isascii() and fields[0].isdigit()):
                nameless.append(malformed(path, line, f"{fields[0]!r} is not the number of a frame"))
                continue
            number = int(fields[0])
            self._bad += [(min(latest, number), max(latest, number), error) for error in nameless]
            latest, nameless = number, []
            try:
                row = _row(path, line, fields, 2, _TRACKING_KIND)
            except DatasetError as error:
                self._bad.append((number, number, error))
            else:
                self._rows.setdefault(number, []).append(row)
        self._bad += [(latest, None, error) for error in nameless]

    def rows(self, number: int) -> tuple[LabelRow, ...]:
        """The rows of a frame.

        Raises:
            DatasetError: DAT011 naming file and line of a malformed row.
        """
        for first, last, error in self._bad:
            if first <= number and (last is None or number <= last):
                raise error
        return tuple(self._rows.get(number, ()))


def kind_of(name: str) -> str:
    """KITTI's type of a name in any letter case; any other name as it is."""
    return _KIND.get(name.lower(), name)


def unknown_kinds(rows: Iterable[LabelRow]) -> Counter[str]:
    """Number of objects of each type that KITTI does not have."""
    return Counter(row.kind for row in rows if not row.is_known)


def malformed(path: DataPath, line: int, what: str) -> DatasetError:
    """DAT011 of a row."""
    hint = "a row is: type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]"
    return DatasetError("DAT011", f"{path}, line {line}: {what}", hint)


def _row(
    path: DataPath, line: int, fields: list[str], before: int | None = None, kinds: Mapping[str, str] = _KIND
) -> LabelRow:
    """A row.

    Args:
        path: its file, for the error.
        line: its number, for the error.
        fields: its columns.
        before: number of columns before the type; None takes the first column that is no number.
        kinds: KITTI's type by name in small letters.
    """
    if before is None:
        before = next((k for k, field in enumerate(fields[:3]) if not _is_number(field)), 0)
    least = before + 1 + _VALUES
    if len(fields) not in (least, least + 1):
        expected = f"expected {least} or {least + 1} with the type in column {before + 1}"
        raise malformed(path, line, f"{len(fields)} columns, {expected}")
    kind = kinds.get(fields[before].lower(), fields[before])
    try:
        ids, numbers = ([float(field) for field in some] for some in (fields[:before], fields[before + 1 :]))
    except ValueError as error:
        raise malformed(path, line, str(error)) from error
    if not np.isfinite([*ids, *numbers]).all():
        raise malformed(path, line, "NaN or infinity")
    left, top, right, bottom, height, width, length, x, y, z, rotation_y = numbers[3:_VALUES]
    if kind in KINDS and kind != "DontCare" and min(height, width, length) <= 0:
        raise malformed(path, line, f"height, width, length must be positive, got {[height, width, length]}")
    occluded = int(numbers[1]) if numbers[1] in (0, 1, 2) else UNKNOWN_OCCLUSION
    box, size = (left, top, right, bottom), (height, width, length)
    track = int(ids[-1]) if ids else NO_TRACK
    return LabelRow(line, kind, box, size, (x, y, z), rotation_y, numbers[0], occluded, track)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
