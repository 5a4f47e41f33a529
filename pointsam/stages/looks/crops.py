"""Crops of an image around places that the LiDAR names, and boxes found in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.semantics.base import SemanticModel
from pointsam.semantics.tiles import Window, cut
from pointsam.types import CameraView, Detections, Frame

_MARGIN = 0.02
"""Boxes end up to this share of a crop before the border that cuts the object."""


def window(box_xyxy_px: FloatArray, width_px: int, height_px: int, fill: float, smallest_px: int) -> Window:
    """The square around a box, moved into the image; an image that is smaller limits it.

    Args:
        box_xyxy_px: (4,) left, top, right, bottom.
        width_px: width of the image.
        height_px: its height.
        fill: the larger side of the box is this fraction of the side of the square.
        smallest_px: smallest side.
    """
    left, top, right, bottom = (float(value) for value in box_xyxy_px)
    side = max(int(np.ceil(max(right - left, bottom - top) / fill)), smallest_px)
    out = []
    for low, high, length in ((left, right, width_px), (top, bottom, height_px)):
        extent = min(side, length)
        start = int(np.clip(np.floor((low + high - extent) / 2), 0, length - extent))
        out.append((start, start + extent))
    (x1, x2), (y1, y2) = out
    return x1, y1, x2, y2


def look_at(
    image_rgb: NDArray[np.uint8],
    where: Window,
    semantics: SemanticModel,
    frame: Frame,
    view: CameraView,
    largest_px: int,
) -> Detections:
    """What a source of classes finds in a crop, as boxes in the image. Boxes that the border of the crop cuts are lost.

    Args:
        image_rgb: (H,W,3) uint8 RGB image.
        where: the crop.
        semantics: the source.
        frame: the frame.
        view: the camera of the image.
        largest_px: a crop with a larger side is scaled down to it.
    """
    from PIL import Image

    left, top, right, bottom = where
    crop = np.ascontiguousarray(image_rgb[top:bottom, left:right])
    side = max(right - left, bottom - top)
    if side > largest_px:
        size = (max(round((right - left) * largest_px / side), 1), max(round((bottom - top) * largest_px / side), 1))
        crop = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BILINEAR))
    shown, image = (crop.shape[0], crop.shape[1]), (image_rgb.shape[0], image_rgb.shape[1])
    return mapped_back(semantics.detect(crop, frame, view), where, shown, image)


def mapped_back(found: Detections, where: Window, shown: tuple[int, int], image: tuple[int, int]) -> Detections:
    """Boxes of a crop in pixels of the image, without those that its border cuts, and without masks.

    Args:
        found: detections in the crop.
        where: the crop.
        shown: height and width that it was shown with.
        image: height and width of the image.
    """
    left, top, right, bottom = where
    scale = np.array([(right - left) / shown[1], (bottom - top) / shown[0]] * 2)
    box = (found.box_xyxy_px * scale + np.array([left, top, left, top])).astype(np.float32)
    box = np.clip(box, 0, np.array([image[1], image[0]] * 2, dtype=np.float32))
    keep = ~cut(box, where, image[1], image[0], _MARGIN * (right - left))
    keep &= (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
    return Detections(box[keep], found.class_id[keep], found.score[keep], None)
