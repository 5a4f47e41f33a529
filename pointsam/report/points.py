"""Draws points and the names of their clusters into a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.report.style import RGB, cluster_rgb, font
from pointsam.taxonomy import Taxonomy
from pointsam.types import PointLabels

_MOST, _ALL = (0.05, 0.5, 0.95), (0.0, 0.5, 1.0)
"""Fractions of the pixels of a cluster: below and above most of them, or all, and the middle."""
_TAG_GAP_PX = 5
_PALE = 0.6
"""Share of white in the colour of a point that growth added."""


def paint_points(
    canvas: NDArray[np.uint8], uv_px: NDArray[np.int64], rgb: NDArray[np.uint8], radius_px: int, opacity: float = 1.0
) -> None:
    """Draw points as small squares; later points cover earlier ones.

    Args:
        canvas: (H,W,3) uint8, changed in place.
        uv_px: (K,2) integer centres; pixels outside the picture are ignored.
        rgb: (K,3) uint8 colours.
        radius_px: 0 draws single pixels, 1 squares of 3 x 3 pixels.
        opacity: 0 is transparent, 1 is opaque.
    """
    reach = np.arange(-radius_px, radius_px + 1)
    offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    # Ordered by point, not by offset, so that a later point covers all of an earlier one.
    uv = (uv_px[:, None, :] + offsets).reshape(-1, 2)
    colour = np.repeat(rgb, len(offsets), axis=0)
    inside = (uv >= 0).all(axis=1) & (uv < (canvas.shape[1], canvas.shape[0])).all(axis=1)
    u, v = uv[inside].T
    below = canvas[v, u] * (1.0 - opacity)
    canvas[v, u] = (below + colour[inside] * opacity).astype(np.uint8)


def cluster_colours(cluster_id: NDArray[np.int32], grown: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """(K,3) uint8 colour of each point's cluster, paler for points that growth added.

    Args:
        cluster_id: (K,) cluster of each point.
        grown: (K,) whether growth added the point; None for no point.
    """
    unique, index = np.unique(cluster_id, return_inverse=True)
    table: NDArray[np.uint8] = np.array([cluster_rgb(int(one)) for one in unique], dtype=np.uint8).reshape(-1, 3)
    colours: NDArray[np.uint8] = table[index.reshape(-1)]
    if grown is not None:
        colours[grown] = (colours[grown] + (255.0 - colours[grown]) * _PALE).astype(np.uint8)
    return colours


def tag_clusters(
    picture: Image.Image,
    uv_px: NDArray[np.int64],
    labels: PointLabels,
    shown: NDArray[np.intp],
    taxonomy: Taxonomy,
    size_px: int,
    min_points: int,
) -> None:
    """Write class and id of clusters beside them, largest first, if there is room.

    Args:
        picture: changed in place.
        uv_px: (N,2) pixel of every point.
        labels: (N,) clusters of the points.
        shown: (K,) indices of the labelled points that are in the picture.
        taxonomy: classes of the labels.
        size_px: height of the letters.
        min_points: smallest number of points in the picture for a text.
    """
    cluster_id = labels.instance_id[shown]
    clusters, first, count = np.unique(cluster_id, return_index=True, return_counts=True)
    tags = _Tags(picture, size_px, uv_px[shown])
    for i in np.lexsort((clusters, -count)):
        if count[i] < min_points:
            break
        name = taxonomy.names[labels.class_id[shown[first[i]]]]
        tags.place(uv_px[shown[cluster_id == clusters[i]]], f"{name} {clusters[i]}", cluster_rgb(int(clusters[i])))


class _Tags:
    """Short texts beside pixels that they name. They overlap neither each other nor labelled points."""

    def __init__(self, picture: Image.Image, size_px: int, keep_off_px: NDArray[np.int64]) -> None:
        self._draw = ImageDraw.Draw(picture, "RGBA")
        self._font = font(size_px)
        self._taken = np.zeros((picture.height, picture.width), dtype=bool)
        self._taken[keep_off_px[:, 1], keep_off_px[:, 0]] = True

    def place(self, member_px: NDArray[np.int64], text: str, rgb: RGB) -> None:
        """Draw a text above, right of, left of or below some pixels, at the first place with room, if there is one.

        It goes by the middle of the pixels and by where most of them are: a few stray ones do not draw it away. Only
        if there is no room, it is beside all of them.
        """
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=self._font)
        width, height = int(right - left) + 6, int(bottom - top) + 4
        for low, middle, high in (np.quantile(member_px, q, axis=0).round().astype(int) for q in (_MOST, _ALL)):
            (u0, v0), (u1, v1) = low - _TAG_GAP_PX, high + _TAG_GAP_PX
            center_u, center_v = middle[0] - width // 2, middle[1] - height // 2
            for u, v in ((center_u, v0 - height), (u1, center_v), (u0 - width, center_v), (center_u, v1)):
                area = self._taken[v : v + height, u : u + width]
                if u >= 0 and v >= 0 and area.shape == (height, width) and not area.any():
                    area[...] = True
                    self._draw.rectangle((u, v, u + width - 1, v + height - 1), fill=(0, 0, 0, 170))
                    self._draw.text((u + 3 - left, v + 2 - top), text, font=self._font, fill=rgb)
                    return
