"""Average precision: the devkit's figures on random boxes, and cases worked out by hand."""

import numpy as np
import pytest

from pointsam.evaluate.bootstrap import times_drawn
from pointsam.evaluate.detection import (
    CLASS_RANGE_M,
    DISTANCES_M,
    DetectionAccumulator,
    FrameBoxes,
    average_precision,
)
from pointsam.geometry.se3 import SE3

NAMES = ("car", "pedestrian")


def boxes(rows):
    """From (x, y, class_id, score)."""
    rows = np.array(rows, dtype=float).reshape(-1, 4)
    xyz = np.column_stack([rows[:, :2], np.zeros(len(rows))])
    size = np.tile([4.0, 2.0, 1.5], (len(rows), 1))
    return FrameBoxes(xyz, size, np.zeros(len(rows)), rows[:, 2].astype(int), rows[:, 3])


def scored(found, true, **options):
    accumulator = DetectionAccumulator(NAMES, **options)
    for k, (f, t) in enumerate(zip(found, true, strict=True)):
        accumulator.add(boxes(f), boxes(t), f"scene {k:02}")
    return accumulator.result()


def test_perfect_boxes_are_worth_one():
    rows = [(0, 5, 0, 0.9), (10, 3, 1, 0.8)]
    result = scored([rows], [[(x, y, c, 7) for x, y, c, _ in rows]])
    assert result.mean_ap == pytest.approx(1)
    assert [c.num_objects for c in result.classes] == [1, 1]


def test_one_of_two_with_a_better_miss_before_it():
    """Precision is 0 at the miss, 1/2 at the hit, which reaches recall 1/2: so it rises from 0 to 1/2, then is 0."""
    ap, pairs = average_precision(
        [boxes([(0, 0, 0, 0.5), (30, 0, 0, 0.9)])], [boxes([(0, 0, 0, 1), (9, 9, 0, 1)])], 2.0
    )
    recall = np.linspace(0, 1, 101)[11:]
    expected = np.where(recall <= 0.5, recall - 0.1, 0).mean() / 0.9
    assert ap == pytest.approx(expected)
    assert pairs == [(0, 0, 0)]


def test_an_object_is_taken_once_and_by_the_better():
    true = [boxes([(0, 0, 0, 1)])]
    _, pairs = average_precision([boxes([(0.1, 0, 0, 0.2), (0.3, 0, 0, 0.9)])], true, 0.5)
    assert pairs == [(0, 1, 0)]


def test_frames_do_not_mix():
    assert average_precision([boxes([(0, 0, 0, 1)]), boxes([])], [boxes([]), boxes([(0, 0, 0, 1)])], 2.0)[0] == 0


def drawn_frames(rng, frames=12):
    true = [np.column_stack([rng.uniform(-20, 20, (n, 2)), rng.integers(0, 2, n), np.ones(n)]) for n in range(frames)]
    moved = [rows + rng.normal(0, 1, rows.shape) * [1, 1, 0, 0] for rows in true]
    return [np.column_stack([rows[:, :3], rng.random(len(rows))]) for rows in moved], true


def test_a_draw_is_the_mean_of_the_scenes_drawn(rng_of, monkeypatch):
    found, true = drawn_frames(rng_of(1))
    times = rng_of(2).integers(0, 2, (20, len(true)))  # none twice: then it is the figure of those frames

    class Fixed:
        def multinomial(self, *_):
            return times

    monkeypatch.setattr("pointsam.evaluate.bootstrap.generator", lambda *_: Fixed())
    draws = scored(found, true).draws
    for drawn, value in zip(times, draws, strict=True):
        kept = np.flatnonzero(drawn)
        alone = scored([found[k] for k in kept], [true[k] for k in kept])
        assert value == pytest.approx(alone.mean_ap, abs=1e-6)


def test_the_interval_holds_the_mean_and_is_narrower_with_more_scenes(rng_of):
    few, many = (scored(*drawn_frames(rng_of(3), frames)) for frames in (8, 30))
    for quality in (few, many):
        low, high = quality.interval
        assert low < quality.mean_ap < high
        assert len(quality.draws) == 200
    assert np.subtract(*few.interval[::-1]) > np.subtract(*many.interval[::-1])
    assert few.draws == scored(*drawn_frames(rng_of(3), 8)).draws


def test_nothing_to_score_has_no_interval():
    assert np.isnan(scored([[]], [[]]).interval).all()
    assert scored([], []).draws == ()
    assert scored([[(0, 5, 0, 0.9)]], [[(0, 5, 0, 9)]]).draws == ()  # one frame tells nothing of others
    assert scored([[(0, 5, 0, 0.9)]] * 2, [[(0, 5, 0, 9)]] * 2).draws == pytest.approx([1.0] * 200)


