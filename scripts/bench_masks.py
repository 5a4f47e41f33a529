"""Images a second of the 2D stage, beside the published loop: one run, the same images, prompts and weights.

    python scripts/bench_masks.py DATA --report masks.md
    python scripts/bench_masks.py DATA --report masks.md --device cuda --images 60

DATA is a root of a data set. The prompts are the boxes that --semantics finds, and random points in the lower two
thirds of the image. Ours is `load_segmenter("mobile_sam")`. The published loop is Meta's own code on the same weights:
`SamPredictor.set_image` with timm's modules as encoder, then `SamAutomaticMaskGenerator` with our points as its grid
(the published thresholds, 64 points at once), or `SamPredictor.predict_torch` with all boxes, and pycocotools.

Both take turns image by image, after one image that is not counted. CPU time is that of the whole process: other work
on the machine affects it less than wall time. "detect" is the same for both. Hours are those of one process for the
204,894 images of nuScenes' training and validation key frames, if they are as these are.
"""

import argparse
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import numpy as np
import segment_anything.automatic_mask_generator as published
import torch
from pycocotools import mask as coco
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from tabulate import tabulate

from pointsam import rle
from pointsam.base.hardware import hardware
from pointsam.base.runtime import keep_freed_memory, peak_mb
from pointsam.base.tensors import read_tensors
from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_image
from pointsam.masks import load_segmenter, weight_files
from pointsam.masks.checkpoint import load_all
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names
from pointsam.semantics import load_semantics
from pointsam.semantics.mapping import default_mapping

NUSCENES_IMAGES = 204_894
STAGES = ("read", "detect", "encode", "decode", "RLE")


class Clock:
    """Wall and CPU seconds by way, prompts and stage. A stage within another one is not counted in the outer one."""

    def __init__(self, device):
        self._cuda = torch.device(device).type == "cuda"
        self.reset()

    def reset(self):
        """Forget everything."""
        self.seconds, self._open = defaultdict(lambda: np.zeros(2)), []

    @contextmanager
    def stage(self, *key):
        """Time what happens within."""
        start = self._now()
        self._open.append(np.zeros(2))
        try:
            yield
        finally:
            took = self._now() - start
            self.seconds[key] += took - self._open.pop()
            if self._open:
                self._open[-1] += took

    def timed(self, work, *key):
        """A function that is timed whenever it is called."""

        def call(*args, **kwargs):
            with self.stage(*key):
                return work(*args, **kwargs)

        return call

    def _now(self):
        if self._cuda:
            torch.cuda.synchronize()
        return np.array([time.perf_counter(), time.process_time()])


@contextmanager
def timed_in(clock, module, names, key):
    """Time functions of a module."""
    originals = {name: getattr(module, name) for name in names}
    for name, work in originals.items():
        setattr(module, name, clock.timed(work, *key))
    try:
        yield
    finally:
        for name, work in originals.items():
            setattr(module, name, work)


def ours(clock, segmenter, image, points, boxes):
    """Masks of points and of boxes as COCO's run lengths."""
    found, work = {}, {"points": (segmenter.from_points, points), "boxes": (segmenter.from_boxes, boxes)}
    with clock.stage("ours", "encode"):
        embedding = segmenter.embed(image)
    for kind, (decode, prompts) in work.items():
        with (
            timed_in(clock, rle, [name for name in ("encode_crop",) if hasattr(rle, name)], ("ours", kind, "RLE")),
            clock.stage("ours", kind, "decode"),
        ):
            masks = decode(embedding, prompts)
        found[kind] = [{"size": [masks.height_px, masks.width_px], "counts": counts} for counts in masks.rle]
    return found


def stock(clock, sam, image, points, boxes):
    """The same by Meta's own code."""
    height, width = image.shape[:2]
    generator = SamAutomaticMaskGenerator(
        sam,
        points_per_side=None,
        point_grids=[points / [width, height]],
        pred_iou_thresh=0.7,
        stability_score_thresh=0.8,
        box_nms_thresh=0.7,
        output_mode="coco_rle",
    )
    predictor = SamPredictor(sam)
    with clock.stage("published", "encode"):
        predictor.set_image(image)
    generator.predictor = predictor
    predictor.set_image, predictor.reset_image = lambda _: None, lambda: None  # the image stays encoded
    with (
        timed_in(clock, published, ["mask_to_rle_pytorch", "coco_encode_rle"], ("published", "points", "RLE")),
        clock.stage("published", "points", "decode"),
    ):
        by_points = [one["segmentation"] for one in generator.generate(image)]
    by_boxes = []
    if len(boxes):
        with clock.stage("published", "boxes", "decode"):
            corners = torch.from_numpy(boxes).to(predictor.device)
            corners = predictor.transform.apply_boxes_torch(corners, image.shape[:2])
            masks, _, _ = predictor.predict_torch(None, None, boxes=corners, multimask_output=False)
            masks = masks[:, 0].cpu().numpy()
        with clock.stage("published", "boxes", "RLE"):
            by_boxes = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    return {"points": by_points, "boxes": by_boxes}


