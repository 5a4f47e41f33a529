import numpy as np
import pytest

from pointsam.geometry.revolution import Revolution


@pytest.mark.parametrize(
    ("degrees", "time_s"), [(179.999, -0.04), (90, -0.01), (0, 0.02), (-45, 0.035), (-90, 0.05), (-179.999, 0.08)]
)
def test_a_turn_is_clockwise_from_behind(degrees, time_s):
    x_m, y_m = 7 * np.cos(np.radians([degrees])), 7 * np.sin(np.radians([degrees]))
    np.testing.assert_allclose(Revolution(-0.04, 0.08).time_s(x_m, y_m), [time_s], atol=1e-6)


def test_points_without_a_position_have_no_time():
    nan, one = np.full(1, np.nan, np.float32), np.ones(1, np.float32)
    assert np.isnan(Revolution(-0.05, 0.05).time_s(nan, one)).all()
