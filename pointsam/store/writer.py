"""A table to the bytes of its file: equal tables give equal bytes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.errors import SchemaError
from pointsam.store.schema import SCHEMAS

# Level 3 is where the size of label lists stops falling fast (scripts/bench_store.py prints levels beside each other).
ZSTD_LEVEL = 3
_ROWS_PER_GROUP = 64


def table_bytes(name: str, table: Any, zstd_level: int = ZSTD_LEVEL) -> bytes:
    """A table as the content of a Parquet file.

    Raises:
        SchemaError: SCH003 if the columns are not those of the contract.
    """
    schema = SCHEMAS[name]
    if not table.schema.equals(schema):
        raise SchemaError(
            "SCH003",
            f"table {name!r} has columns {table.schema.to_string(show_schema_metadata=False)}",
            "build it with pointsam.store.schema",
        )
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=_ROWS_PER_GROUP,
        compression="zstd",
        compression_level=zstd_level,
        # Masks differ from each other: a dictionary of them only costs time.
        use_dictionary=["camera", "status", "error_code", "error"] if name == "masks" else True,
    )
    return bytes(sink.getvalue())
