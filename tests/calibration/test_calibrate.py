"""Errors of a calibration found from silhouettes: a made-up street of posts and boxes, seen by three cameras."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.calibration import estimate, solve
from pointsam.calibration.correction import RigCorrection, as_SE3, corrected, rig_of
from pointsam.calibration.estimate import (
    FLOOR_DEG,
    MIN_SPEED_MPS,
    CameraEstimate,
    camera_results,
    doubt_deg,
    points_at_20_m,
    rig_result,
    time_status_of,
)
from pointsam.calibration.file import RigResult
from pointsam.calibration.perturb import Noise, perturb
from pointsam.calibration.silhouettes import MARGIN_PX, CameraObservations, observe, silhouettes
from pointsam.calibration.solve import Solution
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, FramePoints, InstanceMap, Sweep

CAMERA = Camera(np.array([[500.0, 0, 400], [0, 500, 225], [0, 0, 1]]), 800, 450)
AHEAD = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=float)  # columns: the camera's x, y, z in the vehicle
LIDAR_M = 1.8


def pose(t_us, speed_mps):
    return SE3(np.eye(3), [speed_mps * t_us * 1e-6, 0, 0])


def street(rng, speed_mps):
    """A frame, its sweep, and true masks: boxes on a plain, dense scan lines, three cameras looking ahead and aside."""
    views = []
    for k, yaw in enumerate((0, 70, -70)):
        mount = SE3(Rotation.from_euler("z", yaw, degrees=True).as_matrix() @ AHEAD, [0.5, 0.0, 1.5])
        views.append(CameraView(f"cam{k}", ImageFile(Path()), 5_000 * k, CAMERA, mount, pose(5_000 * k, speed_mps)))
    mount, source = SE3(np.eye(3), [0, 0, LIDAR_M]), RawPoints(Path(), XYZ)
    sweeps = [Sweep(source, t, mount, pose(t, speed_mps)) for t in (-50_000, 0, 50_000)]
    frame = Frame("f", "s", (sweeps[1],), {-1: sweeps[0], 1: sweeps[2]}, tuple(views))
    angle = np.linspace(-1.9, 1.9, 18) + rng.uniform(-0.03, 0.03, 18)
    reach = rng.uniform(8, 25, 18)
    center = np.column_stack([reach * np.cos(angle), reach * np.sin(angle)])
    size = rng.uniform(0.6, 1.1, (18, 2)) * [1, 1.6]
    xyz, owner = scan(center, size)
    masks = {view.name: rendered(frame, view, center, size) for view in views}
    return frame, xyz.astype(np.float32), owner, masks


def scan(center, size):
    """Where the LiDAR's rays end: on upright squares of a width and height, or on the plain."""
    azimuth, elevation = np.meshgrid(np.arange(-2.1, 2.1, 0.0035), np.deg2rad(np.arange(-20, 6, 0.6)))
    way = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)
    way = way.reshape(-1, 3)
    distance, owner = hit(np.array([0, 0, LIDAR_M]), way, center, size)
    kept = distance < 60
    return (way * distance[:, None])[kept], owner[kept]


def hit(eye, way, center, size):
    """Distance along each ray to the nearest square, or to the plain (owner -1)."""
    with np.errstate(divide="ignore"):
        distance = np.where(way[:, 2] < 0, -eye[2] / way[:, 2], np.inf)
    owner = np.full(len(way), -1)
    for k, (middle, (wide, high)) in enumerate(zip(center, size, strict=True)):
        normal = np.append(middle / np.linalg.norm(middle), 0.0)
        across = np.array([-normal[1], normal[0], 0.0])
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (np.append(middle, 0.0) - eye) @ normal / (way @ normal)
        at = eye + way * np.where((t > 0) & np.isfinite(t), t, 0)[:, None] - np.append(middle, 0.0)
        on = (t > 0) & (np.abs(at @ across) < wide / 2) & (at[:, 2] > 0) & (at[:, 2] < high) & (t < distance)
        distance[on], owner[on] = t[on], k
    return distance, owner


