"""Quality of SAM's masks of synthetic objects: IoU with ground truth and predicted IoU, by class and height.

Prompts are the boxes of the ground-truth instances. With --real ROOT, the boxes of the bundled SSD are the prompts on a
data set without ground-truth masks, where only the predicted IoU is known.

    python scripts/sam_on_truth.py WORLD [--real /data/nuscenes] [--images 60]
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from pointsam import rle
from pointsam.base.tables import text_table
from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.truth2d import image_truth
from pointsam.masks import load_segmenter
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.ssd import SSD, SsdConfig

HEIGHTS_PX = (10, 20, 40, 80, 160, 10_000)
CLEAR = 0.8
"""Visible fraction from which an object is called clear: nuScenes' highest visibility."""


def images(dataset, split, most):
    """Frames with cameras, evenly spaced over the data set."""
    pairs = [(frame, view) for frame in map(dataset.frame, dataset.frame_ids(split)) for view in frame.cameras]
    keep = np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int))
    return [pairs[i] for i in keep]


def against_truth(dataset, segmenter, pairs):
    """(class_id, height of the box in pixels, visible fraction, IoU, predicted IoU) of every object."""
    rows = []
    for _, view in pairs:
        image, objects, boxes = read_image(view.source), [], []
        truth = image_truth(dataset.root, view, dataset.taxonomy)
        for instance, class_id, visible in zip(truth.instance_id, truth.class_id, truth.visible, strict=True):
            mask = truth.ids == instance
            v, u = np.nonzero(mask)
            if np.ptp(v) + 1 >= HEIGHTS_PX[0]:
                objects.append((class_id, np.ptp(v) + 1, visible, mask))
                boxes.append((u.min(), v.min(), u.max() + 1, v.max() + 1))
        if objects:
            cut = segmenter.from_boxes(segmenter.embed(image), np.array(boxes, dtype=np.float32))
            for (class_id, height, visible, mask), counts, guess in zip(objects, cut.rle, cut.pred_iou, strict=True):
                found = rle.decode_mask(counts, *mask.shape)
                iou = np.count_nonzero(found & mask) / np.count_nonzero(found | mask)
                rows.append((class_id, height, visible, iou, guess))
    return np.array(rows, dtype=float).reshape(-1, 5)


def guesses(dataset, segmenter, pairs):
    """(class_id, height of the box in pixels, predicted IoU) of every box of the bundled SSD."""
    config = SsdConfig(tile_px=400, score_threshold=0.4)
    detector = SSD.load(default_mapping(dataset.taxonomy, "coco"), config)
    rows = []
    for frame, view in pairs:
        image = read_image(view.source)
        found = detector.detect(image, frame, view)
        if len(found):
            cut = segmenter.from_boxes(segmenter.embed(image), found.box_xyxy_px)
            height = found.box_xyxy_px[:, 3] - found.box_xyxy_px[:, 1]
            rows += zip(found.class_id, height, cut.pred_iou, strict=True)
    return np.array(rows, dtype=float).reshape(-1, 3)


def by_class(taxonomy, rows):
    """(name, rows) of each class and of all."""
    yield from ((name, rows[rows[:, 0] == i]) for i, name in enumerate(taxonomy.names))
    yield "all", rows


def truth_table(taxonomy, rows):
    """IoU, predicted IoU and number of objects by class, for each band of heights."""
    bands = [(a, b, 0.0) for a, b in pairwise(HEIGHTS_PX)]
    bands += [(40, 10_000, 0.0), (40, 10_000, CLEAR)]
    heads = [f"{a}-{b}" if b < 10_000 else f">{a}" for a, b, _ in bands]
    heads[-1] += " clear"

    def entry(some):
        return f"{some[:, 3].mean():.3f} ({some[:, 4].mean():.2f}, {len(some)})" if len(some) else "-"

    lines = [
        (name, *(entry(of[(of[:, 1] >= low) & (of[:, 1] < high) & (of[:, 2] >= seen)]) for low, high, seen in bands))
        for name, of in by_class(taxonomy, rows)
    ]
    return text_table(("IoU (predicted, objects) by height, px", *heads), lines)


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--images", type=int, default=60)
    args = parser.parse_args()
    segmenter = load_segmenter("mobile_sam")
    world = open_dataset(args.world)
    pairs = images(world, args.split, args.images)
    print(f"{args.world}: {len(pairs)} images, ground-truth boxes as prompts")
    print(truth_table(world.taxonomy, against_truth(world, segmenter, pairs)))
    for dataset in (world, *([open_dataset(args.real)] if args.real else [])):
        rows = guesses(dataset, segmenter, images(dataset, None, args.images))
        print(f"\n{dataset.root}: the bundled SSD's boxes as prompts")
        lines = [
            (n, len(of), mean(of[:, 2]), mean(of[of[:, 1] >= 40, 2])) for n, of in by_class(dataset.taxonomy, rows)
        ]
        print(text_table(("predicted IoU", "boxes", "all", ">40 px"), lines))


def mean(values):
    """Mean, NaN for no values."""
    return float(values.mean()) if len(values) else float("nan")


if __name__ == "__main__":
    main()
