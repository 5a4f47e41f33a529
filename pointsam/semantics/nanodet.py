"""NanoDet-g trained on COCO, a bundled network (RangiLyu, https://github.com/RangiLyu/nanodet).

A convolutional network predicts classes and boxes for every cell of three grids. The distance from a cell's centre to
each side of the box is the mean of a discrete distribution (Li et al., "Generalized Focal Loss", NeurIPS 2020,
arXiv 2006.04388).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.semantics.base import SemanticsPlugin
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.tiled import TiledConfig, TiledNetwork, require_coco_labels, twice

_INPUT_PX = 416
_STRIDES_PX = (8, 16, 32)
_BINS = 11
# Of the pixels that it was trained with: blue, green, red.
_MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)
_STD = np.array([57.375, 57.12, 58.395], dtype=np.float32)


@dataclass(frozen=True)
class NanodetConfig(TiledConfig):
    """Thresholds and tiling of NanoDet; docs/mapping.md says how the defaults were chosen."""

    score_threshold: float = 0.4
    tile_px: int = 500

    section: ClassVar[str] = "nanodet"


class NanodetSemantics(TiledNetwork):
    """Detections of NanoDet-g; the longer side of its input has 416 px."""

    name = "nanodet"
    weights = "nanodet_g_fp16.onnx"
    weights_sha256 = "d0ba6dac9d14531648748e846fb4d8efcd7006f64621c972ce5c48f296510ae1"
    labels: Mapping[int, str] = MappingProxyType(dict(enumerate(COCO_NAMES.values())))

    def _look(self, patch: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        longer = max(patch.size)
        width, height = (max(round(side * _INPUT_PX / longer / 32), 1) * 32 for side in patch.size)
        pixels = np.asarray(patch.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
        pixels = (pixels[..., ::-1] - _MEAN) / _STD
        scores, distances = self._run(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        box = decode(distances[0], width, height)
        return box * twice(patch.size[0] / width, patch.size[1] / height), scores[0]


def decode(logits: NDArray[np.float32], width_px: int, height_px: int) -> NDArray[np.float32]:
    """(N,4) boxes in pixels of the input.

    Args:
        logits: (N,44) logits of the distances to the left, top, right and bottom side: 0 to 10 strides each. The N
            cells are those of the strides 8, 16 and 32, row by row.
        width_px: width of the input, a multiple of 32.
        height_px: its height.
    """
    weight = np.exp(logits.reshape(-1, 4, _BINS) - logits.reshape(-1, 4, _BINS).max(axis=2, keepdims=True))
    strides = weight @ np.arange(_BINS, dtype=np.float32) / weight.sum(axis=2)
    grids = [np.mgrid[: height_px // px, : width_px // px].reshape(2, -1) for px in _STRIDES_PX]
    stride_px = np.repeat(_STRIDES_PX, [grid.shape[1] for grid in grids])[:, None].astype(np.float32)
    y, x = np.concatenate(grids, axis=1).astype(np.float32) + np.float32(0.5)
    centre = np.stack([x, y, x, y], axis=1)
    box: NDArray[np.float32] = (centre + strides * np.array([-1, -1, 1, 1], dtype=np.float32)) * stride_px
    return box


PLUGIN = SemanticsPlugin(
    NanodetConfig,
    lambda config, context: NanodetSemantics(context.mapping, config, context.threads),
    lambda _config, _masks_dir: NanodetSemantics.weights_sha256,
    labels="coco",
    takes_folder=False,
    survey=lambda _config, context, _images: require_coco_labels(context.mapping),
)
