"""Curves: panels and their legends."""

import re

import numpy as np
import pytest

from pointsam.report.curves import Line, Panel, line_charts


def panel(*names):
    x = np.array([0.0, 1.0])
    return Panel("title", "x", "y", [Line(name, x, x) for name in names])


@pytest.mark.parametrize(
    ("panels", "legends"),
    [
        ([panel("a", "b")], 1),
        ([panel("a"), panel("a"), panel("a"), panel("a")], 1),
        ([panel("a"), panel("b"), panel("a")], 2),
        ([panel()], 0),
    ],
)
def test_curves_of_equal_names_have_one_legend(panels, legends):
    assert line_charts(panels)[".svg"].count(b'id="legend_') == legends


def test_panels_stand_three_in_a_row_and_nothing_stands_where_there_is_none():
    picture = line_charts([panel("a")] * 4)[".svg"]
    assert picture.count(b'id="axes_') == 6
    assert picture.count(b'id="matplotlib.axis_') == 2 * 4


def test_equal_figures_are_equal_bytes():
    assert line_charts([panel("a")]) == line_charts([panel("a")])


def test_panels_of_the_same_y_axis_reach_as_high_as_the_highest():
    """The same curve in both panels is drawn at the same heights, though the other of the first one is higher."""
    low, high = Line("low", np.array([0.0, 1.0]), np.array([0.0, 1.0])), Line("high", np.array([0.0]), np.array([9.0]))
    panels = [Panel("left", "x", "y", [low, high]), Panel("right", "x", "y", [low])]

    def heights(same_y):
        paths = re.findall(
            rb'd="M [\d.]+ ([\d.]+) \nL [\d.]+ ([\d.]+) \n" clip-path[^>]*stroke: #c44e52',
            line_charts(panels, same_y)[".svg"],
        )
        return [tuple(map(float, path)) for path in paths]

    assert len(set(heights(True))) == 1 < len(set(heights(False))) == len(heights(True)) == 2
