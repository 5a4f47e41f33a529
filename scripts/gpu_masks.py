"""The part `masks` of scripts/gpu_check.py: masks of the bundled segmenter on a CPU and the device, and speed."""

import itertools
import time

import numpy as np
import torch

from pointsam import rle
from pointsam.base.runtime import peak_mb
from pointsam.datasets.io import read_image
from pointsam.masks import SegmentConfig, load_segmenter

IOU = {"float32": 0.99, "bfloat16": 0.95}
"""Least mean IoU of a mask with that of a CPU in single precision, by precision of the device."""


def masks(check):
    """Masks of the images of a frame, encoded and decoded together, by the bundled network."""
    frame = check.dataset.frame(check.dataset.frame_ids()[0])
    images = [read_image(view.source) for view in frame.cameras][: 1 if check.tiny else None]
    prompts = [asked(image, k, *((2, 4) if check.tiny else (20, 256))) for k, image in enumerate(images)]
    expected = segmented(load_segmenter("mobile_sam"), images, prompts)
    note = "Mean IoU of a mask on the device with that of a CPU in single precision; repeated: two calls are equal."
    rows = check.report.table("Masks on a CPU and on the device", ("precision", "boxes", "points", "repeated"), note)
    for precision, least in list(IOU.items())[: 1 if check.tiny else None]:
        segmenter = load_segmenter("mobile_sam", device=check.device, config=SegmentConfig(precision=precision))
        found, again = (segmented(segmenter, images, prompts) for _ in range(2))
        same = all(a.rle == b.rle for kind in (0, 1) for a, b in zip(found[kind], again[kind], strict=True))
        pairs = [
            both for pair in zip(found[0], expected[0], strict=True) for both in zip(*map(decoded, pair), strict=True)
        ]
        by_box = np.mean([overlap(*both) for both in pairs])
        by_point = np.mean([best_overlap(*pair) for pair in zip(found[1], expected[1], strict=True)])
        rows.append((precision, f"{by_box:.4f}", f"{by_point:.4f}", "yes" if same else "no"))
        check.report.verdict(f"masks of boxes, {precision}", by_box >= least, f"mean IoU {by_box:.4f}")
        check.report.verdict(f"masks are repeated, {precision}", same)
    speeds(check, images, prompts)


def speeds(check, images, prompts):
    """Milliseconds an image, by precision, batch and filters."""
    header = ("precision", "images at once", "filters", "encode", "boxes", "points", "images/s", "memory, GB")
    note = (
        f"Milliseconds an image: {len(prompts[0][0])} boxes, {len(prompts[0][1])} points; images/s: all three together."
    )
    rows = check.report.table("Speed of the bundled segmenter", header, note)
    kinds = itertools.product(IOU, (1, len(images)), ("image", "network"))
    for precision, batch, filters in [("float32", 1, "network")] if check.tiny else kinds:
        config = SegmentConfig(precision=precision, batch=batch, filters=filters)
        segmenter = load_segmenter("mobile_sam", device=check.device, config=config)
        if check.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        ms = []
        for _ in range(1 if check.tiny else 3):  # the first calls choose kernels
            embeddings, encode = timed(check, segmenter.embed_all, images)
            boxes = timed(check, segmenter.from_boxes_all, embeddings, [box for box, _ in prompts])[1]
            points = timed(check, segmenter.from_points_all, embeddings, [point for _, point in prompts])[1]
            ms.append([1e3 * seconds / len(images) for seconds in (encode, boxes, points)])
        best = np.min(ms, axis=0)
        memory = torch.cuda.max_memory_allocated() / 2**30 if check.device == "cuda" else peak_mb() / 1024
        rate = 1e3 / best.sum()
        rows.append((precision, batch, filters, *(f"{value:.1f}" for value in best), f"{rate:.1f}", f"{memory:.1f}"))


def asked(image, seed, boxes, points):
    """(B,4) boxes and (P,2) points of an image."""
    height, width = image.shape[:2]
    rng = np.random.default_rng(seed)
    corner = rng.uniform([0, 0.4 * height], [0.9 * width, 0.8 * height], (boxes, 2))
    box = np.hstack([corner, corner + np.array([0.08 * width, 0.15 * height])]).astype(np.float32)
    return box, rng.integers([0, height // 3], [width, height], (points, 2)).astype(np.int32)


def segmented(segmenter, images, prompts):
    """Masks of the boxes and of the points of each image."""
    embeddings = segmenter.embed_all(images)
    boxes = segmenter.from_boxes_all(embeddings, [box for box, _ in prompts])
    return boxes, segmenter.from_points_all(embeddings, [point for _, point in prompts])


def timed(check, work, *arguments):
    """What a call returns, and its seconds."""
    if check.device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    found = work(*arguments)
    if check.device == "cuda":
        torch.cuda.synchronize()
    return found, time.perf_counter() - start


def best_overlap(one, other):
    """Mean over masks of points of the IoU with the most similar one; 1 if neither has any."""
    found, expected = decoded(one), decoded(other)
    if not found or not expected:
        return float(len(found) == len(expected))
    return np.mean([max(overlap(mask, wanted) for mask in found) for wanted in expected])


def decoded(masks):
    """(H,W) masks."""
    return [rle.decode_mask(counts, masks.height_px, masks.width_px) for counts in masks.rle]


def overlap(one, other):
    """IoU of two masks; 1 if both are empty."""
    union = (one | other).sum()
    return (one & other).sum() / union if union else 1.0
