"""Reasons of low scores, each planted."""

from dataclasses import replace

import numpy as np
import pytest

from pointsam.evaluate.detection import FrameBoxes
from pointsam.evaluate.diagnosis import diagnose

NAMES = ("car", "pedestrian", "bus")
SIZES = np.array([(4.6, 1.9, 1.7), (0.7, 0.6, 1.8), (11.0, 2.9, 3.4)])
RANGE_M = (-50.0, -50.0, -5.0, 50.0, 50.0, 3.0)


@pytest.fixture
def true():
    rng, frames = np.random.default_rng(0), []
    for _ in range(10):
        n = 8
        center = np.column_stack([rng.uniform(-45, 45, (n, 2)), rng.uniform(-1, 0, n)])
        kind = rng.integers(0, 3, n)
        frames.append(FrameBoxes(center, SIZES[kind], rng.uniform(-3, 3, n), kind, np.full(n, 20.0)))
    return frames


def near(true):
    """Good predictions: the objects, a little off."""
    rng = np.random.default_rng(1)
    return [
        replace(t, center_m=t.center_m + rng.normal(0, 0.1, t.center_m.shape), score=rng.uniform(0.4, 1, len(t.score)))
        for t in true
    ]


def first(found, true, range_m=RANGE_M):
    findings = diagnose(found, true, NAMES, range_m)
    return findings[0]


def changed(true, **change):
    return [replace(f, **{name: of(getattr(f, name)) for name, of in change.items()}) for f in near(true)]


def turned(degrees, shift=(0, 0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return lambda xyz: np.column_stack([xyz[:, :2] @ np.array([[c, s], [-s, c]]) + shift, xyz[:, 2]])


SWAP = (1, 0, 2)
FAULTS = [
    (lambda t: changed(t, center_m=lambda x: x + np.array([0, 0, 1.6])), "boxes 1.6 m too high", "bottom of the box"),
    (lambda t: changed(t, center_m=lambda x: x - (0, 0, 1.6)), "boxes 1.6 m too low", "bottom of the box"),
    (lambda t: changed(t, yaw_rad=lambda y: y + np.pi / 2), "headings off by 90 degrees", "another axis"),
    (lambda t: changed(t, size_lwh_m=lambda s: s[:, SWAP]), "length and width exchanged", "order of the sizes"),
    (
        lambda t: changed(t, size_lwh_m=lambda s: s[:, SWAP], yaw_rad=lambda y: y - np.pi / 2),
        "length and width exchanged, and headings off by 90 degrees",
        "x axis is the other side",
    ),
    (lambda t: changed(t, size_lwh_m=lambda s: s * 3.28), "sizes wrong by a factor of 3.28", "unit of the sizes"),
    (lambda t: changed(t, class_id=lambda k: (k + 1) % 3), "objects found as another class, mostly", "order of the"),
    (lambda t: changed(t, center_m=turned(0, (7, -3))), "only if they are shifted by -7.0 m along x and 3.", "frames"),
    (lambda t: changed(t, center_m=turned(90)), "only if they are turned by", "different frames"),
    (lambda t: changed(t, center_m=lambda x: x * (1, -1, 1)), "only if they are mirrored, with left", "frames"),
    (lambda t: [f[np.zeros(len(f.score), dtype=bool)] for f in near(t)], "there are no predictions", "train longer"),
    (lambda t: changed(t, score=lambda s: s * 0.1), "scores below 0.3; the highest is 0.1", "train longer"),
]


@pytest.mark.parametrize(("plant", "what", "way"), FAULTS)
def test_a_planted_fault_is_the_first_likely_finding(true, plant, what, way):
    one = first(plant(true), true)
    assert one.likely
    assert what in one.what
    assert way in one.way


def test_objects_outside_of_the_map(true):
    one = first([f[np.zeros(8, dtype=bool)] if k else f for k, f in enumerate(near(true))], true, (0, 0, -5, 9, 9, 3))
    center = np.concatenate([t.center_m for t in true])
    inside = ((center[:, :2] >= 0) & (center[:, :2] < 9)).all(axis=1)
    assert "outside of the detector's grid" in one.what
    assert (one.count, one.total) == (int((~inside).sum()), 80)


def test_predictions_elsewhere_are_misses(true):
    found = [replace(f, center_m=np.full_like(f.center_m, 400.0)) for f in near(true)]
    findings = diagnose(found, true, NAMES, RANGE_M)
    assert (findings[0].what, findings[0].count, findings[0].likely) == (
        "objects without any prediction within 4 m", 80, True
    )  # fmt: skip


def test_good_predictions_have_no_likely_reason(true):
    assert not any(one.likely for one in diagnose(near(true), true, NAMES, RANGE_M))


def test_nothing_to_explain_without_objects(true):
    assert diagnose(near(true), [t[np.zeros(8, dtype=bool)] for t in true], NAMES) == ()


def test_many_bad_predictions_do_not_hide_a_fault(true):
    rng, found = np.random.default_rng(2), []
    for f in changed(true, center_m=lambda x: x + np.array([0, 0, 2.0])):
        n = 60
        noise = FrameBoxes(
            np.column_stack([rng.uniform(-50, 50, (n, 2)), np.full(n, -1.0)]), SIZES[rng.integers(0, 3, n)],
            np.zeros(n), rng.integers(0, 3, n), np.full(n, 0.05),
        )  # fmt: skip
        parts = (f, noise)
        found.append(FrameBoxes(*(np.concatenate([getattr(p, k) for p in parts]) for k in f.__dataclass_fields__)))
    assert "too high" in first(found, true).what


def test_boxes_of_a_detector_that_is_sure_of_nothing_tell_little(true):
    high = changed(true, center_m=lambda x: x + np.array([0, 0, 1.6]))
    unsure = [replace(f, score=f.score * 0.05) for f in high]
    of_height = [one for one in diagnose(unsure, true, NAMES, RANGE_M) if "too high" in one.what]
    assert [one.likely for one in of_height] == [False]
    assert "scores below" in first(unsure, true).what
