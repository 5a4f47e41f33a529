"""A segmenter of another kind, without weights: a prompt floods the image up to the edges around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pointsam import rle
from pointsam.masks.base import SegmenterContext, SegmenterPlugin
from pointsam.types import Masks

OBJECT, REST = 1, 2


@dataclass(frozen=True)
class WatershedConfig:
    """`--set masks.watershed.core=0.4`.

    Args:
        core: share of a box, around its middle, that is surely its object.
    """

    core: float = 0.5


class Watershed:
    """See `pointsam.masks.base.Segmenter` for what each method gives. An embedding is the strength of the edges."""

    def __init__(self, config: WatershedConfig, context: SegmenterContext) -> None:
        self.name, self.weights_sha256 = context.name, context.fingerprint
        self._core = config.core

    def embed(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        colours = image_rgb.astype(np.float32)
        strength = [ndimage.morphological_gradient(colours[..., k], size=(2, 2)) for k in range(3)]
        return np.clip(np.max(strength, axis=0), 0, 255).astype(np.uint8)

    def from_points(self, edges: NDArray[np.uint8], uv_px: NDArray[np.int32]) -> Masks:
        reach = np.array([[-40, -40], [40, 40]])
        boxes = (uv_px[:, None] + reach).reshape(-1, 4).astype(np.float32)
        return self._masks(edges, boxes, np.full(len(boxes), -1, dtype=np.int32))

    def from_boxes(self, edges: NDArray[np.uint8], box_xyxy_px: NDArray[np.float32]) -> Masks:
        return self._masks(edges, box_xyxy_px, np.arange(len(box_xyxy_px), dtype=np.int32))

    def _masks(self, edges: NDArray[np.uint8], boxes: NDArray[np.float32], source: NDArray[np.int32]) -> Masks:
        runs = [self._flooded(edges, box) for box in boxes]
        sure = np.ones(len(runs), dtype=np.float32)
        return Masks(*edges.shape, tuple(runs), sure, sure, source)

    def _flooded(self, edges: NDArray[np.uint8], box: NDArray[np.float32]) -> bytes:
        height, width = edges.shape
        left, top = np.clip(np.floor(box[:2]).astype(int) - 1, 0, [width - 2, height - 2])
        right, bottom = np.clip(np.ceil(box[2:]).astype(int) + 1, [left + 2, top + 2], [width, height])
        part = edges[top:bottom, left:right]
        markers = np.full(part.shape, REST, dtype=np.int8)
        markers[1:-1, 1:-1] = 0
        down, across = (np.abs((np.arange(n) + 0.5) / n - 0.5) * 2 for n in part.shape)
        markers[np.hypot(down[:, None], across) < self._core] = OBJECT
        return rle.encode_crop(ndimage.watershed_ift(part, markers) == OBJECT, int(top), int(left), height, width)


WATERSHED = SegmenterPlugin(WatershedConfig, Watershed, fingerprint=lambda _weights: "watershed-1")