def rendered(frame, view, center, size):
    """The partition that a perfect segmenter would give."""
    u, v = np.meshgrid(np.arange(800), np.arange(450))
    rays = np.stack([(u - 400) / 500, (v - 225) / 500, np.ones_like(u, dtype=float)], -1).reshape(-1, 3)
    drift = view.world_SE3_ego.translation_m
    eye = view.ego_SE3_cam.translation_m + drift
    _, owner = hit(eye, rays @ view.ego_SE3_cam.rotation.T, center, size)
    shown, instance = np.unique(owner[owner >= 0], return_inverse=True)
    out = np.full(owner.shape, -1, dtype=np.int32)
    out[owner >= 0] = instance
    zeros = np.zeros(len(shown), dtype=np.uint8)
    return InstanceMap(out.reshape(450, 800), zeros, np.arange(len(shown), dtype=np.int32))


@pytest.fixture(scope="module")
def drive():
    """Streets at several speeds: at a single speed, a time offset equals a shift of the cameras."""
    rng = np.random.default_rng(0)
    return [street(rng, speed) for speed in (2.0, 14.0, 5.0, 11.0, 8.0, 3.0, 12.0, 6.0)]


@pytest.fixture(scope="module")
def observations(drive):
    """Observations of each street under the true calibration."""
    return [observe(frame, FramePoints.of(xyz), masks) for frame, xyz, _, masks in drive]


@pytest.fixture
def hasty(monkeypatch):
    """A single step, for tests that do not depend on the quality of the solution."""
    monkeypatch.setattr(solve, "ROUNDS", solve.ROUNDS[-1:])
    monkeypatch.setattr(solve, "_STEPS", 1)


def solved(drive, noise):
    frames = [perturb(frame, noise) for frame, *_ in drive]
    observations = [
        observe(frame, FramePoints.of(xyz), masks) for frame, (_, xyz, _, masks) in zip(frames, drive, strict=True)
    ]
    return frames, rig_result(frames, observations)


def errors(drive, frames, result):
    """The remaining error of the worst camera: degrees across the image, metres.

    No points lie above these objects, so tilts cannot be observed.
    """
    left = []
    for (true, *_), wrong in zip(drive, frames, strict=True):
        for before, after in zip(true.cameras, corrected(wrong, result.correction()).cameras, strict=True):
            step = before.ego_SE3_cam.inverse() @ after.ego_SE3_cam
            turn = Rotation.from_matrix(step.rotation).as_rotvec(degrees=True)
            left.append((abs(turn[1]), np.linalg.norm(step.translation_m)))
    return np.array(left).max(axis=0)


def test_a_scan_shows_what_the_masks_show(drive):
    frame, xyz, owner, masks = drive[0]
    for view in frame.cameras:
        seen = project(xyz, frame, view)
        u, v = seen.pixels().T
        inside = masks[view.name].instance_id[v, u] >= 0
        assert np.mean(inside[owner[seen.valid] >= 0]) > 0.93


def test_a_true_calibration_is_left_as_it_is(drive, observations):
    result = rig_result([frame for frame, *_ in drive], observations)
    assert {one.status for one in result.cameras.values()} == {"right"}
    assert result.time_status == "right"
    assert all(one.shift_deg < FLOOR_DEG for one in result.cameras.values())
    correction = result.correction()
    assert (correction.cameras, correction.time_s) == ({}, 0.0)


def test_errors_of_mounting_and_time_are_found(drive):
    frames, result = solved(drive, Noise(rotation_deg=1.5, translation_m=0.08, time_ms=40.0, seed=2))
    assert {one.status for one in result.cameras.values()} == {"mended"}
    assert result.time_status == "mended"
    assert result.time_ms == pytest.approx(-40, abs=4)
    assert result.time_doubt_ms > 2.5  # what halves have in common
    for one in result.cameras.values():
        tilt, pan, _ = one.rotation_doubt_deg
        assert pan < 0.6
        assert tilt > pan  # no points lie above these objects
        assert one.doubt_deg > one.apart_deg
    before = errors(drive, frames, RigResult(0, 0.0, "right", 0.0, None, {}))
    after = errors(drive, frames, result)
    assert before == pytest.approx((1.24, 0.08), abs=0.05)
    assert after[0] < 0.35
    assert after[1] < 0.1  # as uncertain as the prior: few objects


@pytest.mark.parametrize("frames", [1, 2])
def test_few_objects_are_not_enough(drive, hasty, frames):
    _, result = solved(drive[:frames], Noise(rotation_deg=1.0))
    assert {(one.status, one.doubt_deg) for one in result.cameras.values()} == {("unknown", None)}
    assert (result.time_status, result.time_ms, result.time_doubt_ms) == ("unknown", 0.0, None)
    assert result.correction().cameras == {}


