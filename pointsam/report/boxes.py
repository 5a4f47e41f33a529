"""An image with boxes and their labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.style import INK, RGB, font

_LEFT_OUT: RGB = (150, 150, 158)


def draw_boxes(
    image_rgb: NDArray[np.uint8], box_xyxy_px: NDArray[np.float32], texts: Sequence[str], colours: Sequence[RGB | None]
) -> Image.Image:
    """Draw boxes on an image, those of the first rows on top.

    Args:
        image_rgb: (H,W,3) image.
        box_xyxy_px: (N,4) left, top, right, bottom.
        texts: (N) text of each box.
        colours: (N) colour of each box; None for one that is left out, which is grey and thin.
    """
    picture = Image.fromarray(image_rgb)
    draw = ImageDraw.Draw(picture, "RGBA")
    size_px = max(12, round(picture.height / 60))
    for box, text, colour in reversed(list(zip(box_xyxy_px.tolist(), texts, colours, strict=True))):
        draw.rectangle(box, outline=colour or _LEFT_OUT, width=1 if colour is None else max(2, size_px // 6))
        left, top, right, bottom = draw.textbbox((box[0], max(box[1] - size_px - 3, 0)), text, font=font(size_px))
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=(0, 0, 0, 170))
        draw.text((box[0], max(box[1] - size_px - 3, 0)), text, font=font(size_px), fill=colour or INK)
    return picture
