"""Boxes from the faces that a sensor sees, against the boxes that these faces are of."""

import numpy as np
import pytest

from pointsam.geometry.fit import fit_box, fit_boxes, rectangle_angle
from pointsam.taxonomy import KITTI, NUSCENES, TYPICAL_LWH_M, ClassSpec, Taxonomy
from pointsam.types import PointLabels

CAR = TYPICAL_LWH_M["car"]


def faces(center, yaw, size=CAR, seen=None, count=200, seed=0, noise_m=0.01):
    """Points on the faces of an upright box that look at the origin; `seen` 1 leaves the larger of them."""
    rng = np.random.default_rng(seed)
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    to_sensor = turn.T @ -np.asarray(center[:2])
    points = []
    for axis in (0, 1):
        local = rng.uniform(-0.5, 0.5, (count, 2)) * size[:2]
        local[:, axis] = np.sign(to_sensor[axis]) * size[axis] / 2
        points.append(local)
    if seen == "side":
        points = points[1:]
    elif seen == "end":
        points = points[:1]
    xy = np.concatenate(points) @ turn.T + center[:2] + rng.normal(0, noise_m, (count * len(points), 2))
    return np.column_stack([xy, rng.uniform(-0.5, 0.5, len(xy)) * size[2] + center[2]])


def apart(found, true):
    """Degrees between two axes, whichever way they point."""
    return np.degrees(abs((found - true + np.pi / 2) % np.pi - np.pi / 2))


@pytest.mark.parametrize("yaw", np.deg2rad([-170, -88, -45, -3, 0, 20, 45, 91, 137]))
@pytest.mark.parametrize("center", [(20.0, 5.0, -1.0), (-12.0, 9.0, -1.0), (3.0, -15.0, -1.0)])
def test_two_faces_give_the_box(center, yaw):
    found, size, angle = fit_box(faces(center, yaw), CAR)
    assert apart(angle, yaw) < 2
    assert found == pytest.approx(center, abs=0.12)
    assert size == pytest.approx(CAR, abs=0.12)


@pytest.mark.parametrize(("center", "yaw"), [((0.0, 12.0, -1.0), 0.0), ((0.0, -20.0, -1.0), np.pi)])
def test_a_side_alone_is_filled_up_away_from_the_sensor(center, yaw):
    found, size, angle = fit_box(faces(center, yaw, seen="side"), CAR)
    assert apart(angle, yaw) < 2
    assert found == pytest.approx(center, abs=0.12)
    assert size == pytest.approx(CAR, abs=0.12)


def test_an_end_alone_is_taken_for_an_end():
    center = (15.0, 0.0, -1.0)
    found, size, angle = fit_box(faces(center, 0.0, seen="end"), CAR)
    assert apart(angle, 0.0) < 2
    assert found == pytest.approx(center, abs=0.12)
    assert size == pytest.approx(CAR, abs=0.12)


def test_what_is_longer_than_usual_stays_so():
    long = (9.0, 2.2, 2.5)
    _, size, _ = fit_box(faces((18.0, 6.0, 0.0), 0.4, size=long), CAR)
    assert size == pytest.approx(long, abs=0.15)


def test_a_barrier_is_wider_than_long():
    typical = TYPICAL_LWH_M["barrier"]
    found, size, angle = fit_box(faces((10.0, 0.0, -1.0), 0.0, size=typical, seen="end"), typical)
    assert apart(angle, 0.0) < 3
    assert size == pytest.approx(typical, abs=0.1)
    assert found == pytest.approx((10.0, 0.0, -1.0), abs=0.1)


def test_one_point_is_a_box_of_the_usual_size_behind_it():
    found, size, _ = fit_box(np.array([[10.0, 0.0, -1.0]]), CAR)
    assert size == pytest.approx(CAR)
    assert found[0] >= 10.0


def test_the_closest_angle_is_that_of_a_search_by_hand(rng_of):
    xy = faces((9.0, 7.0, 0.0), 0.3, seed=4)[:, :2]
    best = max(np.arange(90), key=lambda degrees: plain_closeness(xy, np.deg2rad(degrees)))
    assert rectangle_angle(xy) == pytest.approx(np.deg2rad(best))


def plain_closeness(xy, angle):
    total = 0.0
    along, across = xy @ [np.cos(angle), np.sin(angle)], xy @ [-np.sin(angle), np.cos(angle)]
    edges = []
    for place in (along, across):
        high, low = place.max() - place, place - place.min()
        edges.append(high if (high**2).sum() < (low**2).sum() else low)
    for one, other in zip(*edges, strict=True):
        total += 1 / max(min(one, other), 0.05)
    return total


def test_boxes_come_in_the_order_of_ids():
    cloud = np.concatenate([faces((20.0, 5.0, -1.0), 0.2), faces((-12.0, 3.0, -1.0), 1.0)])
    ids = np.repeat([4, 2], [400, 400]).astype(np.int32)
    labels = PointLabels(ids, np.full(800, NUSCENES.class_id("car"), dtype=np.uint8))
    boxes = fit_boxes(cloud, labels, NUSCENES)
    assert boxes.token == ("2", "4")
    assert boxes.center_m[:, 0] == pytest.approx([-12.0, 20.0], abs=0.15)
    assert len(fit_boxes(cloud, PointLabels.empty(800), KITTI)) == 0


def test_a_class_may_state_its_size():
    cloud, labels = faces((20.0, 5.0, -1.0), 0.2), PointLabels(np.zeros(400, np.int32), np.zeros(400, np.uint8))
    long = fit_boxes(cloud, labels, Taxonomy("yard", (ClassSpec("car", size_lwh_m=(9.0, 1.97, 1.74)),)))
    assert long.size_lwh_m[0] == pytest.approx([9.0, 1.97, 1.74], abs=0.15)


def test_a_class_without_a_size_gets_what_its_points_span():
    cloud, labels = faces((20.0, 5.0, -1.0), 0.2), PointLabels(np.zeros(400, np.int32), np.zeros(400, np.uint8))
    zoo = Taxonomy("zoo", (ClassSpec("zebra"),))
    assert fit_boxes(cloud, labels, zoo).size_lwh_m[0] == pytest.approx(CAR, abs=0.15)
    one = PointLabels(np.zeros(1, np.int32), np.zeros(1, np.uint8))
    assert fit_boxes(cloud[:1], one, zoo).size_lwh_m[0] == pytest.approx([0.1, 0.1, 0.1])
