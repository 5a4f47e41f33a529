"""What the header of a point cloud states, and the points that follow it."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import BackendError, DatasetError
from pointsam.datasets.columns import UNUSED, XYZ, Column, RowLayout

Encoding = Literal["binary", "ascii", "compressed"]

_KNOWN = {
    **{axis: (axis,) for axis in XYZ},
    "intensity": ("intensity", "scalar_intensity", "i", "reflectivity", "reflectance"),
    "ring": ("ring", "scalar_ring", "laser_id", "channel"),
    "time_s": ("time_s",),
}
"""Names of fields, in small letters, for each column; the first that a file has is used. Other names of times (t, time,
timestamp) state no unit."""
_MOST_FIELDS = 1000
_SIZES = struct.Struct("<II")
_DENSEST = 256
"""Bytes that one compressed byte can stand for at most."""


@dataclass(frozen=True)
class Header:
    """A header.

    Args:
        layout: the values of a point; `_` for fields that nothing reads.
        points: number of points.
        start: where the points start.
        encoding: how they are written.
        lines: number of text lines before the points, from `start`.
        viewpoint: pose of the sensor as the header states it; "" if it states none, or the identity.
    """

    layout: RowLayout
    points: int
    start: int
    encoding: Encoding
    lines: int = 0
    viewpoint: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for name in self.layout.names if name != UNUSED)

    def rows(self, raw: bytes, names: Sequence[str], source: str) -> NDArray[np.float32]:
        """(N,len(names)) values of the points.

        Args:
            raw: the whole file.
            names: some of the columns.
            source: name of the file, for errors.

        Raises:
            DatasetError: DAT006 if the file holds fewer points than the header states, or malformed ones.
            BackendError: BCK005 if the package is missing that decompresses it.
        """
        if self.encoding == "ascii":
            return self._from_text(raw, names, source)
        size = self.points * self.layout.point_bytes
        if self.encoding == "compressed":
            return self._from_columns(_decompressed(raw[self.start :], size, source), names)
        if size > len(raw) - self.start:
            raise malformed(
                source, f"its header states {self.points} points of {size} bytes, {len(raw) - self.start} bytes follow"
            )
        return self.layout.rows(raw, names, self.start, self.points)

    def _from_columns(self, raw: bytes, names: Sequence[str]) -> NDArray[np.float32]:
        arrays, place = [], 0
        for column in self.layout.columns:
            arrays.append(np.frombuffer(raw, column.dtype, self.points, place))
            place += arrays[-1].nbytes
        return self.layout.joined([arrays[self.layout.names.index(name)] for name in names], names)

    def _from_text(self, raw: bytes, names: Sequence[str], source: str) -> NDArray[np.float32]:
        width = len(self.layout.columns)
        if 2 * width * self.points > len(raw) - self.start + 1:  # a digit and a space each
            raise malformed(source, f"its header states {self.points} points, {len(raw) - self.start} bytes follow")
        text = io.BytesIO(memoryview(raw)[self.start :])
        wanted = [self.layout.names.index(name) for name in names]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about empty lines and no lines at all; the count is compared below
                values = np.loadtxt(
                    text,
                    np.float64,
                    comments=None,
                    skiprows=self.lines,
                    usecols=wanted,
                    max_rows=self.points,
                    ndmin=2,
                    encoding="latin1",
                )
        except ValueError as error:
            raise malformed(source, f"a line does not hold {width} numbers ({error})") from error
        if len(values) != self.points:
            raise malformed(source, f"its header states {self.points} points, {len(values)} follow")
        return self.layout.joined(list(values.T), names)


def layout_of(fields: Sequence[tuple[str, str]], source: str) -> RowLayout:
    """The layout of named fields.

    Args:
        fields: name and numpy type of each value of a point.
        source: name of the file, for errors.

    Raises:
        DatasetError: DAT006 if there are too many fields.
    """
    if not 0 < len(fields) <= _MOST_FIELDS:
        raise malformed(source, f"its header states {len(fields)} values per point")
    lower = [name.lower() for name, _ in fields]
    names = [UNUSED] * len(fields)
    for column, known in _KNOWN.items():
        for name in known:
            if name in lower:
                names[lower.index(name)] = column
                break
    return RowLayout(tuple(Column(name, dtype=kind) for name, (_, kind) in zip(names, fields, strict=True)))


def malformed(source: str, problem: str) -> DatasetError:
    """DAT006 for a cloud whose header or points are wrong."""
    return DatasetError("DAT006", f"{source}: {problem}", "the file is truncated or damaged: fetch or export it again")


def _decompressed(raw: bytes, size: int, source: str) -> bytes:
    """The points of a compressed cloud: two sizes, then an LZF stream."""
    if len(raw) < _SIZES.size:
        raise malformed(source, "it ends before its points")
    packed, unpacked = _SIZES.unpack_from(raw)
    stream = raw[_SIZES.size : _SIZES.size + packed]
    if len(stream) < packed or unpacked != size or size > _DENSEST * packed:
        raise malformed(
            source, f"its header states points of {size} bytes, {packed} bytes that unpack to {unpacked} should follow"
        )
    if size == 0:
        return b""
    try:
        import lzf
    except ImportError as error:
        raise BackendError(
            "BCK005",
            f"{source}: a compressed PCD needs python-neo-lzf ({error})",
            "pip install 'pointsam[clouds]'",
        ) from error
    try:
        content = lzf.decompress(stream, size)
    except ValueError as error:
        raise malformed(source, f"its points cannot be unpacked ({error})") from error
    if content is None or len(content) != size:
        raise malformed(source, "its points cannot be unpacked")
    unpacked_points: bytes = content
    return unpacked_points
