from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import CalibrationError
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry import motion, projection
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import cam_SE3_lidar, key_SE3_sweep
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, RollingShutter, Sweep

CAM_FROM_EGO_AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # x right = -y left, y down = -z up, z = x
BARREL = (-0.1, 0.02, 0.001, -0.001)
CAMERA = Camera(np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), width_px=100, height_px=80)


def yaw(angle):
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def sweep(world_SE3_ego=None, ego_SE3_lidar=None):
    identity = SE3.identity()
    return Sweep(RawPoints(Path("sweep.bin"), XYZ), 0, ego_SE3_lidar or identity, world_SE3_ego or identity)


def view(world_SE3_ego=None, ego_SE3_cam=None, camera=CAMERA):
    mount = ego_SE3_cam or SE3(CAM_FROM_EGO_AXES.T, np.zeros(3))
    return CameraView("CAM", ImageFile(Path("image.png")), 0, camera, mount, world_SE3_ego or SE3.identity())


def project(xyz, key, eye, **options):
    """Into the only image of a frame of one sweep."""
    return projection.project(xyz, Frame("frame", "scene", (key,), {}, (eye,)), eye, **options)


def test_a_point_straight_ahead_hits_the_principal_point():
    seen = project(np.array([[10.0, 0, 0]]), sweep(), view())
    assert seen.uv_px.tolist() == [[50, 40]]
    assert seen.depth_m.tolist() == [10]
    assert seen.valid.tolist() == [True]


def test_left_is_smaller_u_and_up_is_smaller_v():
    seen = project(np.array([[10.0, 1, 2]]), sweep(), view())
    assert seen.uv_px.tolist() == [[40, 20]]


def test_the_vehicle_moves_between_sweep_and_exposure():
    later = SE3(np.eye(3), np.array([2.0, 0, 0]))
    seen = project(np.array([[10.0, 0, 0]]), sweep(), view(world_SE3_ego=later))
    assert seen.depth_m.tolist() == [8]


def test_validity_is_strict_at_the_borders_and_at_the_least_depth():
    depth = 100.0
    uv = np.array([[1, 40], [1.01, 40], [99, 40], [98.99, 40], [50, 1], [50, 1.01], [50, 79], [50, 78.99]])
    inside = [False, True] * 4
    xyz = np.column_stack([np.full(len(uv), depth), -(uv[:, 0] - 50) / 100 * depth, -(uv[:, 1] - 40) / 100 * depth])
    seen = project(xyz, sweep(), view())
    assert seen.uv_px[::2].tolist() == uv[::2].tolist()  # on the border to the last bit
    assert seen.valid.tolist() == inside
    near = np.array([[1.0, 0, 0], [1.0001, 0, 0]])
    assert project(near, sweep(), view()).valid.tolist() == [False, True]
    assert project(near, sweep(), view(), min_depth_m=0.5).valid.all()


def test_points_behind_the_camera_have_no_pixel():
    seen = project(np.array([[-10.0, 0, 0], [0, 0, 0]]), sweep(), view())
    assert not seen.valid.any()
    assert np.isnan(seen.uv_px).all()


def test_no_points_give_no_pixels():
    seen = project(np.zeros((0, 3)), sweep(), view())
    assert seen.uv_px.shape == (0, 2)
    assert seen.pixels().shape == (0, 2)


def test_pixels_are_truncated_and_keep_file_order():
    xyz = np.array([[10.0, 0.01, 0.01], [-1, 0, 0], [10, -0.19, -0.19]])
    pixels = project(xyz, sweep(), view()).pixels()
    assert pixels.tolist() == [[49, 39], [51, 41]]
    assert pixels.dtype == np.int32


@settings(max_examples=20)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.floats(-3, 3))
def test_world_coordinates_of_any_size_cost_no_precision(offset, angle):
    """Moving the whole world must not move a pixel: the reference is the same scene at the world's origin."""
    xyz = np.array([[10.0, 1, 0.5], [3.0, 0.4, -0.3], [60, -5, 2]])
    step = SE3(yaw(0.02), np.array([0.5, 0.1, 0]))
    here = project(xyz, sweep(SE3(yaw(angle), np.zeros(3))), view(SE3(yaw(angle), np.zeros(3)) @ step))
    pose = SE3(yaw(angle), np.array(offset))
    there = project(xyz, sweep(pose), view(pose @ step))
    np.testing.assert_allclose(there.uv_px, here.uv_px, atol=1e-5)


