"""A bird's-eye view of a sweep: forward is up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.base.arrays import FloatArray
from pointsam.geometry.se3 import SE3
from pointsam.report.points import cluster_colours, paint_points, tag_clusters
from pointsam.report.style import FAINT, GROUND, INK, RGB, UNLABELLED, class_rgb, font
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, PointLabels

_RING_STEP_M, _TICK_M = 10, 0.8
_RING = (52, 54, 62)
_MARGIN_M = 5.0
_MIN_HALF_SIDE_M, _MAX_HALF_SIDE_M = 20.0, 50.0
_MIN_POINTS_FOR_TAG = 10


@dataclass(frozen=True, eq=False)
class BevView:
    """The square of the ground that is shown, and its scale.

    Args:
        ego_R_lidar: (3,3) rotation from the LiDAR frame to the axes of the vehicle (x forward, y left).
        center_m: (forward, left) of the centre of the picture, from the LiDAR.
        half_side_m: half the side of the square.
        size_px: side of the picture.
    """

    ego_R_lidar: NDArray[np.float64]
    center_m: tuple[float, float]
    half_side_m: float
    size_px: int

    @property
    def px_per_m(self) -> float:
        """Pixels per metre."""
        return self.size_px / (2 * self.half_side_m)

    def uv_px(self, xyz_lidar_m: FloatArray) -> NDArray[np.float64]:
        """(N,2) pixel coordinates, not rounded, of (N,3) points in the LiDAR frame."""
        turned = np.asarray(xyz_lidar_m, dtype=np.float64) @ self.ego_R_lidar.T
        u = self.size_px / 2 - (turned[:, 1] - self.center_m[1]) * self.px_per_m
        v = self.size_px / 2 - (turned[:, 0] - self.center_m[0]) * self.px_per_m
        return np.stack([u, v], axis=1)


def fit_view(
    xyz_lidar_m: FloatArray, labels: PointLabels, boxes: Boxes | None, ego_SE3_lidar: SE3, size_px: int
) -> BevView:
    """The square around the vehicle, labelled points and boxes, 40 to 100 m wide; 100 m without labels and boxes."""
    content = xyz_lidar_m[labels.instance_id != NO_INSTANCE].astype(np.float64)
    if boxes is not None:
        content = np.concatenate([content, boxes.center_m])
    if not len(content):
        return BevView(ego_SE3_lidar.rotation, (0.0, 0.0), _MAX_HALF_SIDE_M, size_px)
    turned = np.concatenate([content @ ego_SE3_lidar.rotation.T, np.zeros((1, 3))])[:, :2]
    low, high = turned.min(axis=0) - _MARGIN_M, turned.max(axis=0) + _MARGIN_M
    half_side = float(np.clip((high - low).max() / 2, _MIN_HALF_SIDE_M, _MAX_HALF_SIDE_M))
    # An extent that does not fit is centred on the vehicle.
    forward, left = np.where((high - low) / 2 > half_side, 0.0, (low + high) / 2)
    return BevView(ego_SE3_lidar.rotation, (float(forward), float(left)), half_side, size_px)


def draw_bev(
    xyz_lidar_m: FloatArray,
    labels: PointLabels,
    boxes: Boxes | None,
    ego_SE3_lidar: SE3,
    taxonomy: Taxonomy,
    size_px: int,
    grown: NDArray[np.bool_] | None = None,
    detected: Boxes | None = None,
    true_rgb: Sequence[RGB] | None = None,
) -> Image.Image:
    """Draw the bird's-eye view of a sweep.

    Args:
        xyz_lidar_m: (N,3) points, LiDAR frame.
        labels: (N,) clusters of the points.
        boxes: ground-truth boxes, outlined with a tick at the front; None for none.
        ego_SE3_lidar: mounting of the sensor.
        taxonomy: classes of the labels.
        size_px: side of the square picture.
        grown: (N,) points that growth added, which are drawn paler; None for no point.
        detected: boxes of a detector, outlined in the colour of their class, with their tokens as texts; None for none.
        true_rgb: colours of the ground-truth boxes; None for white, and grey for void ones.
    """
    view = fit_view(xyz_lidar_m, labels, boxes, ego_SE3_lidar, size_px)
    uv_px = np.floor(np.nan_to_num(view.uv_px(xyz_lidar_m), nan=-1e6)).astype(np.int64)  # NaN: a row without position
    labelled = labels.instance_id != NO_INSTANCE
    inside = ((uv_px >= 0) & (uv_px < size_px)).all(axis=1)

    canvas = np.array(_rings(view))
    grey = np.broadcast_to(np.array(UNLABELLED, dtype=np.uint8), (len(labels), 3))
    paint_points(canvas, uv_px[~labelled], grey[~labelled], 0)
    added = None if grown is None else grown[labelled]
    paint_points(canvas, uv_px[labelled], cluster_colours(labels.instance_id[labelled], added), 1)
    picture = Image.fromarray(canvas)
    _draw_vehicle(picture, view)
    if boxes is not None:
        _draw_boxes(picture, boxes, view, true_colours(boxes) if true_rgb is None else true_rgb)
    if detected is not None:
        _draw_boxes(picture, detected, view, [class_rgb(int(k)) for k in detected.class_id], texts=True)
    shown = np.flatnonzero(labelled & inside)
    tag_clusters(picture, uv_px, labels, shown, taxonomy, size_px=16, min_points=_MIN_POINTS_FOR_TAG)
    return picture


def true_colours(boxes: Boxes, by_class: bool = False) -> list[RGB]:
    """Colours of ground-truth boxes: white, or that of the class; grey for void ones."""
    return [FAINT if k == BACKGROUND else class_rgb(k) if by_class else INK for k in boxes.class_id.tolist()]


def _rings(view: BevView) -> Image.Image:
    picture = Image.new("RGB", (view.size_px, view.size_px), GROUND)
    draw = ImageDraw.Draw(picture)
    u, v = view.uv_px(np.zeros((1, 3)))[0]
    farthest_m = 2 * view.half_side_m + float(np.hypot(*view.center_m))
    for radius_m in range(_RING_STEP_M, int(farthest_m), _RING_STEP_M):
        radius = radius_m * view.px_per_m
        draw.ellipse((u - radius, v - radius, u + radius, v + radius), outline=_RING)
        along = radius * np.sqrt(0.5)  # the numbers are 45 degrees to the right, where they hide little of the road
        draw.text((u + along, v - along), f"{radius_m} m", font=font(17), fill=FAINT, anchor="mm")
    return picture


def _draw_vehicle(picture: Image.Image, view: BevView) -> None:
    u, v = view.uv_px(np.zeros((1, 3)))[0]
    arrow = [(u, v - 14), (u - 9, v + 10), (u, v + 5), (u + 9, v + 10)]
    ImageDraw.Draw(picture).polygon(arrow, fill=INK)


def _draw_boxes(picture: Image.Image, boxes: Boxes, view: BevView, colours: Sequence[RGB], texts: bool = False) -> None:
    draw = ImageDraw.Draw(picture)
    for i in range(len(boxes)):
        half = boxes.size_lwh_m[i] / 2
        # Corners of the base, centre of the front, and end of the tick before it.
        unit = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1), (1, 0)], dtype=np.float64)
        in_box = np.zeros((6, 3))
        in_box[:5, :2] = unit * half[:2]
        in_box[5, 0] = half[0] + _TICK_M
        uv = [(float(u), float(v)) for u, v in view.uv_px(boxes.center_m[i] + in_box @ boxes.rotation[i].T)]
        rgb, width = colours[i], 1 if boxes.class_id[i] == BACKGROUND else 2
        draw.line([*uv[:4], uv[0]], fill=rgb, width=width)
        draw.line(uv[4:], fill=rgb, width=width)
        if texts:
            right, top = max(u for u, _ in uv), min(v for _, v in uv)
            draw.text((right + 2, top), boxes.token[i], font=font(15), fill=rgb)
