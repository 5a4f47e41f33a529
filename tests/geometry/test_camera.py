import math
import re

import numpy as np
import pytest
from matplotlib.path import Path

from pointsam.base.errors import CalibrationError
from pointsam.geometry.camera import Camera

K = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]])
BARREL = (-0.35, 0.15, 0.001, -0.0005, -0.02)
RATIONAL = (0.5, -0.3, 0.001, 0.002, 0.02, 0.8, -0.2, 0.05)
LENSES = [
    ("brown", ()),
    ("brown", BARREL),
    ("brown", BARREL[:4]),
    ("brown", (0.1, 0.05, 0, 0)),
    ("brown", RATIONAL),
    ("brown", (9.2, 3.1, 1e-4, -2e-4, 0.15, 9.5, 5.9, 0.9)),  # strong terms that nearly cancel, as calibrations give
    ("brown", (-0.5, 0.1, 0.01, -0.02)),
    ("brown", (0, 0, 0.01, 0.02)),
    ("fisheye", (0, 0, 0, 0)),
    ("fisheye", (-0.02, 0.01, -0.003, 0.0005)),
    ("fisheye", (-0.3, 0.01, -0.003, 0.0005)),
]
each_lens = pytest.mark.parametrize(("lens", "distortion"), LENSES)


def twin(camera, xyz):
    """The pixel of one point by OpenCV's equations, without any limit of the lens."""
    x, y = xyz[0] / xyz[2], xyz[1] / xyz[2]
    if camera.lens == "fisheye":
        r = math.hypot(x, y)
        a = math.atan(r)
        k1, k2, k3, k4 = camera.distortion
        scale = a * (1 + k1 * a**2 + k2 * a**4 + k3 * a**6 + k4 * a**8) / r if r else 1.0
        x, y = x * scale, y * scale
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = [*camera.distortion, *[0] * (8 - len(camera.distortion))]
        s = x**2 + y**2
        radial = (1 + k1 * s + k2 * s**2 + k3 * s**3) / (1 + k4 * s + k5 * s**2 + k6 * s**3)
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (s + 2 * x**2),
            y * radial + p1 * (s + 2 * y**2) + 2 * p2 * x * y,
        )
    (fx, skew, cx), (_, fy, cy), _ = camera.K
    return fx * x + skew * y + cx, fy * y + cy


def fan(camera, count, beyond=1.05, seed=0):
    """(N,3) unit vectors around the axis, to a little beyond the end of the lens."""
    rng = np.random.default_rng(seed)
    end = math.atan(min(camera.model.limit * beyond if camera.model else 30, 30))
    angle, around = rng.uniform(0, end, count), rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], axis=1)


def test_pixels_are_focal_length_times_slope_plus_centre():
    camera = Camera(np.array([[100.0, 2, 50], [0, 200, 40], [0, 0, 1]]), 100, 80)
    uv, depth = camera.project(np.array([[1.0, 2, 4]]))
    assert uv.tolist() == [[25 + 1 + 50, 100 + 40]]
    assert depth.tolist() == [4]


def test_a_point_not_in_front_has_a_depth_and_no_pixel():
    uv, depth = Camera(K, 1600, 900).project(np.array([[1.0, 1, 0], [1, 1, -5]], dtype=np.float32))
    assert np.isnan(uv).all()
    assert depth.tolist() == [0, -5]


@each_lens
def test_pixels_are_those_of_the_equations(lens, distortion):
    camera = Camera(K, 1600, 900, distortion, lens)
    xyz = 7 * fan(camera, 400)
    uv, _ = camera.project(xyz)
    kept = np.isfinite(uv[:, 0])
    assert 350 < kept.sum() < 401
    np.testing.assert_allclose(uv[kept], [twin(camera, point) for point in xyz[kept]], rtol=1e-12, atol=1e-9)


@each_lens
def test_lenses_are_opencvs(lens, distortion):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    camera = Camera(K, 1600, 900, distortion, lens)
    xyz = 7 * fan(camera, 500)
    uv, _ = camera.project(xyz)
    kept = np.isfinite(uv[:, 0])
    at, coefficients = np.zeros(3), np.array(distortion or (0,) * 4, dtype=float)
    if lens == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(xyz[kept][:, None], at, at, K, coefficients)
    else:
        expected, _ = cv2.projectPoints(xyz[kept], at, at, K, coefficients)
    np.testing.assert_allclose(uv[kept], expected[:, 0], atol=1e-6)


