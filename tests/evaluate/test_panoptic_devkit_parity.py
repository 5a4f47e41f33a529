"""PanopticAccumulator against nuscenes-devkit's PanopticEval on random scenes."""

import math

import numpy as np
import pytest

from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

devkit = pytest.importorskip("nuscenes.eval.panoptic.panoptic_seg_evaluator")

NUM_CLASSES = len(NUSCENES.classes)
IGNORE, STUFF = 0, NUM_CLASSES + 1  # the devkit's classes: 0 void, 1..10 things, 11 true background that is not void


def random_scene(rng, num_points):
    """Truth in contiguous runs of wild sizes; the prediction shifts, splits, merges and relabels them."""
    cuts = np.sort(rng.integers(0, num_points, rng.integers(0, 60)))
    segment = np.searchsorted(cuts, np.arange(num_points), side="right")
    ids = rng.choice(rng.choice([100, 2**31 - 1]), segment.max() + 1, replace=False)
    classes = rng.integers(0, NUM_CLASSES, len(ids))
    background = rng.random(len(ids)) < 0.3
    true = _labels(ids[segment], classes[segment], background[segment])

    moved = np.roll(segment, int(rng.integers(0, 8)))
    renamed = np.where(rng.random(len(ids)) < 0.2, rng.permutation(ids), ids)
    reclassed = np.where(rng.random(len(ids)) < 0.2, rng.integers(0, NUM_CLASSES, len(ids)), classes)
    hidden = np.where(rng.random(len(ids)) < 0.1, ~background, background)
    dropped = rng.random(num_points) < rng.choice([0.0, 0.1, 0.5])
    pred = _labels(renamed[moved], reclassed[moved], hidden[moved] | dropped)
    void = (rng.random(len(ids)) < 0.1)[segment] | (rng.random(num_points) < 0.02)
    return pred, PointTruth(true, void, "panoptic")


def _labels(instance_id, class_id, background):
    return PointLabels(
        np.where(background, NO_INSTANCE, instance_id).astype(np.int32),
        np.where(background, BACKGROUND, class_id).astype(np.uint8),
    )


def devkit_rows(labels):
    semantic = np.where(labels.class_id == BACKGROUND, STUFF, labels.class_id.astype(np.int64) + 1)
    return semantic, labels.instance_id.astype(np.int64) + 1  # the devkit adds 1 and drops 0


@pytest.mark.parametrize("min_points", [1, 15])
@pytest.mark.parametrize("seed", range(2))
def test_counts_and_ratios_equal_the_devkits(seed, min_points):
    rng = np.random.default_rng(seed)
    ours = PanopticAccumulator(NUSCENES, min_points)
    theirs = devkit.PanopticEval(STUFF + 1, ignore=[IGNORE], min_points=min_points)
    for _ in range(15):
        labels, truth = random_scene(rng, int(rng.choice([1, 40, 1500, 1500])))
        ours.add(labels, truth)
        pred_class, pred_instance = devkit_rows(labels)
        true_class, true_instance = devkit_rows(truth.labels)
        true_class = np.where(truth.void, IGNORE, true_class)
        theirs.addBatch(pred_class, pred_instance, true_class, true_instance)

    result = ours.result()
    things = slice(1, STUFF)
    for field, counts in (("tp", theirs.pan_tp), ("fp", theirs.pan_fp), ("fn", theirs.pan_fn)):
        assert [getattr(c, field) for c in result.classes] == counts[things].tolist()
    assert sum(c.tp for c in result.classes) > 20
    np.testing.assert_allclose([c.iou_sum for c in result.classes], theirs.pan_iou[things], rtol=0, atol=1e-9)
    for field, ratios in zip(("pq", "sq", "rq"), theirs.getPQ()[3:], strict=True):
        np.testing.assert_allclose([getattr(c, field) for c in result.classes], ratios[things], rtol=0, atol=1e-9)


def test_the_devkit_takes_absent_classes_into_its_mean_as_zero():
    car = _labels(np.zeros(20), np.zeros(20), np.zeros(20, bool))
    ours, theirs = PanopticAccumulator(NUSCENES), devkit.PanopticEval(STUFF + 1, ignore=[IGNORE], min_points=15)
    ours.add(car, PointTruth(car, np.zeros(20, bool), "panoptic"))
    theirs.addBatch(*devkit_rows(car), *devkit_rows(car))
    assert ours.result().pq == 1.0
    assert theirs.getPQ()[0] == pytest.approx(1 / STUFF)
    assert math.isnan(ours.result().classes[1].pq)
