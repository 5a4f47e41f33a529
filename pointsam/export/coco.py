"""COCO instance segmentation of the camera images: the masks that built clusters, as compressed run lengths.

Layout
    DEST/instances_SPLIT.json    images, annotations, categories (ids from 1), as pycocotools reads them

Annotations have fields beyond COCO's: `cluster_id`, `pred_iou` and `stability`; after tracking also `track_id`, which
is unique in a scene, and `instance_token`, unique in the data set (null without a track). Images have `frame_id` and
`camera`.

Source: the COCO data format; pycocotools.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from pointsam import rle
from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame, Files

_Images: TypeAlias = "list[tuple[dict[str, object], list[dict[str, object]]]]"
"""The images of a frame, each with its annotations; ids are added when all frames are known."""


def coco_rows(item: ExportFrame) -> _Images:
    """The images of a frame with the masks that built clusters."""
    out: _Images = []
    for view in item.frame.cameras:
        row = item.masks[view.name]
        height, width = view.camera.height_px, view.camera.width_px
        image = {
            "file_name": view.source.file_name,
            "height": height,
            "width": width,
            "camera": view.name,
            "frame_id": item.frame.frame_id,
        }
        annotations = []
        for cluster in item.found.clusters:
            for camera, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True):
                if camera != view.name:
                    continue
                rows, columns, crop = rle.decode_crop(row.masks.rle[mask_id], height, width)
                annotations.append(
                    {
                        "category_id": cluster.class_id + 1,
                        "segmentation": {"size": [height, width], "counts": row.masks.rle[mask_id].decode()},
                        "area": int(crop.sum()),
                        "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                        "iscrowd": 0,
                        "score": round(cluster.exported_score, 4),
                        "cluster_id": cluster.cluster_id,
                        "pred_iou": round(float(row.masks.pred_iou[mask_id]), 4),
                        "stability": round(float(row.masks.stability[mask_id]), 4),
                        **_track(item, cluster.cluster_id),
                    }
                )
        out.append((image, annotations))
    return out


def _track(item: ExportFrame, cluster_id: int) -> dict[str, object]:
    """The track of a cluster; empty for labels that are not tracked."""
    if item.objects is None:
        return {}
    found = item.objects[cluster_id]
    return {"track_id": None if found.token is None else found.track_id, "instance_token": found.token}


def coco_split(frames: Sequence[_Images], class_names: Sequence[str], split: str) -> Files:
    """The file of a split."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (image, found) in enumerate((image for frame in frames for image in frame), start=1):
        images.append({"id": image_id, **image})
        annotations += [{"image_id": image_id, **one} for one in found]
    annotations = [{"id": k, **one} for k, one in enumerate(annotations, start=1)]
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(class_names)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    return {f"instances_{split}.json": (json.dumps(document) + "\n").encode()}


FORMAT: Format[_Images] = Format(
    row=coco_rows,
    close=lambda done: coco_split(done.rows, done.class_names, done.split),
    masks=True,
)
