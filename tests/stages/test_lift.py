from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.geometry.se3 import SE3
from pointsam.stages.lift import LiftConfig, lift
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, FramePoints, InstanceMap

TRUCK = 1


@pytest.fixture
def truck():
    """Instance 1, a truck, on columns 20 to 29 of rows 10 to 19; instance 0, a car, in the opposite corner."""
    instance = np.full((48, 64), NO_INSTANCE, dtype=np.int32)
    instance[40:, 50:] = 0
    instance[10:20, 20:30] = 1
    return InstanceMap(instance, np.array([0, TRUCK], dtype=np.uint8), np.array([4, 2], dtype=np.int32))


def lifted(xyz, frame, instances, config=None):
    return lift(FramePoints.of(xyz), frame, frame.cameras[0], instances, config or LiftConfig())


def test_points_take_instance_and_class_of_their_truncated_pixel(one_camera_frame, ray, truck):
    out = lifted(ray([(20.01, 10.01), (29.99, 19.99), (19.99, 15), (30.01, 15)]), one_camera_frame, truck)
    assert out.labels.instance_id.tolist() == [1, 1, -1, -1]
    assert out.labels.class_id.tolist() == [TRUCK, TRUCK, BACKGROUND, BACKGROUND]
    assert out.seen.all()


def test_a_mask_labels_exactly_the_points_it_covers(one_camera_frame, ray, truck):
    pixel = np.stack(np.meshgrid(np.arange(2, 62), np.arange(2, 46)), axis=-1).reshape(-1, 2)
    out = lifted(ray(pixel + 0.5), one_camera_frame, truck)
    np.testing.assert_array_equal(out.labels.instance_id, truck.instance_id[pixel[:, 1], pixel[:, 0]])


def test_points_the_camera_cannot_see_stay_background(one_camera_frame, ray, truck):
    xyz = np.concatenate([-ray([(25, 15)]), ray([(25, 15)], 0.5), ray([(200, 15)])])
    out = lifted(xyz, one_camera_frame, truck)
    assert out.labels.instance_id.tolist() == [NO_INSTANCE] * 3
    assert not out.seen.any()


@pytest.mark.parametrize(("depth_m", "least_m", "seen"), [(1.01, 1.0, True), (1.9, 2.0, False), (2.1, 2.0, True)])
def test_points_nearer_than_configured_are_not_seen(one_camera_frame, ray, truck, depth_m, least_m, seen):
    out = lifted(ray([(25, 15)], depth_m), one_camera_frame, truck, LiftConfig(min_depth_m=least_m))
    assert out.seen.tolist() == [seen]


def test_the_published_rule_sees_through_what_stands_in_front(one_camera_frame, ray, truck):
    xyz = np.concatenate([ray([(25.5, 15.5)], 5.0), ray([(25.5, 15.5)], 40.0)])
    assert lifted(xyz, one_camera_frame, truck).labels.instance_id.tolist() == [1, 1]


def test_with_occlusion_a_point_behind_what_is_in_front_is_neither_seen_nor_labelled(one_camera_frame):
    view = one_camera_frame.cameras[0]
    half_metre_right = SE3(view.ego_SE3_cam.rotation, np.array([0.0, -0.5, 0.0]))
    frame = replace(one_camera_frame, cameras=(replace(view, ego_SE3_cam=half_metre_right),))
    y, z = np.meshgrid(np.linspace(-1, 0, 21), np.linspace(-0.5, 0.5, 11))
    wall = np.stack([np.full(y.size, 5.0), y.ravel(), z.ravel()], axis=1)
    # Seen from the LiDAR past the wall's end at y = 0; from the camera the first is behind the wall, the second is not.
    behind, beside = [40.0, 1.0, 0.1], [40.0, 12.0, 0.1]
    xyz = np.array([*wall, behind, beside], dtype=np.float32)
    everywhere = InstanceMap(np.zeros((48, 64), np.int32), np.zeros(1, np.uint8), np.zeros(1, np.int32))
    out = lifted(xyz, frame, everywhere, LiftConfig(occlusion=True))
    assert out.seen.tolist() == [True] * len(wall) + [False, True]
    assert (out.labels.instance_id >= 0).tolist() == out.seen.tolist()


def test_masks_of_an_image_of_another_size_are_refused(one_camera_frame, ray, truck):
    wrong = InstanceMap(truck.instance_id[:-1], truck.class_id, truck.mask_id)
    with pytest.raises(SchemaError, match=r"SCH003.*frame CAM"):
        lifted(ray([(20, 20)]), one_camera_frame, wrong)


def test_an_image_without_instances_labels_nothing(one_camera_frame, ray):
    none = np.full((48, 64), NO_INSTANCE, dtype=np.int32)
    out = lifted(ray([(20, 20)]), one_camera_frame, InstanceMap(none, np.zeros(0, np.uint8), np.zeros(0, np.int32)))
    assert out.labels.instance_id.tolist() == [NO_INSTANCE]
    assert out.seen.tolist() == [True]
