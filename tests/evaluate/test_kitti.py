"""KITTI's average precision on cases worked out by hand."""

import numpy as np
import pytest

from pointsam.evaluate.kitti import LEVELS, KittiFrame, average_precision_r40

EASY, MODERATE, HARD = LEVELS


def frame(scores, iou, heights=None, similar=None, object_heights=None, occlusion=None, truncation=None):
    iou = np.array(iou, dtype=float)
    g = iou.shape[1]
    return KittiFrame(
        iou,
        np.array(scores, dtype=float),
        np.full(len(scores), 100.0) if heights is None else np.array(heights, dtype=float),
        np.zeros(g, dtype=bool) if similar is None else np.array(similar),
        np.full(g, 100.0) if object_heights is None else np.array(object_heights, dtype=float),
        np.zeros(g, dtype=int) if occlusion is None else np.array(occlusion),
        np.zeros(g) if truncation is None else np.array(truncation, dtype=float),
    )


def perfect(count, start=1.0):
    """Frames of one object each, found with falling scores."""
    return [frame([start - 0.001 * k], [[0.9]]) for k in range(count)]


@pytest.mark.parametrize("count", [40, 80, 400])
def test_all_found_and_nothing_else_is_one(count):
    """One threshold a recall from 0 to 1: of 40 objects the last is met by 40 thresholds, recall 0 among them."""
    found = average_precision_r40(perfect(count), EASY, 0.7)
    assert found == pytest.approx(1.0 if count > 40 else 39 / 40)


def test_a_few_objects_cannot_reach_one():
    """KITTI's own quirk: a found object gives one threshold at most, and the first, recall 0, does not count."""
    assert average_precision_r40(perfect(1), EASY, 0.7) == 0
    assert average_precision_r40(perfect(11), EASY, 0.7) == pytest.approx(10 / 40)


def test_half_of_the_objects_found_is_a_half():
    missing = [frame([], np.zeros((0, 1))) for _ in range(400)]
    assert average_precision_r40(perfect(400) + missing, EASY, 0.7) == pytest.approx(0.5, abs=0.02)


def test_one_wrong_detection_a_right_one_halves_precision():
    wrong = [frame([1.0005 - 0.001 * k], np.zeros((1, 0))) for k in range(400)]
    assert average_precision_r40(perfect(400) + wrong, EASY, 0.7) == pytest.approx(0.5, abs=0.01)


def test_wrong_detections_below_all_right_ones_cost_nothing():
    wrong = [frame([-1.0], np.zeros((1, 0))) for _ in range(400)]
    assert average_precision_r40(perfect(400) + wrong, EASY, 0.7) == pytest.approx(1)


def test_a_second_detection_of_an_object_is_wrong():
    twice = [frame([1 - 0.001 * k, 1 - 0.001 * k], [[0.9], [0.8]]) for k in range(400)]
    assert average_precision_r40(twice, EASY, 0.7) == pytest.approx(0.5)


def test_an_overlap_below_the_threshold_is_wrong_and_the_object_missed():
    loose = [frame([0.5], [[0.69]]) for _ in range(50)]
    assert average_precision_r40(loose, EASY, 0.7) == 0
    assert average_precision_r40(perfect(50), EASY, 0.7) > 0.95


@pytest.mark.parametrize(
    "hard",
    [{"similar": [True]}, {"occlusion": [1]}, {"truncation": [0.2]}, {"object_heights": [40.0]}],
)
def test_what_is_too_hard_is_neither_wanted_nor_wrong(hard):
    forgiven = [frame([2.0], [[0.9]], **hard) for _ in range(100)]
    assert average_precision_r40(perfect(400) + forgiven, EASY, 0.7) == pytest.approx(1)
    unseen = [frame([], np.zeros((0, 1)), **hard) for _ in range(100)]
    assert average_precision_r40(perfect(400) + unseen, EASY, 0.7) == pytest.approx(1)
    assert np.isnan(average_precision_r40(forgiven, EASY, 0.7))


def test_levels_are_nested():
    occluded = [frame([0.5], [[0.9]], occlusion=[level]) for level in (0, 1, 2) for _ in range(100)]
    wanted = [sum((~f.forgiven(level)).sum() for f in occluded) for level in LEVELS]
    assert wanted == [100, 200, 300]


def test_a_detection_that_is_too_small_is_forgotten():
    small = [frame([2.0], np.zeros((1, 0)), heights=[39.0]) for _ in range(400)]
    assert average_precision_r40(perfect(400) + small, EASY, 0.7) == pytest.approx(1)
    assert average_precision_r40(perfect(400) + small, MODERATE, 0.7) < 0.6


def test_precision_that_rises_later_counts_from_there():
    """The best score is wrong: 1/2, 2/3, 3/4, ... and the best of what follows counts, which is 40/41 and more."""
    first = [frame([5.0], np.zeros((1, 0)))]
    assert average_precision_r40(perfect(400) + first, EASY, 0.7) == pytest.approx(400 / 401)
