"""The image of a camera with its masks and projected points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.geometry.projection import Projection
from pointsam.report.points import cluster_colours, paint_points, tag_clusters
from pointsam.report.style import INK, class_rgb, font
from pointsam.rle import decode_mask
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

ClassMask = tuple["NDArray[np.bool_] | bytes", int]
"""A mask, as (H,W) bool or as COCO compressed RLE of that size, and its class_id."""

_TINT, _OUTLINE = 0.30, 0.95
_GREY = np.array((205, 205, 210), dtype=np.uint8)
_MIN_POINTS_FOR_TAG = 8


def draw_camera(
    image_rgb: NDArray[np.uint8],
    title: str,
    projection: Projection,
    labels: PointLabels,
    masks: Sequence[ClassMask],
    taxonomy: Taxonomy,
    width_px: int,
    grown: NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Draw a camera.

    Args:
        image_rgb: (H,W,3) image in full size.
        title: text in the corner.
        projection: of N points into the full-size image.
        labels: (N,) clusters of the points.
        masks: masks to tint and outline in the colour of their class; small masks are drawn on top.
        taxonomy: classes of masks and labels.
        width_px: width of the picture; the aspect ratio is kept.
        grown: (N,) points that growth added, which are drawn paler; None for no point.
    """
    height, width = image_rgb.shape[:2]
    scale = width_px / width
    size = (width_px, max(1, round(height * scale)))
    canvas = np.array(Image.fromarray(image_rgb).resize(size, Image.Resampling.BILINEAR))
    _paint_masks(canvas, masks, (height, width))
    uv_px = np.floor((np.nan_to_num(projection.uv_px) + 0.5) * scale).astype(np.int64)
    _paint_sweep(canvas, uv_px, projection, labels, grown)

    picture = Image.fromarray(canvas)
    shown = np.flatnonzero(projection.valid & (labels.instance_id != NO_INSTANCE))
    tag_clusters(picture, uv_px, labels, shown, taxonomy, size_px=15, min_points=_MIN_POINTS_FOR_TAG)
    corner = ImageDraw.Draw(picture, "RGBA")
    right, bottom = corner.textbbox((8, 5), title, font=font(18))[2:]
    corner.rectangle((0, 0, right + 8, bottom + 6), fill=(0, 0, 0, 190))
    corner.text((8, 5), title, font=font(18), fill=INK)
    return picture


def _paint_masks(canvas: NDArray[np.uint8], masks: Sequence[ClassMask], full_size: tuple[int, int]) -> None:
    height, width = canvas.shape[:2]
    rows = (np.arange(height) * full_size[0]) // height
    columns = (np.arange(width) * full_size[1]) // width
    small = [(_decoded(mask, full_size)[np.ix_(rows, columns)], class_id) for mask, class_id in masks]
    for mask, class_id in sorted(small, key=lambda entry: -int(entry[0].sum())):
        rgb = np.array(class_rgb(class_id), dtype=np.float64)
        edge = mask & ~_eroded(_eroded(mask))
        for region, opacity in ((mask & ~edge, _TINT), (edge, _OUTLINE)):
            canvas[region] = (canvas[region] * (1 - opacity) + rgb * opacity).astype(np.uint8)


def _paint_sweep(
    canvas: NDArray[np.uint8],
    uv_px: NDArray[np.int64],
    projection: Projection,
    labels: PointLabels,
    grown: NDArray[np.bool_] | None,
) -> None:
    labelled = labels.instance_id != NO_INSTANCE
    rest = np.flatnonzero(projection.valid & ~labelled)
    paint_points(canvas, uv_px[rest], np.broadcast_to(_GREY, (len(rest), 3)), 0, opacity=0.55)
    shown = np.flatnonzero(projection.valid & labelled)
    shown = shown[np.argsort(-projection.depth_m[shown], kind="stable")]  # near points cover far ones
    # A dark rim keeps a point visible on a car of its own colour.
    paint_points(canvas, uv_px[shown], np.zeros((len(shown), 3), dtype=np.uint8), 2, opacity=0.5)
    colours = cluster_colours(labels.instance_id[shown], None if grown is None else grown[shown])
    paint_points(canvas, uv_px[shown], colours, 1)


def _decoded(mask: NDArray[np.bool_] | bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    return decode_mask(mask, *size) if isinstance(mask, bytes) else mask


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    inner: NDArray[np.bool_] = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & mask
    return inner
