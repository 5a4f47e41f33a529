"""A digest tells whether a box is the one that was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from pointsam.detect.data.digests import box_digests
from pointsam.taxonomy import BACKGROUND
from pointsam.types import Boxes

NAMES = ("car", "van")
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
BOXES = Boxes(
    np.array([[10.0, 2.0, -1.0], [15.5, -4.25, 0.0]]),
    np.array([[4.0, 1.6, 1.5], [0.6, 0.6, 1.8]]),
    np.array([np.eye(3), TURN]),
    np.array([0, 1], dtype=np.uint8),
    ("a", "b"),
)


def test_it_does_not_depend_on_the_token_or_the_order():
    turned = Boxes(BOXES.center_m[::-1], BOXES.size_lwh_m[::-1], BOXES.rotation[::-1], BOXES.class_id[::-1], ("c", "d"))
    assert box_digests(turned, NAMES) == box_digests(BOXES, NAMES)[::-1]
    assert len(set(box_digests(BOXES, NAMES))) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_last_bits_of_a_number_do_not_matter(seed):
    """Places and sizes of label files are round, and they stay in their cell whatever a machine rounds."""
    rng = np.random.default_rng(seed)
    center = np.round(rng.uniform(-80, 80, (500, 3)), 2)
    many = Boxes(
        center,
        np.round(rng.uniform(0.1, 12, (500, 3)), 2),
        np.repeat(np.eye(3)[None], 500, axis=0),
        np.zeros(500, dtype=np.uint8),
        ("",) * 500,
    )
    moved = replace(many, center_m=center + rng.uniform(-1e-9, 1e-9, center.shape))
    assert box_digests(moved, NAMES) == box_digests(many, NAMES)


@pytest.mark.parametrize(
    "change",
    [
        {"center_m": BOXES.center_m + np.array([[0, 0, 0.02], [0, 0, 0]])},
        {"size_lwh_m": BOXES.size_lwh_m + np.array([[0.02, 0, 0], [0, 0, 0]])},
        {"rotation": np.array([TURN, TURN])},
        {"rotation": np.array([-np.eye(3) * [1, 1, -1], TURN])},
        {"class_id": np.array([1, 1], dtype=np.uint8)},
        {"class_id": np.array([BACKGROUND, 1], dtype=np.uint8)},
    ],
    ids=["place", "size", "turned", "half a turn", "class", "void"],
)
def test_a_box_that_was_edited_has_another(change):
    first, second = box_digests(BOXES, NAMES)
    edited = box_digests(replace(BOXES, **change), NAMES)
    assert edited[0] != first
    assert edited[1] == second


def test_no_box_has_no_digest():
    none = Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, dtype=np.uint8), ())
    assert box_digests(none, NAMES) == ()
