"""Errors of known size, added to a calibration."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError, SchemaError
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

CAMERA = Camera(np.array([[1000.0, 0, 800], [0, 1000, 450], [0, 0, 1]]), 1600, 900)
SPEED_MPS, TURN_RADPS = 8.0, 0.2


def pose(t_us):
    """A vehicle on a circle: forward along its own x."""
    angle = TURN_RADPS * t_us * 1e-6
    radius = SPEED_MPS / TURN_RADPS
    rotation = Rotation.from_euler("z", angle).as_matrix()
    return SE3(rotation, [radius * np.sin(angle), radius * (1 - np.cos(angle)), 0.0])


def sweep(t_us):
    return Sweep(RawPoints(Path(), XYZ), t_us, SE3.identity(), pose(t_us))


def frame(frame_id="a", cameras=("front", "left", "back"), neighbours=(-50_000, 50_000)):
    views = tuple(
        CameraView(
            name,
            ImageFile(Path()),
            10_000 * k,
            CAMERA,
            SE3(Rotation.from_euler("z", 90.0 * k, degrees=True).as_matrix(), [1.0, k, 1.5]),
            pose(10_000 * k),
        )
        for k, name in enumerate(cameras)
    )
    return Frame(frame_id, "scene", (sweep(0),), {k: sweep(t) for k, t in enumerate(neighbours)}, views)


def errors(noise, of=None):
    """Rotation vector in degrees and translation of each camera's mounting error, in its own frame."""
    clean = frame() if of is None else of
    found = []
    for before, after in zip(clean.cameras, perturb(clean, noise).cameras, strict=True):
        step = before.ego_SE3_cam.inverse() @ after.ego_SE3_cam
        found.append((Rotation.from_matrix(step.rotation).as_rotvec(degrees=True), step.translation_m))
    return [np.array(part) for part in zip(*found, strict=True)]


def test_nothing_changes_nothing():
    for before, after in zip(frame().cameras, perturb(frame(), CLEAN).cameras, strict=True):
        assert before.camera is after.camera
        assert np.allclose(before.ego_SE3_cam.translation_m, after.ego_SE3_cam.translation_m, atol=1e-15)
        assert np.allclose(before.world_SE3_ego.rotation, after.world_SE3_ego.rotation, atol=1e-15)
    assert CLEAN.text() == Noise(seed=3, law="uniform").text() == "none"


def test_a_random_direction_has_the_whole_size_and_another_one_in_every_camera():
    turn, shift = errors(Noise(rotation_deg=0.5, translation_m=0.1))
    assert np.allclose(np.linalg.norm(turn, axis=1), 0.5)
    assert np.allclose(np.linalg.norm(shift, axis=1), 0.1)
    ways = np.concatenate([turn / 0.5, shift / 0.1])
    assert (np.abs(ways @ ways.T - np.eye(6)) < 0.99).all()


@pytest.mark.parametrize(("axis", "k"), [("x", 0), ("y", 1), ("z", 2)])
def test_one_axis_is_that_of_the_camera(axis, k):
    turn, shift = errors(Noise(rotation_deg=2.0, translation_m=0.3, axis=axis))
    for found, size in ((turn, 2.0), (shift, 0.3)):
        assert np.allclose(np.abs(found[:, k]), size)
        assert np.allclose(np.delete(found, k, axis=1), 0, atol=1e-9)


@pytest.mark.parametrize(("law", "deviation"), [("uniform", 0.1 / np.sqrt(3)), ("gaussian", 0.1)])
def test_each_axis_is_drawn_by_the_law(law, deviation):
    drawn = np.array([errors(Noise(translation_m=0.1, axis="each", law=law, seed=seed))[1] for seed in range(400)])
    assert np.std(drawn, axis=0) == pytest.approx(deviation, rel=0.15)
    assert np.abs(drawn.mean(axis=0)).max() < 0.02
    assert law == "gaussian" or np.abs(drawn).max() <= 0.1


def test_a_larger_error_of_the_same_seed_points_the_same_way():
    (small, _), (large, _) = errors(Noise(rotation_deg=0.1, seed=7)), errors(Noise(rotation_deg=1.0, seed=7))
    assert np.allclose(10 * small, large)
    assert not np.allclose(errors(Noise(rotation_deg=1.0, seed=8))[0], large)


def test_the_rigs_error_stays_and_a_frames_changes():
    other = frame("b")
    for scope, same in (("rig", True), ("frame", False)):
        noise = Noise(rotation_deg=1.0, scope=scope)
        assert np.allclose(errors(noise)[0], errors(noise, other)[0]) == same


def test_intrinsics_are_scaled_and_shifted():
    for view in perturb(frame(), Noise(focal=0.01, center_px=5.0)).cameras:
        K = view.camera.K
        assert abs(K[0, 0] / 1000 - 1) == pytest.approx(0.01)
        assert K[0, 0] == K[1, 1]
        assert np.hypot(K[0, 2] - 800, K[1, 2] - 450) == pytest.approx(5.0)


@pytest.mark.parametrize("time_ms", [-100.0, 20.0, 100.0])
def test_late_stamps_place_an_image_where_the_vehicle_was_then(time_ms):
    for view in perturb(frame(), Noise(time_ms=time_ms)).cameras:
        true = pose(view.t_us + time_ms * 1e3)
        assert np.allclose(view.world_SE3_ego.translation_m, true.translation_m, atol=1e-6)
        assert np.allclose(view.world_SE3_ego.rotation, true.rotation, atol=1e-9)


def test_late_stamps_need_a_second_sweep():
    for neighbours in ((), (0, 0)):
        with pytest.raises(CalibrationError, match=r"CAL004.*frame a has a single sweep"):
            perturb(frame(neighbours=neighbours), Noise(time_ms=5.0))


def test_pose_errors_are_drawn_for_every_exposure():
    noise = Noise(ego_m=0.2, ego_deg=0.3)
    seen = [perturb(frame(name), noise).cameras for name in ("a", "b")]
    steps = [
        cam_SE3_lidar(clean.sweep, view) @ cam_SE3_lidar(clean.sweep, before).inverse()
        for clean, views in zip((frame("a"), frame("b")), seen, strict=True)
        for before, view in zip(clean.cameras, views, strict=True)
    ]
    turns = [Rotation.from_matrix(step.rotation).magnitude() for step in steps]
    assert np.allclose(np.rad2deg(turns), 0.3)
    assert len({tuple(step.translation_m.round(6)) for step in steps}) == len(steps)


def test_dropped_cameras_are_gone_the_others_in_order():
    left = [view.name for view in perturb(frame(), Noise(dropped=1)).cameras]
    assert len(left) == 2
    assert left == [view.name for view in frame().cameras if view.name in left]
    with pytest.raises(CalibrationError, match=r"CAL004(?s:.)*leave at least one camera"):
        perturb(frame(), Noise(dropped=3))


@pytest.mark.parametrize(
    ("field", "value"), [("rotation_deg", -1.0), ("translation_m", np.nan), ("focal", 1.0), ("time_ms", np.inf)]
)
def test_sizes_that_are_none_are_refused(field, value):
    with pytest.raises(SchemaError, match=f"SCH005.*noise.{field}"):
        replace(CLEAN, **{field: value})


def test_the_text_of_an_error_names_its_fields():
    assert Noise(rotation_deg=0.5, law="uniform", seed=2).text() == "rotation_deg=0.5, law=uniform, seed=2"
