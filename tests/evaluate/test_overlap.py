import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.evaluate.overlap import overlaps
from pointsam.taxonomy import KITTI, NUSCENES
from pointsam.types import PointLabels, PointTruth


def labels_of(instance_id, class_id):
    return PointLabels(np.array(instance_id, np.int32), np.array(class_id, np.uint8))


def truth_of(instance_id, class_id, void=None):
    labels = labels_of(instance_id, class_id)
    return PointTruth(labels, np.zeros(len(labels), bool) if void is None else np.array(void), "boxes")


def test_counts_points_shared_by_each_pair_of_segments():
    seen = overlaps(
        labels_of([4, 4, 4, 9, -1], [0, 0, 0, 1, 255]), truth_of([7, 7, 8, 8, 8], [0, 0, 1, 1, 1]), NUSCENES
    )
    table = {(int(seen.pred_size[p]), int(seen.true_size[t])): int(n)
             for p, t, n in zip(seen.pred_index, seen.true_index, seen.shared, strict=True)}  # fmt: skip
    assert table == {(3, 2): 2, (3, 3): 1, (1, 3): 1}
    assert seen.num_foreground_shared == 4


def test_every_point_names_its_segments():
    seen = overlaps(
        labels_of([4, 9, -1, 4, 9], [0, 1, 255, 0, 1]),
        truth_of([7, -1, 8, 7, 8], [2, 255, 1, 2, 1], [False, False, False, True, False]),
        NUSCENES,
    )
    assert [*zip(seen.pred_class, seen.pred_id, seen.pred_size, strict=True)] == [(0, 4, 1), (1, 9, 2)]
    assert [*zip(seen.true_class, seen.true_id, seen.true_size, strict=True)] == [(1, 8, 2), (2, 7, 1)]
    assert seen.pred_of_point.tolist() == [0, 1, -1, -1, 1]
    assert seen.true_of_point.tolist() == [1, -1, 0, -1, 0]
    assert seen.iou.tolist() == pytest.approx([1.0, 1 / 3])


def test_one_id_in_two_classes_is_two_segments():
    seen = overlaps(labels_of([3, 3], [0, 1]), truth_of([-1, -1], [255, 255]), NUSCENES)
    assert sorted(seen.pred_class) == [0, 1]
    assert list(seen.pred_size) == [1, 1]


def test_the_largest_id_stays_in_its_class():
    huge = np.iinfo(np.int32).max
    seen = overlaps(labels_of([huge, 0], [0, 1]), truth_of([huge, 0], [0, 1]), NUSCENES)
    assert list(seen.pred_class) == [0, 1]
    assert list(seen.iou) == [1.0, 1.0]


def test_void_points_are_in_no_segment():
    seen = overlaps(labels_of([0, 0], [0, 0]), truth_of([0, -1], [0, 255], [False, True]), NUSCENES)
    assert list(seen.pred_size) == [1]
    assert list(seen.iou) == [1.0]


def test_no_truth_at_all_gives_no_pairs():
    seen = overlaps(labels_of([0, 1], [0, 0]), truth_of([-1, -1], [255, 255]), NUSCENES)
    assert (len(seen.pred_size), len(seen.true_size), len(seen.shared)) == (2, 0, 0)


def test_an_empty_sweep_gives_nothing():
    seen = overlaps(PointLabels.empty(0), PointTruth(PointLabels.empty(0), np.zeros(0, bool), "boxes"), NUSCENES)
    assert len(seen.pred_size) == len(seen.true_size) == 0


def test_labels_of_another_sweep_are_refused():
    with pytest.raises(SchemaError, match="labels of 2 points, but ground truth of 1") as caught:
        overlaps(PointLabels.empty(2), truth_of([-1], [255]), NUSCENES)
    assert caught.value.code == "SCH003"


def test_a_class_of_another_taxonomy_is_refused():
    with pytest.raises(SchemaError, match="class_id 9 does not exist in taxonomy 'kitti'") as caught:
        overlaps(labels_of([0], [9]), truth_of([-1], [255]), KITTI)
    assert caught.value.code == "SCH004"
