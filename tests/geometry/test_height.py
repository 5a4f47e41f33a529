import numpy as np
import pytest

from pointsam.geometry.height import above_lowest_m


def test_a_point_stands_on_the_lowest_of_its_cell_and_the_eight_around():
    xyz = np.array([[0.5, 0.5, 1.0], [1.5, 1.5, 0.2], [2.5, 2.5, 3.0], [-3.5, 0.5, 7.0]])
    assert above_lowest_m(xyz, 1.0) == pytest.approx([0.8, 0.0, 2.8, 0.0])
    assert len(above_lowest_m(np.zeros((0, 3)), 1.0)) == 0


def test_a_stray_return_costs_no_memory_and_changes_nothing_near():
    near = np.random.default_rng(0).uniform(-50, 50, (500, 3))
    far = np.array([[3e5, -3e5, -9.0], [-3e5, 3e5, 9.0]])
    height = above_lowest_m(np.concatenate([near, far]), 1.0)
    assert height[:500].tolist() == above_lowest_m(near, 1.0).tolist()
    assert height[500:].tolist() == [0.0, 0.0]
