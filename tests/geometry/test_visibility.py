from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.boxes import points_in_boxes
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.geometry.visibility import VisibilityConfig, occluded, parallax
from pointsam.types import CameraView, Frame, FramePoints, RollingShutter, Sweep

LIDAR_HEIGHT_M = 1.8
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # cam_R_ego
CAMERA = Camera(np.array([[700.0, 0, 600], [0, 700, 300], [0, 0, 1]]), 1200, 600)


LENSES = [
    CAMERA,
    Camera(CAMERA.K, 1200, 600, (-0.25, 0.05, 0.001, -0.002)),
    Camera(CAMERA.K, 1200, 600, (0.02, -0.01, 0, 0), "fisheye"),
]
each_lens = pytest.mark.parametrize("camera", LENSES, ids=["pinhole", "barrel", "fisheye"])


def rig(cam_xyz_m, camera=CAMERA):
    """A LiDAR above the origin of the ego frame and a camera that looks along x."""
    still = SE3.identity()
    sweep = Sweep(RawPoints(Path("sweep.bin"), XYZ), 0, SE3(np.eye(3), np.array([0, 0, LIDAR_HEIGHT_M])), still)
    mount = SE3(AXES.T, np.array(cam_xyz_m, dtype=float))
    view = CameraView("CAM", ImageFile(Path("image.png")), 0, camera, mount, still)
    return Frame("frame", "scene", (sweep,), {}, (view,)), view


def scan(boxes):
    """First returns of a spinning LiDAR over a road, boxes (x0, y0, z0, x1, y1, z1) on it, and a wall at 60 m.

    Returns points in the LiDAR frame and what each hit: -1 road or wall, else the box.
    """
    azimuth, elevation = np.radians(np.arange(-35, 35, 0.3)), np.radians(np.arange(-24, 3, 0.6))
    a, e = (grid.ravel() for grid in np.meshgrid(azimuth, elevation))
    ray = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    origin = np.array([0, 0, LIDAR_HEIGHT_M])
    with np.errstate(divide="ignore"):
        road = np.where(ray[:, 2] < 0, -LIDAR_HEIGHT_M / ray[:, 2], np.inf)
        distance = np.minimum(road, 60 / ray[:, 0])
        hit = np.full(len(ray), -1)
        for m, box in enumerate(boxes):
            low, high = (np.array(box[:3]) - origin) / ray, (np.array(box[3:]) - origin) / ray
            enter, leave = np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1)
            first = (enter < leave) & (enter > 0) & (enter < distance)
            distance[first], hit[first] = enter[first], m
    return ray * distance[:, None], hit


