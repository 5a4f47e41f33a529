"""Files of points: raw rows, and point clouds that state their columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import READ_ERRORS, DataPath, FileSource, unreadable
from pointsam.datasets import las, npy, parquet, pcd, ply
from pointsam.datasets.columns import row_layout
from pointsam.datasets.headers import malformed

if TYPE_CHECKING:
    from pointsam.datasets.headers import Header
    from pointsam.types import PointSource

MOST_BYTES = 512 << 20
"""Largest file that is read as one sweep: 512 MiB are more than thirty million points. Sensors give below a million."""
HEAD_BYTES = 1 << 16
"""Largest header."""
SUFFIXES = (".bin", ".pcd", ".ply", ".npy", ".parquet", ".las")
"""Suffixes of files of points, in small letters; raw rows may have any other."""
_FORMATS = {".pcd": pcd.header, ".ply": ply.header}
_TABLES = {".parquet": parquet, ".las": las}
_OTHERS = {".pcd": pcd, ".ply": ply, ".npy": npy, **_TABLES}


def point_source(path: DataPath, columns: tuple[str, ...]) -> PointSource:
    """The source of a file of points, by the suffix of its name.

    Args:
        path: a .pcd, .ply, .npy, .parquet or .las file; all others are raw rows, as nuScenes' .pcd.bin are.
        columns: the values of a point in files that do not state them (`row_layout`): raw rows and .npy.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return NpyPoints(path, columns)
    if suffix in _TABLES:
        return TablePoints(path)
    return HeadedPoints(path) if suffix in _FORMATS else RawPoints(path, columns)


@dataclass(frozen=True)
class CloudFile(FileSource):
    """A file of points.

    Args:
        path: the file.
    """

    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            OSError: as `open`, or if it cannot be read.
            DatasetError: DAT006 if it is larger than MOST_BYTES.
        """
        with self.open() as stream:
            size = stream.seek(0, os.SEEK_END)
            if size > MOST_BYTES:
                raise DatasetError(
                    "DAT006",
                    f"{self.path}: {size} bytes are too many for one sweep; at most {MOST_BYTES} are read",
                    "split accumulated clouds into sweeps, or leave the frame out",
                )
            stream.seek(0)
            return stream.read()


@dataclass(frozen=True)
class StatedPoints(CloudFile):
    """A file of points that does not name their values.

    Args:
        path: the file.
        layout: all values of a point in file order, as `row_layout` reads them.
    """

    layout: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all values of a row, in file order.

        Raises:
            DatasetError: DAT010 on a malformed layout.
        """
        return row_layout(self.layout).names


@dataclass(frozen=True)
class RawPoints(StatedPoints):
    """A file of rows, one per point.

    Args:
        path: the file.
        layout: all values of a row in file order, as `row_layout` reads them: names of little-endian float32, unless
            they state a unit or a type.
    """

    def read(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(columns)) values of the file.

        Raises:
            OSError: if it cannot be read.
            DatasetError: DAT006 if its size is not a multiple of the size of a point, or if it is another format or
                too large.
        """
        raw, layout = self.content(), row_layout(self.layout)
        for suffix, form in _OTHERS.items():
            if raw.startswith(form.MAGIC):
                raise DatasetError(
                    "DAT006", f"{self.path}: holds no raw points, but a {suffix} file", f"rename it to end in {suffix}"
                )
        left = len(raw) % layout.point_bytes
        if left:
            raise DatasetError(
                "DAT006",
                f"{self.path}: {len(raw)} bytes are not a whole number of points of {len(layout.columns)} values "
                f"({layout.point_bytes} bytes): {left} bytes are left over",
                "the file is truncated, or its points have another number of values: fetch it again, or state them "
                "(--columns)",
            )
        return layout.rows(raw, columns)


@dataclass(frozen=True)
class NpyPoints(StatedPoints):
    """A NumPy array with one row per point.

    Args:
        path: the file.
        layout: all values of a row, as in `RawPoints`; types are those of the array.
    """

    def read(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(columns)) values of the file.

        Raises:
            OSError: if it cannot be read.
            DatasetError: DAT006 if it is truncated, too large or no array with as many columns.
        """
        layout = row_layout(self.layout)
        values = npy.rows(self.content(), len(layout.columns), self.name)
        return layout.joined([values[:, layout.names.index(name)] for name in columns], columns)


@dataclass(frozen=True)
class HeadedPoints(CloudFile):
    """A .pcd or .ply file.

    Its columns are x, y and z, and intensity, ring and time_s if it has them. Times of unknown units are not used.

    Args:
        path: the file.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the header states.

        Raises:
            DatasetError: DAT004 if the file cannot be read, DAT006 on a malformed header.
        """
        return self._stated.columns

    @property
    def viewpoint(self) -> str:
        """Pose of the sensor that the header states besides; "" for none, or the identity. Nothing is moved by it.

        Raises:
            DatasetError: as `columns`.
        """
        return self._stated.viewpoint

    @cached_property
    def _stated(self) -> Header:
        try:
            with self.open() as stream:
                return self._header(stream.read(HEAD_BYTES))
        except READ_ERRORS as error:
            raise unreadable("LiDAR file", self.name, error) from error

    def read(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(columns)) values of the file.

        Raises:
            OSError: if it cannot be read.
            DatasetError: DAT006 if it is truncated, malformed or too large.
            BackendError: BCK005 if the package is missing that decompresses it.
        """
        raw = self.content()
        header = self._header(raw[:HEAD_BYTES])
        if not set(columns) <= set(header.columns):  # it has changed since `columns` was read
            raise malformed(self.name, f"no column {', '.join(sorted(set(columns) - set(header.columns)))}")
        return header.rows(raw, columns, self.name)

    def _header(self, head: bytes) -> Header:
        return _FORMATS[self.path.suffix.lower()](head, self.name)


@dataclass(frozen=True)
class TablePoints(CloudFile):
    """A .parquet or .las file. Its columns are those of `HeadedPoints`, by the same names of fields.

    Args:
        path: the file.
    """

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the file.

        Raises:
            DatasetError: DAT004 if the file cannot be read, DAT006 if it is another format.
            BackendError: BCK005 if the package is missing that reads it.
        """
        try:
            with self.open() as stream:
                names: tuple[str, ...] = _TABLES[self.path.suffix.lower()].columns(stream, self.name)
                return names
        except READ_ERRORS as error:
            raise unreadable("LiDAR file", self.name, error) from error

    def read(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(columns)) values of the file.

        Raises:
            OSError: if it cannot be read.
            DatasetError: DAT006 if it is truncated, damaged or too large.
            BackendError: as `columns`.
        """
        raw = self.content()
        if not set(columns) <= set(self.columns):
            raise malformed(self.name, f"no column {', '.join(sorted(set(columns) - set(self.columns)))}")
        values: NDArray[np.float32] = _TABLES[self.path.suffix.lower()].rows(raw, columns, self.name)
        return values
