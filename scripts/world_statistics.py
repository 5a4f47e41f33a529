"""Statistics of a nuScenes root next to the published ones of nuScenes.

Per class: boxes per key frame, boxes with a LiDAR point, and points per such box. With lidarseg labels, also the
classes of the points. The published cuboids are all annotated ones, with or without points.

    python scripts/world_statistics.py WORLD
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.nuscenes.truth import CATEGORIES as CLASSES
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.synth.annotate import CATEGORIES
from pointsam.taxonomy import BACKGROUND, NUSCENES

KEY_FRAMES = 34_149
PUBLISHED = {
    "car": (493_322, 38_104_219),
    "truck": (88_519, 15_841_384),
    "trailer": (24_860, 4_907_511),
    "bus": (1_820 + 14_501, 357_463 + 4_247_297),
    "construction_vehicle": (14_671, 1_514_414),
    "bicycle": (11_859, 141_351),
    "motorcycle": (12_617, 427_391),
    "pedestrian": (208_240 + 2_066 + 9_161 + 727, 2_156_470 + 9_655 + 139_443 + 9_159),
    "traffic_cone": (97_959, 736_239),
    "barrier": (152_087, 9_305_106),
}
"""All cuboids, and lidarseg points, of nuScenes' train and val scenes: the table of the nuScenes-lidarseg page."""
STUFF = {
    "noise": 2_061_156,
    "flat.driveable_surface": 316_958_899,
    "flat.other": 8_559_216,
    "flat.sidewalk": 70_197_461,
    "flat.terrain": 70_289_730,
    "static.manmade": 178_178_063,
    "static.vegetation": 122_581_273,
    "vehicle.ego": 337_070_621,
}
"""Lidarseg points of the categories that are not objects, from the same table."""
ALL_POINTS = 1_106_713_569 + 78_942_623
"""Background and foreground in that table: 0.16 % more than the categories here, because of rare ones."""


def gather(dataset):
    """Class -> [(points, range)] of every box, and category -> points."""
    boxes_of, stuff = defaultdict(list), Counter()
    for frame_id in progress(dataset.frame_ids(), desc="count", unit="frame"):
        frame, boxes = dataset.frame(frame_id), dataset.boxes(frame_id)
        points = count_points(read_frame_points(frame).xyz_lidar_m, boxes)
        for class_id, count, center in zip(boxes.class_id, points, boxes.center_m, strict=True):
            if class_id != BACKGROUND:
                boxes_of[dataset.taxonomy.names[class_id]].append((count, np.hypot(*center[:2])))
        pack = dataset.root / "lidarseg" / dataset.version / f"{dataset.lidar_token(frame_id)}_lidarseg.bin"
        if pack.exists():
            stuff.update(Counter(np.fromfile(pack, dtype=np.uint8).tolist()))
    return boxes_of, stuff


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--version")
    args = parser.parse_args()
    dataset = NuScenes(args.root, args.version)
    frames = len(dataset.frame_ids())
    boxes_of, stuff = gather(dataset)
    nan, rows = float("nan"), []
    for name, (cuboids, points) in PUBLISHED.items():
        every = np.array(boxes_of[name], dtype=float).reshape(-1, 2)
        found = every[every[:, 0] > 0]
        median = np.median(found, axis=0).tolist() if len(found) else (nan, nan)
        mean = found[:, 0].mean() if len(found) else nan
        counts = (len(every) / frames, cuboids / KEY_FRAMES, len(found) / frames)
        rows.append((name, *counts, float(mean), points / cuboids, *median))
    rows.append(("all", *(sum(row[k] for row in rows) for k in (1, 2, 3)), *[nan] * 4))
    print(f"{args.root}: {frames} key frames; nuScenes as published")
    heads = (
        "per key frame",
        "nuScenes",
        "with a point",
        "points per box",
        "nuScenes",
        "median points",
        "median range, m",
    )
    print(text_table(("boxes", *heads), rows))
    if stuff:
        whole = sum(stuff.values())
        label = {index: points_of(name) for index, name in enumerate(CATEGORIES)}
        share = Counter()
        for index, count in stuff.items():
            share[label[index]] += 100 * count / whole
        published = {name: points for name, (_, points) in PUBLISHED.items()} | STUFF
        lines = [(name, float(share[name]), 100 * points / ALL_POINTS) for name, points in published.items()]
        lines.append(("others", float(share["others"]), 100 - sum(line[2] for line in lines)))
        print("\n" + text_table(("points, %", "here", "nuScenes"), lines))


def points_of(category):
    """Name of the row that counts the points of a category."""
    if category in STUFF:
        return category
    class_id = CLASSES.class_id(category)
    return "others" if class_id == BACKGROUND else NUSCENES.names[class_id]


if __name__ == "__main__":
    main()
