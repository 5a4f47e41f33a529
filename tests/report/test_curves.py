"""Curves: panels and their legends."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs pointsam[plots]")

from pointsam.report.curves import Line, Panel, draw


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
    assert draw(panels)[".svg"].count(b'id="legend_') == legends


def test_panels_stand_three_in_a_row_and_nothing_stands_where_there_is_none():
    picture = draw([panel("a")] * 4)[".svg"]
    assert picture.count(b'id="axes_') == 6
    assert picture.count(b'id="matplotlib.axis_') == 2 * 4


def test_equal_figures_are_equal_bytes():
    assert draw([panel("a")]) == draw([panel("a")])
