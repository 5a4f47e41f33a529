import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.geometry.boxes import (
    NO_BOX,
    box_members,
    corners,
    count_points,
    points_in_boxes,
    rows,
    truth_from_boxes,
)
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Boxes


def yaw(angle):
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def boxes(*rows, class_id=None):
    """Rows of (x, y, z, length, width, height, yaw)."""
    table = np.array(rows, dtype=float).reshape(-1, 7)
    classes = np.zeros(len(table)) if class_id is None else class_id
    rotation = np.array([yaw(angle) for angle in table[:, 6]]).reshape(-1, 3, 3)
    tokens = tuple(str(i) for i in range(len(table)))
    return Boxes(table[:, :3], table[:, 3:6], rotation, np.asarray(classes, dtype=np.uint8), tokens)


def test_length_runs_along_the_heading():
    turned = boxes((10, 0, 0, 4, 2, 2, np.pi / 2))
    xyz = np.array([[10, 1.9, 0], [11.9, 0, 0]])
    assert points_in_boxes(xyz, turned).tolist() == [0, NO_BOX]


def test_the_surface_belongs_to_the_box():
    xyz = np.array([[2.0, 1, 1], [2.000001, 1, 1]])
    assert points_in_boxes(xyz, boxes((0, 0, 0, 4, 2, 2, 0))).tolist() == [0, NO_BOX]


def test_a_point_in_two_boxes_goes_to_the_nearest_centre():
    bus_and_person = boxes((0, 0, 0, 12, 3, 3, 0), (5, 1.2, 0, 0.6, 0.6, 1.8, 0))
    xyz = np.array([[5, 1.1, 0], [4.0, 1.1, 0]])
    assert points_in_boxes(xyz, bus_and_person).tolist() == [1, 0]


def test_equally_near_centres_go_to_the_first():
    twins = boxes((-1, 0, 0, 4, 2, 2, 0), (1, 0, 0, 4, 2, 2, 0))
    assert points_in_boxes(np.zeros((1, 3)), twins).tolist() == [0]


def test_counting_counts_a_shared_point_in_both():
    twins = boxes((-1, 0, 0, 4, 2, 2, 0), (1, 0, 0, 4, 2, 2, 0), (50, 0, 0, 1, 1, 1, 0))
    assert count_points(np.array([[0.0, 0, 0], [-2.5, 0, 0]]), twins).tolist() == [2, 1, 0]


def test_members_are_ordered_by_box_then_point():
    xyz = np.array([[3.0, 0, 0], [1, 0, 0], [2, 0, 0], [9, 0, 0]])
    point, box = box_members(xyz, boxes((2, 0, 0, 4, 1, 1, 0), (2.5, 0, 0, 1, 1, 1, 0)))
    assert (point.tolist(), box.tolist()) == ([0, 1, 2, 0, 2], [0, 0, 0, 1, 1])


@pytest.mark.parametrize(("margin_m", "box"), [(0.0, NO_BOX), (0.29, NO_BOX), (0.31, 0)])
def test_a_margin_moves_every_face(margin_m, box):
    for point in ((2.3, 0, 0), (0, -1.3, 0), (0, 0, 0.8)):
        assert points_in_boxes(np.array([point]), boxes((0, 0, 0, 4, 2, 1, 0)), margin_m).tolist() == [box]


def test_corners_and_rows_follow_the_heading():
    one = boxes((10, 20, 30, 4, 2, 1, np.pi / 2), (0, 0, 0, 2, 4, 6, -0.3))
    xyz = [(x, y, z) for y in (18, 22) for x in (11, 9) for z in (29.5, 30.5)]
    np.testing.assert_allclose(corners(one)[0], xyz, atol=1e-12)
    expected = [[10, 20, 30, 4, 2, 1, np.pi / 2], [0, 0, 0, 2, 4, 6, -0.3]]
    np.testing.assert_allclose(rows(one), expected, atol=1e-12)
    assert rows(boxes()).shape == (0, 7)


@pytest.mark.parametrize("num_points", [0, 3])
def test_no_boxes_hold_no_points(num_points):
    xyz = np.zeros((num_points, 3), dtype=np.float32)
    assert points_in_boxes(xyz, boxes()).tolist() == [NO_BOX] * num_points
    assert count_points(xyz, boxes()).tolist() == []
    assert not truth_from_boxes(xyz, boxes(), void_ring_m=1).void.any()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30])
def test_a_point_without_a_position_is_in_no_box(number):
    xyz = np.array([[number, 0, 0], [0, 0, 0], [number, number, number], [9, 0, 0], [0, number, 0], [-9.0, 0, 0]])
    point, box = box_members(xyz, boxes((0, 0, 0, 1, 1, 1, 0), (9, 0, 0, 1, 1, 1, 0), (0, 0, 0, 1, 1, 1, 0)))
    assert (point.tolist(), box.tolist()) == ([1, 3, 1], [0, 1, 2])


