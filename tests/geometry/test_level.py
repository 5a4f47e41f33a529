import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.geometry.level import is_level, level_SE3_lidar, map_SE3_lidar, over_ground_mps
from pointsam.geometry.se3 import SE3


def _mounted(*angles_deg: float) -> SE3:
    return SE3(Rotation.from_euler("zyx", angles_deg, degrees=True).as_matrix(), np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("yaw", [0.0, -90.0, 137.0])
def test_a_turned_sensor_keeps_its_axes(yaw):
    np.testing.assert_allclose(level_SE3_lidar(_mounted(yaw, 0, 0)).rotation, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("angles_deg", [(30, 20, -10), (0, 0, 180), (70, 0, 90), (5, 90, 0)])
def test_z_is_that_of_the_vehicle_and_x_stays_in_its_vertical_plane(angles_deg):
    mounted = _mounted(*angles_deg)
    level = level_SE3_lidar(mounted)
    np.testing.assert_allclose(level.rotation @ level.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(level.rotation) == pytest.approx(1)
    np.testing.assert_allclose(level.rotation @ (mounted.rotation.T @ [0, 0, 1]), [0, 0, 1], atol=1e-12)
    steep = abs(mounted.rotation[2, 0]) > 0.9
    along = level.rotation[:, 1 if steep else 0]
    assert along[0] > 0.4
    assert along[1] == pytest.approx(0, abs=1e-12)
    assert not level.translation_m.any()


@pytest.mark.parametrize(("tilt_deg", "level"), [(0.0, True), (4.9, True), (5.1, False), (90.0, False), (180.0, False)])
def test_a_level_sensor_keeps_its_own_frame(tilt_deg, level):
    mounted = _mounted(50, 0, tilt_deg)
    assert is_level(mounted) == level
    expected = np.eye(3) if level else level_SE3_lidar(mounted).rotation
    np.testing.assert_array_equal(map_SE3_lidar(mounted).rotation, expected)


@pytest.mark.parametrize("angles_deg", [(70, 0, 0), (70, 0, 1), (30, 20, -10), (0, 0, 180), (70, 0, 90)])
def test_velocities_over_ground_keep_their_size(angles_deg):
    mounted = _mounted(*angles_deg)
    in_ego = np.array([[3.0, -4.0, 0.0], [0.0, 2.0, 0.0], [np.nan] * 3])
    found = over_ground_mps(in_ego @ mounted.rotation, mounted)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [5, 2, np.nan], atol=1e-3)
    ahead = map_SE3_lidar(mounted).rotation @ mounted.rotation.T
    np.testing.assert_allclose(found, (in_ego @ ahead.T)[:, :2], atol=1e-12)