@pytest.mark.parametrize(
    ("time_ms", "apart_ms", "wanted"),
    [
        (4.0, 1.0, "right"),
        (-4.0, 9.0, "right"),
        (-8.0, 1.0, "mended"),
        (8.0, 4.5, "unknown"),
        (15.0, 9.0, "unknown"),
        (90.0, 10.0, "unknown"),
    ],
)
def test_a_time_that_halves_do_not_support_is_unknown(time_ms, apart_ms, wanted):
    assert time_status_of(time_ms, apart_ms) == wanted


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([(0.3, 0.1), (0.1, 0.1), (0.2, 0.1)], ["mended", "right", "right"]),
        ([(0.29, 0.149), (0.1, 0.1), (0.25, 0.14)], ["unknown", "right", "right"]),
        ([(0.3, 0.1), (0.3, 0.1), (0.2, 0.15)], ["mended"] * 3),  # the median is: so is the third
        ([(0.3, 0.1), (0.3, 0.1), (0.2, 0.25)], ["mended", "mended", "unknown"]),
        ([(0.3, 0.1), (0.3, 0.1), (0.2, 0.15), None, None, None], ["mended"] * 3 + ["unknown"] * 3),
        ([(0.46, 0.17)] * 3, ["unknown"] * 3),  # no halves agree
        ([(0.3, 0.05)] * 3 + [(0.46, 0.17), (0.3, 0.31)], ["mended"] * 4 + ["unknown"]),
        ([(0.3, 0.1), (0.3, 0.16), None], ["mended", "unknown", "unknown"]),  # two cameras do not decide for a rig
        ([(0.9, 0.2), (0.2, 0.2), (0.2, 0.05), (0.1, 0.05)], ["mended", "unknown", "right", "right"]),
    ],
)
def test_a_rig_whose_median_is_off_is_corrected_as_a_whole(found, wanted):
    vector = np.full(6, 0.01)
    estimates = {
        f"cam{k}": CameraEstimate(9, vector, np.zeros((6, 6)))
        if one is None
        else CameraEstimate(50, vector, np.eye(6), *one, solved=True)
        for k, one in enumerate(found)
    }
    results = camera_results(estimates)
    assert [one.status for one in results.values()] == wanted
    for one in results.values():
        assert (one.translation_m != (0.0, 0.0, 0.0)) == (one.status == "mended")


def test_uncertainties_are_those_of_the_covariance_and_without_a_solution_there_are_none():
    vector, deviation = np.full(6, 0.01), np.array([1.0, 2, 3, 40, 50, 60]) * 1e-3
    estimates = {
        "seen": CameraEstimate(50, vector, np.diag(deviation**2), 0.3, 0.1, 0.21, 1.5, solved=True),
        "blind": CameraEstimate(3, np.zeros(6), np.zeros((6, 6))),
    }
    results = camera_results(estimates)
    seen = results["seen"]
    assert (seen.apart_deg, seen.doubt_deg, seen.edge_px) == (0.1, 0.21, 1.5)
    assert seen.rotation_doubt_deg == pytest.approx(np.rad2deg(deviation[:3]), abs=1e-5)
    assert seen.translation_doubt_m == pytest.approx(deviation[3:], abs=1e-5)
    blind = results["blind"]
    uncertainties = (blind.doubt_deg, blind.rotation_doubt_deg, blind.translation_doubt_m, blind.edge_px)
    assert (blind.status, *uncertainties) == ("unknown", None, None, None, None)


