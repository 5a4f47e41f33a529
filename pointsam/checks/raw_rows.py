"""Raw clouds have no header: type, number and order of the values of a point are inferred from the values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.datasets.columns import XYZ

_WIDTHS = (3, 4, 5, 6, 7, 8)
_MOST_VALUES = 840 * 250  # 840 is the least multiple of all widths
_DIFFERENT, _UNLIKE = 0.02, 5
"""Fraction of the variance between columns below which they count as alike; and how many times that of all widths that
are neither multiple nor part of the right one it is."""
_CLEAR = 1.3
"""A wider row must have so many times the variance between columns of a narrower one."""
_PLAUSIBLE = (1e-6, 1e5)
"""Sizes of the values of a cloud."""
_MOST, _FEWEST, _ENOUGH = 0.9, 0.01, 100
_LARGEST_INTEGER = 1 << 24
_PRINTABLE = np.isin(np.arange(256), [9, 10, 13, *range(32, 127)])
_FARTHEST = 150.0
"""Median distance of points from which on they are in no metres."""
_MOST_RINGS = 130
_USUAL_REACH, _USUAL_HEIGHT = 12.0, 1.8
"""Median distance of points, and height of the sensor, metres."""

Values = NDArray[np.float64]
Kind = Literal["<f4", "<f8", ">f4", ">f8", "<i4", "<i2", "text"]
_WORDS: dict[Kind, str] = {
    "<f8": "64-bit values",
    ">f4": "big-endian values",
    ">f8": "big-endian 64-bit values",
    "<i4": "32-bit integers",
    "<i2": "16-bit integers",
}


@dataclass(frozen=True)
class Guess:
    """What a raw cloud seems to hold.

    Args:
        what: in words.
        columns: what `--columns` should say; "" if there is no way to say it.
    """

    what: str
    columns: str = ""


def guess(raw: bytes, names: Sequence[str]) -> Guess | None:
    """What a raw cloud holds, if it is not rows of 32-bit values as the layout or the user states them.

    Args:
        raw: the file.
        names: names of the values of a point.

    Returns:
        None if the file may be what is stated.
    """
    if len(raw) < np.dtype(np.float64).itemsize:  # an empty file; reading it raises the error
        return None
    kind = kind_of(raw)
    if kind is None:
        return Guess("holds values that are no coordinates, whatever their type")
    if kind == "text":
        return Guess("holds text")
    values, stated = _values(raw, kind), len(names)
    if kind != "<f4":
        return Guess(f"holds {_WORDS[kind]}", _columns(values, likely_width(values) or stated, kind))
    rows = values[: len(values) - len(values) % stated].reshape(-1, stated)
    padded = _padded_width(raw, stated)
    if padded is not None:
        return Guess(f"looks like {padded} values per point", _columns(values, padded, kind))
    width = likely_width(values, stated)
    if width is not None and width != stated:
        returned = rows[rows[:, :3].any(axis=1)]  # a regular pattern of rows without values looks like wider rows
        if len(returned) == len(rows) or likely_width(returned.ravel(), stated) != stated:
            width = _wider(values, width)
            return Guess(f"looks like {width} values per point", _columns(values, width, kind))
    return _other_order(rows) if tuple(names[:3]) == XYZ else None


def kind_of(raw: bytes) -> Kind | None:
    """The type of the values of a raw cloud; None if read as no type they are of plausible sizes."""
    head = raw[: 1 << 16]
    if _PRINTABLE[np.frombuffer(head, np.uint8)].all() and len(head):
        return "text"
    if _is_float64(raw):
        return "<f8"
    if _plausible(_values(raw, "<f4")) >= _MOST:
        return "<f4"
    swapped: tuple[Kind, ...] = (">f4", ">f8")
    for kind in swapped:
        if _plausible(_values(raw, kind)) >= _MOST:
            return kind
    integers: tuple[Kind, ...] = ("<i4", "<i2")
    for kind in integers:
        values = _values(raw, kind)
        if (np.abs(values) < _LARGEST_INTEGER).mean() > 0.99 and likely_width(values) is not None:
            return kind
    return None


def _is_float64(raw: bytes) -> bool:
    """Whether a raw cloud holds 64-bit values.

    Read so, nearly all are of plausible size. Read as 32 bits, fewer are, or every other one is 0: the lower half of a
    value of few digits.
    """
    if _plausible(_values(raw, "<f8")) < _MOST:
        return False
    single = _values(raw, "<f4")
    single = single[: len(single) - len(single) % 2]
    lower, upper = (float((half == 0).mean()) for half in (single[::2], single[1::2]))
    return _plausible(single) < _MOST or lower > 0.5 > upper


def _values(raw: bytes, kind: str) -> Values:
    """The first values of a cloud as a type; 0 for values that are not finite, as organised clouds have them."""
    count = min(len(raw) // np.dtype(kind).itemsize, _MOST_VALUES)
    with np.errstate(invalid="ignore"):
        values = np.frombuffer(raw, kind, count).astype(np.float64)
    return np.where(np.isfinite(values), values, 0.0)


def _plausible(values: Values) -> float:
    """Fraction of values that are 0 or of a size that a cloud can hold; 0 without values."""
    low, high = _PLAUSIBLE
    size = np.abs(values)
    return float(((size == 0) | ((size > low) & (size < high))).mean()) if len(values) else 0.0


def likely_width(values: Values, stated: int | None = None) -> int | None:
    """The number of values per point of a raw cloud, judged by how far the columns differ from each other.

    Columns of the right width have one meaning each: positions, small intensities, integral ring numbers. A wrong
    width mixes them, and the columns look alike.

    Args:
        values: (V,) values of the file in their order.
        stated: the width that the layout states. A multiple of it needs more evidence, because LiDARs that fire their
            beams in turn repeat a pattern every few points.

    Returns:
        One of 3 to 8, or the stated one; None if no width stands out.
    """
    widths = sorted({*_WIDTHS, stated or _WIDTHS[0]})
    values = values[: len(values) - len(values) % math.lcm(*widths)]
    if len(values) == 0:
        return None
    features = np.stack(
        [
            np.clip(np.abs(values), 0, 100) / 100,
            np.clip(values, -3, 1) / 4,
            values == np.round(values),
            values < 0,
        ]
    ).astype(np.float64)
    total = features.var(axis=1).sum()
    if total == 0:
        return None
    between = {width: features.reshape(4, -1, width).mean(axis=1).var(axis=1).sum() / total for width in widths}
    best = max(between.values())
    width = next(width for width in widths if between[width] * _CLEAR >= best)
    other = max((between[k] for k in widths if math.gcd(k, width) == 1), default=0.0)
    if best < _DIFFERENT or best < _UNLIKE * other:
        return None
    if stated is not None and width % stated == 0:
        return 2 * stated if _alternate(values, stated) else stated
    return width


def _alternate(values: Values, width: int) -> bool:
    """Whether every other row holds no position: its x or y is small or integral, that of the rows between is not.

    Rows where nothing returned, which are 0 here, do not count.
    """
    rows = values[: len(values) - len(values) % (2 * width)].reshape(-1, 2, width)[:, :, :2]
    odd = []
    for phase in (rows[:, 0], rows[:, 1]):
        returned = phase[phase.any(axis=1)]
        if len(returned) < _FEWEST * len(phase):
            return False
        slight = (np.abs(returned) <= 1.5).mean(axis=0) > _MOST
        odd.append(slight | ((returned == np.round(returned)).mean(axis=0) > _MOST))
    return bool((odd[0] != odd[1]).any())


def _wider(values: Values, width: int) -> int:
    """The multiple of a likely width, of more values than are tried first, that is likelier; else the width."""
    multiples = range(width, 2 * max(_WIDTHS) + 1, width)
    return next((wide for wide in multiples if wide > max(_WIDTHS) and likely_width(values, wide) == wide), width)


def _padded_width(raw: bytes, width: int) -> int | None:
    """The width of rows of which only the first `width` values have a position, as structures in memory may be.

    The y and z of the rest, read as rows, are 0 in the whole file, and nearly all first parts have positions.
    """
    for parts in (2, 3, 4):
        count = min(len(raw) // 4, _MOST_VALUES)
        rows = np.frombuffer(raw, "<f4", count - count % (parts * width)).reshape(-1, parts, width)
        positioned = rows[:, 0, :2].all(axis=1)
        if len(rows) >= _ENOUGH and positioned.mean() > _MOST and not rows[:, 1:, 1:3].any():
            return parts * width
    return None


def _other_order(rows: Values) -> Guess | None:
    """The guess for rows whose first values are no positions, as if intensity came first; else None."""
    width = rows.shape[1]
    if width < 4 or len(rows) < _ENOUGH:
        return None
    varies = rows.std(axis=0) > 0
    integral = (rows == np.round(rows)).all(axis=0)
    no_position = varies & (rows >= 0).all(axis=0) & (integral | (rows <= 1).all(axis=0))
    position = ((rows < 0).mean(axis=0) > 0.02) & (np.quantile(np.abs(rows), 0.95, axis=0) > 1.5) & ~integral
    if not (no_position[:3].any() and position[3:].any()):
        return None
    first = next((k for k in range(width - 2) if not no_position[k : k + 3].any()), None)
    if first is None:
        return None
    others = ["ring" if integral[k] and rows[:, k].max() < _MOST_RINGS else "intensity" for k in range(width)]
    names = [*others[:first], "x", "y", "z", *others[first + 3 :]]
    names = [name if names.index(name) == k else "_" for k, name in enumerate(names)]
    return Guess("its first values look like no position", ",".join(names))


def _columns(values: Values, width: int, kind: Kind) -> str:
    """What `--columns` should say of values of a type and width."""
    rows = values[: len(values) - len(values) % width].reshape(-1, width)
    unit = unit_of(rows[:, :3]) if len(rows) else ""
    names = [f"{axis}{unit}" for axis in "xyz"] + ["_"] * (width - 3)
    if kind != "<f4":
        names[0] += f":{kind.lstrip('<')}"
    place = 4 if width > 4 and (rows[:, 3] == 1).all() else 3  # the Point Cloud Library ends positions with a 1
    if width > place and (rows[:, place] >= 0).all():
        names[place] = "intensity"
    if (
        width > 4 > place
        and (rows[:, 4] >= 0).all()
        and (rows[:, 4] == np.round(rows[:, 4])).all()
        and rows[:, 4].any()
    ):
        names[4] = "ring"
    return ",".join(names)


def unit_of(xyz: FloatArray) -> str:
    """The unit of positions as names of columns state it: "", "_cm" or "_mm".

    Args:
        xyz: (N,3) positions.
    """
    reach = float(np.median(np.linalg.norm(xyz, axis=1)))
    below = abs(float(np.quantile(xyz[:, 2], 0.05)))
    if reach < _FARTHEST:
        return ""
    logs = {
        unit: abs(math.log(reach / size / _USUAL_REACH)) + abs(math.log(max(below, 1e-3) / size / _USUAL_HEIGHT))
        for unit, size in (("_cm", 100), ("_mm", 1000))
    }
    return min(logs, key=logs.__getitem__)
