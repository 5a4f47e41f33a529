import math

import numpy as np
import pytest

from pointsam.evaluate.panoptic import PanopticAccumulator, class_quality, mean_counted, panoptic_quality
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

CAR, TRUCK, PEDESTRIAN = (NUSCENES.class_id(name) for name in ("car", "truck", "pedestrian"))


def scene(*runs):
    """Points in runs of (length, true class or None or 'void', predicted class or None), an object a run."""
    true, pred, void = [], [], []
    for i, (length, true_class, pred_class) in enumerate(runs):
        void += [true_class == "void"] * length
        for out, class_id in ((true, None if true_class == "void" else true_class), (pred, pred_class)):
            out += [(NO_INSTANCE, BACKGROUND) if class_id is None else (i, class_id)] * length
    return _labels(pred), PointTruth(_labels(true), np.array(void), "boxes")


def _labels(rows):
    table = np.array(rows)
    return PointLabels(table[:, 0].astype(np.int32), table[:, 1].astype(np.uint8))


def quality_of(labels, truth, class_id, **options):
    accumulator = PanopticAccumulator(NUSCENES, **options)
    accumulator.add(labels, truth)
    return accumulator.result().classes[class_id]


def one_object(shared, only_true, only_pred, class_id=CAR):
    """One true and one predicted object of the same class with the given points."""
    n = shared + only_true + only_pred
    true = np.arange(n) < shared + only_true
    pred = (np.arange(n) < shared) | (np.arange(n) >= shared + only_true)

    def make(member):
        return PointLabels(
            np.where(member, 0, NO_INSTANCE).astype(np.int32), np.where(member, class_id, BACKGROUND).astype(np.uint8)
        )

    return make(pred), PointTruth(make(true), np.zeros(n, bool), "boxes")


def test_iou_just_above_a_half_is_a_match():
    car = quality_of(*one_object(51, 49, 0), CAR)
    assert (car.tp, car.fp, car.fn) == (1, 0, 0)
    assert car.pq == pytest.approx(0.51)


def test_iou_of_exactly_a_half_is_a_miss_and_a_false_alarm():
    car = quality_of(*one_object(50, 50, 0), CAR)
    assert (car.tp, car.fp, car.fn, car.pq) == (0, 1, 1, 0.0)


def test_pq_is_sq_times_rq():
    car = quality_of(*scene((20, CAR, CAR), (20, CAR, None), (20, None, CAR), (20, None, CAR)), CAR)
    assert (car.tp, car.fp, car.fn) == (1, 2, 1)
    assert (car.sq, car.rq, car.pq) == pytest.approx((1.0, 1 / 2.5, 1 / 2.5))


def test_the_right_object_of_the_wrong_class_is_wrong_in_both():
    labels, truth = scene((20, CAR, TRUCK))
    assert quality_of(labels, truth, CAR).fn == 1
    assert quality_of(labels, truth, TRUCK).fp == 1


def test_unmatched_segments_below_min_points_count_neither_way():
    labels, truth = scene((14, CAR, None), (14, None, TRUCK), (15, CAR, None), (15, None, TRUCK))
    assert quality_of(labels, truth, CAR).fn == 1
    assert quality_of(labels, truth, TRUCK).fp == 1


def test_a_match_of_a_single_point_counts():
    assert quality_of(*scene((1, PEDESTRIAN, PEDESTRIAN)), PEDESTRIAN).tp == 1


def test_points_over_void_neither_help_nor_hurt():
    labels, truth = scene((40, "void", CAR), (20, CAR, CAR))
    assert quality_of(labels, truth, CAR).fp == 0
    assert quality_of(labels, truth, CAR).pq == 1.0


def test_points_over_true_background_cost_iou():
    assert quality_of(*one_object(30, 0, 10), CAR).sq == pytest.approx(0.75)


def test_a_class_never_counted_is_nan_and_not_in_the_mean():
    accumulator = PanopticAccumulator(NUSCENES)
    accumulator.add(*scene((20, CAR, CAR), (20, TRUCK, None)))
    result = accumulator.result()
    assert [c.name for c in result.classes if not math.isnan(c.pq)] == ["car", "truck"]
    assert (result.pq, result.sq, result.rq) == pytest.approx((0.5, 0.5, 0.5))
    assert (result.num_frames, result.min_points) == (1, 15)
    absent = result.classes[PEDESTRIAN]
    assert (absent.tp, absent.fp, absent.fn, absent.iou_sum) == (0, 0, 0, 0.0)


def test_nothing_added_is_nan():
    assert math.isnan(PanopticAccumulator(NUSCENES).result().pq)


def test_quality_of_counts_is_that_of_the_accumulator():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, (7, 4, 10)).astype(float)
    counts[:, 3] = counts[:, 0] * 0.8
    counts[:, :, 3] = 0  # a class that never occurs
    expected = [mean_counted([class_quality("", case[:3, k], case[3, k]).pq for k in range(10)]) for case in counts]
    assert panoptic_quality(counts) == pytest.approx(expected)
