"""Converts rows of the tables back to values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pointsam.base.arrays import AnyArray
from pointsam.types import (
    Cluster,
    Detections,
    FrameLabels,
    FrameRow,
    ImageMasks,
    Masks,
    Membership,
    PointLabels,
    TrackedLabels,
    TrackRow,
)

_MEMBERSHIP = ("track_id", "origin", "single_id")


def read_frame(table: pa.Table, row: int, scene: str) -> FrameRow:
    """A row of `frames`; up to version 2, all its points are of one sweep."""
    values = {name: table[name][row].as_py() for name in table.column_names}
    values["sweep_points"] = tuple(values.get("sweep_points", ()))
    return FrameRow(scene=scene, **values)


def read_points(
    table: pa.Table, row: int
) -> tuple[PointLabels, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """A row of `points`: labels, the numbers of cameras that see each point and whose masks cover it, grown points.

    No point of a table of version 2 is grown.
    """
    labels = PointLabels(
        _array(table["cluster_id"][row]).astype(np.int32), _array(table["class_id"][row]).astype(np.uint8)
    )
    views, covered = (_array(table[name][row]).astype(np.uint8) for name in ("views", "covered"))
    grown = _array(table["grown"][row]) if "grown" in table.column_names else np.zeros(len(labels), dtype=np.bool_)
    return labels, views, covered, grown


def read_clusters(table: pa.Table, members: range) -> tuple[Cluster, ...]:
    """Consecutive rows of `clusters`."""
    found = []
    own = [name for name in table.column_names if name != "frame_id" and name not in _MEMBERSHIP]
    for values in table.slice(members.start, len(members)).select(own).to_pylist():
        for name in ("center_lidar_m", "size_aabb_m", "cameras", "mask_ids"):
            values[name] = tuple(values[name])
        found.append(Cluster(**values))
    return tuple(found)


def read_members(table: pa.Table, members: range) -> tuple[Membership, ...]:
    """The tracks of consecutive rows of `tracked_clusters`."""
    columns = (table.slice(members.start, len(members))[name].to_pylist() for name in _MEMBERSHIP)
    return tuple(Membership(*values) for values in zip(*columns, strict=True))


def read_tracked(found: FrameLabels, points: pa.Table, row: int, clusters: pa.Table, members: range) -> TrackedLabels:
    """The labels of a frame with its row of `tracked_points` and its consecutive rows of `tracked_clusters`."""
    return TrackedLabels(found, _array(points["added"][row]), read_members(clusters, members))


def read_tracks(table: pa.Table) -> tuple[TrackRow, ...]:
    """The rows of `tracks`."""
    found = []
    for values in table.to_pylist():
        votes = dict(zip(values.pop("vote_classes"), values.pop("vote_weights"), strict=True))
        found.append(TrackRow(**values, class_votes=votes))
    return tuple(found)


def read_image_masks(table: pa.Table, row: int) -> ImageMasks:
    """A row of `masks`."""

    def of(name: str) -> pa.Scalar:
        return table[name][row]

    masks = Masks(
        height_px=of("height_px").as_py(),
        width_px=of("width_px").as_py(),
        rle=tuple(of("rle").as_py()),
        pred_iou=_array(of("pred_iou")),
        stability=_array(of("stability")),
        source=_array(of("source")),
    )
    rle = of("detection_rle").as_py()
    detections = Detections(
        box_xyxy_px=_vectors(of("detection_box_xyxy_px"), 4),
        class_id=_array(of("detection_class_id")),
        score=_array(of("detection_score")),
        rle=None if rle is None else tuple(rle),
        instances=of("detection_instances").as_py(),
    )
    names = ("frame_id", "camera", "status", "error_code", "error")
    texts = {name: of(name).as_py() for name in names}
    return ImageMasks(**texts, masks=masks, detections=detections, prompts_uv_px=_vectors(of("prompts_uv_px"), 2))


def _array(scalar: pa.ListScalar) -> AnyArray:
    # A copy: Arrow's memory is read-only and is freed with the shard, but a value must live longer.
    return np.array(scalar.values)


def _vectors(scalar: pa.ListScalar, length: int) -> AnyArray:
    return np.array(scalar.values.flatten()).reshape(-1, length)
