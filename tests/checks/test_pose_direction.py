"""Right poses are not called inverted, wherever the origin is; inverted ones are."""

from types import SimpleNamespace

import numpy as np
import pytest

from pointsam.checks.rules.pose_direction import RULE
from pointsam.geometry.se3 import SE3


def circle(center_m, radius_m=15.0, step_s=0.5, count=9, inverted=False, times=True):
    """A scene of a vehicle that drives on a circle at 3.5 m/s."""
    frames = []
    for k in range(count):
        angle = 3.5 * step_s * k / radius_m
        cosine, sine = np.cos(angle), np.sin(angle)
        heading = np.array([[-sine, -cosine, 0], [cosine, -sine, 0], [0, 0, 1]])  # ahead is along the circle
        pose = SE3(heading, np.array([*center_m, 0.0]) + radius_m * np.array([cosine, sine, 0]))
        sweep = SimpleNamespace(t_us=int(1e6 * step_s * k) * times, world_SE3_ego=pose.inverse() if inverted else pose)
        frames.append(SimpleNamespace(scene="circle", sweep=sweep))
    return frames


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("center_m", [(0.0, 0.0), (4.0, -3.0), (60.0, 20.0), (4e5, 5e6)])
def test_a_circle_is_right_wherever_the_origin_is(center_m, times):
    assert list(RULE.of_scene(circle(center_m, times=times))) == []


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("center_m", [(60.0, 20.0), (4e5, 5e6)])
def test_its_inverse_far_from_the_origin_is_named(center_m, times):
    (problem,) = RULE.of_scene(circle(center_m, inverted=True, times=times))
    assert "probably inverted" in problem.what
