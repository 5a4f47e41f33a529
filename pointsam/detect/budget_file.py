"""Budgets on disk: one Parquet row a labelled frame."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.detect.budget import Budget
from pointsam.errors import SchemaError
from pointsam.store.document import canonical_json
from pointsam.store.files import write_together

VERSION = 1
_SCHEMA = pa.schema(
    [
        pa.field("frame_id", pa.string(), nullable=False),
        pa.field("boxes", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
    ]
)
_VERSION_KEY, _DESCRIPTION_KEY = b"pointsam.budget_version", b"pointsam.budget"


def write_budget(path: Path, budget: Budget) -> None:
    """Write whole or not at all; equal budgets give equal bytes.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    metadata = {_VERSION_KEY: str(VERSION), _DESCRIPTION_KEY: canonical_json(dict(budget.description))}
    columns = [list(budget.frames), [sorted(tokens) for tokens in budget.frames.values()]]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata(metadata)), sink, compression="zstd")
    write_together([(path, sink.getvalue())])


def read_budget(path: Path) -> Budget:
    """Read a budget.

    Raises:
        SchemaError: SCH003 if the file is missing, no budget, or one of another version.
    """
    way = "draw it: mixsup-train budget DATA --fraction 0.1 --out FILE"
    try:
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError("SCH003", f"{path}: no readable budget ({error})", way) from error
    metadata = table.schema.metadata or {}
    version = metadata.get(_VERSION_KEY, b"none").decode()
    if version != str(VERSION) or not table.schema.remove_metadata().equals(_SCHEMA):
        raise SchemaError("SCH003", f"{path}: budget version {version}, this is version {VERSION}", way)
    frames = zip(table["frame_id"].to_pylist(), table["boxes"].to_pylist(), strict=True)
    description = json.loads(metadata[_DESCRIPTION_KEY])
    return Budget({frame_id: frozenset(tokens) for frame_id, tokens in frames}, description)
