"""The label contract: Parquet tables joined by `frame_id`, and the conversion of rows to tables.

The scene is not a column: it is in the folder name `scene=<scene>` (hive), and readers reject a column that is in both.
`docs/labels.md` describes the tables for users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike

from pointsam.base.arrays import AnyArray
from pointsam.base.document import canonical_json
from pointsam.base.errors import SchemaError
from pointsam.types import FrameLabels, FrameRow, ImageMasks, TrackedLabels, TrackRow
from pointsam.types.validation import check_row

RUN_VERSION = 2
"""Version of run.json, and of tables that `TABLE_VERSIONS` does not list."""
TABLE_VERSIONS: Mapping[str, int] = MappingProxyType({"frames": 3, "points": 3, "clusters": 4})
"""Versions by table. A version increases with any change of a column's name, type or meaning. Readers also take
earlier ones from version 2 on, in which no point is grown and clusters have neither score nor probability
(`store.rows`). Up to version 2 of `frames`, a frame has one sweep; up to version 3 of `clusters`, extents are along the
axes of the LiDAR, whatever its tilt."""
METADATA_PREFIX = "pointsam."
REQUIRED_METADATA = ("config", "taxonomy", "weights_sha256", "calibration_perturbation", "tool_version")
"""Metadata of every file, so that labels of a noise run cannot be mistaken for clean ones."""

_MAX_CLUSTER_ID = int(np.iinfo(np.int16).max)


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column without nulls."""
    return pa.field(name, kind, nullable=False)


def list_of(kind: pa.DataType) -> pa.DataType:
    """A type of lists without null elements."""
    return pa.list_(pa.field("element", kind, nullable=False))


def _vector(kind: pa.DataType, length: int) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False), length)


STATUS = [required("status", pa.string()), required("error_code", pa.string()), required("error", pa.string())]

FRAMES = pa.schema(
    [
        required("frame_id", pa.string()),
        required("t_us", pa.int64()),
        required("num_points", pa.int32()),
        required("num_clusters", pa.int32()),
        *STATUS,
        required("calibration_hash", pa.string()),
        required("sweep_points", list_of(pa.int32())),
    ]
)
POINTS = pa.schema(
    [
        required("frame_id", pa.string()),
        required("cluster_id", list_of(pa.int16())),
        required("class_id", list_of(pa.uint8())),
        required("views", list_of(pa.uint8())),
        required("covered", list_of(pa.uint8())),
        required("grown", list_of(pa.bool_())),
    ]
)
CLUSTERS = pa.schema(
    [
        required("frame_id", pa.string()),
        required("cluster_id", pa.int16()),
        required("class_id", pa.uint8()),
        required("class_name", pa.string()),
        required("num_points", pa.int32()),
        required("center_lidar_m", _vector(pa.float64(), 3)),
        required("size_aabb_m", _vector(pa.float64(), 3)),
        required("radius_bev_m", pa.float64()),
        required("range_m", pa.float64()),
        required("cameras", list_of(pa.string())),
        required("mask_ids", list_of(pa.int32())),
        required("pred_iou", pa.float64()),
        required("stability", pa.float64()),
        required("class_share", pa.float64()),
        required("num_points_cut", pa.int32()),
        required("confidence", pa.float64()),
        required("num_points_grown", pa.int32()),
        required("score", pa.float64()),
        required("probability", pa.float64()),
    ]
)
TRACKED_POINTS = POINTS.append(required("added", list_of(pa.bool_())))
TRACKED_CLUSTERS = pa.schema(
    [
        *CLUSTERS,
        required("track_id", pa.int32()),
        required("origin", pa.string()),
        required("single_id", pa.int16()),
    ]
)
TRACKS = pa.schema(
    [
        required("track_id", pa.int32()),
        required("class_id", pa.uint8()),
        required("class_name", pa.string()),
        required("moving", pa.bool_()),
        required("num_frames", pa.int32()),
        required("num_recovered", pa.int32()),
        required("first_t_us", pa.int64()),
        required("last_t_us", pa.int64()),
        required("speed_mps", pa.float64()),
        required("vote_classes", list_of(pa.string())),
        required("vote_weights", list_of(pa.float64())),
        required("class_changes", pa.int32()),
        required("cut", pa.string()),
    ]
)
MASKS = pa.schema(
    [
        required("frame_id", pa.string()),
        required("camera", pa.string()),
        *STATUS,
        required("height_px", pa.int32()),
        required("width_px", pa.int32()),
        required("rle", list_of(pa.binary())),
        required("pred_iou", list_of(pa.float32())),
        required("stability", list_of(pa.float32())),
        required("source", list_of(pa.int32())),
        required("prompts_uv_px", list_of(_vector(pa.int32(), 2))),
        required("detection_box_xyxy_px", list_of(_vector(pa.float32(), 4))),
        required("detection_class_id", list_of(pa.uint8())),
        required("detection_score", list_of(pa.float32())),
        pa.field("detection_rle", list_of(pa.binary())),
        required("detection_instances", pa.bool_()),
    ]
)


