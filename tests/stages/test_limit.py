import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.geometry.se3 import SE3
from pointsam.stages.limit import LimitConfig, limit
from pointsam.taxonomy import BACKGROUND, NUSCENES, ClassSpec, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

CAR = NUSCENES.class_id("car")
ON = LimitConfig(enabled=True)
FAR_CAR = np.array([[50.0 + x, 0.0, 0.0] for x in np.arange(0, 4, 0.5)])
HEDGE = np.array([[60.0 + x, 1.0, 0.0] for x in np.arange(0, 3, 0.5)])


def kept(xyz, class_id=CAR, config=ON, taxonomy=NUSCENES, ego_SE3_lidar=None):
    labels = PointLabels(np.zeros(len(xyz), np.int32), np.full(len(xyz), class_id, np.uint8))
    out = limit(xyz.astype(np.float32), ego_SE3_lidar or SE3.identity(), labels, taxonomy, config)
    assert ((out.instance_id == NO_INSTANCE) == (out.class_id == BACKGROUND)).all()
    return (out.instance_id == 0).tolist()


def test_a_car_with_a_hedge_behind_it_is_the_car():
    assert kept(np.concatenate([FAR_CAR, HEDGE])) == [True] * 8 + [False] * 6


def test_what_fits_its_class_keeps_every_part():
    near = HEDGE - np.array([6.0, 0.0, 0.0])
    assert all(kept(np.concatenate([FAR_CAR[:4], near[:3]])))
    assert all(kept(np.concatenate([FAR_CAR, HEDGE]), class_id=NUSCENES.class_id("trailer")))


def test_it_is_off_in_the_published_method():
    assert all(kept(np.concatenate([FAR_CAR, HEDGE]), config=LimitConfig()))


def test_a_class_without_a_typical_size_is_not_limited():
    assert all(kept(np.concatenate([FAR_CAR, HEDGE]), class_id=0, taxonomy=Taxonomy("own", (ClassSpec("thing"),))))


def test_of_equal_parts_the_nearer_one_stays():
    assert kept(np.concatenate([HEDGE, FAR_CAR[:6]])) == [False] * 6 + [True] * 6


def test_every_cluster_is_limited_by_itself_and_nothing_else_changes():
    xyz = np.concatenate([FAR_CAR, HEDGE, FAR_CAR + np.array([0, 9, 0]), [[np.nan] * 3]]).astype(np.float32)
    ids = np.repeat([7, 3, NO_INSTANCE], [14, 8, 1]).astype(np.int32)
    labels = PointLabels(ids, np.where(ids < 0, BACKGROUND, CAR).astype(np.uint8))
    out = limit(xyz, SE3.identity(), labels, NUSCENES, ON).instance_id
    assert out.tolist() == [7] * 8 + [NO_INSTANCE] * 6 + [3] * 8 + [NO_INSTANCE]
    empty = PointLabels.empty(4)
    assert np.array_equal(
        limit(np.zeros((4, 3), np.float32), SE3.identity(), empty, NUSCENES, ON).instance_id, empty.instance_id
    )


def test_lengths_are_those_in_the_ground_plane_of_the_vehicle_not_of_the_sensor():
    """A sensor that lies on its side: its y axis points down."""
    tilted = SE3(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), np.array([0.0, 0.0, 1.8]))
    tower = np.concatenate([FAR_CAR, FAR_CAR[:3] + np.array([0.0, 0.0, 9.0])])
    assert all(kept(tilted.inverse().apply(tower), ego_SE3_lidar=tilted))
    beside = np.concatenate([FAR_CAR, FAR_CAR[:3] + np.array([0.0, 9.0, 0.0])])
    assert kept(tilted.inverse().apply(beside), ego_SE3_lidar=tilted) == [True] * 8 + [False] * 3


def kept_slowly(xy, longest_m):
    """All pairs of points, links one by one, and the extent by directions."""
    angles = np.deg2rad(np.arange(0, 180, 3))
    if max(np.ptp([x * np.cos(a) + y * np.sin(a) for x, y in xy]) for a in angles) <= longest_m:
        return [True] * len(xy)
    link_m = [max(ON.floor_m, ON.range_coef * np.hypot(*one)) for one in xy]
    part = list(range(len(xy)))
    for i, one in enumerate(xy):
        for j, other in enumerate(xy):
            if np.hypot(*(one - other)) < max(link_m[i], link_m[j]) and part[i] != part[j]:
                part = [part[i] if k == part[j] else k for k in part]
    members = {k: [i for i in range(len(xy)) if part[i] == k] for k in part}
    nearest = {k: min(np.hypot(*xy[i]) for i in its) for k, its in members.items()}
    stays = min(members, key=lambda k: (-len(members[k]), nearest[k]))
    return [k == stays for k in part]


@pytest.mark.parametrize("seed", range(20))
def test_it_equals_the_plain_implementation(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform([10, -4], [10 + rng.uniform(2, 40), 4], (6, 2))
    xy = places[rng.integers(0, 6, 40)] + rng.normal(0, rng.choice([0.1, 0.3, 0.6]), (40, 2))
    xyz = np.column_stack([xy, rng.uniform(-1, 1, 40)]).astype(np.float32)
    expected = kept_slowly(xyz[:, :2].astype(np.float64), 1.5 * NUSCENES.classes[CAR].typical_lwh_m[0])
    assert kept(xyz) == expected


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_shuffled_cloud_gives_the_same_labels(seed):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform([10, -5, -1], [10 + rng.uniform(1, 40), 5, 1], (30, 3)).astype(np.float32)
    order = rng.permutation(30)
    assert np.array_equal(np.array(kept(xyz))[order], kept(xyz[order]))
