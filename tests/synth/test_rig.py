import numpy as np
import pytest

from pointsam.synth.rig import (
    COLUMNS,
    EGO_SE3_LIDAR,
    ELEVATION_RAD,
    SWEEP_US,
    beam_delay_s,
    cameras,
    column_azimuth,
    column_delay_s,
)

CAMERAS = cameras()


@pytest.mark.parametrize("mounted", CAMERAS, ids=lambda m: m.name)
def test_a_camera_exposes_when_the_beam_passes_its_axis(mounted):
    column = np.abs(column_delay_s() * 1e6 - mounted.delay_us).argmin()
    azimuth = column_azimuth()[column]
    beam_ego = EGO_SE3_LIDAR.rotation @ (np.cos(azimuth), np.sin(azimuth), 0)
    axis_ego = mounted.ego_SE3_cam.rotation[:, 2]
    assert np.degrees(np.arccos(beam_ego @ axis_ego)) < 360 / COLUMNS


def test_cameras_expose_clockwise_from_the_left_front_within_one_sweep():
    order = sorted(CAMERAS, key=lambda m: -m.delay_us)
    names = [m.name.removeprefix("CAM_") for m in order]
    assert names == ["FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_RIGHT", "BACK", "BACK_LEFT"]
    assert all(0 <= m.delay_us < SWEEP_US for m in CAMERAS)


def test_the_beam_turns_clockwise_once_a_sweep():
    assert (np.diff(column_azimuth()) < 0).all()
    assert (np.diff(column_delay_s()) < 0).all()
    assert np.ptp(column_azimuth()) == pytest.approx(2 * np.pi * (1 - 1 / COLUMNS))


def test_a_point_is_passed_when_its_column_is_measured():
    azimuth = column_azimuth()
    points = 20 * np.column_stack([np.cos(azimuth), np.sin(azimuth)])
    np.testing.assert_allclose(beam_delay_s(points), column_delay_s(), atol=1e-9)


def test_rings_are_those_of_the_32_beam_sensor():
    assert np.degrees(ELEVATION_RAD[[0, 31]]) == pytest.approx([-30.67, 10.67], abs=0.01)
    assert np.ptp(np.diff(ELEVATION_RAD)) < 1e-12


def test_scaling_an_image_keeps_every_direction():
    for full, half in zip(CAMERAS, cameras(0.5), strict=True):
        assert (half.camera.width_px, half.camera.height_px) == (800, 450)
        points = np.array([[1.0, 0.4, 9.0], [-3.0, -1.0, 12.0]])
        corner = [m.camera.project(points)[0] + 0.5 for m in (full, half)]  # from the corner of the first pixel
        np.testing.assert_allclose(corner[0] / 2, corner[1])
