"""An image with boxes, their labels and their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.style import INK, RGB, font
from pointsam.rle import decode_crop

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
    """Draw boxes on an image, those of the first rows on top.

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
    for box, text, colour in reversed(list(zip(box_xyxy_px.tolist(), texts, colours, strict=True))):
        draw.rectangle(box, outline=colour or _LEFT_OUT, width=1 if colour is None else max(2, size_px // 6))
        left, top, right, bottom = draw.textbbox((box[0], max(box[1] - size_px - 3, 0)), text, font=font(size_px))
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=(0, 0, 0, 170))
        draw.text((box[0], max(box[1] - size_px - 3, 0)), text, font=font(size_px), fill=colour or INK)
    return picture
