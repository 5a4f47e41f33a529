import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from pointsam.stages.contraction import Groups, linked_components
from pointsam.stages.ids import canonical_ids


def free(floor_m):
    """Groups that all may link."""
    return Groups(np.asarray(floor_m, dtype=float), np.zeros(len(floor_m), int), lambda g, h: np.ones(len(g), bool))


def components(xyz, groups, group=None, range_link_m=None):
    n = len(xyz)
    group = np.zeros(n, dtype=int) if group is None else group
    range_link_m = np.zeros(n) if range_link_m is None else range_link_m
    return canonical_ids(linked_components(xyz, range_link_m, group, groups)).tolist()


def line(*x_m):
    return np.array([[x, 0.0, 0.0] for x in x_m])


def test_a_chain_of_links_is_one_component():
    assert components(line(*np.arange(0, 50, 0.9)), free([1.0])) == [0] * 56


def test_the_pair_test_is_strict_to_the_last_bit():
    assert components(line(0, 1.0), free([1.0])) == [0, 1]
    assert components(line(0, np.nextafter(1.0, 0)), free([1.0])) == [0, 0]


def test_copies_of_a_point_do_not_link_where_the_link_distance_is_zero():
    assert components(line(3, 3), free([0.0])) == [0, 1]


def test_the_longer_reach_of_one_point_is_enough():
    assert components(line(0, 3), free([1.0]), range_link_m=np.array([0.0, 4.0])) == [0, 0]


def test_groups_that_may_not_link_stay_apart_in_one_place():
    groups = Groups(np.ones(2), np.zeros(2, int), lambda g, h: g == h)
    assert components(np.zeros((4, 3)), groups, np.array([0, 1, 0, 1])) == [0, 1, 0, 1]


def test_groups_of_different_spaces_stay_apart_in_one_place():
    groups = Groups(np.ones(2), np.arange(2), lambda g, h: np.ones(len(g), bool))
    assert components(np.zeros((4, 3)), groups, np.array([0, 1, 0, 1])) == [0, 1, 0, 1]


def test_points_whose_coordinates_are_coarser_than_a_cell_are_told_apart():
    # at 2^53 m neighbouring numbers are 2 m apart
    assert components(line(2.0**53, 2.0**53 + 2, 2.0**53 + 2), free([1.0])) == [1, 0, 0]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]), st.sampled_from([0.05, 0.3, 1.0, 30.0]))
def test_the_partition_is_that_of_the_full_graph(seed, dims, spread_m):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(0, spread_m, (60, dims))
    group, range_link_m = rng.integers(0, 3, 60), rng.choice([0.0, 0.1, 2.0], 60) * rng.random(60)
    floor_m = np.array([0.1, 0.4, 1.0])
    allowed = rng.random((3, 3)) < 0.5
    allowed |= allowed.T | np.eye(3, dtype=bool)
    groups = Groups(floor_m, np.zeros(3, int), lambda g, h: allowed[g, h])
    d2 = sum(np.subtract.outer(a, a) ** 2 for a in xyz.T)
    floor = np.minimum.outer(floor_m[group], floor_m[group])
    t = np.maximum(np.maximum.outer(range_link_m, range_link_m), floor)
    full = connected_components((d2 < t * t) & allowed[group][:, group], directed=False)[1]
    assert components(xyz, groups, group, range_link_m) == canonical_ids(full).tolist()