@each_lens
def test_rays_are_the_inverse_of_pixels(lens, distortion):
    camera = Camera(K, 1600, 900, distortion, lens)
    rays = fan(camera, 20_000)
    uv, _ = camera.project(rays)
    kept = np.isfinite(uv[:, 0])
    # At its very end a lens maps a range of slopes to one pixel of doubles.
    inner = kept & (np.hypot(*rays.T[:2]) < 0.999 * rays[:, 2] * (camera.model.limit if camera.model else np.inf))
    found = camera.rays(uv)
    np.testing.assert_allclose(found[inner], rays[inner], atol=1e-9)
    np.testing.assert_allclose(found[kept], rays[kept], atol=1e-5)
    assert np.isnan(found[~kept]).all()


@each_lens
def test_pixels_of_rays_are_the_pixels_and_all_others_have_no_ray(lens, distortion):
    """Over an area four times as wide as the image: a pixel that comes back has a ray, and no other has one."""
    camera = Camera(K, 1600, 900, distortion, lens)
    u, v = np.meshgrid(np.linspace(-2400, 4000, 65), np.linspace(-1350, 2250, 47))
    uv = np.column_stack([u.ravel(), v.ravel()])
    rays = camera.rays(uv)
    some = np.isfinite(rays).all(axis=1)
    np.testing.assert_allclose(np.linalg.norm(rays[some], axis=1), 1, atol=1e-12)
    assert (rays[some, 2] > 0).all()
    np.testing.assert_allclose(camera.project(rays[some])[0], uv[some], atol=1e-7)
    if camera.model is None:
        assert some.all()
        return
    # The border of what the lens reaches: a closed curve of the places of slopes just inside the limit.
    around = np.linspace(0, 2 * np.pi, 20_001)
    edge = camera.model.limit * 0.9999999 * np.stack([np.cos(around), np.sin(around)], axis=1)
    border = Path(camera.project(np.column_stack([edge, np.ones(len(edge))]))[0])
    clear = ~(border.contains_points(uv, radius=0.5) ^ border.contains_points(uv, radius=-0.5))
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(some[clear], border.contains_points(uv)[clear])


@pytest.mark.parametrize(("lens", "distortion"), [LENSES[1], LENSES[2], LENSES[3], LENSES[9]])
def test_rays_are_opencvs(lens, distortion):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    camera = Camera(K, 1600, 900, distortion, lens)
    u, v = np.meshgrid(np.linspace(0, 1599, 17), np.linspace(0, 899, 11))
    uv = np.column_stack([u.ravel(), v.ravel()])
    exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-15)
    if lens == "fisheye":
        slopes = cv2.fisheye.undistortPoints(uv[:, None], K, np.array(distortion), criteria=exact)[:, 0]
    else:
        slopes = cv2.undistortPointsIter(uv[:, None], K, np.array(distortion), np.eye(3), np.eye(3), exact)[:, 0]
    rays = camera.rays(uv)
    np.testing.assert_allclose(rays[:, :2] / rays[:, 2:], slopes, atol=1e-7)


def test_a_skewed_matrix_and_a_place_without_a_pixel():
    camera = Camera(np.array([[100.0, 2, 50], [0, 200, 40], [0, 0, 1]]), 100, 80, (0.1, 0, 0.01, 0))
    rays = np.array([[0.1, 0.2, 1], [-0.3, 0.1, 1], [0, 0, 1]])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    np.testing.assert_allclose(camera.rays(camera.project(rays)[0]), rays, atol=1e-12)
    assert np.isnan(camera.rays(np.array([[np.nan, 3], [3, np.inf]]))).all()
    assert camera.rays(np.zeros((0, 2))).shape == (0, 3)


def test_a_wide_fisheye_sees_to_the_side_and_not_behind():
    camera = Camera(K, 1600, 900, (0.0,) * 4, "fisheye")
    uv, _ = camera.project(np.array([[1.0, 0, 1e-6], [1, 0, 0], [1, 0, -1e-6]]))
    assert uv[0, 0] == pytest.approx(816.3 + 1266.4 * np.pi / 2, abs=0.01)
    assert np.isnan(uv[1:]).all()
    assert np.isnan(camera.rays(np.array([[816.3 + 1266.4 * 1.571, 491.5]]))).all()


