"""Each kind of error alone, in scenes worked out by hand: what it is called, and that mending it gives all back."""

import numpy as np
import pytest

from pointsam.evaluate.detection import FrameBoxes
from pointsam.evaluate.failures import KINDS, failures

NAMES = ("car", "pedestrian")
CAR, PERSON = 0, 1


def boxes(*rows):
    """From (x, y, class_id, score)."""
    rows = np.array(rows, dtype=float).reshape(-1, 4)
    xyz = np.column_stack([rows[:, :2], np.zeros(len(rows))])
    return FrameBoxes(xyz, np.ones((len(rows), 3)), np.zeros(len(rows)), rows[:, 2].astype(int), rows[:, 3])


def car(found, true):
    return failures([found], [true], NAMES)[CAR]


@pytest.mark.parametrize(
    ("kind", "found", "true"),
    [
        ("localisation", [(3, 0, CAR, 0.9)], [(0, 0, CAR, 9)]),
        ("wrong class", [(0, 0.3, PERSON, 0.9)], [(0, 0, CAR, 9)]),
        ("duplicate", [(0, 0, CAR, 0.9), (0.3, 0, CAR, 0.8), (20, 0, CAR, 0.7)], [(0, 0, CAR, 9), (20, 0, CAR, 9)]),
        ("background", [(9, 9, CAR, 0.9), (0, 0, CAR, 0.8)], [(0, 0, CAR, 9)]),
        ("missed", [(0, 0, CAR, 0.8)], [(0, 0, CAR, 9), (9, 9, CAR, 9)]),
    ],
)
def test_mending_the_only_kind_of_error_makes_it_perfect(kind, found, true):
    one = failures([boxes(*found)], [boxes(*true)], NAMES)
    gains = dict(zip(KINDS, one[CAR].gains, strict=True))
    assert gains[kind] > 0
    ap = {"localisation": 0.25, "wrong class": 0.0}.get(kind)  # of 0.5, 1, 2 and 4 m one is enough; none is
    if ap is not None:
        assert gains[kind] == pytest.approx(1 - ap)
    else:
        assert max(gains, key=gains.get) == kind
    counts = np.sum([np.array(c.counts) for c in one], axis=0)
    assert counts[KINDS.index(kind)] == 1


@pytest.mark.parametrize(
    ("found_class", "distance_m", "counts"),
    [
        (CAR, 0.49, (0, 0, 0, 0, 0)),
        (CAR, 0.5, (1, 0, 0, 0, 0)),
        (CAR, 3.99, (1, 0, 0, 0, 0)),
        (CAR, 4.0, (0, 0, 0, 1, 1)),
        (PERSON, 1.99, (0, 1, 0, 0, 1)),
        (PERSON, 2.0, (0, 0, 0, 1, 1)),
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_distance_decides_what_an_error_is(found_class, distance_m, counts, axis):
    place = np.eye(2)[axis] * distance_m
    both = failures([boxes((*place, found_class, 0.9))], [boxes((0, 0, CAR, 9))], NAMES)
    assert [one.name for one in both] == ["car", "pedestrian"]
    assert tuple(np.add(both[CAR].counts, both[PERSON].counts)) == counts
    assert both[found_class].counts[:4] == counts[:4]


@pytest.mark.parametrize(("own_m", "kind"), [(3.9, "duplicate"), (4.0, "wrong class")])
def test_near_its_own_class_a_second_detection_is_a_double(own_m, kind):
    found = boxes((0, 0, CAR, 0.9), (own_m, 0, CAR, 0.8))
    true = boxes((0, 0, CAR, 9), (own_m, 1, PERSON, 9))
    counts = dict(zip(KINDS, car(found, true).counts, strict=True))
    assert counts == dict.fromkeys(KINDS, 0) | {kind: 1}


def test_perfect_boxes_have_nothing_to_gain():
    rows = boxes((0, 5, CAR, 0.9), (10, 3, CAR, 0.8))
    one = car(rows, rows)
    assert one.gains == pytest.approx((0,) * 5)
    assert one.counts == (0,) * 5


def test_a_class_without_an_object_has_no_figures_but_its_detections_may_be_anothers():
    one = failures([boxes((0, 0, PERSON, 0.9))], [boxes((0, 0.3, CAR, 9))], NAMES)
    assert np.isnan(one[PERSON].gains).all()
    assert one[CAR].gains[KINDS.index("wrong class")] == pytest.approx(1)


def test_a_detection_near_its_own_class_keeps_it():
    found, true = boxes((0, 0, CAR, 0.9)), boxes((0, 1, PERSON, 9), (3, 0, CAR, 9))
    assert car(found, true).counts == (1, 0, 0, 0, 0)


def test_frames_do_not_mix():
    here, there = boxes((0, 0, CAR, 0.9)), boxes()
    one = failures([here, there], [there, here], NAMES)[CAR]
    assert one.counts == (0, 0, 0, 1, 1)


def test_a_class_that_was_never_found_misses_all_of_it():
    one = car(boxes(), boxes((0, 0, CAR, 9)))
    assert dict(zip(KINDS, one.gains, strict=True)) == pytest.approx(dict.fromkeys(KINDS, 0.0) | {"missed": 1.0})


def test_a_wrong_class_upon_an_object_that_is_found_gains_nothing_when_fixed():
    found = boxes((0, 0, CAR, 0.9), (20, 0, CAR, 0.7), (0, 0.3, PERSON, 0.8))
    true = boxes((0, 0, CAR, 9), (20, 0, CAR, 9), (40, 0, PERSON, 9))
    a_car, a_person = failures([found], [true], NAMES)
    assert a_car.gains[KINDS.index("wrong class")] == pytest.approx(0)
    assert a_person.counts == (0, 1, 0, 0, 1)
