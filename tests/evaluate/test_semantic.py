"""IoU of points by class, against sets."""

import math

import numpy as np
import pytest

from pointsam.evaluate.semantic import SemanticAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth


def labels(class_id):
    class_id = np.asarray(class_id, dtype=np.uint8)
    return PointLabels(np.where(class_id == BACKGROUND, NO_INSTANCE, 0).astype(np.int32), class_id)


def test_iou_is_that_of_sets_over_all_sweeps_void_points_left_out(rng_of):
    rng = rng_of(1)
    accumulator = SemanticAccumulator(NUSCENES)
    rows = []
    for _ in range(3):
        true, pred = (rng.choice([0, 1, 2, BACKGROUND], 500) for _ in range(2))
        void = rng.random(500) < 0.2
        accumulator.add(labels(pred), PointTruth(labels(true), void, "boxes"))
        rows.append(np.stack([true, pred])[:, ~void])
    true, pred = np.concatenate(rows, axis=1)
    result = accumulator.result()
    for k in (0, 1, 2):
        assert result.iou[k] == pytest.approx(((true == k) & (pred == k)).sum() / ((true == k) | (pred == k)).sum())
    assert result.mean_iou == pytest.approx(np.mean(result.iou[:3]))
    assert np.sum(result.confusion) == len(true)
    assert result.confusion[0][-1] == ((true == 0) & (pred == BACKGROUND)).sum()


def test_a_class_that_neither_has_is_nan():
    accumulator = SemanticAccumulator(NUSCENES)
    accumulator.add(labels([0, 0, 255]), PointTruth(labels([0, 255, 255]), np.zeros(3, dtype=bool), "boxes"))
    result = accumulator.result()
    assert (result.iou[0], result.mean_iou) == (0.5, 0.5)
    assert math.isnan(result.iou[1])
