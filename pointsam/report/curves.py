"""Curves with bands, and bar charts, as PNG and SVG; equal inputs give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import fill as fill_text
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME_WIDTH = 36
"""Longest line of a name, characters."""
_COLOURS = ("#c44e52", "#2f6db5", "#4c9a5b", "#8a63b3", "#c98a2b", "#5b6770")


@dataclass(frozen=True, eq=False)
class Line:
    """One curve.

    Args:
        name: name in the legend.
        x, y: (L,) points of the curve.
        band: (L,2) lower and upper bounds, None for none.
        dashed: whether the line is dashed.
        marks: whether to draw only the points, for values of other sources.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    band: NDArray[np.float64] | None = None
    dashed: bool = False
    marks: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        name: label of the bar.
        here: values, and bounds of their mean (NaN for none). The bar is as long as the mean, each value is a dot, and
            the bounds are a line.
        elsewhere: likewise for the other world, drawn as a second bar; no values for none.
    """

    name: str
    here: tuple[Sequence[float], tuple[float, float]]
    elsewhere: tuple[Sequence[float], tuple[float, float]] = ((), (np.nan, np.nan))


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves over the same axes.

    Args:
        title: title of the panel.
        x, y: names of the axes.
        lines: the curves, in the order of the legend.
        from_zero: whether y begins at 0.
        log_x: whether x has a logarithmic scale.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    from_zero: bool = True
    log_x: bool = False


def line_charts(panels: Sequence[Panel], same_y: bool = False) -> dict[str, bytes]:
    """Panels in rows of three. Panels with equal names of curves share one legend.

    Args:
        panels: one or more panels.
        same_y: whether all panels share the y axis.

    Returns:
        Contents of the files by suffix, ".png" and ".svg".
    """

    def fill(places: Sequence[Axes]) -> None:
        for place in places[len(panels) :]:
            place.set_axis_off()
        named = set[tuple[str, ...]]()
        for panel, place in zip(panels, places, strict=False):
            _plot(panel, place)
            names = tuple(line.name for line in panel.lines)
            if names and names not in named:
                place.legend(frameon=False, fontsize="small", handlelength=1.2)
                named.add(names)

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    return _chart((rows, columns), (5.6, 3.5) if columns == 1 else (3.4 * columns, 2.5 * rows), fill, same_y)


def _plot(panel: Panel, place: Axes) -> None:
    for k, line in enumerate(panel.lines):
        colour = _COLOURS[k % len(_COLOURS)]
        style, marker, size = ("none", "x", 7) if line.marks else ("--" if line.dashed else "-", "o", 3)
        place.plot(line.x, line.y, color=colour, label=line.name, lw=1.6, linestyle=style, marker=marker, ms=size)
        if line.band is not None:
            place.fill_between(line.x, line.band[:, 0], line.band[:, 1], color=colour, alpha=0.18, lw=0)
    place.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    if panel.log_x:
        place.set_xscale("log")
        ticks = sorted({float(x) for line in panel.lines for x in line.x})
        place.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        place.minorticks_off()
    if panel.from_zero:
        place.set_ylim(bottom=0)
    place.grid(alpha=0.3, lw=0.5)


def bar_chart(title: str, axis: str, rows: Sequence[Bar]) -> dict[str, bytes]:
    """Horizontal bars, the first on top.

    Args:
        title: title of the chart.
        axis: name of the x axis.
        rows: the bars.

    Returns:
        Contents of the files by suffix, ".png" and ".svg".
    """

    def fill(places: Sequence[Axes]) -> None:
        (place,) = places
        for k, row in enumerate(rows):
            two = bool(row.elsewhere[0])
            parts = ((row.here, "here", _COLOURS[1], -0.15), (row.elsewhere, "other world", _COLOURS[4], 0.15))
            for (values, band), name, colour, offset in parts:
                if values:
                    at, height, label = k + two * offset, 0.3 if two else 0.6, "" if k else name
                    place.barh(at, float(np.mean(values)), height, color=colour, alpha=0.75, label=label)
                    place.plot(values, [at] * len(values), "o", ms=3, color=_COLOURS[5])
                    place.plot(band, [at] * 2, lw=1, color=_COLOURS[5])
        if any(row.elsewhere[0] for row in rows):
            place.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
        place.set_title(title, loc="left")
        place.set(xlabel=axis, ylim=(len(rows) - 0.4, -0.6))
        place.set_yticks(range(len(rows)), [fill_text(row.name, _NAME_WIDTH) for row in rows])
        place.grid(axis="x", alpha=0.3, lw=0.5)

    return _chart((1, 1), (5.6, 0.9 + 0.4 * len(rows)), fill)


def _chart(
    shape: tuple[int, int], size: tuple[float, float], fill: Callable[[Sequence[Axes]], None], same_y: bool = False
) -> dict[str, bytes]:
    """A figure of `shape` rows and columns, `size` in inches; `fill` draws into its axes, row by row."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "pointsam", "font.size": 9, "svg.fonttype": "path"}):
        figure = Figure(figsize=size, layout="constrained")
        places = list(figure.subplots(*shape, squeeze=False, sharey=same_y).flat)
        fill(places)
        for place in places:
            place.spines[["top", "right"]].set_visible(False)
        out = {}
        for suffix, about in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
            sink = io.BytesIO()
            figure.savefig(sink, format=suffix[1:], dpi=150, metadata=about)
            out[suffix] = sink.getvalue()
    return out
