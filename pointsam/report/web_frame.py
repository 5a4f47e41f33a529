"""The data of a frame as a script for the viewer of the page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import AnyArray, FloatArray
from pointsam.geometry.boxes import corners
from pointsam.report.style import class_rgb, cluster_rgb
from pointsam.taxonomy import Taxonomy
from pointsam.types import Boxes, Cluster, FrameLabels, Membership, TrackedLabels

_PER_METRE = 100
"""Positions are stored in centimetres; int16 reaches 327 m."""
_REACH = np.iinfo(np.int16)


def frame_script(
    name: str,
    xyz_level_m: FloatArray,
    found: FrameLabels,
    taxonomy: Taxonomy,
    boxes: Boxes | None,
    outcomes: Mapping[int, tuple[str, float]] | None = None,
    objects: tuple[NDArray[np.int32], Sequence[Mapping[str, object]]] | None = None,
    tracked: TrackedLabels | None = None,
) -> str:
    """JavaScript that passes a frame to the viewer.

    Args:
        name: name of the frame in the page.
        xyz_level_m: (N,3) points, level frame of the LiDAR (z up); those at NaN are left out.
        found: labels of the frame.
        taxonomy: classes of the labels.
        boxes: boxes to draw in the same frame, None for none.
        outcomes: outcome and best IoU of each cluster, by cluster_id; None without ground truth.
        objects: (N,) ground-truth instance of every point, and a row for each object; None without ground truth.
        tracked: the labels with their tracks, None for labels of single frames.
    """
    present = np.isfinite(xyz_level_m).all(axis=1)
    centimetres = np.clip(np.round(np.asarray(xyz_level_m)[present] * _PER_METRE), _REACH.min, _REACH.max)
    data: dict[str, object] = {
        "xyz": _packed(centimetres),
        "cluster": _packed(found.labels.instance_id[present]),
        "grown": _packed_bits(found.grown[present]) if found.grown.any() else None,
        "object": None if objects is None else _packed(objects[0][present]),
        "objects": None if objects is None else list(objects[1]),
        "added": _packed_bits(tracked.added[present]) if tracked is not None and tracked.added.any() else None,
        "clusters": [
            _row(cluster, outcomes, None if tracked is None else tracked.members[k])
            for k, cluster in enumerate(found.clusters)
        ],
        "class_colours": {spec: class_rgb(k) for k, spec in enumerate(taxonomy.names)},
        "boxes": [] if boxes is None else np.round(corners(boxes).reshape(-1, 24), 2).tolist(),
    }
    return f"POINTSAM.add({json.dumps(name)}, {json.dumps(data, separators=(',', ':'), allow_nan=False)});\n"


def _row(
    cluster: Cluster, outcomes: Mapping[int, tuple[str, float]] | None, member: Membership | None
) -> dict[str, object]:
    row: dict[str, object] = {
        "id": cluster.cluster_id,
        "class": cluster.class_name,
        "points": cluster.num_points,
        "cut": cluster.num_points_cut,
        "grown": cluster.num_points_grown,
        "range_m": round(cluster.range_m, 2),
        "size_m": [round(edge, 2) for edge in cluster.size_aabb_m],
        "sources": [f"{camera} mask {mask}" for camera, mask in zip(cluster.cameras, cluster.mask_ids, strict=True)],
        "pred_iou": round(cluster.pred_iou, 3),
        "stability": round(cluster.stability, 3),
        "class_share": round(cluster.class_share, 3),
        "confidence": round(cluster.confidence, 3),
        "probability": None if math.isnan(cluster.probability) else round(cluster.probability, 3),
        "colour": cluster_rgb(cluster.cluster_id),
    }
    if member is not None:
        row |= {"track": member.track_id, "origin": member.origin}
    if outcomes is not None:
        outcome, best_iou = outcomes.get(cluster.cluster_id, ("", 0.0))
        row |= {"outcome": outcome, "best_iou": round(best_iou, 3)}
    return row


def _packed_bits(values: NDArray[np.bool_]) -> str:
    """Eight values a byte, the first in the lowest bit."""
    return base64.b64encode(np.packbits(values, bitorder="little").tobytes()).decode()


def _packed(values: AnyArray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<i2").tobytes()).decode()