def test_boxes_miles_apart_hold_their_own_points():
    """Points are put in order of slices along x, which are then wide."""
    x = np.array([-4e6, 4e6, 0.0, 0.4, 0.6, 4e6 + 1])
    point, box = box_members(np.column_stack([x, 0 * x, 0 * x]), boxes(*((at, 0, 0, 1, 1, 1, 0) for at in x[:3])))
    assert (point.tolist(), box.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 2])


def test_no_points_are_in_no_boxes():
    assert points_in_boxes(np.zeros((0, 3)), boxes((0, 0, 0, 1, 1, 1, 0))).tolist() == []


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.0, 0.4]))
def test_members_are_those_of_the_plain_rule(seed, num_boxes, margin_m):
    rng = np.random.default_rng(seed)
    rows = np.column_stack(
        [rng.uniform(-6, 6, (num_boxes, 3)), rng.uniform(0.2, 5, (num_boxes, 3)), rng.uniform(-4, 4, num_boxes)]
    )
    many = boxes(*rows)
    xyz = rng.uniform(-8, 8, (300, 3)).astype(np.float32)
    plain = set()
    for m in range(num_boxes):
        for n in range(len(xyz)):
            local = many.rotation[m].T @ (xyz[n].astype(float) - many.center_m[m])
            if all(abs(local[a]) <= many.size_lwh_m[m, a] / 2 + margin_m for a in range(3)):
                plain.add((n, m))
    point, box = box_members(xyz, many, margin_m)
    assert set(zip(point.tolist(), box.tolist(), strict=True)) == plain
    assert len(point) == len(plain)


def test_ground_truth_has_the_box_and_its_class():
    xyz = np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0]])
    truth = truth_from_boxes(xyz, boxes((10, 0, 0, 1, 1, 1, 0), (0, 0, 0, 1, 1, 1, 0), class_id=[3, 7]))
    assert truth.labels.instance_id.tolist() == [1, 0, NO_INSTANCE]
    assert truth.labels.class_id.tolist() == [7, 3, BACKGROUND]
    assert truth.void.tolist() == [False, False, False]
    assert truth.source == "boxes"


def test_points_of_a_void_box_count_neither_way():
    truth = truth_from_boxes(np.zeros((1, 3)), boxes((0, 0, 0, 1, 1, 1, 0), class_id=[BACKGROUND]))
    assert truth.labels.instance_id.tolist() == [NO_INSTANCE]
    assert truth.void.tolist() == [True]


def test_a_ring_around_every_box_is_void():
    xyz = np.array([[0.4, 0, 0], [0.6, 0, 0], [0.9, 0, 0]])
    truth = truth_from_boxes(xyz, boxes((0, 0, 0, 1, 1, 1, 0)), void_ring_m=0.3)
    assert truth.void.tolist() == [False, True, False]


def test_the_ring_of_one_box_spares_the_points_of_another():
    pair = boxes((0, 0, 0, 1, 1, 1, 0), (1.2, 0, 0, 1, 1, 1, 0))
    truth = truth_from_boxes(np.array([[0.75, 0, 0], [0.6, 0, 0]]), pair, void_ring_m=0.3)
    assert truth.labels.instance_id.tolist() == [1, NO_INSTANCE]
    assert truth.void.tolist() == [False, True]


def test_the_real_nuscenes_boxes_hold_exactly_the_stated_points(devkit, devkit_sweep, devkit_cloud):
    world_SE3_lidar = devkit_sweep.world_SE3_ego @ devkit_sweep.ego_SE3_lidar
    records = [devkit.get("sample_annotation", token) for token in devkit.sample[0]["anns"]]
    poses = [SE3.from_quaternion(record["rotation"], record["translation"]) for record in records]
    in_lidar = [world_SE3_lidar.inverse() @ pose for pose in poses]
    width_length_height = np.array([record["size"] for record in records])
    real = Boxes(
        center_m=np.array([pose.translation_m for pose in in_lidar]),
        size_lwh_m=width_length_height[:, [1, 0, 2]],
        rotation=np.array([pose.rotation for pose in in_lidar]),
        class_id=np.zeros(len(records), dtype=np.uint8),
        token=tuple(record["token"] for record in records),
    )
    xyz = devkit_cloud.points[:3].T
    assert len(real) == 68
    assert count_points(xyz, real).tolist() == [record["num_lidar_pts"] for record in records]
    assert count_points(xyz, real).sum() == 999
