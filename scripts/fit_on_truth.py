"""Quality of boxes fitted to clusters: IoU with ground-truth boxes, by class and range.

python scripts/fit_on_truth.py WORLD                    # fitted to the ground-truth points of every object
python scripts/fit_on_truth.py WORLD --labels OUT       # fitted to the clusters of a labelling run

Objects have at least five points. A cluster is compared with the ground-truth box that holds most of its points, if
there is one. IoU is exact, in bird's-eye view.
"""

import argparse
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.datasets import open_dataset
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import box_members, corners
from pointsam.geometry.fit import fit_boxes
from pointsam.store.reader import Labels

RANGES_M, MIN_POINTS = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 100)), 5


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--split", default="val", help="split to use without --labels")
    args = parser.parse_args()
    dataset = open_dataset(args.world)
    labels = Labels(args.labels) if args.labels else None
    frame_ids = labels.frame_ids() if labels else dataset.frame_ids(args.split)
    rows = []
    for frame_id in progress(frame_ids, desc="fit", unit="frame"):
        boxes = dataset.boxes(frame_id)
        found = labels.labels(frame_id).labels if labels else dataset.point_truth(frame_id).labels
        if boxes is not None and len(found):
            rows += compared(read_frame_points(dataset.frame(frame_id)).xyz_lidar_m, found, boxes, dataset.taxonomy)
    class_id, range_m, iou, turn = np.array(rows).T
    table = []
    for k, name in enumerate((*dataset.taxonomy.names, "all")):
        ours = class_id == k if name != "all" else np.ones(len(class_id), dtype=bool)
        bins = [mean(iou[ours & (range_m >= low) & (range_m < high)]) for low, high in RANGES_M]
        table.append((name, int(ours.sum()), mean(iou[ours]), *bins, mean(turn[ours] > 10)))
    ranges = [f"{low}-{high} m" for low, high in RANGES_M]
    print(text_table(("class", "boxes", "IoU", *ranges, "off by 10 deg."), table))


def compared(xyz, found, boxes, taxonomy):
    """(class, range, IoU, difference of heading in degrees) of every fitted box with a ground-truth box."""
    fitted = fit_boxes(xyz, found, taxonomy)
    ids = np.array([int(token) for token in fitted.token], dtype=int)
    point, box = box_members(xyz, boxes)
    ours = found.instance_id[point] >= 0
    shared = np.zeros((len(fitted), len(boxes)), dtype=int)
    np.add.at(shared, (np.searchsorted(ids, found.instance_id[point[ours]]), box[ours]), 1)
    sizes = np.bincount(found.instance_id[found.instance_id >= 0], minlength=ids.max(initial=0) + 1)[ids]
    rows = []
    for k in np.flatnonzero((sizes >= MIN_POINTS) & shared.any(axis=1)):
        true = int(shared[k].argmax())
        a, b = (Polygon(corners(some)[j][[0, 2, 6, 4], :2]) for some, j in ((fitted, k), (boxes, true)))
        ahead = [some.rotation[j][:2, 0] for some, j in ((fitted, k), (boxes, true))]
        turn = np.degrees(np.arccos(min(1.0, abs(float(ahead[0] @ ahead[1])))))
        overlap = a.intersection(b).area / a.union(b).area
        rows.append((fitted.class_id[k], np.linalg.norm(boxes.center_m[true][:2]), overlap, turn))
    return rows


def mean(values):
    """Mean, NaN for no values."""
    return float(np.mean(values)) if len(values) else float("nan")


if __name__ == "__main__":
    main()