def test_tangential_terms_fold_a_lens_before_its_radius_turns():
    """Within the limit of the radius alone, 1 here, two slopes would share a place."""
    camera = Camera(K, 1600, 900, (-1 / 3, 0, 0, 0.02))
    assert camera.model.limit < 0.95
    along = np.linspace(-1, 1, 2001)
    (uv,) = (camera.project(np.column_stack([along, np.zeros(2001), np.ones(2001)]))[0],)
    seen = np.isfinite(uv[:, 0])
    assert (np.diff(uv[seen, 0]) > 0).all()
    free = np.array([twin(camera, (x, 0, 1))[0] for x in along])
    assert (np.diff(free) <= 0).any()


def test_a_rational_lens_ends_at_its_pole():
    """1 / (1 - r r / 4): everything lies within slope 2."""
    camera = Camera(K, 1600, 900, (0, 0, 0, 0, 0, -0.25, 0, 0))
    uv, _ = camera.project(np.array([[1.999, 0, 1], [2.001, 0, 1]]))
    assert np.isnan(uv[:, 0]).tolist() == [False, True]
    rays = camera.rays(np.array([[5000.0, 491.5], [1e9, 491.5]]))
    np.testing.assert_allclose(rays[:, 0] / rays[:, 2], [1.4842, 2], atol=1e-3)


def test_zero_distortion_is_no_distortion():
    xyz = np.random.default_rng(3).uniform([-9, -9, 1], [9, 9, 40], (50, 3))
    plain, _ = Camera(K, 1600, 900).project(xyz)
    np.testing.assert_allclose(Camera(K, 1600, 900, (0.0,) * 5).project(xyz)[0], plain)


def test_rays_beyond_the_lens_model_do_not_fold_back_into_the_image():
    """With k1 = -1/2, k2 = 1/10 the image radius grows up to slope 1, shrinks up to sqrt(2) and grows again."""
    camera = Camera(K, 1600, 900, (-0.5, 0.1, 0, 0))
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
    uv, _ = Camera(K, 1600, 900, distortion).project(np.array([[0, 0.99 * slope, 1], [0, 1.01 * slope, 1]]))
    assert np.isnan(uv[:, 0]).tolist() == [False, True]


@pytest.mark.parametrize("distortion", [(0.1, 0.1, 0, 0), (-0.3, 0.1, 0, 0)])
def test_a_lens_model_whose_radius_never_turns_has_no_end(distortion):
    uv, _ = Camera(K, 1600, 900, distortion).project(np.array([[30.0, 20, 1]]))
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
        Camera(bad, 1600, 900)
    assert raised.value.code == "CAL002"


@pytest.mark.parametrize("size", [(0, 900), (1600, 0), (-1, 900)])
def test_an_empty_image_is_CAL002(size):
    with pytest.raises(CalibrationError) as raised:
        Camera(K, *size)
    assert raised.value.code == "CAL002"


@pytest.mark.parametrize(
    ("lens", "distortion", "says"),
    [
        ("brown", (0.1,), "k1, k2, p1, p2[, k3[, k4, k5, k6]]"),
        ("brown", (0.1,) * 12, "k1, k2, p1, p2[, k3[, k4, k5, k6]]"),
        ("brown", (np.nan, 0, 0, 0), "brown lens"),
        ("fisheye", (), "k1, k2, k3, k4"),
        ("fisheye", (0.1,) * 5, "fisheye lens"),
        ("omni", (), "no lens model 'omni'"),
    ],
)
def test_coefficients_that_a_lens_model_lacks_are_CAL002(lens, distortion, says):
    with pytest.raises(CalibrationError, match=re.escape(says)) as raised:
        Camera(K, 1600, 900, distortion, lens)
    assert raised.value.code == "CAL002"


def test_the_smallest_camera_is_one():
    assert Camera(np.diag([0.1, 0.1, 1.0]), 1, 1).project(np.array([[0.0, 0, 1]]))[0].tolist() == [[0, 0]]
