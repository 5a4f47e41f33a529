"""Time and memory of MobileSAM, and of segment_anything's generator on the same weights and prompts, in one run.

    python scripts/bench_masks.py IMAGE [THREADS [POINTS [BOXES]]]

The reference is `SamAutomaticMaskGenerator` with the published thresholds, given our prompts as its grid and the
embedding, so that both are timed after the encoder. The ratio is of CPU time, which other work on the machine affects
less than wall time; use one thread on a busy machine.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator

from pointsam.base.tensors import read_tensors
from pointsam.datasets.io import ImageFile, read_image
from pointsam.masks import load_segmenter, weight_files
from pointsam.masks.checkpoint import load_all
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names

ENCODINGS = 5


def timed(label: str, work, count: int = 1):
    """Run, print wall and CPU time and the peak memory of the process so far; return (result, CPU seconds)."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = f"{1000 * wall / count:8.1f} ms wall, {1000 * cpu / count:8.1f} ms CPU each"
    print(f"{label:<42} {wall:7.2f} s: {each}, peak {peak_mb:6.0f} MB")
    return result, cpu


def stock_generator(image: np.ndarray, uv_px: np.ndarray) -> SamAutomaticMaskGenerator:
    """Meta's generator with an encoded image."""
    sam, path = build_mobile_sam(), weight_files("mobile_sam")[0].path
    load_all(sam, from_upstream_names(read_tensors(path)), path)
    generator = SamAutomaticMaskGenerator(
        sam,
        points_per_side=None,
        point_grids=[uv_px / image.shape[1::-1]],
        points_per_batch=4,
        pred_iou_thresh=0.7,
        stability_score_thresh=0.8,
        box_nms_thresh=0.7,
        output_mode="coco_rle",
    )
    generator.predictor.set_image(image)
    generator.predictor.set_image = lambda _: None
    return generator


def main(path: Path, threads: int = 2, points: int = 256, boxes: int = 20) -> None:
    """Run from the command line."""
    torch.set_num_threads(threads)
    image = read_image(ImageFile(path))
    height, width = image.shape[:2]
    rng = np.random.default_rng(0)
    uv = rng.integers([0, height // 3], [width, height], (points, 2)).astype(np.int32)
    corner = rng.uniform([0, 0.4 * height], [0.9 * width, 0.8 * height], (boxes, 2))
    box = np.hstack([corner, corner + np.array([0.08 * width, 0.15 * height])]).astype(np.float32)

    segmenter, _ = timed("load", lambda: load_segmenter("mobile_sam"))
    embedding, _ = timed("encode, first", lambda: segmenter.embed(image))
    timed(f"encode, {ENCODINGS} more", lambda: [segmenter.embed(image) for _ in range(ENCODINGS)], ENCODINGS)
    timed(f"from_boxes, {boxes} boxes", lambda: segmenter.from_boxes(embedding, box), boxes)
    masks, ours = timed(f"from_points, {points} points", lambda: segmenter.from_points(embedding, uv), points)
    generator = stock_generator(image, uv)
    stock, theirs = timed(f"SamAutomaticMaskGenerator, {points} points", lambda: generator.generate(image), points)
    print(f"masks kept: {len(masks)} and {len(stock)}; {theirs / ours:.2f} times the CPU time in the reference")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
