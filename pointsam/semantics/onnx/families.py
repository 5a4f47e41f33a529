"""Families of ONNX detectors: the fields of a description that models of one origin share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_IMAGENET = {"divide": 255.0, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

FAMILIES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        # Megvii's export: grids are not decoded, pixels are not normalised.
        "yolox": {
            "input": {"fit": "corner", "fill": 114, "channels": "bgr", "divide": 1.0},
            "boxes": {"form": "cxcywh", "grid": "exponential"},
            "scores": {"columns": [5, 85], "objectness": 4},
            "labels": "coco",
        },
        # One row for each box: centre, size, objectness, scores.
        "yolov5": {
            "input": {"fit": "centre", "fill": 114},
            "boxes": {"form": "cxcywh"},
            "scores": {"columns": [5, 85], "objectness": 4},
            "labels": "coco",
        },
        # v8, v9 and v11: one column for each box, without objectness.
        "yolov8": {
            "input": {"fit": "centre", "fill": 114},
            "boxes": {"form": "cxcywh", "transposed": True},
            "scores": {"columns": [4, 84], "transposed": True},
            "labels": "coco",
        },
        # Exports with non-maximum suppression inside, and v10: corners, score, label.
        "yolo-nms": {
            "input": {"fit": "centre", "fill": 114},
            "boxes": {"form": "xyxy"},
            "scores": {"columns": [4, 5], "label_column": 5},
            "labels": "coco",
        },
        # RT-DETR and D-FINE with the published postprocessor; the size input scales the boxes.
        "rt-detr": {
            "input": {"extra": {"orig_target_sizes": "size_wh"}},
            "boxes": {"output": "boxes", "form": "xyxy", "unit": "pixels"},
            "scores": {"output": "scores", "label_output": "labels"},
            "labels": "coco",
        },
        "d-fine": {
            "input": {"extra": {"orig_target_sizes": "size_wh"}},
            "boxes": {"output": "boxes", "form": "xyxy", "unit": "pixels"},
            "scores": {"output": "scores", "label_output": "labels"},
            "labels": "coco",
        },
        # RT-DETR and D-FINE as transformers export them: logits of a sigmoid.
        "hf-rt-detr": {
            "boxes": {"output": "pred_boxes", "form": "cxcywh", "unit": "fractions"},
            "scores": {"output": "logits", "activation": "sigmoid"},
            "labels": "coco",
        },
        # DETR and YOLOS as transformers export them: the last column means no object.
        "detr": {
            "input": _IMAGENET,
            "boxes": {"output": "pred_boxes", "form": "cxcywh", "unit": "fractions"},
            "scores": {"output": "logits", "activation": "softmax", "columns": [0, 91]},
            "labels": "coco_ids",
        },
        # TensorFlow's detection API, exported with its suppression: labels are numbered from 1.
        "ssd": {
            "input": {"layout": "nhwc", "divide": 1.0},
            "boxes": {"output": "detection_boxes", "form": "yxyx", "unit": "fractions"},
            "scores": {"output": "detection_scores", "label_output": "detection_classes"},
            "labels": "coco_ids",
        },
        "nanodet": {
            "input": {
                "channels": "bgr",
                "divide": 1.0,
                "mean": [103.53, 116.28, 123.675],
                "std": [57.375, 57.12, 58.395],
            },
            "boxes": {"columns": [80, 112], "grid": "distances", "strides_px": [8, 16, 32, 64]},
            "scores": {"columns": [0, 80]},
            "labels": "coco",
        },
    }
)
"""Fields by family."""
