import numpy as np
import pytest

from pointsam.synth.rig import RIGS, rig
from pointsam.synth.sensors import SWEEP_US, beam_delay_s

NUSCENES, KITTI = (rig(name) for name in ("nuscenes", "kitti"))
MOUNTED = [(name, mounted) for name in RIGS for mounted in rig(name).cameras]


@pytest.mark.parametrize(("name", "mounted"), MOUNTED, ids=lambda value: getattr(value, "name", value))
def test_a_camera_exposes_when_the_beam_passes_its_axis(name, mounted):
    lidar = rig(name).lidar
    column = np.abs(lidar.delay_s() * 1e6 - mounted.delay_us).argmin()
    axis = lidar.ego_SE3_lidar.rotation.T @ mounted.ego_SE3_cam.rotation[:, 2]
    apart = np.degrees(lidar.azimuth_rad()[column] - np.arctan2(axis[1], axis[0]))
    assert abs((apart + 180) % 360 - 180) < 360 / lidar.columns


def test_cameras_expose_clockwise_from_the_left_front_within_one_sweep():
    order = sorted(NUSCENES.cameras, key=lambda m: -m.delay_us)
    names = [m.name.removeprefix("CAM_") for m in order]
    assert names == ["FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_RIGHT", "BACK", "BACK_LEFT"]
    assert all(0 <= m.delay_us < SWEEP_US for m in NUSCENES.cameras)


@pytest.mark.parametrize("name", RIGS)
def test_the_beam_turns_clockwise_once_a_sweep(name):
    lidar = rig(name).lidar
    assert (np.diff(lidar.azimuth_rad()) < 0).all()
    assert (np.diff(lidar.delay_s()) < 0).all()
    assert np.ptp(lidar.azimuth_rad()) == pytest.approx(2 * np.pi * (1 - 1 / lidar.columns))


@pytest.mark.parametrize("name", RIGS)
def test_a_point_is_passed_when_its_column_is_measured(name):
    lidar = rig(name).lidar
    azimuth = lidar.azimuth_rad()
    points = 20 * np.column_stack([np.cos(azimuth), np.sin(azimuth)])
    np.testing.assert_allclose(beam_delay_s(points), lidar.delay_s(), atol=1e-9)


def test_rings_are_those_of_the_32_beam_sensor():
    elevation = NUSCENES.lidar.elevation_rad
    assert np.degrees(elevation[[0, 31]]) == pytest.approx([-30.67, 10.67], abs=0.01)
    assert np.ptp(np.diff(elevation)) < 1e-12


def test_rings_are_those_of_the_64_beam_sensor():
    elevation = np.degrees(KITTI.lidar.elevation_rad)
    assert len(elevation) == 64
    assert elevation[[0, 63]] == pytest.approx([-24.8, 2.0], abs=0.01)
    assert np.diff(elevation)[:31] == pytest.approx(1 / 2)
    assert np.diff(elevation)[32:] == pytest.approx(1 / 3)


def test_an_inverted_lidar_turns_the_other_way_round_seen_from_above():
    order = sorted(rig("inverted").cameras, key=lambda m: -m.delay_us)
    names = [m.name.removeprefix("CAM_") for m in order]
    assert names == ["FRONT_RIGHT", "FRONT", "FRONT_LEFT", "BACK_LEFT", "BACK", "BACK_RIGHT"]


@pytest.mark.parametrize(("name", "up"), [("nuscenes", 1.0), ("tilted", np.cos(np.radians(20))), ("inverted", -1.0)])
def test_lidars_are_upright_or_as_named(name, up):
    mounting = rig(name).lidar.ego_SE3_lidar.rotation
    assert mounting[2, 2] == pytest.approx(up)
    np.testing.assert_allclose(mounting @ mounting.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(mounting) == pytest.approx(1)


def test_the_second_lidar_scans_a_field_ahead_in_an_own_order():
    (front,) = rig("two-lidars").others
    rays = front.rays(1.0)
    assert rays.shape[:2] == (len(front.delay_s()), len(front.lines_rad))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=2), 1)
    right, up = np.degrees(np.arctan2(rays[..., 0], rays[..., 1])), np.degrees(np.arcsin(rays[..., 2]))
    assert np.abs([right.min(), right.max()]) == pytest.approx(55, abs=1)
    assert np.abs([up.min(), up.max()]) == pytest.approx(14, abs=0.5)
    assert len(np.unique(np.round(up, 3))) > 10_000  # no rings
    assert np.degrees(np.arccos(np.einsum("slk,slk->sl", rays, front.rays(1.05)))).mean() > 10  # no sweep repeats
    assert (front.ring_of_points() == 0).all()


def test_the_camera_of_the_second_rig_is_kittis():
    (mounted,) = KITTI.cameras
    assert (mounted.camera.width_px, mounted.camera.height_px) == (1242, 375)
    assert mounted.camera.K[0, 0] == 721.5


def test_scaling_an_image_keeps_every_direction():
    for full, half in zip(NUSCENES.cameras, rig(scale=0.5).cameras, strict=True):
        assert (half.camera.width_px, half.camera.height_px) == (800, 450)
        points = np.array([[1.0, 0.4, 9.0], [-3.0, -1.0, 12.0]])
        corner = [m.camera.project(points)[0] + 0.5 for m in (full, half)]  # from the corner of the first pixel
        np.testing.assert_allclose(corner[0] / 2, corner[1])
