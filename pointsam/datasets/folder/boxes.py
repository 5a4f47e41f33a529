"""Boxes of one frame, as rows of a nuScenes-like JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.geometry.se3 import SE3

Angles = Literal["rad", "deg"]

_NAMES = ("name", "category_name", "category", "detection_name", "class", "label", "type")
_TRACKS = ("track", "track_id", "instance", "instance_token", "tracking_id", "id")
_HINT = "docs/folder.md describes the fields of a box"


@dataclass(frozen=True, eq=False)
class BoxRow:
    """A box.

    Args:
        name: name of its class, as it is written.
        frame_SE3_box: from the box (x along its length, y along its width, z up, origin at its centre).
        size_lwh_m: length, width, height.
        frame: the frame that it is in: "world", or a frame of the calibration; None = what the calibration states.
        track: the object, the same in all frames of a drive; None if it is not known.
        token: the data's own name of the box; None if it has none.
    """

    name: str
    frame_SE3_box: SE3
    size_lwh_m: tuple[float, float, float]
    frame: str | None = None
    track: str | None = None
    token: str | None = None


def rows_of(values: object, where: str, angles: Angles | None) -> list[BoxRow]:
    """The rows of a nuScenes-like file: a list of boxes, or an object with the list `boxes`.

    Args:
        values: its JSON values.
        where: name of the file, for errors.
        angles: unit of `yaw`; None if boxes have a `rotation`.

    Raises:
        DatasetError: DAT011 naming the box and the field.
        CalibrationError: CAL001 or CAL003 on a rotation that is none.
    """
    rows = values.get("boxes") if isinstance(values, Mapping) else values
    if not isinstance(rows, list):
        raise malformed(where, "it is neither a list of boxes nor an object with the list `boxes`", _HINT)
    return [_row(row, f"{where}: box {k}", angles) for k, row in enumerate(rows)]


def _row(row: object, where: str, angles: Angles | None) -> BoxRow:
    if not isinstance(row, Mapping):
        raise malformed(where, "it is no object", _HINT)
    center = numbers(row.get("translation"), 3, f"{where}, translation")
    width, length, height = numbers(row.get("size"), 3, f"{where}, size")
    if "rotation" in row:
        wxyz = numbers(row["rotation"], 4, f"{where}, rotation")
        pose = posed(wxyz, center, f"{where}, rotation")
    elif "yaw" in row:
        (yaw,) = numbers([row["yaw"]], 1, f"{where}, yaw")
        half = in_radians(float(yaw), angles, f"{where}, yaw") / 2
        pose = posed(np.array([np.cos(half), 0, 0, np.sin(half)]), center, where)
    else:
        raise malformed(where, "it has neither `rotation` nor `yaw`", _HINT)
    name = next((row[key] for key in _NAMES if key in row), None)
    if not isinstance(name, str):
        raise malformed(where, "it has no name of a class (`name`)", _HINT)
    return BoxRow(
        name, pose, size_of((length, width, height), where), track=_text(row, _TRACKS), token=_text(row, ("token",))
    )


def numbers(values: object, count: int, where: str) -> NDArray[np.float64]:
    """(count,) finite numbers of a field.

    Raises:
        DatasetError: DAT011 if it holds something else.
    """
    plain = isinstance(values, Sequence) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in values
    )
    found = np.array(values if plain else [], dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise malformed(where, f"expected {count} finite numbers, got {values!r:.80}", _HINT)
    return found


def in_radians(angle: float, angles: Angles | None, where: str) -> float:
    """An angle in the unit that the user stated.

    Raises:
        DatasetError: DAT011 if none is stated.
    """
    if angles is None:
        raise malformed(where, "the unit of angles is not known", "state boxes.angles: rad or deg")
    return angle if angles == "rad" else float(np.radians(angle))


def size_of(lwh: Sequence[float], where: str) -> tuple[float, float, float]:
    """Length, width and height.

    Raises:
        DatasetError: DAT011 unless they are positive.
    """
    length, width, height = (float(edge) for edge in lwh)
    if min(length, width, height) <= 0:
        raise malformed(f"{where}, size", f"it must be positive, got {[width, length, height]}", _HINT)
    return length, width, height


def posed(wxyz: NDArray[np.float64], center_m: NDArray[np.float64], where: str) -> SE3:
    """frame_SE3_box from a unit quaternion.

    Raises:
        CalibrationError: CAL001 naming the field, if its length is not 1.
    """
    try:
        return SE3.from_quaternion(wxyz, center_m)
    except CalibrationError as error:
        raise type(error)(error.code, f"{where}: {error.message}", error.hint) from error


def malformed(where: str, problem: str, hint: str) -> DatasetError:
    """DAT011 for boxes."""
    return DatasetError("DAT011", f"{where}: {problem}", hint)


def _text(row: Mapping[object, object], keys: Sequence[str]) -> str | None:
    found = next((row[key] for key in keys if row.get(key) is not None), None)
    return None if found is None else str(found)