def test_a_variance_is_the_sum_of_that_of_the_solution_of_the_halves_and_of_what_they_share(monkeypatch):
    view = CameraView("cam", ImageFile(Path()), 0, CAMERA, SE3.identity(), SE3.identity())
    sweeps = tuple(Sweep(RawPoints(Path(), XYZ), t, SE3.identity(), pose(t, 5.0)) for t in (0, 50_000))
    frame = Frame("f", "s", sweeps, {}, (view,))
    rate, none = np.zeros((4, 4)), np.zeros(0, dtype=int)
    rate[0, 3] = 5.0
    image = CameraObservations("cam", np.zeros((0, 3)), rate, none, none > 0, np.zeros((0, 2)), ())
    vector, half = np.array([0.01, 0.02, 0.0, 0.1, 0.0, 0.0]), np.array([1e-3, 0, 2e-3, 0.01, 0.02, 0])
    deviation = np.array([2e-3, 1e-3, 3e-3, 0.03, 0.01, 0.05])
    found = [
        Solution(RigCorrection({"cam": vector + off}, time_s), {"cam": np.diag(deviation**2)}, {"cam": 0.7}, 1e-3)
        for off, time_s in ((0, 0.040), (half, 0.044), (-half, 0.036))
    ]
    monkeypatch.setattr(estimate, "solve", lambda *_: found.pop(0))
    monkeypatch.setattr(estimate, "supporting_points", lambda *_: (np.array([[0.0, 0.0, 20.0]]), 30))
    result = rig_result([frame] * 4, [[image]] * 4)
    camera = result.cameras["cam"]
    floor = np.array([np.deg2rad(estimate.BIAS_DEG)] * 3 + [estimate.BIAS_M] * 3)
    expected = np.sqrt(deviation**2 + half**2 + floor**2)
    assert (camera.status, result.time_status) == ("mended", "mended")
    assert camera.rotation_doubt_deg == pytest.approx(np.rad2deg(expected[:3]), abs=1e-5)
    assert camera.translation_doubt_m == pytest.approx(expected[3:], abs=1e-5)
    covariance = np.diag(deviation**2 + floor**2) + np.outer(half, half)
    assert camera.doubt_deg == pytest.approx(doubt_deg(view, covariance), abs=1e-4)
    assert result.time_doubt_ms == pytest.approx(np.sqrt(1.0**2 + 4.0**2 + estimate.BIAS_MS**2), abs=1e-3)


def test_the_uncertainty_of_a_camera_is_that_of_directions_at_20_m():
    view = CameraView("cam", ImageFile(Path()), 0, CAMERA, SE3.identity(), SE3.identity())
    sideways, about = np.zeros((6, 6)), np.zeros((6, 6))
    about[0, 0] = np.deg2rad(0.3) ** 2
    sideways[3, 3] = 0.1**2
    tiny = 1e-16 * np.eye(6)
    assert 0.2 < doubt_deg(view, about + tiny) < 0.3  # points beside the axis of a rotation move less
    assert 0.8 * np.rad2deg(0.1 / 20) < doubt_deg(view, sideways + tiny) < np.rad2deg(0.1 / 20)
    both = np.hypot(doubt_deg(view, about + tiny), doubt_deg(view, sideways + tiny))
    assert doubt_deg(view, about + sideways + tiny) == pytest.approx(both, rel=1e-3)
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6)) * np.array([1e-3] * 3 + [2e-2] * 3)[:, None]
    draws = rng.standard_normal((4000, 6)) @ root.T
    u, v = np.meshgrid(np.linspace(0, 800, 9), np.linspace(150, 450, 5))
    rays = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)]) @ np.linalg.inv(CAMERA.K).T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    # twin: each point moves by minus the rotation and the translation of the camera, seen across its ray
    step = np.cross(rays, draws[:, None, :3]) - draws[:, None, 3:] / 20
    across = step - np.sum(step * rays, axis=-1, keepdims=True) * rays
    wanted = np.rad2deg(np.sqrt(np.mean(np.sum(across**2, axis=-1))))
    assert doubt_deg(view, root @ root.T) == pytest.approx(wanted, rel=0.05)


def test_the_points_of_an_uncertainty_are_those_that_the_lens_shows():
    for lens, count in (((0.1, 0, 0, 0), 45), ((-0.6, 0, 0, 0), 21)):  # the second ends at 37 degrees, within the image
        camera = Camera(CAMERA.K, 800, 450, lens)
        xyz = points_at_20_m(CameraView("cam", ImageFile(Path()), 0, camera, SE3.identity(), SE3.identity()))
        assert len(xyz) == count
        np.testing.assert_allclose(np.linalg.norm(xyz, axis=1), 20)
        uv, _ = camera.project(xyz)
        assert ((uv >= [-1e-6, 150 - 1e-6]) & (uv <= [800 + 1e-6, 450 + 1e-6])).all()


def test_a_standing_vehicle_gives_no_time_offset(drive, observations, hasty):
    still = [[replace(one, rate=np.zeros_like(one.rate)) for one in some] for some in observations]
    result = rig_result([frame for frame, *_ in drive], still)
    assert (result.time_status, result.time_ms) == ("unknown", 0.0)


