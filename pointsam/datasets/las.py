"""LAS files of points, read by laspy.

Positions are scaled and offset as the header states. The time of a point (`gps_time`) is not used: its origin is not
that of the sweep. `ring` and `time_s` are used if they are extra dimensions of the file.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from types import ModuleType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import BackendError
from pointsam.datasets.headers import layout_of, malformed

MAGIC = (b"LASF",)
_HEAD = 375
_RECORDS, _RECORD_BYTES = 100, 54
"""Place of the number of variable length records in the header, and the bytes of the shortest."""
_LATE_RECORDS, _LATE_RECORD_BYTES = 243, 60
"""Those of the extended records of LAS 1.4, after the points."""
_DAMAGED = (ValueError, LookupError, TypeError, OverflowError, EOFError, AttributeError)


def columns(stream: BinaryIO, source: str) -> tuple[str, ...]:
    """Names of the columns that the header states.

    Args:
        stream: the file.
        source: its name, for errors.

    Raises:
        DatasetError: DAT006 if it has no header of a LAS file.
        BackendError: BCK005 if laspy is missing.
    """
    laspy = _laspy(source)
    _require_records(stream.read(_HEAD), stream.seek(0, os.SEEK_END), source)
    stream.seek(0)
    try:
        with laspy.open(stream, closefd=False) as reader:
            return _named(list(reader.header.point_format.dimension_names), source)
    except (laspy.LaspyException, *_DAMAGED) as error:
        raise malformed(source, f"it is no LAS file ({error})") from error


def rows(raw: bytes, names: Sequence[str], source: str) -> NDArray[np.float32]:
    """(N,len(names)) values of the points.

    Args:
        raw: the whole file.
        names: some of its columns.
        source: its name, for errors.

    Raises:
        DatasetError, BackendError: as `columns`, and DAT006 if the file holds fewer points than its header states.
    """
    laspy = _laspy(source)
    _require_records(raw[:_HEAD], len(raw), source)
    try:
        with laspy.open(io.BytesIO(raw)) as reader:
            header = reader.header
            stated, room = header.point_count, len(raw) - header.offset_to_point_data
            if header.are_points_compressed or stated * header.point_format.size > room:
                raise ValueError(f"{stated} points of {header.point_format.size} bytes are stated, {room} bytes follow")
            points = reader.read()
        dimensions = list(points.point_format.dimension_names)
        used = _fields(dimensions, source)
        arrays = [np.asarray(points[name if name in "xyz" else dimensions[used.index(name)]]) for name in names]
    except (laspy.LaspyException, *_DAMAGED) as error:
        raise malformed(source, f"its points cannot be read ({error})") from error
    out = np.empty((len(points.points), len(names)), dtype=np.float32)
    for k, array in enumerate(arrays):
        out[:, k] = array
    return out


def _require_records(head: bytes, size: int, source: str) -> None:
    """Refuse a header that states more records than the file can hold: laspy would look for all of them."""
    for place, least in ((_RECORDS, _RECORD_BYTES), (_LATE_RECORDS, _LATE_RECORD_BYTES)):
        if place == _LATE_RECORDS and head[25:26] < b"\x04":  # before LAS 1.4
            continue
        if len(head) >= place + 4 and struct.unpack_from("<I", head, place)[0] * least > size:
            raise malformed(source, "its header states more records than the file can hold")


def _fields(dimensions: Sequence[str], source: str) -> tuple[str, ...]:
    """The column of each dimension, `_` if nothing reads it."""
    return layout_of([(name, "<f8") for name in dimensions], source).names


def _named(dimensions: Sequence[str], source: str) -> tuple[str, ...]:
    return tuple(name for name in _fields(dimensions, source) if name != "_")


def _laspy(source: str) -> ModuleType:
    try:
        import laspy
    except ImportError as error:
        raise BackendError(
            "BCK005", f"{source}: a LAS file needs laspy ({error})", "pip install 'pointsam[clouds]'"
        ) from error
    module: ModuleType = laspy
    return module
