import math
from dataclasses import replace

import pytest

from pointsam.evaluate.clues import CLUES
from pointsam.evaluate.suspicions import Weights, by_frame, ranked, suspicions
from pointsam.evaluate.tracked_frames import TrackedCluster, TrackedFrame
from pointsam.taxonomy import NUSCENES

CAR, BUS = NUSCENES.class_id("car"), NUSCENES.class_id("bus")
BASE = TrackedCluster(0, 0, CAR, 100, (0.0, 0.0, 0.0), 4.5, 1.5, 2, 1.0, probability=1.0, spread=(60, 40))
HALF = {"probability": 0.5}


def scene(*frames, name="s", failed=()):
    """Frames of clusters, given as changes of a good one."""
    return [
        TrackedFrame(
            name,
            f"{name}{f}",
            f * 100_000,
            f not in failed,
            tuple(replace(BASE, cluster_id=k, **changes) for k, changes in enumerate(row)) if f not in failed else (),
        )
        for f, row in enumerate(frames)
    ]


def found(*frames, **options):
    return suspicions(scene(*frames, **options), NUSCENES)


def test_good_labels_are_not_suspicious():
    assert found([{}], [{}], [{}]) == ()


@pytest.mark.parametrize(
    ("changes", "score", "reason"),
    [
        ({"probability": 0.25}, 0.75, "probability 0.25"),
        ({"class_share": 0.6}, 0.2, "masks of 2 cameras disagree: 60% of its masked points have one of car"),
        (
            {**HALF, "length_m": 8.0, "track_id": -1},
            8 / 9,
            "8.0 m long and 1.5 m high; a car is 5.0 m long and 1.7 m high",
        ),
        (
            {**HALF, "track_id": 5, "center_world_m": (90.0, 0.0, 0.0)},
            1 / 2,
            "seen in this frame only, between frames without it",
        ),
        (
            {**HALF, "spread": (60, 10, 0, 0, 0, 0, 30)},
            1 / 2,
            "30 points of 100 outside of the usual extent of its track",
        ),
    ],
)
def test_each_reason_has_its_score_and_text(changes, score, reason):
    one = next(s for s in found([{}], [changes], [{}]) if s.cluster_id == 0 and s.frame_id == "s1")
    assert one.score == pytest.approx(score)
    probability = changes.get("probability", 1.0)
    assert one.reasons == tuple(dict.fromkeys([f"probability {probability:.2f}", reason]))
    assert (one.scene, one.class_name, one.track_id) == ("s", "car", changes.get("track_id", 0))


def test_reasons_add_up_and_name_the_frame_before():
    changed = {"class_id": BUS, "length_m": 7.0, "probability": 0.8}
    first = found([{}], [changed], [changed])[0]
    assert first.frame_id == "s1"
    assert first.reasons == (
        "probability 0.80",
        "bus here, car in the frame of its track before",
        "4.5 m long and 1.5 m high in the frame before, 7.0 m long and 1.5 m high here",
    )
    assert first.score == pytest.approx(1 - 0.8 * 0.7)
    doubled = Weights(odds={"size jump": 2.0})
    (first, *_) = suspicions(scene([{}], [changed], [changed]), NUSCENES, doubled)
    assert first.score == pytest.approx(1 - 2 / 3 * 0.7)  # odds of 1 to 4, doubled


def test_a_certain_cluster_is_suspicious_of_its_class_only():
    assert found([{}], [{"length_m": 7.0}], [{"length_m": 7.0}]) == ()
    assert [one.frame_id for one in found([{}], [{"class_id": BUS}], [{"class_id": BUS}])] == ["s1"]


def test_a_gap_is_a_missed_object():
    one, other = found([HALF], [], [{}])
    one, other = (one, other) if one.frame_id == "s1" else (other, one)
    assert (one.frame_id, one.cluster_id, one.track_id, one.class_name) == ("s1", -1, 0, "car")
    assert one.reasons == ("its track is in frames before and after, and not here: last in s0",)
    assert one.score == Weights().missing
    assert (other.frame_id, other.reasons) == ("s0", ("probability 0.50", "its track breaks after this frame"))


def test_a_quarantined_frame_is_first():
    first, second = found([{"probability": 0.1}], [{}], [{}], failed=(1,))
    assert (first.frame_id, first.score) == ("s1", 1.0)
    assert first.reasons == ("the frame is quarantined: it has no labels",)
    assert second.frame_id == "s0"


def test_order_is_by_score_then_frame_then_cluster():
    rows = [{"probability": p, "track_id": -1} for p in (0.5, 0.9, 0.5)]
    order = [(one.frame_id, one.cluster_id) for one in found(rows, rows[:1])]
    assert order == [("s0", 0), ("s0", 2), ("s1", 0), ("s0", 1)]


def test_an_unknown_probability_has_its_own_chance():
    unknown = {"probability": math.nan, "track_id": -1}
    plain, odd = found([unknown, {**unknown, "height_m": 3.0}])[::-1]
    assert (plain.score, plain.reasons) == (pytest.approx(0.2), ("no probability is known",))
    assert odd.score == pytest.approx(2 / 3)  # odds of 1 to 4, times 8


def test_scenes_are_merged_by_score_and_frames_by_their_sum():
    a = found([{"probability": 0.6, "track_id": -1}] * 2, name="a")
    b = found([{"probability": 0.4, "track_id": -1}], [{"probability": 0.6, "track_id": -1}], name="b")
    merged = ranked([a, b])
    assert [one.frame_id for one in merged] == ["b0", "a0", "a0", "b1"]
    frames = by_frame(merged)
    assert [(one.frame_id, pytest.approx(one.score)) for one in frames] == [("a0", 0.8), ("b0", 0.6), ("b1", 0.4)]
    assert [len(one.suspicions) for one in frames] == [2, 1, 1]
    assert ranked([]) == by_frame(()) == ()


def test_every_clue_has_a_weight():
    assert sorted([*Weights().odds, *Weights().chance]) == sorted({*CLUES} - {"beginning"})
    rows = [{}], [{"class_share": 0.6}], [{}]
    doubtful = Weights(chance={"cameras disagree": 0.8})
    assert suspicions(scene(*rows), NUSCENES, doubtful)[0].score == pytest.approx(0.8)
