"""Boxes from the faces that a sensor sees, against the boxes that these faces are of."""

import numpy as np
import pytest

from pointsam.geometry.boxes import rows
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


@pytest.mark.parametrize("yaw", np.deg2rad([-170, -45, 20, 91]))
@pytest.mark.parametrize("center", [(20.0, 5.0, -1.0), (-12.0, 9.0, -1.0), (3.0, -15.0, -1.0)])
def test_two_faces_give_the_box(center, yaw):
    found, size, angle = fit_box(faces(center, yaw), CAR)
    assert apart(angle, yaw) < 2
    assert found == pytest.approx(center, abs=0.12)
    assert size == pytest.approx(CAR, abs=0.12)


def face(x, y, z=(-1.0, 0.0)):
    """Nine points on an upright plane from one end to the other, exactly."""
    s = np.linspace(0, 1, 9)
    return np.column_stack([x[0] + s * (x[1] - x[0]), y[0] + s * (y[1] - y[0]), z[0] + s * (z[1] - z[0])])


L, W, H = CAR
ACROSS = 1.2 * W
"""What is seen of a car is a side where it is longer, and an end where it is not."""


@pytest.mark.parametrize(
    ("x", "y", "center", "yaw"),
    [
        ((10, 13), (5, 5), (10 + L / 2, 5 + W / 2), 0),
        ((-13, -10), (-5, -5), (-10 - L / 2, -5 - W / 2), 0),
        ((10, 10), (1, 4), (10 + W / 2, 1 + L / 2), 90),
        ((-10, -10), (-4, -1), (-10 - W / 2, -1 - L / 2), 90),
        ((10, 10), (1, 2), (10 + L / 2, 1 + W / 2), 0),
        ((1, 2), (10, 10), (1 + W / 2, 10 + L / 2), 90),
        ((1, 0.99 + ACROSS), (9, 9), (1 + (ACROSS - 0.01) / 2, 9 + L / 2), 90),
        ((1, 1.01 + ACROSS), (9, 9), (1 + L / 2, 9 + W / 2), 0),
        ((10, 16), (5, 5), (13, 5 + W / 2), 0),
    ],
)
def test_one_face_is_filled_up_away_from_the_sensor(x, y, center, yaw):
    found, size, angle = fit_box(face(x, y), CAR)
    long, wide = max(L, np.ptp(x) if yaw == 0 else np.ptp(y)), max(W, np.ptp(y) if yaw == 0 else np.ptp(x))
    assert found == pytest.approx((*center, -1 + H / 2))
    assert size == pytest.approx((long, wide, H))
    assert np.degrees(angle) == pytest.approx(yaw)


def test_of_two_equal_faces_the_first_axis_is_the_length_if_it_is_a_side():
    width = 3.0
    corner = np.concatenate([face((10, 10 + width), (5, 5)), face((10, 10), (5, 5 + width))])
    assert fit_box(corner, CAR)[1][:2] == pytest.approx((L, width))
    end = np.concatenate([face((10, 12), (5, 5)), face((10, 10), (5, 7))])
    assert fit_box(end, CAR)[0][:2] == pytest.approx((11, 5 + L / 2))


@pytest.mark.parametrize(("top", "height"), [(-0.5, H), (H - 1, H), (1.5, 2.5)])
def test_a_box_stands_on_its_lowest_point_and_is_as_high_as_usual_at_least(top, height):
    found, size, _ = fit_box(face((10, 13), (5, 5), (-1.0, top)), CAR)
    assert (found[2], size[2]) == pytest.approx((-1 + height / 2, height))


def test_typical_sizes_are_length_width_height():
    assert TYPICAL_LWH_M["car"] == (4.63, 1.97, 1.74)
    assert TYPICAL_LWH_M["pedestrian"] == (0.73, 0.67, 1.77)


def test_what_is_longer_than_usual_stays_so():
    long = (9.0, 2.2, 2.5)
    _, size, _ = fit_box(faces((18.0, 6.0, 0.0), 0.4, size=long, count=600), CAR)
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
    assert boxes.class_id.tolist() == [0, 0]
    cos, sin = np.cos(boxes_yaw := rows(boxes)[:, 6]), np.sin(boxes_yaw)
    assert apart(boxes_yaw, np.array([1.0, 0.2])).max() < 2
    expected = np.stack([np.stack([cos, -sin, 0 * cos]), np.stack([sin, cos, 0 * cos]), np.eye(3)[[2, 2]].T])
    np.testing.assert_allclose(boxes.rotation, expected.transpose(2, 0, 1), atol=1e-12)
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
