"""Time growth: milliseconds of CPU time per frame on one core, with the share of its ground removal.

    python scripts/bench_grow.py ROOT=OUT [ROOT=OUT ...] [--frames N]

OUT holds labels of ROOT made with `--set clusters.grow.enabled=false --set clusters.limit.enabled=false`. The limit of
a cluster's length is part of the time.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import pointsam
from pointsam.base.tables import text_table
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.ground import height_above_ground_m
from pointsam.stages.grow import GrowConfig, grow
from pointsam.stages.limit import LimitConfig, limit


def measure(root, out, frames):
    """One row of the table."""
    dataset, labels = pointsam.open_dataset(root), pointsam.Labels(out)
    milliseconds, ground, points, added = [], [], [], []
    for frame_id in labels.frame_ids()[:frames]:
        frame, found = dataset.frame(frame_id), labels.labels(frame_id)
        xyz, mount = read_frame_points(frame).xyz_lidar_m, frame.sweep.ego_SE3_lidar
        start = time.process_time()
        height_above_ground_m(mount.apply(xyz))
        middle = time.process_time()
        limited = limit(xyz, mount, found.labels, labels.taxonomy, LimitConfig(enabled=True))
        _, grown = grow(xyz, mount, limited, labels.taxonomy, GrowConfig(enabled=True))
        milliseconds.append(1e3 * (time.process_time() - middle))
        ground.append(1e3 * (middle - start))
        points.append(len(xyz))
        added.append(int(grown.sum()))
    medians = (float(np.median(one)) for one in (points, added, ground, milliseconds))
    return (Path(root).name, len(points), *medians, max(milliseconds))


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="ROOT=OUT")
    parser.add_argument("--frames", type=int, default=20)
    args = parser.parse_args()
    rows = [measure(*one.split("="), args.frames) for one in args.folders]
    header = ("data", "frames", "points", "added", "ground ms", "all ms", "slowest ms")
    print(text_table(header, rows))


if __name__ == "__main__":
    main()
