"""Waymo's average precision on cases worked out by hand, against a slow twin, and against Waymo's evaluator."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.optimize import linear_sum_assignment

from pointsam.evaluate.waymo import (
    CUTOFFS,
    EVERYWHERE_M,
    LEVELS,
    MIN_IOU,
    NOT_COUNTED,
    RANGES_M,
    WaymoFrame,
    average_precision,
    difficulty,
)

DATA = Path(__file__).parents[1] / "data" / "waymo"
TYPES = {"vehicle": 1, "pedestrian": 2, "sign": 3, "cyclist": 4}
EMPTY = ("vehicle", 0, 3, 1)
"""Class, frame, prediction and object of two boxes that coincide, half a turn apart: their IoU is 1, and 0 for the
evaluator. Its walk along both outlines returns to its first corner with another last bit, does not notice, and finds no
intersection. The files have 82 objects with such a prediction; this happens to one of them."""


def frame(scores, iou, level=None, yaw=None, true_yaw=None, unlabelled=None, range_m=None, true_range_m=None):
    iou = np.array(iou, dtype=float)
    d, g = iou.shape
    return WaymoFrame(
        iou,
        np.array(scores, dtype=float),
        np.zeros(d) if yaw is None else np.array(yaw, dtype=float),
        np.ones(d) if range_m is None else np.array(range_m, dtype=float),
        np.zeros(d, dtype=bool) if unlabelled is None else np.array(unlabelled),
        np.zeros(g) if true_yaw is None else np.array(true_yaw, dtype=float),
        np.ones(g) if true_range_m is None else np.array(true_range_m, dtype=float),
        np.ones(g, dtype=int) if level is None else np.array(level),
    )


MISSED, WRONG = np.zeros((0, 1)), np.zeros((1, 0))
"""IoU of an object without predictions, and of a prediction without objects."""


def slow(frames, min_iou, range_m=EVERYWHERE_M):
    """The definition word by word: every cutoff, every frame, every box."""
    result = {}
    for level in LEVELS:
        curves = {"ap": {0.0: 1.0}, "aph": {0.0: 1.0}}
        wanted = 0
        for cutoff in CUTOFFS:
            hits = wrong = misses = 0
            accuracy = 0.0
            for one in frames:
                found = [
                    d
                    for d in range(len(one.score))
                    if range_m[0] <= one.range_m[d] < range_m[1] and np.float32(one.score[d]) >= cutoff
                ]
                true = [
                    g
                    for g in range(len(one.level))
                    if range_m[0] <= one.true_range_m[g] < range_m[1] and one.level[g] != NOT_COUNTED
                ]
                wanted += sum(one.level[g] <= level for g in true)
                weight = np.zeros((len(found), len(true)))
                for i, d in enumerate(found):
                    for j, g in enumerate(true):
                        iou = np.float32(one.iou[d, g])
                        weight[i, j] = round(float(iou) * 1e6) if iou >= np.float32(min_iou) else 0
                pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-weight), strict=True) if weight[i, j]]
                hits += len(pairs)
                for i, j in pairs:
                    turned = abs(one.yaw_rad[found[i]] - one.true_yaw_rad[true[j]]) % (2 * math.pi)
                    accuracy += 1 - min(turned, 2 * math.pi - turned) / math.pi
                lone = set(range(len(found))) - {i for i, _ in pairs}
                wrong += sum(not one.unlabelled[found[i]] for i in lone)
                unmet = set(range(len(true))) - {j for _, j in pairs}
                misses += sum(one.level[true[j]] <= level for j in unmet)
            if hits:
                for name, value in (("ap", hits), ("aph", accuracy)):
                    recall = hits / (hits + misses)
                    curves[name][recall] = max(curves[name].get(recall, 0), value / (hits + wrong))
        result[level] = [_walked(curve) if wanted else float("nan") for curve in curves.values()]
    return result


def _walked(curve):
    """From high recall to low, with points put in so that none is further than 0.05 from the next."""
    points, best, last = [], 0.0, 0.0
    for recall in sorted(curve, reverse=True):
        while last - recall > 0.05 + 1e-6:
            last -= 0.05
            points.append((last, best))
        best, last = max(best, curve[recall]), recall
        points.append((recall, best))
    if len(points) > 1:
        points[-1] = (0.0, points[-2][1])
    return sum((a[0] - b[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))


def ap(*frames, level=1, min_iou=0.5, **more):
    return average_precision(frames, min_iou, **more)[level].ap


def test_all_found_and_nothing_else_is_one():
    assert ap(frame([0.9], [[0.8]]), frame([0.2], [[0.6]])) == pytest.approx(1)


def test_half_of_the_objects_found_is_a_half():
    assert ap(frame([0.9], [[0.8]]), frame([], MISSED)) == pytest.approx(0.5)


def test_precision_is_interpolated_over_the_last_twentieth_of_recall_only():
    """Recall 0.5 at precision 1, recall 1 at 2/3: 2/3 down to 0.55, then a slope to 1, then 1."""
    frames = frame([0.9, 0.5], [[0.8, 0], [0, 0.8]]), frame([0.7], WRONG)
    assert ap(*frames) == pytest.approx(0.45 * 2 / 3 + 0.05 * (2 / 3 + 1) / 2 + 0.5)


def test_of_equal_recalls_the_best_precision_counts():
    """A wrong prediction between the last match and the next cutoff changes precision, not recall."""
    assert ap(frame([0.9], [[0.8]]), frame([0.1], WRONG)) == pytest.approx(1)


def test_scores_within_a_hundredth_are_one_cutoff():
    assert ap(frame([0.909], [[0.8]]), frame([0.901], WRONG)) == pytest.approx(0.5)
    assert ap(frame([0.911], [[0.8]]), frame([0.909], WRONG)) == pytest.approx(1)
    assert ap(frame([np.float32(0.29)], [[0.8]]), frame([0.289], WRONG)) == pytest.approx(1)  # 0.29 as the cutoff is


def test_nothing_found_is_zero_and_no_object_is_nan():
    assert ap(frame([], MISSED)) == ap(frame([0.9], [[0.4]])) == 0
    assert math.isnan(ap(frame([0.9], WRONG)))
    assert math.isnan(ap())


@pytest.mark.parametrize(
    ("yaw", "true_yaw", "weight"),
    [(0.3, 0.3, 1), (0, math.pi / 2, 0.5), (0.1, 0.1 + math.pi, 0), (3.0, -3.0, 1 - (2 * math.pi - 6) / math.pi)],
)
def test_heading_weighs_precision_but_not_recall(yaw, true_yaw, weight):
    turned = frame([0.9], [[0.8]], yaw=[yaw], true_yaw=[true_yaw])
    both = average_precision([turned], 0.5)[1]
    assert both == pytest.approx((1, weight))
    full_turns = replace(turned, yaw_rad=turned.yaw_rad + 4 * math.pi)
    assert average_precision([full_turns], 0.5)[1] == pytest.approx((1, weight))


class TestLevels:
    def test_a_missed_object_of_level_2_counts_at_level_2_only(self):
        frames = frame([0.9], [[0.8]]), frame([], MISSED, level=[2])
        assert ap(*frames) == pytest.approx(1)
        assert ap(*frames, level=2) == pytest.approx(0.5)

    def test_a_match_with_an_object_of_level_2_counts_at_both(self):
        frames = frame([0.9], [[0.8]], level=[2]), frame([], MISSED), frame([0.8], WRONG)
        assert ap(*frames) == ap(*frames, level=2) == pytest.approx(0.5)

    def test_level_1_without_such_objects_is_nan(self):
        both = average_precision([frame([0.9], [[0.8]], level=[2])], 0.5)
        assert math.isnan(both[1].ap)
        assert both[2] == pytest.approx((1, 1))

    def test_points_decide_unless_the_annotation_does(self):
        points = np.array([0, 1, 5, 6, 900, 900, 0])
        assert difficulty(points).tolist() == [NOT_COUNTED, 2, 2, 1, 1, 1, NOT_COUNTED]
        stated = difficulty(points, np.array([1, 1, 0, 0, 2, 0, 2]))
        assert stated.tolist() == [NOT_COUNTED, 1, 2, 1, 2, 1, NOT_COUNTED]

    def test_an_object_without_points_is_not_missed_and_its_prediction_is_wrong(self):
        unseen = frame([], MISSED, level=[NOT_COUNTED])
        assert ap(frame([0.9], [[0.8]]), unseen) == pytest.approx(1)
        guessed = frame([0.95], [[0.9]], level=[NOT_COUNTED])
        assert ap(frame([0.9], [[0.8]]), guessed) == pytest.approx(0.5)


def test_in_a_zone_without_labels_a_match_is_right_and_nothing_is_wrong():
    right = frame([0.9], [[0.8]], unlabelled=[True])
    assert ap(right, frame([0.95], WRONG, unlabelled=[True])) == pytest.approx(1)
    assert ap(right, frame([0.95], WRONG)) == pytest.approx(0.5)


class TestMatching:
    def test_the_threshold_itself_is_enough_and_is_rounded_to_single_precision(self):
        assert ap(frame([0.9], [[0.7]]), min_iou=0.7) == ap(frame([0.9], [[0.69999997]]), min_iou=0.7) == 1
        assert ap(frame([0.9], [[0.7 - 1e-6]]), min_iou=0.7) == 0

    def test_a_second_prediction_of_an_object_is_wrong(self):
        assert ap(frame([0.9, 0.8], [[0.6], [0.9]])) == pytest.approx(1)  # precision 1 at the cutoffs above 0.8
        assert ap(frame([0.9, 0.9], [[0.6], [0.9]])) == pytest.approx(0.5)

    def test_the_sum_of_iou_is_largest_whatever_the_scores(self):
        """The first prediction leaves its better object to the second, which has no other."""
        both = frame([0.9, 0.9], [[0.7, 0.55], [0.6, 0]])
        assert ap(both) == pytest.approx(1)
        one_better = frame([0.9, 0.9], [[0.99, 0], [0.5, 0.48]])  # 0.48 may not match
        assert ap(one_better) == pytest.approx(0.25)

    def test_each_cutoff_matches_anew(self):
        """Above 0.5 the first prediction has the object, of which it knows the heading; below, the second."""
        anew = frame([0.9, 0.5], [[0.6], [0.8]], yaw=[0, math.pi])
        wrong = frame([0.95], WRONG)
        found = average_precision([anew, wrong], 0.5)[1]
        assert found == pytest.approx((0.5, 0.5))  # the better precision of recall 1: two claims, one match
        only_below = replace(anew, score=np.array([0.5, 0.5]))
        assert average_precision([only_below, wrong], 0.5)[1] == pytest.approx((1 / 3, 0))


class TestRangesOfCyclists:
    """Cyclists of 1.8 m; a prediction that is 0.6 m off has IoU 1.2 / 2.4."""

    IOU = 1.2 / 2.4

    def cyclists(self):
        """Two near ones, one of them found by a prediction at 30 m; one missed at 30 m; one at 40 m; one of level 2 at
        50.6 m, found by a prediction at 50 m; and a wrong prediction at 49.9 m.
        """
        return [
            frame([0.9], [[self.IOU]], range_m=[10.6], true_range_m=[10]),
            frame([0.8], [[self.IOU]], range_m=[30], true_range_m=[29.4]),
            frame([], MISSED, true_range_m=[30]),
            frame([0.75], [[self.IOU]], range_m=[40.6], true_range_m=[40]),
            frame([0.78], [[self.IOU]], range_m=[50], true_range_m=[50.6], level=[2], yaw=[math.pi / 4]),
            frame([0.65], WRONG, range_m=[49.9]),
        ]

    def test_the_threshold_is_a_half(self):
        assert MIN_IOU["cyclist"] == self.IOU

    @pytest.mark.parametrize(
        ("range_m", "expected"),
        [
            (EVERYWHERE_M, 0.8),  # four of five found before the wrong one; the missed one is of level 1
            (RANGES_M[0], 0.5),  # the prediction of the second is out of range
            (RANGES_M[1], 0.25),  # one of two found, after the prediction at 30 m
        ],
    )
    def test_average_precision(self, range_m, expected):
        found = average_precision(self.cyclists(), MIN_IOU["cyclist"], range_m)
        assert found[1].ap == pytest.approx(expected)
        assert found[2].ap == pytest.approx(expected)

    def test_far_cyclists(self):
        found = average_precision(self.cyclists(), MIN_IOU["cyclist"], RANGES_M[2])
        assert math.isnan(found[1].ap)  # the only one is of level 2
        assert found[2] == pytest.approx((1, 0.75))

    def test_heading_everywhere(self):
        """Precisions by heading at recalls 1/5 to 4/5: 1, 1, 2.75 / 3 and 3.75 / 4, of which the last is the better."""
        last = 3.75 / 4
        found = average_precision(self.cyclists(), MIN_IOU["cyclist"])[2]
        assert found.aph == pytest.approx(0.35 * last + 0.05 * (last + 1) / 2 + 0.4)


@pytest.mark.parametrize("seed", range(12))
def test_equals_its_slow_twin(rng_of, seed):
    rng = rng_of(seed)
    frames = []
    for _ in range(6):
        d, g = rng.integers(0, 9), rng.integers(0, 6)
        iou = np.where(rng.random((d, g)) < 0.5, rng.uniform(0.2, 1, (d, g)), 0)
        frames.append(
            frame(
                np.round(rng.random(d), rng.integers(1, 4)),
                iou,
                rng.integers(0, 3, g),
                rng.uniform(-7, 7, d),
                rng.uniform(-7, 7, g),
                rng.random(d) < 0.2,
                rng.uniform(0, 60, d),
                rng.uniform(0, 60, g),
            )
        )
    for range_m in (EVERYWHERE_M, RANGES_M[0]):
        found, expected = average_precision(frames, 0.5, range_m), slow(frames, 0.5, range_m)
        for level in LEVELS:
            assert found[level] == pytest.approx(expected[level], nan_ok=True)


@pytest.fixture(scope="module")
def waymo_frames():
    """Frames of a class of Waymo's files."""
    pytest.importorskip("torch", reason="needs torch")
    from pointsam.detect.predictions_file import box_overlaps

    table = {name: column.to_numpy() for name, column in zip(*_columns(), strict=True)}
    names = ("center_x", "center_y", "center_z", "length", "width", "height", "heading")
    boxes = np.column_stack([table[name] for name in names]).astype(np.float64)
    range_m = np.linalg.norm(boxes[:, :3], axis=1)
    level = difficulty(table["num_points"], table["level"])

    def of(name):
        frames = []
        for k in range(20):
            ours = (table["frame"] == k) & (table["type"] == TYPES[name])
            d, g = ours & table["predicted"], ours & ~table["predicted"]
            iou, score = box_overlaps(boxes[d], boxes[g])["3d"], table["score"][d].astype(np.float64)
            nowhere = np.zeros(d.sum(), dtype=bool)
            frames.append(WaymoFrame(iou, score, boxes[d, 6], range_m[d], nowhere, boxes[g, 6], range_m[g], level[g]))
        return frames

    return of


