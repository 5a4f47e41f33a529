"""Average precision by overlap in 3D."""

import numpy as np
import pytest

from pointsam.evaluate.box_iou import IouFrame, average_precision_iou, class_iou_ap, min_iou_of
from pointsam.evaluate.detection import FrameBoxes
from pointsam.taxonomy import NUSCENES, ClassSpec


def frame(iou, score, range_m=None, true_range_m=None):
    iou = np.array(iou, dtype=np.float64)
    near = np.zeros(len(score)) if range_m is None else np.array(range_m, dtype=np.float64)
    true = np.zeros(iou.shape[1]) if true_range_m is None else np.array(true_range_m, dtype=np.float64)
    return IouFrame(iou, np.array(score, dtype=np.float64), near, true)


def test_one_of_two_objects_found_before_a_mistake():
    # Hits by falling score: yes, no. Recall 0.5 at precision 1: the 20 recalls up to 0.5 have 1, the others 0.
    assert average_precision_iou([frame([[0.8, 0.0], [0.0, 0.1]], [0.9, 0.8])], 0.5) == pytest.approx(0.5)


def test_a_mistake_before_the_hits():
    # no, yes, yes: precision 1/2 at recall 1/2 and 2/3 at recall 1; the best at or above each recall is 2/3.
    frames = [frame([[0.0, 0.0], [0.8, 0.0], [0.0, 0.7]], [0.9, 0.8, 0.7])]
    assert average_precision_iou(frames, 0.5) == pytest.approx(2 / 3)


def test_the_threshold_itself_is_no_match():
    assert average_precision_iou([frame([[0.5]], [0.9])], 0.5) == 0
    assert average_precision_iou([frame([[0.5001]], [0.9])], 0.5) == 1


def test_a_double_is_wrong_and_the_second_best_object_is_taken():
    # Both overlap object 0 most; the second takes object 1, which it overlaps enough.
    assert average_precision_iou([frame([[0.9, 0.0], [0.8, 0.6]], [0.9, 0.8])], 0.5) == 1
    # Without an overlap with object 1 it is a mistake: recall 1/2 at precision 1.
    assert average_precision_iou([frame([[0.9, 0.0], [0.8, 0.1]], [0.9, 0.8])], 0.5) == pytest.approx(0.5)


def test_no_objects_and_no_predictions():
    assert np.isnan(average_precision_iou([], 0.5))
    assert np.isnan(average_precision_iou([frame(np.zeros((1, 0)), [0.5])], 0.5))
    assert average_precision_iou([frame(np.zeros((0, 2)), [], true_range_m=[1, 2])], 0.5) == 0


def slow(frames, min_iou):
    """Object by object and recall by recall, as the definition reads."""
    every = [(score, k, d) for k, one in enumerate(frames) for d, score in enumerate(one.score)]
    total = sum(one.iou.shape[1] for one in frames)
    if not total:
        return float("nan")
    taken, hits = set(), []
    for _, k, d in sorted(every, key=lambda one: -one[0]):
        able = [(frames[k].iou[d, g], g) for g in range(frames[k].iou.shape[1]) if (k, g) not in taken]
        able = [(iou, g) for iou, g in able if iou > min_iou]
        hits.append(bool(able))
        if able:
            taken.add((k, max(able, key=lambda one: one[0])[1]))
    points = [(sum(hits[: n + 1]) / total, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    return np.mean([max((p for r, p in points if r >= k / 40 - 1e-9), default=0.0) for k in range(1, 41)])


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_its_slow_twin(seed):
    rng, frames = np.random.default_rng(seed), []
    for _ in range(12):
        d, g = rng.integers(0, 9), rng.integers(0, 6)
        iou = rng.uniform(0, 1, (d, g)) * (rng.uniform(size=(d, g)) < 0.5)
        frames.append(frame(iou, rng.permutation(1000)[:d] / 1000, true_range_m=np.zeros(g)))
    for limit in (0.7, 0.5, 0.25):
        assert average_precision_iou(frames, limit) == pytest.approx(slow(frames, limit), nan_ok=True)


def test_bands_have_the_boxes_whose_own_centres_are_in_them():
    spec = ClassSpec("thing")
    frames = [frame([[0.9, 0, 0], [0, 0.9, 0]], [0.9, 0.8], [10, 30], [10, 30, 70])]
    result = class_iou_ap(spec, frames)
    assert (result.num_objects, result.min_iou, result.by_range) == (3, 0.5, (1.0, 1.0, 0.0))
    assert result.ap == result.by_iou[1] == pytest.approx(26 / 40)  # recalls 1/40 to 26/40 are at most 2/3
    assert all(np.isnan(class_iou_ap(spec, frames, trained=False).by_iou))


def test_vehicles_need_seven_tenths():
    needs = {spec.name: min_iou_of(spec) for spec in NUSCENES.classes}
    assert {name for name, iou in needs.items() if iou == 0.7} == {
        "car", "truck", "trailer", "bus", "construction_vehicle"
    }  # fmt: skip
    assert min_iou_of(ClassSpec("forklift", size_lwh_m=(3.5, 1.5, 2.0))) == 0.7


def test_a_frame_is_cut_into_classes():
    found = FrameBoxes(np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2), np.array([0, 1]), np.array([0.5, 0.6]))
    true = FrameBoxes(np.ones((1, 3)), np.ones((1, 3)), np.zeros(1), np.array([1]), np.array([9.0]))
    one = IouFrame.of(np.array([[0.1], [0.4]]), found, true, 1)
    assert (one.iou.tolist(), one.score.tolist(), one.true_range_m.tolist()) == ([[0.4]], [0.6], [np.sqrt(2)])
