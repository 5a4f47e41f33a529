"""What a nuScenes root is full of, beside what nuScenes has published of itself.

Per class: boxes that hold a LiDAR point, by key frame; points by box; and where the points of a sweep lie.

    python scripts/world_statistics.py WORLD
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from pipelines.progress import progress
from pipelines.tables import text_table
from pointsam.datasets.io import read_points
from pointsam.datasets.nuscenes import NuScenes
from pointsam.geometry.boxes import count_points
from pointsam.synth.annotate import CATEGORIES
from pointsam.taxonomy import BACKGROUND

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
"""Cuboids and lidarseg points of nuScenes' train and val scenes, from the table of the nuScenes-lidarseg page."""
STUFF = {
    "flat.driveable_surface": 316_958_899,
    "flat.other": 8_559_216,
    "flat.sidewalk": 70_197_461,
    "flat.terrain": 70_289_730,
    "static.manmade": 178_178_063,
    "static.vegetation": 122_581_273,
    "vehicle.ego": 337_070_621,
}
"""Lidarseg points of the categories that are no objects, from the same table."""
ALL_POINTS = 1_106_713_569 + 78_942_623


def gather(dataset):
    """Class -> [(points, range)] of every box with a point, and category -> points."""
    boxes_of, stuff = defaultdict(list), Counter()
    for frame_id in progress(dataset.frame_ids(), desc="count", unit="frame"):
        frame, boxes = dataset.frame(frame_id), dataset.boxes(frame_id)
        points = count_points(read_points(frame.sweep), boxes)
        for class_id, count, center in zip(boxes.class_id, points, boxes.center_m, strict=True):
            if class_id != BACKGROUND and count:
                boxes_of[dataset.taxonomy.names[class_id]].append((count, np.hypot(*center[:2])))
        pack = dataset.root / "lidarseg" / dataset.version / f"{dataset.lidar_token(frame_id)}_lidarseg.bin"
        if pack.exists():
            stuff.update(Counter(np.fromfile(pack, dtype=np.uint8).tolist()))
    return boxes_of, stuff


def main():
    """Parse, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--version")
    args = parser.parse_args()
    dataset = NuScenes(args.root, args.version)
    frames = len(dataset.frame_ids())
    boxes_of, stuff = gather(dataset)
    rows = []
    for name, (boxes, points) in PUBLISHED.items():
        found = np.array(boxes_of[name] or [(np.nan, np.nan)], dtype=float)
        here = (len(boxes_of[name]) / frames, boxes / KEY_FRAMES, found[:, 0].mean(), points / boxes)
        rows.append((name, *here, float(np.median(found[:, 0])), float(np.median(found[:, 1]))))
    totals = (sum(map(len, boxes_of.values())), sum(boxes for boxes, _ in PUBLISHED.values()))
    rows.append(("all", totals[0] / frames, totals[1] / KEY_FRAMES, *[float("nan")] * 4))
    print(f"{args.root}: {frames} key frames; nuScenes as published")
    heads = ("a key frame", "nuScenes", "points a box", "nuScenes", "median points", "median range, m")
    print(text_table(("boxes with a point", *heads), rows))
    if stuff:
        names, whole = dict(enumerate(CATEGORIES)), sum(stuff.values())
        share = {names[index]: 100 * count / whole for index, count in stuff.items()}
        lines = [(name, share.get(name, 0.0), 100 * points / ALL_POINTS) for name, points in STUFF.items()]
        print("\n" + text_table(("points, %", "here", "nuScenes"), lines))


if __name__ == "__main__":
    main()