def _columns():
    table = pq.read_table(DATA / "boxes.parquet")
    return table.column_names, table.columns


def ranges():
    return zip(("all", "0-30 m", "30-50 m", "> 50 m"), (EVERYWHERE_M, *RANGES_M), strict=True)


class TestTheEvaluator:
    @pytest.mark.parametrize("name", ["vehicle", "pedestrian", "sign"])
    def test_figures_are_those_of_the_evaluator(self, waymo_frames, name):
        frames = waymo_frames(name)
        if name == EMPTY[0]:
            _, k, d, g = EMPTY
            assert frames[k].iou[d, g] == pytest.approx(1)
            frames[k].iou[d, g] = 0
        expected = json.loads((DATA / "expected.json").read_text())[name]
        for where, range_m in ranges():
            found = average_precision(frames, MIN_IOU[name], range_m)
            assert [found[level] for level in LEVELS] == [pytest.approx(both, abs=1e-6) for both in expected[where]]

    def test_with_the_iou_that_the_evaluator_gets_wrong_one_range_of_vehicles_differs(self, waymo_frames):
        frames = waymo_frames("vehicle")
        expected = json.loads((DATA / "expected.json").read_text())["vehicle"]
        apart = {
            where: average_precision(frames, MIN_IOU["vehicle"], range_m)[1].ap - expected[where][0][0]
            for where, range_m in ranges()
        }
        assert apart == pytest.approx({"all": 0.001405, "0-30 m": 0, "30-50 m": 0.003616, "> 50 m": 0}, abs=2e-6)

    def test_a_class_without_objects_is_nan(self, waymo_frames):
        found = average_precision(waymo_frames("cyclist"), MIN_IOU["cyclist"])
        assert all(math.isnan(value) for both in found.values() for value in both)

    @pytest.mark.parametrize("name", ["vehicle", "pedestrian"])
    def test_the_slow_twin_has_the_same_figures(self, waymo_frames, name):
        frames = waymo_frames(name)[9:13]
        found, expected = average_precision(frames, MIN_IOU[name]), slow(frames, MIN_IOU[name])
        assert [found[level] for level in LEVELS] == [pytest.approx(expected[level]) for level in LEVELS]
