"""Converts a table to the bytes of its file: equal tables give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.base.errors import SchemaError
from pointsam.store.cells import CELLS
from pointsam.store.schema import CLUSTERS, FRAMES, MASKS, POINTS, TRACKED_CLUSTERS, TRACKED_POINTS, TRACKS

SCHEMAS: Mapping[str, pa.Schema] = {
    "frames": FRAMES,
    "points": POINTS,
    "clusters": CLUSTERS,
    "masks": MASKS,
    "looked_frames": FRAMES,
    "looked_points": POINTS,
    "looked_clusters": CLUSTERS,
    "looks": MASKS,
    "tracked_frames": FRAMES,
    "tracked_points": TRACKED_POINTS,
    "tracked_clusters": TRACKED_CLUSTERS,
    "tracks": TRACKS,
    "cells": CELLS,
}

# Chosen with scripts/bench_store.py: above 9, time grows faster than size falls.
ZSTD_LEVEL = 9
# A shard is one row group: each further group has an overhead for every column.
_ROWS_PER_GROUP = 4096
# Columns with dictionaries. Scores, lengths and masks hardly repeat, so a dictionary would only add its indices.
_OF_CLUSTERS = [
    *("frame_id", "cluster_id", "class_id", "class_name", "num_points"),
    *("cameras.list.element", "mask_ids.list.element", "num_points_cut"),
]
_OF_MASKS = ["frame_id", "camera", "status", "error_code", "error", "height_px", "width_px"]
_DICTIONARIES: Mapping[str, bool | list[str]] = {
    "frames": True,
    "points": True,
    "clusters": _OF_CLUSTERS,
    "looked_frames": True,
    "looked_points": True,
    "looked_clusters": _OF_CLUSTERS,
    "looks": _OF_MASKS,
    "tracked_frames": True,
    "tracked_points": True,
    "tracked_clusters": [*_OF_CLUSTERS, "track_id", "origin", "single_id"],
    "tracks": ["class_id", "class_name", "moving", "vote_classes.list.element", "cut"],
    "masks": _OF_MASKS,
    "cells": ["frame_id", "status", "error_code", "error", "cell", "sar"],
}


def table_bytes(name: str, table: pa.Table, zstd_level: int = ZSTD_LEVEL) -> bytes:
    """A table as the content of a Parquet file.

    Raises:
        SchemaError: SCH003 if the columns are not those of the table's schema.
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
        use_dictionary=_DICTIONARIES[name],
    )
    return bytes(sink.getvalue())