def test_a_scene_that_is_drawn_twice_counts_twice():
    hit, missed = [[(0, 5, 0, 0.9)], [(0, 5, 0, 7)]], [[(9, 9, 0, 0.8)], [(0, 5, 0, 7)]]
    draws = np.array(scored(*zip(*[hit, *[missed] * 5], strict=True)).draws)
    times = times_drawn(6, len(draws), "detection")
    assert (times.sum(axis=1) == 6).all()
    share = times[:, 0] / 6  # of objects found, all before any miss
    expected = [(np.maximum(np.where(np.linspace(0, 1, 101)[11:] <= s, 1, 0) - 0.1, 0)).mean() / 0.9 for s in share]
    assert draws == pytest.approx(np.array(expected), abs=0.02)


def test_few_scenes_are_drawn_by_frame():
    assert scored(*drawn_frames(np.random.default_rng(0), 4)).unit == "frames"
    assert scored(*drawn_frames(np.random.default_rng(0), 5)).unit == "scenes"


def test_a_class_without_objects_is_not_in_the_mean():
    result = scored([[(0, 5, 0, 0.9), (3, 3, 1, 0.9)]], [[(0, 5, 0, 9)]])
    assert result.mean_ap == pytest.approx(1)
    assert np.isnan(result.classes[1].ap)


def test_what_is_far_or_without_points_does_not_count():
    result = scored([[(0, 5, 1, 0.9), (41, 0, 1, 0.99)]], [[(0, 5, 1, 1), (8, 8, 1, 0), (41, 0, 1, 50)]])
    assert result.classes[1].num_objects == 1
    assert result.classes[1].ap == pytest.approx(1)


def test_ranges_are_scored_apart():
    result = scored([[(5, 0, 0, 0.9)]], [[(5, 0, 0, 1), (30, 0, 0, 1)]])
    assert result.classes[0].by_range[:2] == pytest.approx((1, 0))
    assert np.isnan(result.classes[0].by_range[2])


def test_errors_are_those_of_pairs():
    found = FrameBoxes(
        np.array([[3.0, 4, 0]]), np.array([[4.0, 2, 1]]), np.array([3.0]), np.array([0]), np.array([1.0])
    )
    true = FrameBoxes(
        np.array([[3.0, 5, 9]]), np.array([[4.0, 2, 2]]), np.array([-3.0]), np.array([0]), np.array([5.0])
    )
    accumulator = DetectionAccumulator(NAMES)
    accumulator.add(found, true, "scene")
    car = accumulator.result().classes[0]
    assert (car.translation_m, car.scale) == pytest.approx((1, 0.5))
    assert car.yaw_rad == car.axis_rad == pytest.approx(2 * np.pi - 6)
    assert car.turned == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("car", ((0.2 + 0.3 + np.pi - 0.1) / 3, 0.2, 1 / 3)),
        ("barrier", (0.2, 0.2, np.nan)),
        ("traffic_cone", (np.nan, np.nan, np.nan)),
    ],
)
def test_headings_count_as_in_the_devkit(name, expected):
    """Modulo half a turn for barriers, and not at all for cones."""
    yaw = np.array([0.2, -0.3, np.pi - 0.1])
    center, size, zero = np.array([[5.0, 0, 0], [15, 0, 0], [25, 0, 0]]), np.ones((3, 3)), np.zeros(3, dtype=int)
    accumulator = DetectionAccumulator((name,))
    accumulator.add(FrameBoxes(center, size, yaw, zero, yaw + 1), FrameBoxes(center, size, 0 * yaw, zero, yaw + 9), "a")
    one = accumulator.result().classes[0]
    assert (one.yaw_rad, one.axis_rad, one.turned) == pytest.approx(expected, nan_ok=True)


def test_errors_are_means_over_pairs_nearer_than_two_metres():
    true = boxes([(0, 0, 0, 5), (20, 0, 0, 5), (0, 20, 0, 5)])
    found = FrameBoxes(
        np.array([[0, 1.5, 0], [21, 0, 0], [0, 22.1, 0]]),
        np.array([[2.0, 4, 1.5], [4, 2, 1.5], [9, 9, 9]]),
        np.array([0.3, -0.5, 2.0]),
        np.zeros(3, dtype=int),
        np.array([0.7, 0.8, 0.9]),
    )
    accumulator = DetectionAccumulator(NAMES)
    accumulator.add(found, true, "scene")
    car = accumulator.result().classes[0]
    assert (car.translation_m, car.scale, car.yaw_rad) == pytest.approx((1.25, (1 - 6 / 18) / 2, 0.4))
    assert np.isnan(accumulator.result().classes[1].scale)


def test_objects_of_nuscenes_count_as_far_as_there():
    limits = dict.fromkeys(("car", "truck", "bus", "trailer", "construction_vehicle"), 50)
    limits |= dict.fromkeys(("pedestrian", "motorcycle", "bicycle"), 40) | {"traffic_cone": 30, "barrier": 30}
    assert limits == CLASS_RANGE_M
    assert DISTANCES_M == (0.5, 1.0, 2.0, 4.0)


def test_ranges_are_measured_from_the_vehicle():
    """LIDAR_TOP of nuScenes is 0.94 m ahead of the origin of the vehicle, and its x axis points to the right."""
    mounted = SE3(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), np.array([0.94, 0, 1.84]))
    ahead, behind = (0.0, 39.5, 1, 5), (0.0, -40.5, 1, 5)  # 40.44 and 39.56 m from the vehicle
    accumulator = DetectionAccumulator(NAMES)
    accumulator.add(boxes([ahead, behind]), boxes([ahead, behind]), "scene", mounted)
    for frames in accumulator.frames:
        assert frames[0].center_m[:, 1].tolist() == [-40.5]


