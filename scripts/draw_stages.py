"""Draw what tracks or second looks changed: objects that they saved, and what they spoiled.

    python scripts/draw_stages.py OUT DATA --stage tracks --dest DIR

An object of at least five points is found if a cluster of its class has an IoU above 0.5 with it. Saved are objects
that only the labels of the stage find. Spoiled are objects that only the single-frame labels find, and clusters of at
least five points which the stage added (most of their points had no label) and which find no object.

DIR/saved.png and DIR/spoiled.png have the cases with most points, before and after: the image around their points, or
the points from above where no camera sees them. Points of the object are green where a cluster finds it; points of
other clusters are orange, points without a label grey. The numbers of all cases are printed, and the cases drawn.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.opened import open_run
from pointsam.base.tables import text_table
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS
from pointsam.evaluate.overlap import overlaps
from pointsam.geometry.projection import project
from pointsam.report.strip import draw_crop, strip
from pointsam.report.style import GROUND, INK, UNLABELLED
from pointsam.store.reader import Labels
from pointsam.types import NO_INSTANCE

FOUND_IOU = 0.5
RIGHT, OTHER = np.array([(70, 220, 110), (255, 150, 40)], dtype=np.uint8)
PX_OF_M, MARGIN_M = 24.0, 2.0


@dataclass(frozen=True, eq=False)
class Case:
    """An object, or a cluster of no object.

    Args:
        frame_id: its frame.
        what: its class, and whether it is an object or a cluster.
        at: (K,) indices of its points.
        before, after: IoU of the cluster of its class that covers it best.
    """

    frame_id: str
    what: str
    at: np.ndarray
    before: float
    after: float


def found_iou(seen):
    """(T,) best IoU of each true segment with a cluster of its class, and (P,) of each cluster with any object."""
    objects, clusters = np.zeros(len(seen.true_id)), np.zeros(len(seen.pred_id))
    same = seen.pred_class[seen.pred_index] == seen.true_class[seen.true_index]
    np.maximum.at(objects, seen.true_index[same], seen.iou[same])
    np.maximum.at(clusters, seen.pred_index, seen.iou)
    return objects, clusters


def cases(run, first, frame_id):
    """(saved, spoiled) of a frame."""
    truth = run.truth.point_truth(frame_id)
    if truth is None:
        return [], []
    truth = truth.of_points(read_frame_points(run.truth.frame(frame_id)).present)
    taxonomy = run.labels.taxonomy
    before, after = (overlaps(one.labels(frame_id).labels, truth, taxonomy) for one in (first, run.labels))
    (was, _), (now, clusters) = found_iou(before), found_iou(after)
    saved, spoiled = [], []
    for t in np.flatnonzero((after.true_size >= MIN_POINTS_OBJECTS) & ((was > FOUND_IOU) != (now > FOUND_IOU))):
        case = Case(
            frame_id, taxonomy.names[after.true_class[t]], np.flatnonzero(after.true_of_point == t), was[t], now[t]
        )
        (saved if now[t] > FOUND_IOU else spoiled).append(case)
    for p in np.flatnonzero((after.pred_size >= MIN_POINTS_OBJECTS) & (clusters <= FOUND_IOU)):
        at = after.pred_at[after.pred_of == p]
        if np.mean(before.pred_of_point[at] == NO_INSTANCE) > 0.5:
            spoiled.append(Case(frame_id, f"{taxonomy.names[after.pred_class[p]]}, no object", at, 0.0, clusters[p]))
    return saved, spoiled


def draw(run, first, case):
    """The case before and after, side by side."""
    frame = run.dataset.frame(case.frame_id)
    xyz = read_frame_points(frame).xyz_lidar_m[case.at]
    view, best = max(((view, project(xyz, frame, view)) for view in frame.cameras), key=lambda one: one[1].valid.sum())
    if best.valid.any():
        image, uv, shown = read_image(view.source), best.uv_px[best.valid], best.valid
    else:
        low, high = xyz[:, :2].min(axis=0) - MARGIN_M, xyz[:, :2].max(axis=0) + MARGIN_M
        width, height = np.ceil((high - low) * PX_OF_M).astype(int)
        image = np.full((height, width, 3), GROUND, dtype=np.uint8)
        uv, shown = (xyz[:, :2] - low) * PX_OF_M * (1, -1) + (0, height), np.ones(len(xyz), bool)
    place = view.name if best.valid.any() else "from above"
    tiles = []
    for name, labels, iou in (("before", first, case.before), ("after", run.labels, case.after)):
        its = labels.labels(case.frame_id).labels.instance_id[case.at]
        ids, counts = np.unique(its[its != NO_INSTANCE], return_counts=True)
        main = ids[counts.argmax()] if iou > FOUND_IOU else NO_INSTANCE
        rgb = np.where((its == NO_INSTANCE)[:, None], np.array(UNLABELLED, np.uint8), OTHER)
        rgb[(its == main) & (its != NO_INSTANCE)] = RIGHT
        lines = [f"{name}: IoU {iou:.2f}", f"{case.what}, {len(xyz)} points, {place}"]
        tiles.append(draw_crop(image, uv, rgb[shown], lines, INK))
    return tiles


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--stage", choices=("looks", "tracks"), required=True)
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--most", type=int, default=10, help="largest number of cases in a picture  [default: 10]")
    args = parser.parse_args()
    run, first = open_run(args.out, args.data, stage=args.stage), Labels(args.out)
    frame_ids = [frame.frame_id for frame in run.labels.frames() if frame.status == "ok"]
    found = [cases(run, first, frame_id) for frame_id in frame_ids]
    args.dest.mkdir(parents=True, exist_ok=True)
    for name, listed in zip(("saved", "spoiled"), zip(*found, strict=True), strict=True):
        its = sorted((case for of_frame in listed for case in of_frame), key=lambda case: -len(case.at))
        print(f"{name}: {len(its)}")
        if its:
            shown = its[: args.most]
            rows = [(case.frame_id, case.what, len(case.at), case.before, case.after) for case in shown]
            print(text_table(("frame", "class", "points", "IoU before", "after"), rows))
            tiles = [tile for case in shown for tile in draw(run, first, case)]
            strip(tiles).save(args.dest / f"{name}.png")


if __name__ == "__main__":
    main()
