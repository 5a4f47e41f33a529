"""KITTI's average precision on cases worked out by hand."""

import numpy as np
import pytest

from pointsam.evaluate.kitti import LEVELS, MIN_IOU, KittiFrame, average_precision_r40

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
    return [frame([start - 0.004 * k], [[0.9]]) for k in range(count)]


@pytest.mark.parametrize("count", [40, 80, 100])
def test_all_found_and_nothing_else_is_one(count):
    """One threshold a recall from 0 to 1: of 40 objects the last is met by 40 thresholds, recall 0 among them."""
    found = average_precision_r40(perfect(count), EASY, 0.7)
    assert found == pytest.approx(1.0 if count > 40 else 39 / 40)


def test_a_few_objects_cannot_reach_one():
    """KITTI's own quirk: a found object gives one threshold at most, and the first, recall 0, does not count."""
    assert average_precision_r40(perfect(1), EASY, 0.7) == 0
    assert average_precision_r40(perfect(11), EASY, 0.7) == pytest.approx(10 / 40)


def test_half_of_the_objects_found_is_a_half():
    missing = [frame([], np.zeros((0, 1))) for _ in range(100)]
    assert average_precision_r40(perfect(100) + missing, EASY, 0.7) == pytest.approx(0.5, abs=0.02)


def test_one_wrong_detection_a_right_one_halves_precision():
    wrong = [frame([1.002 - 0.004 * k], np.zeros((1, 0))) for k in range(100)]
    assert average_precision_r40(perfect(100) + wrong, EASY, 0.7) == pytest.approx(0.5, abs=0.01)


def test_wrong_detections_below_all_right_ones_cost_nothing():
    wrong = [frame([-1.0], np.zeros((1, 0))) for _ in range(100)]
    assert average_precision_r40(perfect(100) + wrong, EASY, 0.7) == pytest.approx(1)


def test_a_second_detection_of_an_object_is_wrong():
    twice = [frame([1 - 0.004 * k, 1 - 0.004 * k], [[0.9], [0.8]]) for k in range(100)]
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
    assert average_precision_r40(perfect(100) + forgiven, EASY, 0.7) == pytest.approx(1)
    unseen = [frame([], np.zeros((0, 1)), **hard) for _ in range(100)]
    assert average_precision_r40(perfect(100) + unseen, EASY, 0.7) == pytest.approx(1)
    assert np.isnan(average_precision_r40(forgiven, EASY, 0.7))


def test_levels_are_nested():
    occluded = [frame([0.5], [[0.9]], occlusion=[level]) for level in (0, 1, 2) for _ in range(100)]
    wanted = [sum((~f.forgiven(level)).sum() for f in occluded) for level in LEVELS]
    assert wanted == [100, 200, 300]


def test_a_detection_that_is_too_small_is_forgotten():
    small = [frame([2.0], np.zeros((1, 0)), heights=[39.0]) for _ in range(100)]
    assert average_precision_r40(perfect(100) + small, EASY, 0.7) == pytest.approx(1)
    assert average_precision_r40(perfect(100) + small, MODERATE, 0.7) < 0.6


def test_precision_that_rises_later_counts_from_there():
    """The best score is wrong: 1/2, 2/3, 3/4, ... and the best of what follows counts: 100/101."""
    first = [frame([5.0], np.zeros((1, 0)))]
    assert average_precision_r40(perfect(100) + first, EASY, 0.7) == pytest.approx(100 / 101)


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        (EASY, {"occlusion": 0, "truncation": 0.15, "object_heights": 40.1}),
        (MODERATE, {"occlusion": 1, "truncation": 0.3, "object_heights": 25.1}),
        (HARD, {"occlusion": 2, "truncation": 0.5, "object_heights": 25.1}),
    ],
)
@pytest.mark.parametrize("harder", [{}, {"occlusion": 1}, {"truncation": 0.01}, {"object_heights": -0.1}])
def test_a_level_asks_for_objects_up_to_its_limits(level, wanted, harder):
    one = frame([], np.zeros((0, 1)), **{name: [value + harder.get(name, 0)] for name, value in wanted.items()})
    assert one.forgiven(level).tolist() == [bool(harder)]


def test_published_overlaps():
    assert MIN_IOU == {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}


def test_an_overlap_must_exceed_the_threshold_and_a_height_reach_it():
    exact = [frame([1 - 0.004 * k], [[0.7]]) for k in range(100)]
    assert average_precision_r40(exact, EASY, 0.7) == 0
    tall_enough = [frame([1 - 0.004 * k], [[0.9]], heights=[40.0]) for k in range(100)]
    assert average_precision_r40(tall_enough, EASY, 0.7) == pytest.approx(1)


def test_an_object_that_a_small_detection_takes_first_sets_no_threshold():
    hidden = [frame([2.0, 0.5], [[0.9], [0.9]], heights=[39.0, 100.0]) for _ in range(100)]
    assert average_precision_r40(hidden, EASY, 0.7) == 0


def kitti_slowly(frames, level, min_iou):
    """KITTI's evaluation loop by loop, as its evaluate_object.cpp has them."""
    scores, wanted = [], 0
    for f in frames:
        taken = set()
        for g, forgiven in enumerate(f.forgiven(level)):
            wanted += not forgiven
            able = [d for d in range(len(f.score)) if d not in taken and f.iou[d, g] > min_iou]
            if able:
                best = max(able, key=lambda d: f.score[d])
                taken.add(best)
                if not forgiven and f.height_px[best] >= level.min_height_px:
                    scores.append(f.score[best])
    scores.sort(reverse=True)
    thresholds, recall = [], 0.0
    for k, score in enumerate(scores):
        left, last = (k + 1) / wanted, k == len(scores) - 1
        right = left if last else (k + 2) / wanted
        if right - recall < recall - left and not last:
            continue
        thresholds.append(score)
        recall += 1 / 40
    precision = [0.0] * 41
    for k, threshold in enumerate(thresholds):
        tp = fp = 0
        for f in frames:
            taken = set()
            for g, forgiven in enumerate(f.forgiven(level)):
                able = [d for d in range(len(f.score)) if f.score[d] >= threshold and d not in taken]
                able = [d for d in able if f.iou[d, g] > min_iou]
                large = [d for d in able if f.height_px[d] >= level.min_height_px]
                if able:
                    taken.add(max(large, key=lambda d: f.iou[d, g]) if large else able[0])
                    tp += bool(large and not forgiven)
            asked = set(np.flatnonzero((f.score >= threshold) & (f.height_px >= level.min_height_px)))
            fp += len(asked - taken)
        precision[k] = tp / max(tp + fp, 1)
    return sum(max(precision[k:]) for k in range(1, 41)) / 40


@pytest.mark.parametrize("seed", range(3))
def test_it_is_kittis_evaluation(seed, rng_of):
    rng = rng_of(seed)
    frames = []
    for _ in range(40):
        d, g = rng.integers(0, 5, 2)
        overlap = rng.choice([0.0, 0.6, 0.8, 0.9], (d, g))
        heights, object_heights = rng.choice([20.0, 30.0, 50.0], d), rng.choice([20.0, 30.0, 50.0, 60.0], g)
        hard = rng.random(g) < 0.2, object_heights, rng.choice([0, 0, 1, 2, 3], g), rng.choice([0.0, 0.1, 0.2, 0.6], g)
        frames.append(frame(rng.random(d).round(1), overlap, heights, *hard))
    for level in LEVELS:
        assert average_precision_r40(frames, level, 0.7) == pytest.approx(kitti_slowly(frames, level, 0.7), abs=1e-12)
