"""Training data for OpenPCDet's and MMDetection3D's custom data sets; boxes are fitted to the clusters.

OpenPCDet reads this layout and makes its info files from it (`custom_dataset create_custom_infos`).
    DEST/points/NAME.npy         (N,4) float32 x, y, z, intensity
    DEST/labels/NAME.txt         one line per box: x y z dx dy dz heading class
    DEST/ImageSets/SPLIT.txt     names
MMDetection3D (1.x) reads an annotation file, which mmengine loads from JSON or pickle; this one is JSON.
    DEST/points/NAME.bin         (N,4) float32
    DEST/labels/NAME.bin         (N,) uint8 class of every point, 255 = none; for its segmenters
    DEST/pointsam_infos_SPLIT.json    metainfo and data_list, `ann_file` of a Det3DDataset

Both use metres and the level frame of the reference LiDAR: its origin, and z up, because boxes have a heading only. The
points of all sweeps of a frame are in one cloud. The origin of a box is its centre. In `bbox_3d` of MMDetection3D it is
the centre of the bottom.

Source: OpenPCDet docs/CUSTOM_DATASET_TUTORIAL.md; MMDetection3D docs/en/advanced_guides/customize_dataset.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.export.base import GUESSED, Format
from pointsam.export.frame import ExportFrame, Files
from pointsam.geometry.boxes import rows

_DIGITS = 4


def openpcdet(item: ExportFrame) -> Files:
    """Points and labels of a frame."""
    points = io.BytesIO()
    np.save(points, _four(item), allow_pickle=False)
    lines = [
        " ".join([*(f"{value:.{_DIGITS}f}" for value in row), item.taxonomy.names[class_id]])
        for row, class_id in zip(rows(item.map_boxes), item.boxes.class_id, strict=True)
    ]
    text = "".join(f"{line}\n" for line in lines)
    return {f"points/{item.name}.npy": points.getvalue(), f"labels/{item.name}.txt": text.encode()}


def openpcdet_split(names: Sequence[str], split: str) -> Files:
    """The list of the frames of a split."""
    return {f"ImageSets/{split}.txt": "".join(f"{name}\n" for name in names).encode()}


def mmdet3d(item: ExportFrame) -> Files:
    """Points of a frame and their classes."""
    classes = item.found.labels.class_id.astype("u1")
    return {f"points/{item.name}.bin": _four(item).tobytes(), f"labels/{item.name}.bin": classes.tobytes()}


def mmdet3d_info(item: ExportFrame) -> dict[str, object]:
    """The entry of a frame in the annotation file."""
    instances = []
    bottom = rows(item.map_boxes)
    bottom[:, 2] -= bottom[:, 5] / 2
    for row, class_id, cluster in zip(bottom, item.boxes.class_id, item.found.clusters, strict=True):
        instances.append(
            {
                "bbox_3d": [round(float(value), _DIGITS) for value in row],
                "bbox_label_3d": int(class_id),
                "num_lidar_pts": cluster.num_points,
                "score": round(cluster.exported_score, _DIGITS),
                **({} if item.objects is None else {"instance_token": item.objects[cluster.cluster_id].token}),
            }
        )
    return {
        "sample_idx": item.number,
        "lidar_points": {"lidar_path": f"{item.name}.bin", "num_pts_feats": 4},
        "pts_semantic_mask_path": f"{item.name}.bin",
        "instances": instances,
    }


def mmdet3d_split(infos: Sequence[dict[str, object]], class_names: Sequence[str], split: str) -> Files:
    """The annotation file of a split."""
    categories = {name: k for k, name in enumerate(class_names)}
    document = {"metainfo": {"categories": categories, "dataset": "pointsam"}, "data_list": list(infos)}
    return {f"pointsam_infos_{split}.json": (json.dumps(document) + "\n").encode()}


def _four(item: ExportFrame) -> NDArray[np.float32]:
    return item.map_points.astype("<f4")


OPENPCDET: Format[None] = Format(
    lambda item, _: openpcdet(item), close=lambda done: openpcdet_split(done.names, done.split), note=GUESSED
)
MMDET3D: Format[dict[str, object]] = Format(
    lambda item, _: mmdet3d(item),
    mmdet3d_info,
    lambda done: mmdet3d_split(done.rows, done.class_names, done.split),
    note=f"{GUESSED}; the annotation file is JSON, which mmengine loads like pickle",
)
