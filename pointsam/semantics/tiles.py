"""Square windows of an image, so that a network with a small input sees small objects at full resolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""left, top, right, bottom in integer pixels; right and bottom are exclusive."""


def windows(width_px: int, height_px: int, tile_px: int, overlap: float) -> list[Window]:
    """Evenly spaced squares that cover an image, row by row.

    Args:
        width_px: image width.
        height_px: image height.
        tile_px: side of a square; at most the image's shorter side is used.
        overlap: smallest overlap of two neighbours as a fraction of the side, in [0, 1).

    Returns:
        the windows. An object no larger than the overlap lies completely in one of them.
    """
    side = min(tile_px, width_px, height_px)

    def starts(length_px: int) -> list[int]:
        # The longest step that keeps the overlap. At least one pixel: tiny tiles would never reach the end.
        step = max(side - math.ceil(side * overlap), 1)
        count = 1 + math.ceil((length_px - side) / step)
        return [i * (length_px - side) // max(count - 1, 1) for i in range(count)]

    return [(x, y, x + side, y + side) for y in starts(height_px) for x in starts(width_px)]


def cut(
    box_xyxy_px: NDArray[np.float32], window: Window, width_px: int, height_px: int, margin_px: float
) -> NDArray[np.bool_]:
    """(N,) whether a box reaches a border of its window that is not a border of the image.

    Args:
        box_xyxy_px: (N,4) boxes detected in the window, in image pixels.
        window: the window.
        width_px: image width.
        height_px: image height.
        margin_px: a box reaches a border if its distance to it is smaller.
    """
    left, top, right, bottom = window
    inside = np.array([left > 0, top > 0, right < width_px, bottom < height_px])
    gap = (box_xyxy_px - np.array(window, dtype=np.float32)) * np.array([1, 1, -1, -1], dtype=np.float32)
    reaches: NDArray[np.bool_] = ((gap < margin_px) & inside).any(axis=1)
    return reaches
