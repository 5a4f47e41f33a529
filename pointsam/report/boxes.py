"""An image with boxes, their labels and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.style import INK, RGB, font
from pointsam.rle import decode_crop

_Span: TypeAlias = tuple[float, float, float, float]
_LEFT_OUT: RGB = (150, 150, 158)
_TINT = 0.5
"""Share of its colour in the pixels of a mask."""


def draw_boxes(
    image_rgb: NDArray[np.uint8],
    box_xyxy_px: NDArray[np.float32],
    texts: Sequence[str],
    colours: Sequence[RGB | None],
    masks: Sequence[bytes] | None = None,
) -> Image.Image:
    """Draw boxes on an image, those of the first rows on top, with captions beside each other.

    Args:
        image_rgb: (H,W,3) image.
        box_xyxy_px: (N,4) left, top, right, bottom.
        texts: (N) text of each box.
        colours: (N) colour of each box; None for one that is left out, which is grey and thin.
        masks: (N) run lengths of each mask in the image, which tints its pixels; None without masks.
    """
    tinted = image_rgb.copy()
    for mask, colour in reversed(list(zip(masks or (), colours, strict=masks is not None))):
        rows, columns, inside = decode_crop(mask, *image_rgb.shape[:2])
        pixels = image_rgb[rows, columns][inside]
        tinted[rows, columns][inside] = (1 - _TINT) * pixels + _TINT * np.array(colour or _LEFT_OUT)
    picture = Image.fromarray(tinted)
    draw = ImageDraw.Draw(picture, "RGBA")
    size_px = max(12, round(picture.height / 60))
    boxes = box_xyxy_px.tolist()
    for box, colour in reversed(list(zip(boxes, colours, strict=True))):
        draw.rectangle(box, outline=colour or _LEFT_OUT, width=1 if colour is None else max(2, size_px // 6))
    taken: list[_Span] = []
    for text, colour, box in zip(texts, colours, boxes, strict=True):
        at, span = _place(draw, box, text, size_px, picture.size, taken)
        taken.append(span)
        draw.rectangle(span, fill=(0, 0, 0, 170))
        draw.text(at, text, font=font(size_px), fill=colour or INK)
    return picture


def _place(
    draw: ImageDraw.ImageDraw,
    box: Sequence[float],
    text: str,
    size_px: int,
    image_px: tuple[int, int],
    taken: Sequence[_Span],
) -> tuple[tuple[float, float], _Span]:
    """Where a caption is drawn, and what it covers.

    It lies in the image, above its box, below it or in it: at the first place that covers no other caption, or above
    if there is none.
    """
    line = size_px + 3
    width = draw.textlength(text, font=font(size_px))
    x = max(0.0, min(box[0], image_px[0] - width - 1))
    tried = []
    for top in (box[1] - line, box[3] + 2, box[1] + 2):
        at = (x, max(0.0, min(top, image_px[1] - line)))
        left, upper, right, lower = draw.textbbox(at, text, font=font(size_px))
        tried.append((at, (left - 1, upper - 1, right + 1, lower + 1)))
    free = (one for one in tried if not any(_overlap(one[1], other) for other in taken))
    return next(free, tried[0])


def _overlap(one: _Span, other: _Span) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
