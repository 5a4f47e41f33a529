"""The values of a point in a file, as `--columns` and headers of point clouds state them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import AnyArray
from pointsam.base.errors import DatasetError
from pointsam.base.words import nearest

XYZ = ("x", "y", "z")
UNUSED = "_"
_READ = ("intensity", "ring", "time_s")
_MISSPELT = 0.8
"""Likeness from which a name is taken for a misspelt one of those that are read."""
_ENTRY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:(?P<type>>?(f[48]|[iu][1248])))?")
_METRES = {"_mm": 1e-3, "_cm": 1e-2, "_m": 1.0}
_SECONDS = {"_ns": 1e-9, "_us": 1e-6, "_ms": 1e-3, "_s": 1.0}
_SYNTAX = (
    "name every value of a point in the order of the file, for example --columns x,y,z,intensity,ring; write _ for a "
    "value that nothing reads, x_mm or x_cm for units, and x:f8 for a type, which holds for the values after it too"
)


@dataclass(frozen=True)
class Column:
    """One value of a point.

    Args:
        name: its name as in `PointSource.columns`.
        scale: what turns it into metres or seconds.
        dtype: its type in the file, for numpy.
    """

    name: str
    scale: float = 1.0
    dtype: str = "<f4"


@dataclass(frozen=True)
class RowLayout:
    """The values of the points of a file.

    Args:
        columns: the values in the order of the file.
    """

    columns: tuple[Column, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def row(self) -> np.dtype[np.void]:
        """The type of a point, with a field "0", "1", ... for each value."""
        return np.dtype([(str(k), column.dtype) for k, column in enumerate(self.columns)])

    @cached_property
    def point_bytes(self) -> int:
        """Bytes of a point."""
        return self.row.itemsize

    @cached_property
    def is_plain(self) -> bool:
        """Whether all values are little-endian float32 in metres and seconds."""
        return all(column.dtype == "<f4" and column.scale == 1 for column in self.columns)

    def rows(self, raw: bytes, names: Sequence[str], offset: int = 0, count: int = -1) -> NDArray[np.float32]:
        """(N,len(names)) values of points that are stored one after another, where possible a view of the bytes.

        Args:
            raw: the bytes, a whole number of points from `offset` on unless `count` is given.
            names: some of the columns.
            offset: where the first point starts.
            count: number of points; -1 for all.
        """
        if self.is_plain:
            width = len(self.columns)
            values = np.frombuffer(raw, "<f4", count if count < 0 else count * width, offset).reshape(-1, width)
            at = [self.names.index(name) for name in names]
            return values[:, : len(at)] if at == list(range(len(at))) else values[:, at]
        points = np.frombuffer(raw, self.row, count, offset)
        return self.joined([points[str(self.names.index(name))] for name in names], names)

    def joined(self, values: Sequence[AnyArray], names: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(names)) float32 in metres and seconds, of one array for each of the names."""
        out = np.empty((len(values[0]) if len(values) else 0, len(names)), dtype=np.float32)
        for k, (array, name) in enumerate(zip(values, names, strict=True)):
            scale = self.columns[self.names.index(name)].scale
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: infinite, so without a position
                out[:, k] = array if scale == 1 else array.astype(np.float64) * scale
        return out


@lru_cache(maxsize=64)
def row_layout(texts: tuple[str, ...]) -> RowLayout:
    """The layout that names of columns state, such as ("x", "y", "z", "intensity") or ("x_mm:i4", "y_mm", "z_mm").

    An entry is NAME, NAME_UNIT or either with :TYPE. Units: m, cm and mm of x, y and z; s, ms, us and ns of time.
    Types: f4, f8, i1 to i8, u1 to u8, big-endian with > before; a type holds for the entries after it too. Without one,
    values are f4. `_` is a value that nothing reads.

    Raises:
        DatasetError: DAT010 on a malformed entry, and unless x, y and z are there once and no other name twice.
    """
    columns, kind = list[Column](), "f4"
    for text in texts:
        found = _ENTRY.fullmatch(text)
        if found is None:
            raise _malformed(texts, f"{text!r} is not the name of a value")
        kind = found["type"] or kind
        columns.append(Column(*_quantity(found["name"]), dtype=kind if kind.startswith(">") else f"<{kind}"))
    names = [column.name for column in columns]
    for name in (*XYZ, *sorted({*names} - {UNUSED})):
        if names.count(name) != 1:
            raise _malformed(texts, f"{name} must be there once")
    return RowLayout(tuple(columns))


def require_columns(texts: tuple[str, ...]) -> None:
    """Refuse names of columns that a user stated and that state no layout, or that are misspelt.

    Raises:
        DatasetError: DAT010 as `row_layout`, and on a name that resembles one that is read.
    """
    for name in row_layout(texts).names:
        near = nearest(name, _READ, _MISSPELT)
        if near is not None and name not in _READ:
            raise _malformed(texts, f"{name!r} is read by nothing, did you mean {near!r}?")


def _quantity(name: str) -> tuple[str, float]:
    """The column that a name with a unit stands for, and the scale of its values."""
    for axis in XYZ:
        if name.removeprefix(axis) in _METRES:
            return axis, _METRES[name.removeprefix(axis)]
    if name.startswith("time") and name.removeprefix("time") in _SECONDS:
        return "time_s", _SECONDS[name.removeprefix("time")]
    return name, 1.0


def _malformed(texts: Sequence[str], problem: str) -> DatasetError:
    return DatasetError("DAT010", f"columns {','.join(texts)}: {problem}", _SYNTAX)
