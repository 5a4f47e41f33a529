"""Small charts as SVG text, for pages without scripts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from pointsam.report.style import FAINT, GROUND, class_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (3.9, 2.2)
_SERIES_CLASSES = (0, 7, 9)
"""The series have the colours of these classes."""
_XMLNS = re.compile(r' xmlns(:\w+)?="[^"]*"')
_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def bar_chart(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Groups of bars between 0 and 1; NaN leaves a gap.

    Args:
        title: title of the chart.
        names: names of the groups.
        series: name of each series, and its value in each group.
    """

    def draw(axes: Axes) -> None:
        width = 0.8 / max(len(series), 1)
        for k, (name, values) in enumerate(series):
            left = np.arange(len(names)) - 0.4 + k * width
            axes.bar(left, values, width, align="edge", color=_colour(k), label=name)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, max(len(names), 1) - 0.5)

    return _svg(title, draw)


def line_chart(
    title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], diagonal: bool = False
) -> Markup:
    """Lines in the unit square.

    Args:
        title: title of the chart.
        series: name of each series, and its points (x, y); points with a NaN are left out.
        diagonal: whether to draw y = x.
    """

    def draw(axes: Axes) -> None:
        if diagonal:
            axes.plot([0, 1], [0, 1], "--", lw=1, color=_css(FAINT), alpha=0.5)
        for k, (name, points) in enumerate(series):
            xy = np.array(points, dtype=np.float64).reshape(-1, 2)
            axes.plot(*xy[np.isfinite(xy).all(axis=1)].T, "o-", ms=3, color=_colour(k), label=name)
        axes.set(xlim=(0, 1), xticks=(0, 0.5, 1))

    return _svg(title, draw)


def _svg(title: str, draw: Callable[[Axes], None]) -> Markup:
    """A chart in the colours of the page; equal inputs give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    faint = _css(FAINT)
    style = rc_context(
        {
            "svg.hashsalt": "pointsam",
            "svg.fonttype": "none",
            "font.size": 8,
            "text.color": faint,
            "axes.titlecolor": faint,
            "xtick.labelcolor": faint,
            "ytick.labelcolor": faint,
        }
    )
    with style:
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained", facecolor=_css(GROUND))
        axes = figure.add_subplot(facecolor="none")
        draw(axes)
        axes.set(ylim=(0, 1), yticks=(0, 0.5, 1))
        axes.set_title(title, loc="left", fontsize=9)
        axes.grid(axis="y", alpha=0.25, lw=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.legend(
            loc="outside lower left",
            frameon=False,
            handlelength=1,
            ncols=max(len(axes.get_legend_handles_labels()[0]), 1),
        )
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata=_METADATA)
    text = sink.getvalue()
    return Markup(_XMLNS.sub("", text[text.index("<svg") :]))  # HTML needs no name spaces


def _colour(series: int) -> str:
    return _css(class_rgb(_SERIES_CLASSES[series % len(_SERIES_CLASSES)]))


def _css(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
