"""Speed and memory of the scoring of `pointsam-label eval` over many frames, without the time to read them.

    python scripts/bench_eval.py WORLD --frames 100
    python scripts/bench_eval.py WORLD --frames 5000

The frames of WORLD, any root with ground truth, are scored repeatedly. Labels are the ground truth without a fifth of
the objects and a tenth of the points. Memory is the growth of the process since the first hundred frames.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from pointsam.datasets import open_dataset
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.judge import Judge
from pointsam.stages.summarize import summarize
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, FrameLabels, FrameRow, PointLabels

_WARM, _DIFFERENT = 100, 20


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--frames", type=int, default=1000)
    args = parser.parse_args()
    dataset = open_dataset(args.world)
    frame_ids = dataset.frame_ids()[:_DIFFERENT]
    truths = [dataset.point_truth(frame_id) for frame_id in frame_ids]
    labels = [
        worse(dataset, frame_id, truth, k) for k, (frame_id, truth) in enumerate(zip(frame_ids, truths, strict=True))
    ]
    cameras = tuple(view.name for view in dataset.frame(frame_ids[0]).cameras)
    judge = Judge(dataset, dataset.taxonomy, cameras)
    began, warm_kb = time.perf_counter(), 0
    for k in range(args.frames):
        judge.add(labels[k % len(labels)], truths[k % len(labels)])
        if k + 1 == min(_WARM, args.frames):
            warm_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - began
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{args.frames} frames, PQ {judge.result().panoptic.pq:.3f}: {1e3 * seconds / args.frames:.1f} ms per frame")
    print(f"largest memory {peak_kb / 1e3:.0f} MB, {(peak_kb - warm_kb) / 1e3:.1f} MB of it after frame {_WARM}")


def worse(dataset, frame_id, truth, seed):
    """Ground truth without a fifth of the objects and a tenth of the points, as labels of a run."""
    rng = np.random.default_rng(seed)
    ids = truth.labels.instance_id
    lost = rng.random(int(ids.max(initial=0)) + 2) < 0.2
    gone = (ids == NO_INSTANCE) | lost[ids] | (rng.random(len(ids)) < 0.1)
    left = PointLabels(
        np.where(gone, np.int32(NO_INSTANCE), ids), np.where(gone, np.uint8(BACKGROUND), truth.labels.class_id)
    )
    left, clusters = summarize(read_frame_points(dataset.frame(frame_id)).xyz_lidar_m, left, [], dataset.taxonomy)
    none = np.zeros(len(ids), dtype=np.uint8)
    return FrameLabels(FrameRow(frame_id, "", 0, len(ids), len(clusters)), left, none, none, none > 0, clusters)


if __name__ == "__main__":
    main()
