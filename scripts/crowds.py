"""Objects that stand close to others of their class: what each of several labels of one data set covers of them.

    python scripts/crowds.py ROOT OUT [OUT ...] [--gap 1.0]

An object with at least five points stands in a crowd if a point of another object of its class is closer than the gap,
in metres. The figures are the mean of the best IoU with any cluster, and the share of the objects with an IoU above
0.5. Differences are to the first OUT, with 95 % of the bootstrap draws over scenes, in which every draw has the same
scenes for all OUT.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from pipelines.data import DataSpec
from pointsam.base.tables import Table, format_value
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.bootstrap import interval, times_drawn
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.paired import DRAWS


def gaps(xyz_m, object_of, class_of):
    """(T,) distance of each object to the nearest point of another object of its class, metres."""
    gap = np.full(len(class_of), np.inf)
    for class_id in np.unique(class_of):
        mine = np.flatnonzero((object_of >= 0) & (class_of[object_of] == class_id))
        for one in np.unique(object_of[mine]):
            own = object_of[mine] == one
            if not own.all():
                distance, _ = cKDTree(xyz_m[mine[~own]]).query(xyz_m[mine[own]])
                gap[one] = distance.min()
    return gap


def objects_of(dataset, outs):
    """(frame_id, object) -> (scene, class, gap), and (frame_id, object) -> IoU for each OUT."""
    about, ious = {}, []
    for out in outs:
        verdicts = []
        evaluate_labels(out, dataset, on_verdict=verdicts.append)
        ious.append({})
        for one in verdicts:
            seen = one.seen
            if out == outs[0]:
                xyz_m = read_frame_points(dataset.frame(one.frame_id)).xyz_lidar_m
                gap = gaps(xyz_m, seen.true_of_point, seen.true_class)
                scene = dataset.scene(one.frame_id)
            for k in np.flatnonzero(seen.true_size >= MIN_POINTS_OBJECTS):
                key = one.frame_id, int(seen.true_id[k])
                ious[-1][key] = one.object_iou[k]
                if out == outs[0]:
                    about[key] = scene, one.class_names[seen.true_class[k]], gap[k]
    return about, ious


def rows_of(values, scenes):
    """(OUT, IoU, difference, found, difference) from (N,V) IoU of N objects and their scenes."""
    names, unit = np.unique(scenes, return_inverse=True)
    figures = np.stack([values, values > 0.5], axis=2)
    totals = np.zeros((len(names), *figures.shape[1:]))
    np.add.at(totals, unit, figures)
    drawn = times_drawn(len(names), DRAWS, "crowds")
    count = drawn @ np.bincount(unit)
    draws = np.tensordot(drawn, totals, axes=1)[count > 0] / count[count > 0, None, None]
    for v in range(values.shape[1]):
        row = []
        for f in range(2):
            row.append(format_value(float(figures[:, v, f].mean())))
            minus = float((figures[:, v, f] - figures[:, 0, f]).mean())
            low, high = interval(draws[:, v, f] - draws[:, 0, f])
            row.append(f"{minus:+.3f} [{low:+.3f}, {high:+.3f}]" if v else "")
        yield row


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("outs", type=Path, nargs="+")
    parser.add_argument("--gap", type=float, default=1.0)
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    about, ious = objects_of(DataSpec(args.root).open(), args.outs)
    groups = defaultdict(list)
    for key, (_, name, gap) in about.items():
        if all(key in one for one in ious):
            groups[name, gap < args.gap].append(key)
    table = []
    for (name, crowded), keys in sorted(groups.items()):
        values = np.array([[one[key] for one in ious] for key in keys])
        scenes = [about[key][0] for key in keys]
        where = "crowd" if crowded else "alone"
        for out, row in zip(args.outs, rows_of(values, scenes), strict=True):
            table.append((name, where, len(keys), out.name, *row))
    header = ("class", "where", "objects", "labels", "IoU", "minus the first", "found", "minus the first")
    page = Table(f"{args.root.name}: gap {args.gap:g} m", header, table)
    print(page.markdown() if args.markdown else page.text())


if __name__ == "__main__":
    main()