def test_a_neighbour_sweep_lands_where_the_world_stands_still():
    mount = SE3(yaw(-1.5), np.array([0.9, 0, 1.8]))
    key = sweep(SE3(yaw(0.3), np.array([411.0, 1180, 0])), mount)
    other = sweep(SE3(yaw(0.32), np.array([411.5, 1180.2, 0])), mount)
    xyz_world = np.array([[420.0, 1190, 1], [400, 1170, 0]])
    seen_by = [(s.world_SE3_ego @ s.ego_SE3_lidar).inverse().apply(xyz_world) for s in (key, other)]
    np.testing.assert_allclose(key_SE3_sweep(key, other).apply(seen_by[1]), seen_by[0], atol=1e-9)


def test_the_key_sweep_is_its_own_neighbour():
    key = sweep(SE3(yaw(0.3), np.array([411.0, 1180, 0])), SE3(yaw(-1.5), np.array([0.9, 0, 1.8])))
    np.testing.assert_allclose(key_SE3_sweep(key, key).rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(key_SE3_sweep(key, key).translation_m, 0, atol=1e-12)


def rolling(shutter, camera=None, speed_mps=20.0, turn_rad_s=0.0):
    """A frame whose vehicle moves along x from the pose 0.1 s before; its camera exposes at the sweep's time."""
    camera = camera or Camera(np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), 101, 81)
    eye = replace(view(camera=camera), shutter=shutter)
    rate = np.zeros((4, 4))
    rate[0, 1], rate[1, 0], rate[0, 3] = -turn_rad_s, turn_rad_s, speed_mps
    key = sweep()
    before = replace(key, t_us=-100_000, world_SE3_ego=motion.moved(key.world_SE3_ego, rate, -0.1))
    return Frame("frame", "scene", (key,), {-1: before}, (eye,)), eye


@pytest.mark.parametrize(
    ("shutter", "depth_m"),
    [
        (None, 10.0),
        (RollingShutter(0.0, 0.0), 10.0),
        (RollingShutter(-0.04, 0.04), 10.4),  # row 21 of 0 to 80 is exposed 20 ms before: 0.4 m farther
        (RollingShutter(0.04, -0.04), 9.6),  # reads upwards
        (RollingShutter(0.0, 0.04), 9.8),
        (RollingShutter(-0.04, 0.04, "columns"), 10.16),  # column 40 of 0 to 100: 8 ms before
    ],
)
def test_a_point_is_seen_when_its_row_is_exposed(shutter, depth_m):
    frame, eye = rolling(shutter)
    seen = projection.project(np.array([[10.0, 1, 2]]), frame, eye)
    ((u, v),), (depth,) = seen.uv_px, seen.depth_m
    assert depth == pytest.approx(depth_m, abs=0.03)
    np.testing.assert_allclose([u, v], [50 - 100 / depth, 40 - 200 / depth], atol=1e-9)
    if shutter is not None:  # the vehicle drives towards the point: the depth tells the time at which it is seen
        part = v / 80 if shutter.axis == "rows" else u / 100
        time_s = shutter.first_s + part * (shutter.last_s - shutter.first_s)
        assert (10 - depth) / 20 == pytest.approx(time_s, abs=1e-11)


@pytest.mark.parametrize("shutter", [RollingShutter(-0.01, 0.05), RollingShutter(0.06, -0.02, "columns")])
@pytest.mark.parametrize(("lens", "distortion"), [("brown", ()), ("brown", BARREL), ("fisheye", (0.02,) * 4)])
def test_rows_see_a_turning_vehicle_and_a_lens(shutter, lens, distortion):
    """Slow twin: for each point, the root of (time of its row, seen at a time) - (that time), by bisection."""
    from scipy.optimize import brentq

    camera = Camera(CAMERA.K, 100, 80, distortion, lens)
    frame, eye = rolling(shutter, camera, turn_rad_s=0.6)
    rng = np.random.default_rng(0)
    xyz = np.column_stack([rng.uniform(4, 30, 40), rng.uniform(-2, 2, 40), rng.uniform(-2, 2, 40)])
    seen = projection.project(xyz, frame, eye)
    rate = motion.twist(frame, 0)

    def exposed(point, time_s):
        later = replace(eye, world_SE3_ego=motion.moved(eye.world_SE3_ego, rate, time_s))
        uv, depth = camera.project(cam_SE3_lidar(frame.sweep, later).apply(point[None]))
        part = uv[0, 1] / 79 if shutter.axis == "rows" else uv[0, 0] / 99
        return uv[0], depth[0], shutter.first_s + min(max(part, 0), 1) * (shutter.last_s - shutter.first_s)

    for k, point in enumerate(xyz):
        ends = sorted([shutter.first_s - 0.001, shutter.last_s + 0.001])
        time_s = brentq(lambda s, point=point: exposed(point, s)[2] - s, ends[0] - 0.002, ends[1] + 0.002, xtol=1e-14)
        uv, depth, _ = exposed(point, time_s)
        np.testing.assert_allclose(seen.uv_px[k], uv, atol=1e-8)
        np.testing.assert_allclose(seen.depth_m[k], depth, atol=1e-10)
    assert seen.valid.sum() > 20


