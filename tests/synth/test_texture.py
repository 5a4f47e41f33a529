import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.synth.texture import NAMES, lit_windows, pattern, tile_noise

UP = np.array([0, 0, 1], np.float32)
ALONG_X = np.array([1, 0, 0], np.float32)


def points(n=4000, span_m=200.0, seed=0):
    return np.random.default_rng(seed).uniform(-span_m, span_m, (n, 3)).astype(np.float32)


def at(name, q_m, normal=UP, scale_m=1.0, footprint_m=0.001):
    normals = np.broadcast_to(normal, q_m.shape)
    return pattern(name, q_m, normals, scale_m, np.full(len(q_m), footprint_m, np.float32))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("normal", [UP, ALONG_X, -ALONG_X])
def test_a_weight_lies_between_the_two_colours_and_is_always_the_same(name, normal):
    q = points()
    weight = at(name, q, normal)
    assert weight.shape == (len(q),)
    assert weight.dtype == np.float32
    assert ((weight >= 0) & (weight <= 1)).all()
    np.testing.assert_array_equal(weight, at(name, q, normal))


@pytest.mark.parametrize("name", NAMES)
def test_far_away_a_pattern_fades_to_its_mean(name):
    q = points()
    near, far = at(name, q, ALONG_X, 0.5), at(name, q, ALONG_X, 0.5, footprint_m=300.0)
    assert far.std() < 0.25 * near.std()
    assert far.mean() == pytest.approx(near.mean(), abs=0.12)


@pytest.mark.parametrize(("name", "axis"), [("stripes_x", 0), ("stripes_y", 1), ("stripes_z", 2)])
def test_stripes_are_equal_bands_along_their_axis(name, axis):
    q = points()
    wanted = (np.floor(q[:, axis] / 0.7 * 2) % 2).astype(np.float32)
    assert np.mean(np.abs(at(name, q, scale_m=0.7, footprint_m=1e-4) - wanted) < 0.01) > 0.98
    np.testing.assert_allclose(at(name, q, scale_m=0.7, footprint_m=70.0), 0.5, atol=0.01)


def test_a_pixel_on_the_edge_of_a_stripe_shows_both_in_proportion():
    q = np.array([[0.45, 0, 0], [0.5, 0, 0], [0.6, 0, 0]], np.float32)
    np.testing.assert_allclose(at("stripes_x", q, footprint_m=0.2), [0.25, 0.5, 1.0], atol=1e-3)


def test_noise_is_periodic_and_centred():
    x, y = points(span_m=1.0)[:, :2].T
    noise = tile_noise(x, y, 0.001)
    np.testing.assert_allclose(tile_noise(x + 3, y - 2, 0.001), noise, atol=2e-2)
    assert noise.mean() == pytest.approx(0.5, abs=0.03)


def test_windows_are_on_walls_only():
    q = points()
    assert np.ptp(at("facade", q, UP, 3.0)) < 0.01
    assert np.ptp(at("facade", q, ALONG_X, 3.0)) > 0.7
    size = np.full(len(q), 0.01, np.float32)
    assert lit_windows(q, np.broadcast_to(UP, q.shape), 3.0, size).max() == 0
    lit = lit_windows(q, np.broadcast_to(ALONG_X, q.shape), 3.0, size) > 0
    assert 0.05 < lit.mean() < 0.4


def test_the_scale_may_differ_from_point_to_point():
    q = points()
    scale = np.where(np.arange(len(q)) % 2, 0.3, 2.0).astype(np.float32)
    mixed = at("paving", q, scale_m=scale)
    np.testing.assert_array_equal(mixed[1::2], at("paving", q, scale_m=0.3)[1::2])
    np.testing.assert_array_equal(mixed[::2], at("paving", q, scale_m=2.0)[::2])


def test_an_unknown_pattern_is_refused():
    with pytest.raises(SchemaError, match="SCH005"):
        at("tartan", points(3))
