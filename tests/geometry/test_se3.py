import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import CalibrationError
from pointsam.geometry.se3 import SE3

unit_quaternions = (
    st.lists(st.floats(-1, 1), min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
positions = st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3).map(np.array)
transforms = st.builds(SE3.from_quaternion, unit_quaternions, positions)

QUARTER_TURN_LEFT = SE3(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1.0, 2, 3]))


def test_points_are_rotated_then_moved():
    assert QUARTER_TURN_LEFT.apply(np.array([[1.0, 0, 0]])).tolist() == [[1, 3, 3]]


def test_the_right_transform_applies_first():
    step = SE3(np.eye(3), np.array([1.0, 0, 0]))
    assert (QUARTER_TURN_LEFT @ step).apply(np.zeros((1, 3))).tolist() == [[1, 3, 3]]
    assert (step @ QUARTER_TURN_LEFT).apply(np.zeros((1, 3))).tolist() == [[2, 2, 3]]


@settings(max_examples=20)
@given(transforms, transforms, positions)
def test_composing_is_applying_twice(a_SE3_b, b_SE3_c, point):
    twice = a_SE3_b.apply(b_SE3_c.apply(point[None]))
    np.testing.assert_allclose((a_SE3_b @ b_SE3_c).apply(point[None]), twice, atol=1e-9)


@settings(max_examples=20)
@given(transforms, positions)
def test_there_and_back_is_where_it_was(a_SE3_b, point):
    np.testing.assert_allclose(a_SE3_b.inverse().apply(a_SE3_b.apply(point[None])), point[None], atol=1e-9)


def test_there_and_back_holds_for_a_rotation_of_few_digits():
    coarse = SE3(np.round(SE3.from_quaternion([0.5, 0.5, -0.5, 0.5], np.zeros(3)).rotation, 4) + 2e-5, np.ones(3) * 1e3)
    np.testing.assert_allclose(coarse.inverse().inverse().translation_m, coarse.translation_m, atol=1e-9)
    np.testing.assert_allclose((coarse.inverse() @ coarse).rotation, np.eye(3), atol=1e-12)


@settings(max_examples=20)
@given(unit_quaternions)
def test_quaternions_are_scalar_first(q):
    """The angle of the rotation is twice the arc cosine of the first number, its axis the other three."""
    rotation = SE3.from_quaternion(q, np.zeros(3)).rotation
    assert np.trace(rotation) == pytest.approx(4 * q[0] ** 2 - 1, abs=1e-9)
    np.testing.assert_allclose(rotation @ q[1:], q[1:], atol=1e-9)


def test_a_quaternion_turns_counter_clockwise():
    half = np.pi / 4
    turn = SE3.from_quaternion([np.cos(half), 0, 0, np.sin(half)], [0, 0, 0])
    np.testing.assert_allclose(turn.apply(np.array([[1.0, 0, 0]])), [[0, 1, 0]], atol=1e-12)


def test_q_and_minus_q_are_one_rotation():
    q = np.array([0.1, -0.7, 0.1, 0.7])
    both = [SE3.from_quaternion(sign * q, np.zeros(3)).rotation for sign in (1, -1)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize(
    "rotation",
    [np.eye(3) * 1.01, np.diag([1.0, 1, -1]), np.zeros((3, 3)), np.array([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]])],
    ids=["scaled", "mirrored", "zero", "sheared"],
)
def test_what_is_no_rotation_is_CAL001(rotation):
    with pytest.raises(CalibrationError) as raised:
        SE3(rotation, np.zeros(3))
    assert raised.value.code == "CAL001"


@pytest.mark.parametrize("q", [[1, 1, 0, 0], [0, 0, 0, 0], [np.nan, 0, 0, 1]])
def test_a_quaternion_not_of_unit_length_is_CAL001(q):
    with pytest.raises(CalibrationError) as raised:
        SE3.from_quaternion(q, np.zeros(3))
    assert raised.value.code == "CAL001"


def test_a_rotation_may_be_rounded_to_three_digits():
    for scale, error in ((1 + 4.9e-4, None), (1 - 4.9e-4, None), (1 + 5.1e-4, "CAL001"), (1 - 5.1e-4, "CAL001")):
        assert _code(lambda scale=scale: SE3(np.eye(3) * scale, np.zeros(3))) == error


@pytest.mark.parametrize(("length", "error"), [(1.0009, None), (0.9991, None), (1.0011, "CAL001"), (0.9989, "CAL001")])
def test_a_quaternion_is_normalised_within_a_thousandth(length, error):
    q = np.array([0.1, -0.7, 0.1, 0.7]) * length
    assert _code(lambda: SE3.from_quaternion(q, np.zeros(3))) == error
    if error is None:
        expected = [[0.0, -0.28, -0.96], [0.0, -0.96, 0.28], [-1.0, 0.0, 0.0]]
        np.testing.assert_allclose(SE3.from_quaternion(q, np.zeros(3)).rotation, expected, atol=1e-12)


def _code(call):
    try:
        call()
    except CalibrationError as error:
        return error.code


@pytest.mark.parametrize(
    ("rotation", "translation"),
    [
        (np.eye(4), np.zeros(3)),
        (np.eye(3), np.zeros((3, 1))),
        (np.eye(3), [0, np.nan, 0]),
        ([[1, 0, 0], [0, 1], [0, 0, 1]], np.zeros(3)),
        (np.eye(3), ["x", "y", "z"]),
        (None, np.zeros(3)),
    ],
    ids=["4x4", "column", "nan", "ragged", "text", "none"],
)
def test_a_malformed_pose_is_CAL003(rotation, translation):
    with pytest.raises(CalibrationError) as raised:
        SE3(rotation, translation)
    assert raised.value.code == "CAL003"


@pytest.mark.parametrize("q", [[1, 0, 0], [[1, 0, 0, 0]], None, "1000"])
def test_a_malformed_quaternion_is_CAL003(q):
    with pytest.raises(CalibrationError) as raised:
        SE3.from_quaternion(q, np.zeros(3))
    assert raised.value.code == "CAL003"


def test_a_transform_cannot_be_changed_afterwards():
    given_rotation = np.eye(3)
    pose = SE3(given_rotation, np.zeros(3))
    given_rotation[0, 0] = 7
    assert pose.rotation[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        pose.rotation[0, 0] = 7