def overlaps(a, b, matched):
    """IoU of each mask of `a` with its counterpart in `b`, or with the best one if they are in no order."""
    if not a or not b:
        return [0.0] * len(a)
    table = coco.iou(a, b, [False] * len(b))
    return np.diag(table).tolist() if matched else table.max(axis=1).tolist()


def rows(clock, images, kind):
    """A table's rows: stage, then milliseconds, images a second and CPU milliseconds of each way."""
    sums = {way: np.zeros(2) for way in ("ours", "published")}
    for stage in STAGES:
        row = [stage]
        for way, total in sums.items():
            keys = [(stage,), (way, stage), (way, kind, stage)]
            wall, cpu = each = sum((clock.seconds[key] for key in keys if key in clock.seconds), np.zeros(2)) / images
            total += each
            row += [1000 * wall, 1 / wall if wall else "", 1000 * cpu]
        yield row
    yield ["all", *(value for wall, cpu in sums.values() for value in (1000 * wall, 1 / wall, 1000 * cpu))]
    hours = [NUSCENES_IMAGES * wall / 3600 for wall, _ in sums.values()]
    yield ["hours for nuScenes", hours[0], "", "", hours[1], "", ""]


def peak(device, reset=False):
    """Peak memory so far in MB: of the process, or of CUDA since the last reset."""
    if torch.device(device).type != "cuda":
        return peak_mb()
    found = torch.cuda.max_memory_allocated() / 1024**2
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return found


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--images", type=int, default=6, help="images that are timed, besides the first one")
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--semantics", default="bundled", help="network that finds the boxes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    keep_freed_memory()
    dataset = open_dataset(args.data)
    detector = load_semantics(args.semantics, mapping=default_mapping(dataset.taxonomy), threads=args.threads)
    segmenter = load_segmenter("mobile_sam", device=args.device, threads=args.threads)
    sam, path = build_mobile_sam(), weight_files("mobile_sam")[0].path
    load_all(sam, from_upstream_names(read_tensors(path)), path)
    sam = sam.to(args.device)
    clock, rng = Clock(args.device), np.random.default_rng(0)
    views = [(frame, view) for frame in map(dataset.frame, dataset.frame_ids()) for view in frame.cameras]
    views = [views[0], *views[: args.images]]
    found, counts, peaks = defaultdict(list), defaultdict(int), {}
    for k, (frame, view) in enumerate(views):
        with clock.stage("read"):
            image = read_image(view.source)
        with clock.stage("detect"):
            boxes = detector.detect(image, frame, view).box_xyxy_px
        height, width = image.shape[:2]
        points = rng.integers([0, height // 3], [width, height], (args.points, 2)).astype(np.int32)
        peak(args.device, reset=True)
        mine = ours(clock, segmenter, image, points, boxes)
        peaks.setdefault("ours", peak(args.device, reset=True))
        theirs = stock(clock, sam, image, points, boxes)
        peaks.setdefault("published", peak(args.device))
        if k == 0:
            clock.reset()
            continue
        for kind, matched in (("points", False), ("boxes", True)):
            found[kind] += overlaps(theirs[kind], mine[kind], matched)
            counts["ours", kind] += len(mine[kind])
            counts["published", kind] += len(theirs[kind])
        print(f"{k} of {len(views) - 1} images", flush=True)
    write(args, clock, len(views) - 1, found, counts, peaks)


def write(args, clock, images, found, counts, peaks):
    """Write the report."""
    device = hardware()
    with suppress(RuntimeError, AssertionError):
        device = f"{torch.cuda.get_device_name(args.device)}, {device}" if args.device.startswith("cuda") else device
    lines = [
        "# Masks: ours and the published loop",
        f"{date.today()}, {device}, torch {torch.__version__}, {args.device}, {args.threads} threads. {images} images "
        f"of {args.data.name}, MobileSAM, {args.points} points an image, boxes of {args.semantics}.",
    ]
    for kind in ("points", "boxes"):
        names = [f"{way}: {what}" for way in ("ours", "published") for what in ("ms an image", "images/s", "CPU ms")]
        table = tabulate(rows(clock, images, kind), ["stage", *names], tablefmt="github", floatfmt=".1f")
        values = np.array(found[kind] or [np.nan])
        lines += [
            f"## {kind.capitalize()}",
            table,
            f"Masks: {counts['ours', kind]} and {counts['published', kind]}. IoU of each published mask with ours: "
            f"mean {values.mean():.4f}, least {values.min():.4f}.",
        ]
    what = "GPU memory" if args.device.startswith("cuda") else "memory of the process; ours ran first"
    lines.append(f"Peak in MB ({what}): {peaks['ours']:.0f} after ours, {peaks['published']:.0f} after both.")
    args.report.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    print(args.report.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
