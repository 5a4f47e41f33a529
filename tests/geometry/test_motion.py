from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError
from pointsam.datasets.io import XYZ, RawPoints
from pointsam.geometry.motion import carried, has_motion, moved, twist
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, Sweep

STILL = SE3.identity()


def sweep(t_us, x_m=0.0):
    return Sweep(RawPoints(Path("none.bin"), XYZ), t_us, STILL, SE3(np.eye(3), [x_m, 0, 0]))


def rate_of(turn, speed):
    rate = np.zeros((4, 4))
    x, y, z = turn
    rate[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    rate[:3, 3] = speed
    return rate


@pytest.mark.parametrize("size", [0.0, 1e-14, 1e-9, 1e-4, 0.5, 3.0])
def test_points_are_carried_by_the_matrix_exponential(size):
    rng = np.random.default_rng(0)
    rate = rate_of(size * rng.normal(size=3), rng.normal(0, 10, 3))
    xyz, seconds = rng.normal(0, 20, (50, 3)), rng.uniform(-0.2, 0.2, 50)
    expected = [(expm(rate * t) @ [*point, 1])[:3] for point, t in zip(xyz, seconds, strict=True)]
    np.testing.assert_allclose(carried(xyz, rate, seconds), expected, atol=1e-11)


@given(st.floats(-0.3, 0.3))
def test_carrying_there_and_back_is_nothing(seconds):
    xyz, rate = np.array([[10.0, -3, 1]]), rate_of((0.1, -0.2, 0.6), (12.0, 1, 0))
    back = carried(carried(xyz, rate, np.array([seconds])), rate, np.array([-seconds]))
    np.testing.assert_allclose(back, xyz, atol=1e-12)


def test_a_rate_between_two_poses_leads_from_one_to_the_other():
    first = SE3(Rotation.from_euler("z", 10, degrees=True).as_matrix(), [5.0, 2, 0])
    second = SE3(Rotation.from_euler("zy", [14, 1], degrees=True).as_matrix(), [6.5, 2.4, 0.1])
    key, after = replace(sweep(0), world_SE3_ego=first), replace(sweep(100_000), world_SE3_ego=second)
    found = moved(first, twist(Frame("f", "s", (key,), {1: after}, ()), 50_000), 0.1)
    np.testing.assert_allclose(found.rotation, second.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation_m, second.translation_m, atol=1e-9)


def test_the_rate_is_that_of_the_two_sweeps_about_the_time():
    frame = Frame("f", "s", (sweep(0),), {-1: sweep(-100_000, -1.0), 1: sweep(100_000, 2.0)}, ())
    for t_us, speed_mps in ((-200_000, 10), (-50_000, 10), (50_000, 20), (200_000, 20)):
        assert twist(frame, t_us)[0, 3] == pytest.approx(speed_mps)


def test_neighbours_are_preferred_to_a_second_lidar():
    """Time stamps of two sensors may be microseconds apart: their poses give no speed."""
    second = sweep(1, 0.01)
    with_neighbour = Frame("f", "s", (sweep(0), second), {-1: sweep(-100_000, -1.0)}, ())
    assert twist(with_neighbour, 0)[0, 3] == pytest.approx(10)
    alone = Frame("f", "s", (sweep(0), sweep(50_000, 1.0)), {}, ())
    assert has_motion(alone)
    assert twist(alone, 0)[0, 3] == pytest.approx(20)


def test_a_single_time_gives_no_motion():
    frame = Frame("f", "s", (sweep(0), sweep(0, 1.0)), {1: sweep(0)}, ())
    assert not has_motion(frame)
    with pytest.raises(CalibrationError) as raised:
        twist(frame, 0)
    assert raised.value.code == "CAL004"
