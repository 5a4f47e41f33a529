"""Budgets on disk: a Parquet table with one row per labelled frame."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.base.document import canonical_json, parse_document
from pointsam.base.errors import SchemaError
from pointsam.base.files import require_file, write_together
from pointsam.detect.data.budget import Budget, BudgetDescription, Velocity

VERSION = 3
"""Version of the files; version 2, of 0.1.0, has no digests."""
_COLUMNS = [
    pa.field("frame_id", pa.string(), nullable=False),
    pa.field("boxes", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
    pa.field("velocity_x_mps", pa.list_(pa.float64()), nullable=False),
    pa.field("velocity_y_mps", pa.list_(pa.float64()), nullable=False),
]
_DIGESTS = pa.field("digest", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False)
_SCHEMAS = {"2": pa.schema(_COLUMNS), "3": pa.schema([*_COLUMNS, _DIGESTS])}
_VERSION_KEY, _DESCRIPTION_KEY = b"pointsam.budget_version", b"pointsam.budget"


def write_budget(path: Path, budget: Budget) -> None:
    """Write a budget atomically; equal budgets give equal bytes. One without digests is written as version 2.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    version = str(VERSION if budget.digests else 2)
    schema = _SCHEMAS[version]
    metadata = {_VERSION_KEY: version, _DESCRIPTION_KEY: canonical_json(budget.description)}
    tokens = [sorted(boxes) for boxes in budget.frames.values()]
    velocities = [
        [boxes[token] or (None, None) for token in some]
        for some, boxes in zip(tokens, budget.frames.values(), strict=True)
    ]
    along = [[[velocity[axis] for velocity in some] for some in velocities] for axis in (0, 1)]
    columns: list[Sequence[object]] = [list(budget.frames), tokens, *along]
    if budget.digests:
        columns.append(
            [[budget.digests[name][token] for token in some] for name, some in zip(budget.frames, tokens, strict=True)]
        )
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema.with_metadata(metadata)), sink, compression="zstd")
    write_together([(path, sink.getvalue())])


def read_budget(path: Path) -> Budget:
    """Read a budget of this version or of 0.1.0.

    Raises:
        SchemaError: SCH003 if the file is missing, is not a budget, or has another version.
    """
    hint = "draw it: mixsup-train budget DATA --fraction 0.1 --dest FILE"

    def unreadable(why: str) -> SchemaError:
        return SchemaError("SCH003", f"{path}: no readable budget ({why})", hint)

    try:
        require_file(path)
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: it is not UTF-8
        raise unreadable(str(error)) from error
    metadata = table.schema.metadata or {}
    version = metadata.get(_VERSION_KEY, b"none").decode(errors="backslashreplace")
    schema = _SCHEMAS.get(version)
    if schema is None or not table.schema.remove_metadata().equals(schema):
        raise SchemaError("SCH003", f"{path}: budget version {version}, this is version {VERSION}", hint)
    description = parse_document(
        metadata.get(_DESCRIPTION_KEY, b""), BudgetDescription, lambda why: unreadable(f"its description: {why}")
    )
    frames: dict[str, dict[str, Velocity]] = {}
    digests: dict[str, dict[str, str]] = {}
    for row in table.to_pylist():
        short = _shorter(row)
        if short:
            raise unreadable(f"frame {row['frame_id']!r} has {len(row['boxes'])} boxes and another number of {short}")
        pairs = zip(row["velocity_x_mps"], row["velocity_y_mps"], strict=True)
        velocities = [None if vx is None or vy is None else (vx, vy) for vx, vy in pairs]
        frames[row["frame_id"]] = dict(zip(row["boxes"], velocities, strict=True))
        if "digest" in row:
            digests[row["frame_id"]] = dict(zip(row["boxes"], row["digest"], strict=True))
    return Budget(frames, description, str(path), digests)


def _shorter(row: Mapping[str, Sequence[object]]) -> str | None:
    """What a row has not once for each of its boxes."""
    lists = {"velocity_x_mps": "velocities", "velocity_y_mps": "velocities", "digest": "digests"}
    return next((what for name, what in lists.items() if name in row and len(row[name]) != len(row["boxes"])), None)