@pytest.mark.parametrize(
    ("distance_m", "points", "options", "count"),
    [
        (39.99, 1, {}, 1),
        (40.0, 1, {}, 0),
        (39.99, 0, {}, 0),
        (39.99, 4, {"min_points": 5}, 0),
        (39.99, 5, {"min_points": 5}, 1),
        (59.9, 5, {"class_range_m": {"pedestrian": 60}}, 1),
        (999.0, 5, {"class_range_m": {}}, 1),
    ],
)
def test_objects_count_that_are_near_and_full_enough(distance_m, points, options, count):
    x, y = 0.6 * distance_m, 0.8 * distance_m
    assert scored([[]], [[(x, y, 1, points)]], **options).classes[1].num_objects == count


def test_boxes_of_a_class_without_a_name_do_not_count():
    assert [c.num_objects for c in scored([[(1, 1, 2, 0.9)]], [[(1, 1, 1, 5), (5, 5, 2, 5)]]).classes] == [0, 1]


def test_an_object_is_taken_from_less_than_the_limit():
    true = [boxes([(3, 4, 0, 1)])]
    assert average_precision([boxes([(0, 0, 0, 1)])], true, 5.0)[1] == []
    assert average_precision([boxes([(0, 0, 0, 1)])], true, 5.01)[1] == [(0, 0, 0)]


def test_a_detection_takes_the_nearest_object_that_is_left():
    found, true = boxes([(0, 0, 0, 0.9), (0.2, 0, 0, 0.8)]), boxes([(1, 0, 0, 5), (0.5, 0, 0, 5)])
    assert average_precision([found], [true], 2.0)[1] == [(0, 0, 1), (0, 1, 0)]


@pytest.mark.parametrize(("range_m", "bin_"), [(19.9, 0), (20.0, 1), (39.9, 1), (40.0, 2)])
def test_a_border_belongs_to_the_farther_range(range_m, bin_):
    rows = [(0, range_m, 0, 5)]
    by_range = scored([rows], [rows]).classes[0].by_range
    assert by_range[bin_] == pytest.approx(1)
    assert np.isnan(by_range).sum() == 2


def test_a_draw_without_an_object_has_no_figure():
    draws = np.array(scored([[(0, 5, 0, 0.9)], *[[]] * 5], [[(0, 5, 0, 7)], *[[]] * 5]).draws)
    without = times_drawn(6, 200, "detection")[:, 0] == 0
    assert (np.isnan(draws) == without).all()
    assert draws[~without] == pytest.approx(1)


def test_a_class_that_a_draw_lacks_is_not_in_its_mean():
    rows = [[(0, 5, 0, 9)], *[[(0, 5, 1, 9)]] * 5]
    assert scored(rows, rows).draws == pytest.approx([1.0] * 200)


def test_draws_have_six_digits(rng_of):
    draws = np.array(scored(*drawn_frames(rng_of(3), 6)).draws)
    assert (draws == draws.round(6)).all()
    assert (draws != draws.round(5)).any()


@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_devkits_average_precision(seed):
    pytest.importorskip("nuscenes.eval.detection.algo", reason="needs the devkit")
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.common.utils import center_distance
    from nuscenes.eval.detection.algo import accumulate, calc_ap
    from nuscenes.eval.detection.data_classes import DetectionBox

    rng = np.random.default_rng(seed)
    true = [np.column_stack([rng.uniform(-20, 20, (n, 2)), np.zeros(n), np.ones(n)]) for n in rng.integers(0, 9, 12)]
    found = []
    for rows in true:
        near = rows[rng.random(len(rows)) < 0.7]
        near = near + rng.normal(0, 1, near.shape) * [1, 1, 0, 0]
        wrong = np.column_stack([rng.uniform(-20, 20, (4, 2)), np.zeros(4), np.ones(4)])
        both = np.concatenate([near, wrong])
        both[:, 3] = rng.random(len(both))
        found.append(both)

    def theirs(frames, scored):
        out = EvalBoxes()
        for k, rows in enumerate(frames):
            out.add_boxes(
                str(k),
                [
                    DetectionBox(
                        sample_token=str(k),
                        translation=(x, y, 0.0),
                        size=(2.0, 4.0, 1.5),
                        rotation=(1.0, 0.0, 0.0, 0.0),
                        velocity=(0.0, 0.0),
                        detection_name="car",
                        detection_score=float(score) if scored else -1.0,
                        attribute_name="",
                    )
                    for x, y, _, score in rows
                ],
            )
        return out

    for limit in DISTANCES_M:
        data = accumulate(theirs(true, False), theirs(found, True), "car", center_distance, limit)
        ours, _ = average_precision([boxes(f) for f in found], [boxes(t) for t in true], limit)
        assert ours == pytest.approx(calc_ap(data, 0.1, 0.1), abs=1e-12)
    assert 0 < ours < 1
