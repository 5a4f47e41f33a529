"""Budgets on disk: a Parquet table with one row per labelled frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.base.document import canonical_json, parse_document
from pointsam.base.errors import SchemaError
from pointsam.base.files import require_file, write_together
from pointsam.detect.data.budget import Budget, BudgetDescription, Velocity

VERSION = 2
_SCHEMA = pa.schema(
    [
        pa.field("frame_id", pa.string(), nullable=False),
        pa.field("boxes", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("velocity_x_mps", pa.list_(pa.float64()), nullable=False),
        pa.field("velocity_y_mps", pa.list_(pa.float64()), nullable=False),
    ]
)
_VERSION_KEY, _DESCRIPTION_KEY = b"pointsam.budget_version", b"pointsam.budget"


def write_budget(path: Path, budget: Budget) -> None:
    """Write a budget atomically; equal budgets give equal bytes.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    metadata = {_VERSION_KEY: str(VERSION), _DESCRIPTION_KEY: canonical_json(budget.description)}
    tokens = [sorted(boxes) for boxes in budget.frames.values()]
    velocities = [
        [boxes[token] or (None, None) for token in some]
        for some, boxes in zip(tokens, budget.frames.values(), strict=True)
    ]
    along = [[[velocity[axis] for velocity in some] for some in velocities] for axis in (0, 1)]
    columns: Sequence[Sequence[object]] = [list(budget.frames), tokens, *along]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata(metadata)), sink, compression="zstd")
    write_together([(path, sink.getvalue())])


def read_budget(path: Path) -> Budget:
    """Read a budget.

    Raises:
        SchemaError: SCH003 if the file is missing, is not a budget, or has another version.
    """
    hint = "draw it: mixsup-train budget DATA --fraction 0.1 --dest FILE"
    try:
        require_file(path)
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: it is not UTF-8
        raise SchemaError("SCH003", f"{path}: no readable budget ({error})", hint) from error
    metadata = table.schema.metadata or {}
    version = metadata.get(_VERSION_KEY, b"none").decode(errors="backslashreplace")
    if version != str(VERSION) or not table.schema.remove_metadata().equals(_SCHEMA):
        raise SchemaError("SCH003", f"{path}: budget version {version}, this is version {VERSION}", hint)
    description = parse_document(
        metadata.get(_DESCRIPTION_KEY, b""),
        BudgetDescription,
        lambda why: SchemaError("SCH003", f"{path}: no readable budget (its description: {why})", hint),
    )
    frames: dict[str, dict[str, Velocity]] = {}
    for row in table.to_pylist():
        along_x, along_y = row["velocity_x_mps"], row["velocity_y_mps"]
        if not len(along_x) == len(along_y) == len(row["boxes"]):
            why = f"frame {row['frame_id']!r} has {len(row['boxes'])} boxes and another number of velocities"
            raise SchemaError("SCH003", f"{path}: no readable budget ({why})", hint)
        pairs = zip(along_x, along_y, strict=True)
        velocities = [None if vx is None or vy is None else (vx, vy) for vx, vy in pairs]
        frames[row["frame_id"]] = dict(zip(row["boxes"], velocities, strict=True))
    return Budget(frames, description, str(path))
