import numpy as np
import pytest

from pointsam.base.errors import CalibrationError
from pointsam.geometry.camera import PinholeCamera

K = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]])
BARREL = (-0.35, 0.15, 0.001, -0.0005, -0.02)


def test_pixels_are_focal_length_times_slope_plus_centre():
    camera = PinholeCamera(np.array([[100.0, 2, 50], [0, 200, 40], [0, 0, 1]]), 100, 80)
    uv, depth = camera.project(np.array([[1.0, 2, 4]]))
    assert uv.tolist() == [[25 + 1 + 50, 100 + 40]]
    assert depth.tolist() == [4]


def test_a_point_not_in_front_has_a_depth_and_no_pixel():
    uv, depth = PinholeCamera(K, 1600, 900).project(np.array([[1.0, 1, 0], [1, 1, -5]], dtype=np.float32))
    assert np.isnan(uv).all()
    assert depth.tolist() == [0, -5]


@pytest.mark.parametrize("distortion", [BARREL, BARREL[:4], (0.1, 0.05, 0, 0)])
def test_distortion_is_opencvs(distortion):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    xyz = np.random.default_rng(3).uniform([-4, -3, 6], [4, 3, 40], (500, 3))
    expected, _ = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), K, np.array(distortion))
    uv, _ = PinholeCamera(K, 1600, 900, distortion).project(xyz)
    np.testing.assert_allclose(uv, expected[:, 0], atol=1e-6)


def test_zero_distortion_is_no_distortion():
    xyz = np.random.default_rng(3).uniform([-9, -9, 1], [9, 9, 40], (50, 3))
    plain, _ = PinholeCamera(K, 1600, 900).project(xyz)
    np.testing.assert_allclose(PinholeCamera(K, 1600, 900, (0.0,) * 5).project(xyz)[0], plain)


def test_rays_beyond_the_lens_model_do_not_fold_back_into_the_image():
    """With k1 = -1/2, k2 = 1/10 the image radius grows up to slope 1, shrinks up to sqrt(2) and grows again."""
    camera = PinholeCamera(K, 1600, 900, (-0.5, 0.1, 0, 0))
    uv, _ = camera.project(np.array([[0.99, 0, 1], [1.01, 0, 1], [1.6, 0, 1]]))
    assert np.isnan(uv[:, 0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("distortion", "slope"),
    [
        ((-1 / 3, 0, 0, 0), 1.0),
        ((0, -1 / 5, 0, 0), 1.0),
        ((0, 0, 0, 0, -1 / 7), 1.0),
        ((-1 / 12, 0, 0, 0), 2.0),
        ((-0.5, 0.1, 0, 0, 0.0), 1.0),
    ],
)
def test_the_lens_model_ends_where_the_image_radius_turns(distortion, slope):
    uv, _ = PinholeCamera(K, 1600, 900, distortion).project(np.array([[0, 0.99 * slope, 1], [0, 1.01 * slope, 1]]))
    assert np.isnan(uv[:, 0]).tolist() == [False, True]


@pytest.mark.parametrize("distortion", [(0.1, 0.1, 0, 0), (-0.3, 0.1, 0, 0)])
def test_a_lens_model_whose_radius_never_turns_has_no_end(distortion):
    uv, _ = PinholeCamera(K, 1600, 900, distortion).project(np.array([[30.0, 20, 1]]))
    assert np.isfinite(uv).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.diag([0.0, 1266, 1]),
        np.diag([1266.0, -1266, 1]),
        np.diag([1266.0, 1266, 2]),
        np.eye(4),
        np.diag([np.nan, 1266, 1]),
        [],
        [[1266, 0, 816], [0, 1266], [0, 0, 1]],
    ],
    ids=["zero focal", "negative focal", "last row", "4x4", "nan", "empty", "ragged"],
)
def test_a_matrix_of_no_camera_is_CAL002(bad):
    with pytest.raises(CalibrationError) as raised:
        PinholeCamera(bad, 1600, 900)
    assert raised.value.code == "CAL002"


@pytest.mark.parametrize("size", [(0, 900), (1600, 0), (-1, 900)])
def test_an_empty_image_is_CAL002(size):
    with pytest.raises(CalibrationError) as raised:
        PinholeCamera(K, *size)
    assert raised.value.code == "CAL002"


@pytest.mark.parametrize("distortion", [(0.1,), (0.1,) * 8, (np.nan, 0, 0, 0)])
def test_distortion_of_another_model_is_CAL002(distortion):
    with pytest.raises(CalibrationError) as raised:
        PinholeCamera(K, 1600, 900, distortion)
    assert raised.value.code == "CAL002"


def test_the_smallest_camera_is_one():
    assert PinholeCamera(np.diag([0.1, 0.1, 1.0]), 1, 1).project(np.array([[0.0, 0, 1]]))[0].tolist() == [[0, 0]]
