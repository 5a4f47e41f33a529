import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointsam.geometry.level import level_SE3_lidar
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
