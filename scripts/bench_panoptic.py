"""PanopticAccumulator against nuscenes-devkit's PanopticEval.addBatch on the same sweeps, in one run.

Sweeps have 34,720 points (nuScenes) and 60 true objects on a fifth of them; the prediction has shifted borders, a tenth
of the points removed, and confused classes. Both are run in turn on each sweep, and their counts must agree. Memory is
that of the accumulator, and the peak of one `add`.
"""

import argparse
import time
import tracemalloc

import numpy as np
from nuscenes.eval.panoptic.panoptic_seg_evaluator import PanopticEval

from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

NUM_CLASSES = len(NUSCENES.classes)
IGNORE, STUFF = 0, NUM_CLASSES + 1


def sweep(rng: np.random.Generator, num_points: int, num_objects: int) -> tuple[PointLabels, PointTruth]:
    """A prediction and its ground truth."""
    cuts = np.sort(rng.integers(0, num_points, 5 * num_objects - 1))
    run = np.searchsorted(cuts, np.arange(num_points), side="right")
    is_object = rng.permutation(5 * num_objects) < num_objects
    classes = rng.integers(0, NUM_CLASSES, 5 * num_objects)
    confused = np.where(rng.random(classes.size) < 0.1, rng.integers(0, NUM_CLASSES, classes.size), classes)
    moved = np.roll(run, int(rng.integers(0, 5)))
    truth = labels(run, classes[run], ~is_object[run])
    pred = labels(moved, confused[moved], ~is_object[moved] | (rng.random(num_points) < 0.1))
    return pred, PointTruth(truth, rng.random(num_points) < 0.02, "panoptic")


def labels(instance_id: np.ndarray, class_id: np.ndarray, background: np.ndarray) -> PointLabels:
    """PointLabels with background filled in."""
    return PointLabels(
        np.where(background, NO_INSTANCE, instance_id).astype(np.int32),
        np.where(background, BACKGROUND, class_id).astype(np.uint8),
    )


def devkit_rows(one: PointLabels) -> tuple[np.ndarray, np.ndarray]:
    """Classes from 1, with the background of the ground truth as a stuff class; built before timing."""
    semantic = np.where(one.class_id == BACKGROUND, STUFF, one.class_id.astype(np.int64) + 1)
    return semantic, one.instance_id.astype(np.int64) + 1


def main() -> None:
    """Print milliseconds per sweep of both, their ratio and the memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=500)
    parser.add_argument("--points", type=int, default=34_720)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    ours = PanopticAccumulator(NUSCENES)
    theirs = PanopticEval(STUFF + 1, ignore=[IGNORE], min_points=15)
    seconds_ours = seconds_theirs = 0.0
    for _ in range(args.sweeps):
        pred, truth = sweep(rng, args.points, 60)
        x, y = devkit_rows(pred), devkit_rows(truth.labels)
        y = np.where(truth.void, IGNORE, y[0]), y[1]
        start = time.perf_counter()
        ours.add(pred, truth)
        between = time.perf_counter()
        theirs.addBatch(*x, *y)
        seconds_ours += between - start
        seconds_theirs += time.perf_counter() - between

    for field, counts in (("tp", theirs.pan_tp), ("fp", theirs.pan_fp), ("fn", theirs.pan_fn)):
        assert [getattr(c, field) for c in ours.result().classes] == counts[1:STUFF].tolist(), field

    tracemalloc.start()
    held = PanopticAccumulator(NUSCENES)
    held.add(pred, truth)
    after_one = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(50):
        held.add(pred, truth)
    after_many, peak = tracemalloc.get_traced_memory()
    ratio = seconds_theirs / seconds_ours
    print(f"{args.sweeps} sweeps of {args.points} points, equal counts, PQ {ours.result().pq:.4f}")
    print(f"devkit   {1e3 * seconds_theirs / args.sweeps:6.2f} ms per sweep")
    print(f"pointsam {1e3 * seconds_ours / args.sweeps:6.2f} ms per sweep, {ratio:.1f} times as fast")
    print(
        f"memory after 1 sweep {after_one / 1e3:.1f} kB, after 51 {after_many / 1e3:.1f} kB; peak {peak / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
