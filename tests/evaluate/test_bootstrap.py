import numpy as np
import pytest

from pointsam.evaluate.bootstrap import interval, times_drawn


def test_an_interval_holds_the_middle_95_percent():
    assert interval(np.arange(1001.0)) == (25.0, 975.0)


def test_what_is_not_known_is_left_out():
    assert interval([np.nan, 4.0, np.inf]) == (4.0, 4.0)
    assert np.isnan(interval([np.nan])).all()
    assert np.isnan(interval([])).all()


def test_every_draw_has_as_many_units_as_there_are():
    times = times_drawn(4, 500, "a test")
    assert times.shape == (500, 4)
    assert (times.sum(axis=1) == 4).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(4), abs=0.1)


def test_draws_are_the_same_for_one_purpose_and_others_for_another():
    assert (times_drawn(9, 5, "a test") == times_drawn(9, 5, "a test")).all()
    assert (times_drawn(9, 5, "a test") != times_drawn(9, 5, "another")).any()