def hidden_truth(xyz_lidar_m, cam_xyz_m, boxes, before=1 - 1e-6):
    """The line from the camera to the point leaves a box before this share of its length."""
    target = xyz_lidar_m + np.array([0, 0, LIDAR_HEIGHT_M])
    eye = np.array(cam_xyz_m, dtype=float)
    truth = np.zeros(len(target), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for box in boxes:
            low, high = (np.array(box[:3]) - eye) / (target - eye), (np.array(box[3:]) - eye) / (target - eye)
            enter, leave = np.fmin(low, high).max(axis=1), np.fmax(low, high).min(axis=1)
            truth |= (enter < leave) & (enter > 0) & (leave < before)
    return truth


CAR = (10, -1, 0.05, 14, 0.9, 1.5)
BELOW = (0.3, 0, 0.9)
BESIDE = (0, 1.2, 1.7)


@each_lens
@pytest.mark.parametrize("place", [BELOW, BESIDE], ids=["camera below", "camera beside"])
def test_what_the_lidar_sees_past_a_car_is_hidden_from_the_camera(place, camera):
    frame, view = rig(place, camera)
    xyz, _ = scan([CAR])
    seen = project(xyz, frame, view)
    truth = hidden_truth(xyz, place, [CAR], before=0.8) & seen.valid
    found = occluded(FramePoints.of(xyz), seen, frame, view)
    assert truth.sum() > 100
    assert (found & truth).sum() > 0.8 * truth.sum()


@each_lens
@pytest.mark.parametrize("place", [BELOW, BESIDE], ids=["camera below", "camera beside"])
def test_little_in_plain_view_is_hidden(place, camera):
    frame, view = rig(place, camera)
    cars = [CAR, (25, 3, 0.05, 29, 5, 1.5)]
    xyz, hit = scan(cars)
    seen = project(xyz, frame, view)
    visible = seen.valid & ~hidden_truth(xyz, place, cars)
    found = occluded(FramePoints.of(xyz), seen, frame, view)
    assert (found & visible).sum() < 0.02 * visible.sum()
    assert not found[hit == 0].any()


def test_an_empty_road_hides_nothing_of_itself():
    frame, view = rig(BELOW)
    xyz, _ = scan([])
    assert not occluded(FramePoints.of(xyz), project(xyz, frame, view), frame, view).any()


def test_a_camera_in_the_lidars_place_sees_what_the_lidar_sees():
    place = (0, 0, LIDAR_HEIGHT_M)
    frame, view = rig(place)
    xyz, _ = scan([CAR])
    assert not occluded(FramePoints.of(xyz), project(xyz, frame, view), frame, view).any()


def test_what_is_less_than_the_margin_behind_is_not_hidden():
    frame, view = rig(BELOW)
    xyz, _ = scan([CAR])
    seen = project(xyz, frame, view)
    assert not occluded(FramePoints.of(xyz), seen, frame, view, VisibilityConfig(margin_m=100)).any()


def test_points_outside_the_image_are_not_called_hidden():
    frame, view = rig(BELOW)
    xyz, _ = scan([CAR])
    seen = project(xyz, frame, view)
    assert not occluded(FramePoints.of(xyz), seen, frame, view)[~seen.valid].any()


@pytest.mark.parametrize("num_points", [0, 1, 2, 5])
def test_few_points_are_no_trouble(num_points):
    frame, view = rig(BELOW)
    xyz = np.column_stack([np.full(num_points, 20.0), np.linspace(-1, 1, num_points), np.zeros(num_points)])
    assert not occluded(FramePoints.of(xyz), project(xyz, frame, view), frame, view).any()


def seen_at(*uv_and_depth):
    """LiDAR points that the camera half a metre beside the LiDAR sees at these pixels and depths."""
    u, v, depth = np.array(uv_and_depth, dtype=float).T
    xyz_cam = np.column_stack([(u - 600) / 700 * depth, (v - 300) / 700 * depth, depth])
    return xyz_cam @ AXES + np.array([0, 0.5, 0])


def hidden(*uv_and_depth, **options):
    frame, view = rig((0, 0.5, LIDAR_HEIGHT_M))
    xyz = seen_at(*uv_and_depth)
    config = VisibilityConfig(**options) if options else None
    return occluded(FramePoints.of(xyz), project(xyz, frame, view), frame, view, config).tolist()


@pytest.mark.parametrize(
    ("offset_px", "expected"),
    [((1, 0), True), ((62, 0), True), ((64, 0), False), ((-1, 0), False), ((30, 62), True), ((30, -64), False)],
)
def test_a_near_point_hides_what_it_passed_over(offset_px, expected):
    # between LiDAR and camera a point at 5 m moves by 70 px and one at 50 m by 7 px
    assert hidden((600, 300, 50), (600 + offset_px[0], 300 + offset_px[1], 5)) == [expected, False]


@pytest.mark.parametrize(
    ("depth_m", "options", "expected"),
    [
        (6.7, {}, False),
        (6.8, {}, True),
        (9.4, {"margin_m": 2.0, "margin_share": 0.5}, False),
        (9.6, {"margin_m": 2.0, "margin_share": 0.5}, True),
    ],
)
def test_only_what_is_clearly_deeper_is_hidden(depth_m, options, expected):
    assert hidden((600, 300, depth_m), (605, 300, 5), **options) == [expected, False]


@pytest.mark.parametrize(("neighbours", "expected"), [(1, False), (2, True)])
def test_as_many_neighbours_may_hide_as_configured(neighbours, expected):
    points = (600, 300, 50), (601, 300, 50), (605, 300, 5)
    assert hidden(*points, neighbours=neighbours)[0] == expected
    assert hidden(*points)[0]


def test_sixteen_neighbours_may_hide_unless_configured():
    road = [(600, 300 + k, 50) for k in range(15)]
    assert hidden(*road, (620, 300, 5))[0]
    assert not hidden(*road, (600, 299, 50), (599, 300, 50), (620, 300, 5))[0]


def test_points_shift_by_baseline_over_depth():
    frame, view = rig((0, 0.5, LIDAR_HEIGHT_M - 0.2))
    xyz = np.array([[5.0, 2, 1], [50.0, -3, 0]])
    np.testing.assert_allclose(parallax(FramePoints.of(xyz), frame, view), [[70, -28], [7, -2.8]])


@each_lens
def test_points_shift_across_the_image_as_the_lens_shows_it(camera):
    frame, view = rig((0.2, 0.5, LIDAR_HEIGHT_M - 0.2), camera)
    xyz = np.array([[5.0, 2, 1], [50.0, -3, 0], [8, -5, -1], [3, 0.1, 0.1]])
    turned = (np.stack([AXES @ point for point in xyz - offset]) for offset in ([0.2, 0.5, -0.2], [0, 0, 0]))
    after, before = (camera.project(points)[0] for points in turned)
    np.testing.assert_allclose(parallax(FramePoints.of(xyz), frame, view), after - before, atol=1e-9)


def test_what_the_lens_would_not_show_from_the_lidar_shifts_from_the_end_of_its_model():
    camera = Camera(CAMERA.K, 1200, 600, (-1 / 3, 0, 0, 0))  # ends at slope 1, 2/3 of a focal length
    frame, view = rig((-5, 0, LIDAR_HEIGHT_M), camera)
    (shift,) = parallax(FramePoints.of(np.array([[1.0, 3, 0]])), frame, view)
    np.testing.assert_allclose(shift, [700 * (-0.5 * (1 - 0.25 / 3) + 2 / 3), 0], atol=1e-6)


def test_a_point_beside_the_lidar_shifts_as_if_a_little_in_front_of_it():
    frame, view = rig((-5, 0, LIDAR_HEIGHT_M))
    np.testing.assert_allclose(
        parallax(FramePoints.of(np.array([[-2.0, 1, 0]])), frame, view), [[700 * (-1 / 3 + 10), 0]], atol=1e-9
    )


def test_real_objects_in_plain_view_stay(kitti_root):
    from pointsam.datasets.io import read_points
    from pointsam.datasets.kitti.objects import Kitti

    kitti = Kitti(kitti_root)
    for frame_id in kitti.frame_ids():
        frame, boxes = kitti.frame(frame_id), kitti.boxes(frame_id)
        xyz = read_points(frame.sweep)
        seen = project(xyz, frame, frame.cameras[0])
        inside = seen.valid & (points_in_boxes(xyz, boxes) >= 0)
        found = occluded(FramePoints.of(xyz), seen, frame, frame.cameras[0])
        assert (found & inside).sum() <= 0.02 * inside.sum()
        assert found.any()


def test_a_second_lidar_hides_with_its_own_eye():
    """A LiDAR in the camera's place sees nothing past an object, whichever LiDAR the frame's coordinates belong to."""
    frame, view = rig(BELOW)
    (first,) = frame.sweeps
    second = Sweep(first.source, 0, SE3(np.eye(3), np.array(BELOW)), first.world_SE3_ego, sensor="low")
    both = Frame("frame", "scene", (first, second), {}, (view,))
    xyz, _ = scan([CAR])
    seen = project(xyz, both, view)
    points = FramePoints.of(xyz)
    assert occluded(points, seen, both, view).any()
    np.testing.assert_array_equal(occluded(points, seen, both, view), occluded(points, seen, frame, view))
    of_second = FramePoints(xyz, np.ones(len(xyz), dtype=np.uint8), points.time_s)
    assert not occluded(of_second, seen, both, view).any()


@pytest.mark.parametrize("turn_deg", [0.0, 90.0])
def test_points_of_one_ray_are_in_one_place_from_the_lidar_in_a_rolling_shutter(turn_deg):
    """At 20 m/s, rows of 30 ms are up to 60 cm apart, the LiDAR's place among them."""
    frame, view = rig([0.5, 0.2, 1.2])
    turn = Rotation.from_euler("z", turn_deg, degrees=True).as_matrix()
    view = replace(view, ego_SE3_cam=SE3(turn @ AXES.T, view.ego_SE3_cam.translation_m))
    later = replace(frame.sweep, t_us=100_000, world_SE3_ego=SE3(np.eye(3), np.array([2.0, 0, 0])))
    frame = replace(frame, neighbours={1: later})
    rays = np.array([[1.0, y, z] for y in (-0.3, 0.1, 0.4) for z in (-0.2, -0.05, 0.1)]) @ turn.T
    near, far = 8.0 * rays, 25.0 * rays
    rows = RollingShutter(0.0, 0.03)
    off_px = {}
    for shutter in (None, rows):
        eye = replace(view, shutter=shutter)
        points = FramePoints.of(np.concatenate([near, far]).astype(np.float32))
        before = project(points.xyz_lidar_m, frame, eye).uv_px - parallax(points, frame, eye)
        off_px[shutter] = np.abs(before[: len(near)] - before[len(near) :]).max()
    assert off_px[None] < 1e-3
    assert off_px[rows] < 1e-3
