"""Corrections and errors of a calibration on frames with two LiDARs and a rolling shutter."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.two_lidars import by_hand, two_lidar_frame

from pointsam.calibration.correction import RigCorrection, corrected, rig_of
from pointsam.calibration.perturb import Noise, perturb
from pointsam.calibration.silhouettes import observe
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.types import InstanceMap, RollingShutter


@pytest.fixture
def frame(tmp_path):
    return two_lidar_frame(tmp_path)[0]


def test_an_error_of_a_camera_moves_the_points_of_all_sweeps_alike(frame):
    wrong = perturb(frame, Noise(rotation_deg=1.0, translation_m=0.2, focal=0.02, ego_m=0.1))
    assert wrong.sweeps is frame.sweeps
    (view,) = wrong.cameras
    assert view.source is frame.cameras[0].source
    seen = project(read_frame_points(wrong).xyz_lidar_m, wrong, view)
    rows = [(sweep, xyz) for sweep in frame.sweeps for xyz in sweep.source.read(("x", "y", "z")).astype(np.float64)]
    expected = np.array([by_hand(xyz, sweep, view)[:2] for sweep, xyz in rows])
    np.testing.assert_allclose(seen.uv_px[seen.valid], expected[seen.valid], atol=1e-4)
    before = project(read_frame_points(frame).xyz_lidar_m, frame, frame.cameras[0])
    off = np.linalg.norm(seen.uv_px - before.uv_px, axis=1)[seen.valid & before.valid]
    assert np.median(off) > 1


def test_without_neighbours_two_sweeps_give_the_motion_for_a_time_offset(frame):
    late = corrected(frame, RigCorrection({}, 0.02)).cameras[0].world_SE3_ego
    again = perturb(frame, Noise(time_ms=20.0)).cameras[0].world_SE3_ego
    np.testing.assert_allclose(late.translation_m, again.translation_m, atol=1e-9)
    step = frame.cameras[0].world_SE3_ego.inverse() @ late
    np.testing.assert_allclose(np.linalg.norm(step.translation_m), 0.2, atol=1e-3)


def test_a_rig_is_also_the_other_lidars_the_lenses_and_the_shutters(frame):
    first, second = frame.sweeps
    (view,) = frame.cameras
    rigs = [
        frame,
        replace(frame, sweeps=(first,)),
        replace(frame, sweeps=(first, replace(second, ego_SE3_lidar=SE3.identity()))),
        replace(frame, cameras=(replace(view, shutter=RollingShutter(0.0, 0.02)),)),
        replace(frame, cameras=(replace(view, shutter=RollingShutter(0.02, 0.0)),)),
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.1, 0, 0, 0))),)),
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.1,) * 4)),)),
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.1,) * 4, lens="fisheye")),)),
    ]
    assert len({rig_of(each) for each in rigs}) == len(rigs)
    moved_on = replace(second, t_us=second.t_us + 5, world_SE3_ego=SE3.identity())
    assert rig_of(replace(frame, sweeps=(first, moved_on))) == rig_of(frame)


@pytest.mark.parametrize("shutter", [None, RollingShutter(-0.05, 0.05)])
def test_what_calibrate_sees_falls_where_the_points_are_projected(frame, shutter):
    view = replace(frame.cameras[0], shutter=shutter)
    frame = replace(frame, cameras=(view,))
    points = read_frame_points(frame)
    blank = InstanceMap(np.full((120, 160), -1, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.int32))
    (seen,) = observe(frame, points, {"front": blank})
    uv, _ = view.camera.project(view.ego_SE3_cam.inverse().apply(seen.xyz_ego_m))
    projected = project(points.xyz_lidar_m, frame, view)
    nearest = np.abs(projected.uv_px[projected.valid][None] - uv[:, None]).max(axis=2).min(axis=1)
    assert len(uv) > 100
    assert nearest.max() < 1e-8
    assert len(seen.parallax) == len(uv)
