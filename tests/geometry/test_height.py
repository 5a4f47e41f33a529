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


def test_cells_have_the_edge_asked_for():
    xyz = np.array([[0.4, 0.4, 3.0], [0.9, 0.4, 1.0], [1.1, 0.4, 0.0], [0.4, -0.9, 2.0], [0.4, -0.4, 2.5]])
    assert above_lowest_m(xyz, 0.5).tolist() == [2.0, 1.0, 0.0, 0.0, 1.5]


def test_the_rim_is_at_320_metres():
    xyz = np.array([[319.5, 0.5, 5.0], [400.0, 0.5, 3.0], [317.5, 0.5, 0.0], [-330.0, -0.5, 1.0], [-319.5, -0.5, 4.0]])
    assert above_lowest_m(xyz, 1.0).tolist() == [2.0, 0.0, 0.0, 0.0, 3.0]


def test_stray_points_below_the_ground_are_passed_over():
    ground = np.array([[0.1 * k, 0.5, 0.0] for k in range(9)])
    xyz = np.concatenate([ground, [[0.5, 0.5, -1.0], [0.5, 0.5, 1.5]]])
    assert above_lowest_m(xyz, 1.0)[0] == 1.0
    height = above_lowest_m(xyz, 1.0, stray=0.2)
    assert height.tolist() == [0.0] * 9 + [-1.0, 1.5]
    few = np.array([[0.5, 0.5, 0.3], [0.5, 0.5, 1.0]])  # a fifth of two points is none
    assert above_lowest_m(few, 1.0, stray=0.2).tolist() == [0.0, 0.7]


@pytest.mark.parametrize("bin_m", [0.5, 1.6, 6.4])
def test_without_stray_points_nothing_is_sorted_and_heights_are_the_same(bin_m):
    xyz = np.random.default_rng(2).normal(0, 20, (3000, 3))
    assert np.array_equal(above_lowest_m(xyz, bin_m), above_lowest_m(xyz, bin_m, stray=1e-9))