def table_version(table: str) -> int:
    """Schema version of a table."""
    return TABLE_VERSIONS.get(table, RUN_VERSION)


def check_metadata(metadata: Mapping[str, object]) -> None:
    """Refuse incomplete metadata.

    Raises:
        SchemaError: SCH003 if one of REQUIRED_METADATA is missing.
    """
    missing = [key for key in REQUIRED_METADATA if key not in metadata]
    check_row(not missing, f"table metadata lacks {', '.join(missing)}")


def table_metadata(metadata: Mapping[str, object], table: str) -> dict[bytes, bytes]:
    """File-level metadata: `pointsam.<key>`, strings as they are and anything else as canonical JSON.

    Args:
        metadata: what the table was made of.
        table: name of the table, which determines its schema version.

    Raises:
        SchemaError: as `check_metadata`.
    """
    check_metadata(metadata)
    entries = {**metadata, "schema_version": table_version(table)}
    return {
        f"{METADATA_PREFIX}{key}".encode(): (value if isinstance(value, str) else canonical_json(value)).encode()
        for key, value in sorted(entries.items())
    }


def frames_table(rows: Iterable[FrameRow], metadata: Mapping[str, object], table: str = "frames") -> pa.Table:
    """`frames`, or another table with its columns: one row per frame, in the order of `rows`."""
    records = [{name: getattr(row, name) for name in FRAMES.names} for row in rows]
    return columns_to_table(table, FRAMES, records, metadata)


def points_table(rows: Sequence[FrameLabels], metadata: Mapping[str, object], table: str = "points") -> pa.Table:
    """`points`, or another table with its columns: one row per frame, in the order of `rows`.

    Raises:
        SchemaError: SCH006 if a frame has more clusters than int16 can number.
    """
    return pa.Table.from_arrays(_points(rows), schema=POINTS.with_metadata(table_metadata(metadata, table)))


def _points(rows: Sequence[FrameLabels]) -> list[pa.Array]:
    """The columns of `points`."""
    for row in rows:
        _check_cluster_range(row)
    return [
        pa.array([row.frame.frame_id for row in rows], pa.string()),
        _lists([row.labels.instance_id for row in rows], np.int16, POINTS.field("cluster_id").type),
        _lists([row.labels.class_id for row in rows], np.uint8, POINTS.field("class_id").type),
        _lists([row.views for row in rows], np.uint8, POINTS.field("views").type),
        _lists([row.covered for row in rows], np.uint8, POINTS.field("covered").type),
        _lists([row.grown for row in rows], np.bool_, POINTS.field("grown").type),
    ]


def clusters_table(rows: Iterable[FrameLabels], metadata: Mapping[str, object], table: str = "clusters") -> pa.Table:
    """`clusters`, or another table with its columns: one row per cluster, by frame in the order of `rows`, then by
    cluster_id.

    Raises:
        SchemaError: SCH006 if a frame has more clusters than int16 can number.
    """
    return columns_to_table(table, CLUSTERS, [one for row in rows for one in _clusters(row)], metadata)


def _clusters(row: FrameLabels) -> list[dict[str, object]]:
    """The rows of `clusters` of a frame."""
    _check_cluster_range(row)
    return [{"frame_id": row.frame.frame_id, **vars(cluster)} for cluster in row.clusters]


