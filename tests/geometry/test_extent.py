import numpy as np
import pytest

from pointsam.geometry.extent import extents_m, fits


@pytest.mark.parametrize("degrees", [0, 17, 45, 89, 90, 133])
def test_the_extents_of_a_rotated_rectangle(degrees):
    a = np.deg2rad(degrees)
    corners = np.array([[2.0, 0.5], [2.0, -0.5], [-2.0, 0.5], [-2.0, -0.5]])
    turned = corners @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + 30.0
    longest, shortest = extents_m(turned)
    assert longest == pytest.approx(np.hypot(4, 1), rel=4e-4)
    assert 1.0 <= shortest + 1e-9 <= 1.0 + 4 * np.sin(np.deg2rad(1.5)) + 1e-6


def test_one_point_has_no_extent():
    assert extents_m(np.array([[3.0, 4.0]])) == (0.0, 0.0)


def test_length_and_width_count_whichever_is_stated_first():
    points = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    assert fits(points, (3.0, 1.0, 2.0), 1.1)
    assert fits(points, (1.0, 3.0, 2.0), 1.1)
    assert not fits(points, (3.0, 0.5, 2.0), 1.1)
    assert not fits(points, (2.5, 1.0, 2.0), 1.1)
