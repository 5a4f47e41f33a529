"""Small charts as SVG text, to stand in a page without any script."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from pointsam.report.style import RGB, class_rgb

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 380, 200, 34, 26, 40


def bar_chart(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Groups of bars between 0 and 1; NaN leaves a gap.

    Args:
        title: above it.
        names: of the groups.
        series: name and one value a group.
    """
    step = (_WIDTH - _LEFT) / max(len(names), 1)
    width = step * 0.8 / max(len(series), 1)
    parts = [_frame(title)]
    for s, (_, values) in enumerate(series):
        for k, value in enumerate(values):
            if math.isnan(value):
                continue
            x, y = _LEFT + k * step + step * 0.1 + s * width, _y(value)
            label = f"{names[k]}: {value:.3f}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_y(0) - y:.1f}" fill="{_colour(s)}">'
                f"<title>{escape(label)}</title></rect>"
            )
    for k, name in enumerate(names):
        x = _LEFT + (k + 0.5) * step
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{escape(name)}</text>')
    return _svg([*parts, *_legend([name for name, _ in series])])


def line_chart(
    title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], diagonal: bool = False
) -> Markup:
    """Lines in the unit square.

    Args:
        title: above it.
        series: name and points (x, y); points with a NaN are left out.
        diagonal: whether to draw y = x.
    """
    parts = [_frame(title)]
    if diagonal:
        parts.append(
            f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#50525a" stroke-dasharray="3"/>'
        )
    for s, (_, points) in enumerate(series):
        known = [(x, y) for x, y in points if not (math.isnan(x) or math.isnan(y))]
        path = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in known)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_colour(s)}" stroke-width="2"/>')
        parts += [f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="2.5" fill="{_colour(s)}"/>' for x, y in known]
    for value in (0, 0.5, 1):
        parts.append(f'<text x="{_x(value)}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{value:g}</text>')
    return _svg([*parts, *_legend([name for name, _ in series])])


def _frame(title: str) -> str:
    lines = "".join(
        f'<line x1="{_LEFT}" y1="{_y(v)}" x2="{_WIDTH}" y2="{_y(v)}" stroke="#2c2e36"/>'
        f'<text x="{_LEFT - 6}" y="{_y(v) + 4}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    return f'<text x="{_LEFT}" y="14">{escape(title)}</text>{lines}'


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{_LEFT + 90 * s}" y="{_HEIGHT - 14}" width="9" height="9" fill="{_colour(s)}"/>'
        f'<text x="{_LEFT + 90 * s + 13}" y="{_HEIGHT - 6}">{escape(name)}</text>'
        for s, name in enumerate(names)
    ]


def _svg(parts: Sequence[str]) -> Markup:
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>')


def _x(value: float) -> float:
    return _LEFT + value * (_WIDTH - _LEFT - 8)


def _y(value: float) -> float:
    return _HEIGHT - _BOTTOM - value * (_HEIGHT - _BOTTOM - _TOP)


def _colour(series: int) -> str:
    return css(class_rgb((0, 7, 9)[series % 3]))


def css(rgb: RGB) -> str:
    """A colour for a page."""
    return f"rgb({rgb[0]},{rgb[1]},{rgb[2]})"
