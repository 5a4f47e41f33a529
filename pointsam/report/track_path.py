"""The path of an object from above, with that of the vehicle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.points import paint_points
from pointsam.report.style import FAINT, GROUND, INK, ORIGIN_RGB, font

_Floats = NDArray[np.float64]
_LINE = (52, 54, 62)
_MARGIN_M, _SMALLEST_M = 4.0, 20.0
_STEPS_M = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LINES = 12
"""Most lines of the grid along the longer side."""
_LEGEND = {"kept": "found in the frame", "extended": "with points of tracking", "recovered": "found by tracking"}


@dataclass(frozen=True, eq=False)
class PathDrawing:
    """What is drawn, in the world; z points up.

    Args:
        title: name and state of the object.
        center_m: (K,3) its centres in the order of time.
        origins: (K) how each is known: "kept", "extended" or "recovered".
        t_s: (K,) their times, seconds.
        points_m: (P,3) some of its points.
        point_rgb: (P,3) their colours.
        moving: whether it moves; only then a line joins its centres.
        vehicle_m: (F,3) positions of the vehicle in the order of time, one or more.
        ahead: (2,) direction in which the vehicle looks; it is drawn to the right.
    """

    title: str
    center_m: _Floats
    origins: Sequence[str]
    t_s: _Floats
    points_m: _Floats
    point_rgb: NDArray[np.uint8]
    moving: bool
    vehicle_m: _Floats
    ahead: _Floats


def draw_path(drawn: PathDrawing, size_px: tuple[int, int]) -> Image.Image:
    """Draw the path: dots of the object in the colours of their origin, and the path of the vehicle in white."""
    x, y = drawn.ahead / max(float(np.linalg.norm(drawn.ahead)), 1e-9)
    turn = np.array([[x, y], [y, -x]])  # right and down in the picture
    content = np.concatenate([drawn.center_m, drawn.points_m, drawn.vehicle_m])[:, :2] @ turn.T
    low, high = content.min(axis=0) - _MARGIN_M, content.max(axis=0) + _MARGIN_M
    extent = np.maximum(high - low, _SMALLEST_M * np.array(size_px) / max(size_px))
    scale = float((np.array(size_px) / extent).min())
    middle = (low + high) / 2

    def uv(xyz_m: _Floats) -> _Floats:
        at: _Floats = (xyz_m[:, :2] @ turn.T - middle) * scale + np.array(size_px) / 2
        return at

    picture = Image.new("RGB", size_px, GROUND)
    draw = ImageDraw.Draw(picture)
    step_m = _grid(draw, size_px, scale)
    canvas = np.array(picture)
    paint_points(canvas, np.floor(uv(drawn.points_m)).astype(np.int64), drawn.point_rgb, 0, opacity=0.8)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    _draw_vehicle(draw, uv(drawn.vehicle_m), uv(drawn.vehicle_m[-1:] + np.append(drawn.ahead, 0.0))[0])
    _draw_object(draw, drawn, uv(drawn.center_m))
    draw.text((12, 10), drawn.title, font=font(20), fill=INK)
    for k, origin in enumerate(one for one in _LEGEND if one in drawn.origins):
        v = 44 + 22 * k
        draw.ellipse((14, v + 4, 24, v + 14), fill=ORIGIN_RGB[origin])
        draw.text((32, v), f"{origin}: {_LEGEND[origin]}", font=font(15), fill=FAINT)
    draw.text((12, size_px[1] - 28), f"white: the vehicle; lines every {step_m} m", font=font(15), fill=FAINT)
    return picture


def _grid(draw: ImageDraw.ImageDraw, size_px: tuple[int, int], scale: float) -> int:
    """Draw lines at equal distances, and return these in metres."""
    step_m = next((step for step in _STEPS_M if max(size_px) / (step * scale) <= _LINES), _STEPS_M[-1])
    for axis, end in enumerate(size_px):
        for at in np.arange(0.0, end, step_m * scale):
            line = (at, 0, at, size_px[1]) if axis == 0 else (0, at, size_px[0], at)
            draw.line(line, fill=_LINE)
    return step_m


def _draw_vehicle(draw: ImageDraw.ImageDraw, uv: _Floats, ahead_px: _Floats) -> None:
    if len(uv) > 1:
        draw.line([(float(u), float(v)) for u, v in uv], fill=INK, width=2)
    for u, v in uv:
        draw.ellipse((u - 2, v - 2, u + 2, v + 2), fill=INK)
    along = ahead_px - uv[-1]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    across = np.array([-along[1], along[0]])
    corners = [uv[-1] + 14 * along, uv[-1] - 8 * along + 8 * across, uv[-1] - 8 * along - 8 * across]
    draw.polygon([(float(u), float(v)) for u, v in corners], fill=INK)


def _draw_object(draw: ImageDraw.ImageDraw, drawn: PathDrawing, uv: _Floats) -> None:
    if drawn.moving and len(uv) > 1:
        draw.line([(float(u), float(v)) for u, v in uv], fill=FAINT, width=2)
    for (u, v), origin in zip(uv, drawn.origins, strict=True):
        draw.ellipse((u - 5, v - 5, u + 5, v + 5), fill=ORIGIN_RGB[origin], outline=GROUND)
    ends = sorted({0, len(uv) - 1} if drawn.moving else {0}) if len(uv) else []
    for k in ends:
        text = f"{drawn.t_s[k]:.1f} s" if drawn.moving else "stands"
        draw.text((float(uv[k][0]) + 9, float(uv[k][1]) - 20), text, font=font(15), fill=INK)