def test_a_point_that_outruns_the_shutter_has_no_place():
    """The vehicle passes the point before the row on which it appears is read, and has not passed it before."""
    frame, eye = rolling(RollingShutter(0.0, 2.0))
    xyz = np.array([[10.0, 0, -1], [60, 0, 1], [np.nan, 0, 0]])
    seen = projection.project(xyz, frame, eye)
    assert np.isnan(seen.uv_px[[0, 2]]).all()
    assert np.isnan(seen.depth_m[[0, 2]]).all()
    assert seen.valid.tolist() == [False, True, False]


def test_points_beyond_the_image_or_behind_it_are_no_trouble_for_a_shutter():
    frame, eye = rolling(RollingShutter(-0.04, 0.04))
    seen = projection.project(np.array([[10.0, 0, 50], [-10, 0, 0], [0, 0, 0]]), frame, eye)
    assert seen.depth_m[0] == pytest.approx(10.8)  # counts as the first row
    assert not seen.valid.any()
    assert np.isnan(seen.uv_px[1:]).all()


def test_a_shutter_needs_a_frame_with_known_motion():
    frame, eye = rolling(RollingShutter(-0.04, 0.04))
    with pytest.raises(CalibrationError) as raised:
        projection.project(np.array([[10.0, 0, 0]]), replace(frame, neighbours={}), eye)
    assert raised.value.code == "CAL004"


CHANNELS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")


@pytest.mark.parametrize("channel", CHANNELS)
def test_projection_is_the_devkits_on_every_point(devkit, devkit_sweep, devkit_cloud, channel):
    """The devkit's four steps on a double-precision cloud; its own float32 cloud rounds world metres to 6e-5."""
    from nuscenes.utils.geometry_utils import view_points
    from pyquaternion import Quaternion

    record = devkit.get("sample_data", devkit.sample[0]["data"][channel])
    mount = devkit.get("calibrated_sensor", record["calibrated_sensor_token"])
    pose = devkit.get("ego_pose", record["ego_pose_token"])
    lidar = devkit.get("sample_data", devkit.sample[0]["data"]["LIDAR_TOP"])
    xyz = devkit_cloud.points[:3].T.copy()

    cloud = type(devkit_cloud)(devkit_cloud.points.astype(np.float64))
    for step in (
        devkit.get("calibrated_sensor", lidar["calibrated_sensor_token"]),
        devkit.get("ego_pose", lidar["ego_pose_token"]),
    ):
        cloud.rotate(Quaternion(step["rotation"]).rotation_matrix)
        cloud.translate(np.array(step["translation"]))
    for step in (pose, mount):
        cloud.translate(-np.array(step["translation"]))
        cloud.rotate(Quaternion(step["rotation"]).rotation_matrix.T)
    uv = view_points(cloud.points[:3], np.array(mount["camera_intrinsic"]), normalize=True)[:2].T
    depth = cloud.points[2]
    inside = (depth > 1) & (uv > 1).all(axis=1) & (uv[:, 0] < record["width"] - 1) & (uv[:, 1] < record["height"] - 1)

    camera = Camera(np.array(mount["camera_intrinsic"]), record["width"], record["height"])
    ours = project(
        xyz,
        devkit_sweep,
        view(
            SE3.from_quaternion(pose["rotation"], pose["translation"]),
            SE3.from_quaternion(mount["rotation"], mount["translation"]),
            camera,
        ),
    )

    in_front = depth > 0
    assert inside.sum() > 2000
    np.testing.assert_allclose(ours.depth_m, depth, atol=1e-9)
    # Points almost in the camera's plane lie 1e8 px outside, where 1e-4 px is beyond what float64 holds of their depth.
    np.testing.assert_allclose(ours.uv_px[in_front], uv[in_front], atol=1e-4, rtol=1e-9)
    np.testing.assert_allclose(ours.uv_px[inside], uv[inside], atol=1e-8, rtol=0)
    np.testing.assert_array_equal(ours.valid, inside)


def test_cam_SE3_lidar_chains_mounts_and_poses():
    key = sweep(SE3(yaw(0.3), np.array([411.0, 1180, 0])), SE3(yaw(-1.5), np.array([0.9, 0, 1.8])))
    eye = view(SE3(yaw(0.31), np.array([411.3, 1180.1, 0])))
    chain = eye.ego_SE3_cam.inverse() @ eye.world_SE3_ego.inverse() @ key.world_SE3_ego @ key.ego_SE3_lidar
    np.testing.assert_allclose(cam_SE3_lidar(key, eye).rotation, chain.rotation, atol=1e-12)
    np.testing.assert_allclose(cam_SE3_lidar(key, eye).translation_m, chain.translation_m, atol=1e-9)
