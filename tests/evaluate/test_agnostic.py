import math

import numpy as np
import pytest

from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

CAR, TRUCK = NUSCENES.class_id("car"), NUSCENES.class_id("truck")
NONE = (NO_INSTANCE, BACKGROUND)


def sweep(*runs):
    """Points in runs of (length, predicted (instance, class), true (instance, class) or 'void')."""
    pred = [run[1] for run in runs for _ in range(run[0])]
    true = [run[2] for run in runs for _ in range(run[0])]
    void = np.array([t == "void" for t in true])
    return _labels(pred), PointTruth(_labels([NONE if t == "void" else t for t in true]), void, "boxes")


def _labels(rows):
    table = np.array(rows).reshape(-1, 2)
    return PointLabels(table[:, 0].astype(np.int32), table[:, 1].astype(np.uint8))


def result_of(*runs):
    accumulator = AgnosticAccumulator(NUSCENES)
    accumulator.add(*sweep(*runs))
    return accumulator.result()


def test_the_best_cluster_speaks_for_an_object():
    result = result_of((6, (0, CAR), (0, CAR)), (4, (1, CAR), (0, CAR)))
    assert result.overall.mean_iou == pytest.approx(0.6)
    assert result.overall.recall == 1.0


def test_the_best_object_speaks_for_a_cluster():
    result = result_of((6, (0, CAR), (0, CAR)), (4, (0, CAR), (1, CAR)))
    assert (result.overall.num_clusters, result.overall.precision) == (1, 1.0)


def test_the_class_does_not_matter():
    result = result_of((10, (0, TRUCK), (0, CAR)))
    assert (result.overall.mean_iou, result.overall.precision) == (1.0, 1.0)


def test_by_class_objects_go_with_truth_and_clusters_with_prediction():
    result = result_of((10, (0, TRUCK), (0, CAR)))
    car, truck = result.classes[CAR], result.classes[TRUCK]
    assert (car.num_objects, car.num_clusters, car.recall) == (1, 0, 1.0)
    assert (truck.num_objects, truck.num_clusters, truck.precision) == (0, 1, 1.0)


def test_an_object_nobody_found_has_iou_zero():
    result = result_of((10, (0, CAR), (0, CAR)), (10, NONE, (1, CAR)))
    assert (result.overall.mean_iou, result.overall.recall) == (0.5, 0.5)


def test_an_iou_of_exactly_a_half_is_not_found():
    result = result_of((5, (0, CAR), (0, CAR)), (5, NONE, (0, CAR)))
    assert (result.overall.num_clusters, result.overall.recall, result.overall.precision) == (1, 0.0, 0.0)


def test_sweeps_are_summed():
    accumulator = AgnosticAccumulator(NUSCENES, min_points=3)
    accumulator.add(*sweep((3, (0, CAR), (0, CAR)), (2, (7, TRUCK), NONE)))
    accumulator.add(*sweep((3, (0, CAR), (0, TRUCK)), (1, (0, CAR), NONE), (3, NONE, (1, CAR))))
    result = accumulator.result()
    assert (result.num_frames, result.min_points) == (2, 3)
    assert (result.point_precision, result.point_recall) == pytest.approx((6 / 9, 6 / 9))
    car, truck = result.classes[CAR], result.classes[TRUCK]
    assert (car.name, car.num_objects, car.num_clusters, car.mean_iou, car.recall) == ("car", 2, 2, 0.5, 0.5)
    assert (truck.num_objects, truck.num_clusters, truck.mean_iou, truck.recall) == (1, 0, 0.75, 1.0)
    assert (car.precision, math.isnan(truck.precision)) == (1.0, True)
    assert result.overall.mean_iou == pytest.approx(1.75 / 3)


def test_objects_below_min_points_are_not_asked_for():
    result = result_of((4, NONE, (0, CAR)), (5, (1, CAR), (1, CAR)))
    assert (result.overall.num_objects, result.overall.recall) == (1, 1.0)


def test_a_cluster_may_be_right_about_an_object_below_min_points():
    result = result_of((4, (0, CAR), (0, CAR)), (1, (0, CAR), NONE))
    assert (result.overall.num_objects, result.overall.precision) == (0, 1.0)


def test_clusters_of_void_or_few_points_are_not_counted():
    result = result_of((30, (0, CAR), "void"), (4, (0, CAR), NONE), (4, (1, CAR), NONE))
    assert result.overall.num_clusters == 0
    assert math.isnan(result.overall.precision)


def test_point_shares_are_of_the_foreground_without_void():
    result = result_of((6, (0, CAR), (0, CAR)), (2, (0, CAR), NONE), (4, NONE, (1, CAR)), (9, (0, CAR), "void"))
    assert result.point_precision == pytest.approx(6 / 8)
    assert result.point_recall == pytest.approx(6 / 10)