def test_without_poses_the_speed_is_not_known(drive, observations, hasty):
    still = [[replace(one, rate=np.zeros_like(one.rate)) for one in some] for some in observations]
    result = rig_result([replace(frame, neighbours={}) for frame, *_ in drive], still)
    assert (result.speed_mps, result.time_status, result.time_doubt_ms) == (None, "unknown", None)


@pytest.mark.parametrize("blind", [slice(None), slice(0, None, 2), slice(1, None, 2)])
def test_without_objects_in_a_half_of_the_frames_there_is_no_time_offset(drive, observations, hasty, blind):
    seen = list(observations)
    for k in range(len(drive))[blind]:
        frame, xyz, _, masks = drive[k]
        none = {name: replace(one, instance_id=np.full_like(one.instance_id, -1)) for name, one in masks.items()}
        seen[k] = observe(frame, FramePoints.of(xyz), none)
    result = rig_result([frame for frame, *_ in drive], seen)
    assert result.speed_mps > MIN_SPEED_MPS
    assert (result.time_status, result.time_ms) == ("unknown", 0.0)


def test_a_stray_return_changes_nothing(drive):
    frame, xyz, _, masks = drive[0]
    stray = np.array([[3e5, -3e5, 1.0]], dtype=np.float32)
    with_stray = np.concatenate([xyz, stray])
    observations = (observe(frame, FramePoints.of(points), masks) for points in (xyz, with_stray))
    for one, other in zip(*observations, strict=True):
        assert np.array_equal(one.xyz_ego_m, other.xyz_ego_m)
        assert np.array_equal(one.ground, other.ground)
        assert np.array_equal(
            np.unique(one.component, return_inverse=True)[1], np.unique(other.component, return_inverse=True)[1]
        )


def test_mirrored_returns_below_the_road_leave_it_the_ground(drive, observations):
    frame, xyz, owner, masks = drive[0]
    road = np.flatnonzero((owner < 0) & (np.hypot(xyz[:, 0], xyz[:, 1]) < 10))
    mirrored = xyz[road[::200]] - np.array([0, 0, 1], dtype=np.float32)
    seen = observe(frame, FramePoints.of(np.concatenate([xyz, mirrored])), masks)
    for one, other in zip(observations[0], seen, strict=True):
        assert other.ground.sum() > 0.98 * one.ground.sum() > 0


def test_a_field_is_the_distance_to_the_edge():
    image = np.full((200, 300), -1, dtype=np.int32)
    image[80:120, 100:160] = 0
    image[0:40, 0:40] = 1  # cut by the border
    image[150:155, 200:205] = 2  # too small
    (cut,) = silhouettes(image)
    place = np.array([[100, 99], [130, 100], [98, 100]]) - cut.origin_px.astype(int)
    assert [float(cut.field_px[y, x]) for x, y in place] == [0.5, 19.5, -1.5]
    assert cut.origin_px.tolist() == [100 - MARGIN_PX, 80 - MARGIN_PX]


def test_a_rig_is_its_mountings_and_intrinsics(drive):
    frame = drive[0][0]
    assert rig_of(frame) == rig_of(replace(frame, frame_id="other", scene="other"))
    assert rig_of(frame) != rig_of(perturb(frame, Noise(rotation_deg=0.1)))


def test_a_correction_restores_the_mounting(drive):
    frame = drive[0][0]
    vector = np.array([0.01, -0.02, 0.03, 0.1, 0.2, -0.1])
    wrong = replace(
        frame,
        cameras=tuple(replace(v, ego_SE3_cam=v.ego_SE3_cam @ as_SE3(vector).inverse()) for v in frame.cameras),
    )
    right = corrected(wrong, RigCorrection(dict.fromkeys(("cam0", "cam1", "cam2"), vector)))
    for a, b in zip(frame.cameras, right.cameras, strict=True):
        assert np.allclose(a.ego_SE3_cam.translation_m, b.ego_SE3_cam.translation_m)
        assert np.allclose(a.ego_SE3_cam.rotation, b.ego_SE3_cam.rotation)
    again = RigCorrection({"cam0": vector}, 0.01).stored().correction()
    assert np.array_equal(again.cameras["cam0"], vector)
    assert again.time_s == 0.01
