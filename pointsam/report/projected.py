"""The points of a frame over its images, coloured by depth, and from above: a wrong transform is seen at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.base.arrays import FloatArray
from pointsam.geometry.projection import project
from pointsam.report.bev import draw_bev, fit_view
from pointsam.report.compose import WIDTH_PX, in_reading_order
from pointsam.report.points import cluster_colours, paint_points
from pointsam.report.style import GROUND, INK, font
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, CameraView, Frame, FramePoints, PointLabels

_COLUMNS, _BEV_PX = 3, 1000
_NEAR_M, _FAR_M = 2.0, 60.0


def draw_projected(
    frame: Frame,
    images: Mapping[str, NDArray[np.uint8]],
    points: FramePoints,
    boxes: Boxes | None,
    taxonomy: Taxonomy,
) -> Image.Image:
    """Draw the points of a frame over its images, and from above with its boxes.

    Args:
        frame: the frame.
        images: (H,W,3) RGB by camera name.
        points: points of the frame that have a position.
        boxes: ground-truth boxes, None if there are none.
        taxonomy: classes of the boxes.

    Returns:
        2400 px wide; near points are red, far ones blue.
    """
    xyz_lidar_m = points.xyz_lidar_m
    shown = in_reading_order([view for view in frame.cameras if view.name in images])
    columns = min(_COLUMNS, max(1, len(shown)))
    tiles = [_tile(frame, view, images[view.name], xyz_lidar_m, WIDTH_PX // columns) for view in shown]
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    picture = Image.new("RGB", (WIDTH_PX, sum(heights) + _BEV_PX), GROUND)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            picture.paste(tile, (j * (WIDTH_PX // columns), sum(heights[:i])))
    picture.paste(_from_above(frame, points, boxes, taxonomy), (0, sum(heights)))
    pen, left = ImageDraw.Draw(picture), _BEV_PX + 40
    lines = (
        f"{frame.scene}   {frame.frame_id}",
        f"Cameras: points by depth, red at {_NEAR_M:.0f} m to blue at {_FAR_M:.0f} m and beyond.",
        "Points must lie on what they belong to: poles on poles, cars on cars.",
        "From above: the vehicle's forward is up; each LiDAR has its own colour.",
        *(["White outlines: ground-truth boxes; points must fill them."] if boxes is not None else []),
    )
    for k, line in enumerate(lines):
        pen.text((left, sum(heights) + 30 + 40 * k), line, font=font(26), fill=INK)
    return picture


def _tile(
    frame: Frame, view: CameraView, image_rgb: NDArray[np.uint8], xyz_lidar_m: FloatArray, width_px: int
) -> Image.Image:
    height, width = image_rgb.shape[:2]
    scale = width_px / width
    size = (width_px, max(1, round(height * scale)))
    canvas = np.array(Image.fromarray(image_rgb).resize(size, Image.Resampling.BILINEAR))
    canvas = (canvas * 0.8).astype(np.uint8)
    seen = project(xyz_lidar_m, frame, view)
    order = np.flatnonzero(seen.valid)
    order = order[np.argsort(-seen.depth_m[order], kind="stable")]  # near points cover far ones
    uv_px = np.floor((seen.uv_px[order] + 0.5) * scale).astype(np.int64)
    paint_points(canvas, uv_px, depth_colours(seen.depth_m[order]), 1)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture, "RGBA")
    title = f"{view.name}   {len(order):,} of {len(xyz_lidar_m):,} points"
    right, bottom = pen.textbbox((8, 5), title, font=font(18))[2:]
    pen.rectangle((0, 0, right + 8, bottom + 6), fill=(0, 0, 0, 190))
    pen.text((8, 5), title, font=font(18), fill=INK)
    return picture


def _from_above(frame: Frame, points: FramePoints, boxes: Boxes | None, taxonomy: Taxonomy) -> Image.Image:
    count, xyz_lidar_m, mounting = len(points), points.xyz_lidar_m, frame.sweep.ego_SE3_lidar
    none = PointLabels(np.full(count, NO_INSTANCE, dtype=np.int32), np.full(count, BACKGROUND, dtype=np.uint8))
    canvas = np.array(draw_bev(xyz_lidar_m, none, boxes, mounting, taxonomy, _BEV_PX))
    uv_px = np.floor(fit_view(xyz_lidar_m, none, boxes, mounting, _BEV_PX).uv_px(xyz_lidar_m)).astype(np.int64)
    paint_points(canvas, uv_px, cluster_colours(points.sweep_index.astype(np.int32) + 1), 0)
    return Image.fromarray(canvas)


def depth_colours(depth_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(N,3) colour of each depth, red near and blue far, on a logarithmic scale."""
    far = np.log(np.clip(depth_m, _NEAR_M, _FAR_M) / _NEAR_M) / np.log(_FAR_M / _NEAR_M)
    hue = 4.0 * far  # red 0, yellow 1, green 2, cyan 3, blue 4
    ramps = np.stack([2.0 - hue, np.minimum(hue, 4.0 - hue), hue - 2.0], axis=1)
    colours: NDArray[np.uint8] = np.round(255 * np.clip(ramps, 0.0, 1.0)).astype(np.uint8)
    return colours
