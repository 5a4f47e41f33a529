"""A segmenter without a network: a mask is its box, made smaller by an option."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.errors import SchemaError
from pointsam.masks.base import SegmenterContext, SegmenterPlugin
from pointsam.types import Masks


@dataclass(frozen=True)
class ScissorsConfig:
    """`--set masks.scissors.margin_px=2`.

    Args:
        margin_px: cut off at every side of a box.
    """

    margin_px: int = 0

    def __post_init__(self) -> None:
        if self.margin_px < 0:
            raise SchemaError("SCH005", f"masks.scissors.margin_px = {self.margin_px}", "choose 0 or more")


class Scissors:
    """See `pointsam.masks.base.Segmenter` for what each method gives."""

    def __init__(self, config: ScissorsConfig, context: SegmenterContext) -> None:
        self.name, self.weights_sha256 = context.name, context.fingerprint
        self._margin_px = config.margin_px

    def embed(self, image_rgb: NDArray[np.uint8]) -> tuple[int, int]:
        height, width, _ = image_rgb.shape
        return height, width

    def from_points(self, embedding: tuple[int, int], uv_px: NDArray[np.int32]) -> Masks:
        return Masks.empty(*embedding)

    def from_boxes(self, embedding: tuple[int, int], box_xyxy_px: NDArray[np.float32]) -> Masks:
        runs = []
        for left, top, right, bottom in box_xyxy_px.astype(int):
            inner = (bottom - top - 2 * self._margin_px, right - left - 2 * self._margin_px)
            mask = np.ones(np.maximum(inner, 1), dtype=np.bool_)
            runs.append(rle.encode_crop(mask, top + self._margin_px, left + self._margin_px, *embedding))
        sure = np.ones(len(runs), dtype=np.float32)
        return Masks(*embedding, tuple(runs), sure, sure, np.arange(len(runs), dtype=np.int32))


# A network states its published files instead: SegmenterPlugin(Config, load, weights=(WeightFile(...),)).
SCISSORS = SegmenterPlugin(ScissorsConfig, Scissors, fingerprint=lambda _weights: "scissors-1")
