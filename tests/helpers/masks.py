"""2D results of a user, made from ground-truth boxes."""

import json

import numpy as np

from pointsam import rle
from pointsam.geometry.projection import project


def write_masks(dataset, folder):
    """One COCO-RLE file per image: the rectangle around each ground-truth box that is completely in the image."""
    names = dataset.taxonomy.names
    for frame_id in dataset.frame_ids():
        frame, boxes = dataset.frame(frame_id), dataset.boxes(frame_id)
        for view in frame.cameras:
            entries = []
            for center, size, rotation, class_id in zip(
                boxes.center_m, boxes.size_lwh_m, boxes.rotation, boxes.class_id, strict=True
            ):
                signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
                seen = project(center + signs * size / 2 @ rotation.T, frame, view)
                if class_id < len(names) and seen.valid.all():
                    (u0, v0), (u1, v1) = seen.uv_px.min(axis=0), seen.uv_px.max(axis=0)
                    inside = np.zeros((view.camera.height_px, view.camera.width_px), dtype=np.bool_)
                    inside[int(v0) : int(v1) + 1, int(u0) : int(u1) + 1] = True
                    segmentation = {"size": inside.shape, "counts": rle.encode_mask(inside).decode()}
                    entries.append({"segmentation": segmentation, "label": names[class_id], "score": 0.9})
            path = folder / view.name / f"{view.stem}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(entries))
