"""The edges of 3D boxes in an image, through the same chain as points: motion, lens and rolling shutter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.geometry.boxes import corners
from pointsam.geometry.projection import project
from pointsam.report.style import RGB, font
from pointsam.types import Boxes, CameraView, Frame

_EDGES = np.array([(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7)])
_FRONT = np.array([(4, 7), (5, 6)])
"""The diagonals of the front face: its corners have the largest x of the box."""
_STEPS = 17
"""Points of an edge: a lens bends it, and a part of it may lie behind the camera."""
_NEAREST_M = 0.3
_BEYOND = 0.5
"""Edges are drawn up to this fraction of the image beyond its border, where the lens model still holds."""


def edges_px(boxes: Boxes, frame: Frame, view: CameraView) -> NDArray[np.float64]:
    """(M,14,S,2) pixels along the 12 edges of boxes and the diagonals of their fronts; NaN where they are not drawn.

    Args:
        boxes: M boxes in the LiDAR frame.
        frame: their frame.
        view: one of its images.
    """
    ends = corners(boxes)[:, np.concatenate([_EDGES, _FRONT])]
    share: NDArray[np.float64] = np.linspace(0, 1, _STEPS)[:, None]
    first, last = ends[:, :, None, 0], ends[:, :, None, 1]
    xyz: NDArray[np.float64] = first + (last - first) * share
    seen = project(xyz.reshape(-1, 3), frame, view, _NEAREST_M)
    size = np.array([view.camera.width_px, view.camera.height_px])
    with np.errstate(invalid="ignore"):
        near = ((seen.uv_px > -_BEYOND * size) & (seen.uv_px < (1 + _BEYOND) * size)).all(axis=1)
        near &= seen.depth_m > _NEAREST_M
    uv = np.where(near[:, None], seen.uv_px, np.nan)
    return uv.reshape(*xyz.shape[:3], 2)


def draw_edges(
    picture: Image.Image,
    boxes: Boxes,
    colours: Sequence[RGB],
    texts: Sequence[str] | None,
    frame: Frame,
    view: CameraView,
) -> None:
    """Draw boxes into the image of a camera, the far ones first, with a cross on their front.

    Args:
        picture: the image, in any size; changed in place.
        boxes: M boxes in the LiDAR frame.
        colours: (M) colour of each box.
        texts: (M) text above each box; None for none.
        frame: their frame.
        view: the image.
    """
    if not len(boxes):
        return
    scale = picture.width / view.camera.width_px
    uv, draw = edges_px(boxes, frame, view) * scale, ImageDraw.Draw(picture, "RGBA")
    width = max(1, round(picture.width / 800))
    for k in np.argsort(-np.linalg.norm(boxes.center_m, axis=1), kind="stable"):
        inside = np.isfinite(uv[k, ..., 0]) & (uv[k] >= 0).all(axis=-1) & (uv[k] < picture.size).all(axis=-1)
        if not inside.any():
            continue
        for number, line in enumerate(uv[k]):
            faint = number >= len(_EDGES)
            rgb = (*colours[k], 120 if faint else 255)
            for part in _parts(line):
                draw.line([tuple(at) for at in part.tolist()], fill=rgb, width=1 if faint else width)
        u, v = uv[k][inside].min(axis=0)
        size_px = max(11, round(picture.width / 100))
        if texts is not None and uv[k][inside, 1].max() - v >= size_px:  # texts of far objects would hide them
            draw.text((u, max(0.0, v - size_px - 2)), texts[k], font=font(size_px), fill=colours[k])


def _parts(line: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The pieces of a line between pixels that are not drawn."""
    finite = np.isfinite(line[:, 0])
    pieces = np.split(line, np.flatnonzero(finite[1:] != finite[:-1]) + 1)
    return [piece for piece in pieces if len(piece) > 1 and np.isfinite(piece[0, 0])]
