import numpy as np
import pytest

from pointsam.geometry.se3 import SE3
from pointsam.stages.trim import TrimConfig, trim
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels

CAR, PEDESTRIAN = NUSCENES.class_id("car"), NUSCENES.class_id("pedestrian")
BODY = np.array([[10.0, 0.0, z] for z in np.linspace(-1.7, 0.0, 12)])
ROAD = np.array([[10.0 + x, 0.0, -1.7] for x in (0.3, 0.6, 0.9, 1.2)])
ON = TrimConfig(enabled=True)


def trimmed(xyz, class_id=PEDESTRIAN, config=ON, ego_SE3_lidar=None):
    labels = PointLabels(np.zeros(len(xyz), np.int32), np.full(len(xyz), class_id, np.uint8))
    out = trim(xyz.astype(np.float32), ego_SE3_lidar or SE3.identity(), labels, NUSCENES, config)
    assert ((out.instance_id == NO_INSTANCE) == (out.class_id == BACKGROUND)).all()
    return (out.instance_id == 0).tolist()


def test_road_behind_a_walker_goes_and_road_at_his_feet_stays():
    assert trimmed(np.concatenate([BODY, ROAD])) == [True] * 12 + [True, False, False, False]


def test_a_vehicle_keeps_the_road_below_it():
    assert all(trimmed(np.concatenate([BODY, ROAD]), class_id=CAR))


def test_it_is_off_in_the_published_method():
    assert all(trimmed(np.concatenate([BODY, ROAD]), config=TrimConfig()))


def test_a_far_object_of_few_returns_is_left_alone():
    assert all(trimmed(np.concatenate([BODY[-2:], ROAD])))


def test_one_return_below_the_road_does_not_hide_the_road():
    stray = np.array([[10.0, 0.0, -9.0]])
    many = np.repeat(BODY, 5, axis=0)
    kept = trimmed(np.concatenate([many, ROAD, stray]))
    assert kept[len(many) : len(many) + 4] == [True, False, False, False]


def test_up_is_the_vehicles_up_not_the_sensors():
    rolled = SE3(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.zeros(3))
    xyz = np.concatenate([BODY, ROAD])
    assert trimmed(rolled.inverse().apply(xyz), ego_SE3_lidar=rolled) == trimmed(xyz)


def test_every_object_is_trimmed_by_itself():
    xyz = np.concatenate([BODY, ROAD, BODY + np.array([0, 9, 3]), ROAD + np.array([0, 9, 3])])
    ids = np.repeat([7, 3], 16).astype(np.int32)
    labels = PointLabels(ids, np.full(32, PEDESTRIAN, np.uint8))
    out = trim(xyz.astype(np.float32), SE3.identity(), labels, NUSCENES, ON).instance_id
    assert (out[:16] == 7).tolist() == (out[16:] == 3).tolist() == [True] * 13 + [False] * 3


def test_nothing_labelled_is_nothing_to_trim():
    empty = PointLabels.empty(4)
    assert trim(np.zeros((4, 3), np.float32), SE3.identity(), empty, NUSCENES, ON).instance_id.tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("dx", "z", "kept"), [(0.49, -1.7, True), (0.51, -1.7, False), (0.51, -1.46, False), (0.51, -1.44, True)]
)
def test_road_is_what_lies_low_and_apart_from_the_body(dx, z, kept):
    standing = np.repeat(BODY[:1], 50, axis=0)  # the lowest points are the ground
    assert trimmed(np.concatenate([BODY, standing, [[10.0 + dx, 0.0, z]]]))[-1] == kept


@pytest.mark.parametrize(("dx", "z", "kept"), [(0.9, -1.7, True), (1.1, -1.3, False), (1.1, -1.1, True)])
def test_the_height_and_reach_are_those_configured(dx, z, kept):
    standing = np.repeat(BODY[:1], 50, axis=0)
    config = TrimConfig(enabled=True, layer_m=0.5, reach_m=1.0)
    assert trimmed(np.concatenate([BODY, standing, [[10.0 + dx, 0.0, z]]]), config=config)[-1] == kept


@pytest.mark.parametrize(("body", "kept"), [(2, True), (3, False)])
def test_as_few_points_as_configured_are_a_body(body, kept):
    xyz = np.concatenate([BODY[-body:], ROAD[-1:]])
    assert trimmed(xyz)[-1] == kept
    assert trimmed(xyz, config=TrimConfig(enabled=True, min_body=body + 1)) == [True] * (body + 1)


def test_nearness_is_measured_in_the_ground_plane_and_in_both_directions():
    aside = np.array([[10.0, 0.4, -1.7], [10.0, -0.6, -1.7], [10.4, 0.4, -1.7]])
    assert trimmed(np.concatenate([BODY[6:], aside]))[-3:] == [True, False, False]


@pytest.mark.parametrize(
    ("x", "z", "kept"), [(10.5, -2.0, True), (10.5, -1.75, True), (10.75, -1.75, True), (10.75, -2.0, False)]
)
def test_the_limits_themselves_are_no_road(x, z, kept):
    body = np.array([[10.0, 0.0, -2.0]] * 60 + [[10.0, 0.0, height] for height in (-1.5, -1.0, 0.0)])
    assert trimmed(np.concatenate([body, [[x, 0.0, z]]]))[-1] == kept