def tracked_tables(
    rows: Sequence[TrackedLabels], tracks: Sequence[TrackRow], metadata: Mapping[str, object]
) -> dict[str, pa.Table]:
    """The tables of the stage `tracks` for consecutive frames of one scene, by name.

    Args:
        rows: the frames, in their order.
        tracks: the tracks of the scene if these are its last frames, in the order of track_id; else none.
        metadata: what the tables were made of.

    Raises:
        SchemaError: SCH006 if a frame has more clusters than int16 can number.
    """
    found = [row.found for row in rows]
    added = _lists([row.added for row in rows], np.bool_, TRACKED_POINTS.field("added").type)
    schema = TRACKED_POINTS.with_metadata(table_metadata(metadata, "tracked_points"))
    clusters = [
        {**cluster, **vars(member)}
        for row in rows
        for cluster, member in zip(_clusters(row.found), row.members, strict=True)
    ]
    return {
        "tracked_frames": frames_table([row.frame for row in found], metadata, "tracked_frames"),
        "tracked_points": pa.Table.from_arrays([*_points(found), added], schema=schema),
        "tracked_clusters": columns_to_table("tracked_clusters", TRACKED_CLUSTERS, clusters, metadata),
        "tracks": columns_to_table("tracks", TRACKS, [_track_record(track) for track in tracks], metadata),
    }


def _track_record(track: TrackRow) -> dict[str, object]:
    votes = track.class_votes
    return {**vars(track), "vote_classes": list(votes), "vote_weights": list(votes.values())}


def looked_tables(
    rows: Sequence[FrameLabels], looks: Iterable[ImageMasks], metadata: Mapping[str, object]
) -> dict[str, pa.Table]:
    """The tables of the stage `looks` for consecutive frames of one scene, by name.

    Args:
        rows: the frames, in their order.
        looks: the masks of second looks, of the images that have some.
        metadata: what the tables were made of.

    Raises:
        SchemaError: SCH006 if a frame has more clusters than int16 can number.
    """
    return {
        "looked_frames": frames_table([row.frame for row in rows], metadata, "looked_frames"),
        "looked_points": points_table(rows, metadata, "looked_points"),
        "looked_clusters": clusters_table(rows, metadata, "looked_clusters"),
        "looks": masks_table(looks, metadata, "looks"),
    }


def masks_table(rows: Iterable[ImageMasks], metadata: Mapping[str, object], table: str = "masks") -> pa.Table:
    """`masks`, or another table with its columns: one row per image, in the order of `rows`: by frame, then in the data
    set's order of cameras.
    """
    return columns_to_table(table, MASKS, [_mask_record(row) for row in rows], metadata)


def _mask_record(row: ImageMasks) -> dict[str, object]:
    masks, found = row.masks, row.detections
    return {
        **{name: getattr(row, name) for name in ("frame_id", "camera", "status", "error_code", "error")},
        **{name: getattr(masks, name) for name in ("height_px", "width_px", "rle", "pred_iou", "stability", "source")},
        "prompts_uv_px": list(row.prompts_uv_px),
        "detection_box_xyxy_px": list(found.box_xyxy_px),
        "detection_class_id": found.class_id,
        "detection_score": found.score,
        "detection_rle": found.rle,
        "detection_instances": found.instances,
    }


def columns_to_table(
    table: str, schema: pa.Schema, records: Sequence[Mapping[str, object]], metadata: Mapping[str, object]
) -> pa.Table:
    """A table of records, one per row, with its metadata."""
    columns = [pa.array([record[field.name] for record in records], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema.with_metadata(table_metadata(metadata, table)))


def _lists(arrays: Sequence[AnyArray], dtype: DTypeLike, kind: pa.DataType) -> pa.ListArray:
    offsets = np.cumsum([0, *(len(array) for array in arrays)], dtype=np.int32)
    values = np.concatenate([np.zeros(0, dtype), *(array.astype(dtype) for array in arrays)])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=kind)


def _check_cluster_range(row: FrameLabels) -> None:
    if len(row.clusters) > _MAX_CLUSTER_ID + 1:
        raise SchemaError(
            "SCH006",
            f"frame {row.frame.frame_id} has {len(row.clusters)} clusters; int16 can number {_MAX_CLUSTER_ID + 1}",
            "raise the mask thresholds or the smallest cluster size: no sweep has that many objects",
        )
