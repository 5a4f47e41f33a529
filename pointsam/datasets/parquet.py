"""Parquet files of points: one row per point, with columns named as the fields of a point cloud."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pointsam.datasets.headers import layout_of, malformed

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = (b"PAR1",)
MOST_POINTS = 64 << 20
"""Compressed columns can state any number of rows; sweeps have below a million."""
_DAMAGED = (OSError, ValueError, LookupError, TypeError, NotImplementedError, OverflowError)
"""What pyarrow's errors derive from."""


def columns(stream: BinaryIO, source: str) -> tuple[str, ...]:
    """Names of the columns of a Parquet file.

    Args:
        stream: the file.
        source: its name, for errors.

    Raises:
        DatasetError: DAT006 if it is no Parquet file, or has no numbers x, y and z.
    """
    import pyarrow.parquet as pq

    try:
        return tuple(_fields(pq.read_schema(stream), source))
    except _DAMAGED as error:
        raise malformed(source, f"it is no Parquet file ({error})") from error


def rows(raw: bytes, names: Sequence[str], source: str) -> NDArray[np.float32]:
    """(N,len(names)) values of the points; NaN for null.

    Args:
        raw: the whole file.
        names: some of its columns.
        source: its name, for errors.

    Raises:
        DatasetError: as `columns`, and DAT006 if it is truncated or holds too many points.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(raw))
        if file.metadata.num_rows > MOST_POINTS:
            raise malformed(source, f"{file.metadata.num_rows} points are too many for one sweep")
        fields = _fields(file.schema_arrow, source)
        wanted = [fields[name] for name in names]
        table = file.read(columns=wanted)
        out = np.empty((table.num_rows, len(names)), dtype=np.float32)
        for k, name in enumerate(wanted):
            out[:, k] = table[name].cast(pa.float64()).to_numpy()
    except _DAMAGED as error:
        raise malformed(source, f"its points cannot be read ({error})") from error
    return out


def _fields(schema: pa.Schema, source: str) -> dict[str, str]:
    """Name of the field of each column that is read."""
    import pyarrow as pa

    numbers = [field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]
    layout = layout_of([(name, "<f8") for name in numbers], source)
    return {column: name for column, name in zip(layout.names, numbers, strict=True) if column != "_"}
