"""An object through time: a crop of an image for each frame, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.points import paint_points
from pointsam.report.style import FAINT, GROUND, INK, RGB, font

TILE_PX = (320, 240)
"""Width and height of a crop."""
COLUMNS = 4
_GAP_PX = 4
_REACH = 0.9
"""Half the width of a crop in widths of the object; the rest is what is around it."""
_SMALLEST_PX = 24.0
"""Half the height of the smallest crop, so that a far object is not one blurred spot."""


def draw_crop(
    image_rgb: NDArray[np.uint8], uv_px: NDArray[np.float64], rgb: NDArray[np.uint8], lines: Sequence[str], edge: RGB
) -> Image.Image:
    """Draw a part of an image around the points of an object.

    Args:
        image_rgb: (H,W,3) image in full size.
        uv_px: (K,2) its points in the image, one or more.
        rgb: (K,3) their colours.
        lines: texts at the top.
        edge: colour of the frame of the picture.
    """
    height, width = image_rgb.shape[:2]
    low, high = uv_px.min(axis=0), uv_px.max(axis=0)
    aspect = TILE_PX[0] / TILE_PX[1]
    half_v = max(_REACH * (high[1] - low[1]), _REACH * (high[0] - low[0]) / aspect, _SMALLEST_PX)
    half_v = min(half_v, height / 2, width / 2 / aspect)
    half = np.array([half_v * aspect, half_v])
    center = np.clip((low + high) / 2, half, np.array([width, height]) - half)
    corner = np.floor(center - half)
    box = (int(corner[0]), int(corner[1]), int(corner[0] + 2 * half[0]), int(corner[1] + 2 * half[1]))
    canvas = np.array(Image.fromarray(image_rgb).crop(box).resize(TILE_PX, Image.Resampling.BILINEAR))
    scale = TILE_PX[0] / max(box[2] - box[0], 1)
    at = np.floor((uv_px + 0.5 - corner) * scale).astype(np.int64)
    paint_points(canvas, at, np.zeros((len(at), 3), dtype=np.uint8), 2, opacity=0.5)
    paint_points(canvas, at, rgb, 1)
    return _titled(Image.fromarray(canvas), lines, edge)


def no_crop(why: str, lines: Sequence[str], edge: RGB) -> Image.Image:
    """The picture of a frame in which no image shows the object."""
    picture = Image.new("RGB", TILE_PX, GROUND)
    ImageDraw.Draw(picture).text((TILE_PX[0] / 2, TILE_PX[1] / 2), why, font=font(15), fill=FAINT, anchor="mm")
    return _titled(picture, lines, edge)


def strip(tiles: Sequence[Image.Image]) -> Image.Image:
    """The pictures in rows of four, in their order."""
    columns = max(1, min(COLUMNS, len(tiles)))
    rows = -(-len(tiles) // columns)
    step_u, step_v = TILE_PX[0] + _GAP_PX, TILE_PX[1] + _GAP_PX
    picture = Image.new("RGB", (strip_width_px(columns), max(1, rows * step_v - _GAP_PX)), GROUND)
    for k, tile in enumerate(tiles):
        picture.paste(tile, (k % columns * step_u, k // columns * step_v))
    return picture


def strip_width_px(columns: int = COLUMNS) -> int:
    """Width of a strip of so many columns."""
    return columns * (TILE_PX[0] + _GAP_PX) - _GAP_PX


def _titled(picture: Image.Image, lines: Sequence[str], edge: RGB) -> Image.Image:
    draw = ImageDraw.Draw(picture, "RGBA")
    draw.rectangle((0, 0, picture.width, 6 + 18 * len(lines)), fill=(0, 0, 0, 170))
    for k, line in enumerate(lines):
        draw.text((8, 4 + 18 * k), line, font=font(15), fill=edge if k == 0 else INK)
    draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=edge, width=2)
    return picture
