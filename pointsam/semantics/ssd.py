"""SSDLite MobileNetV2 trained on COCO, a bundled network: boxes with classes.

The recipe `paper` uses it alone.
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

_INPUT_PX = 300


@dataclass(frozen=True)
class SsdConfig(TiledConfig):
    """Thresholds and tiling of the SSD; the defaults are those of the published method. Tiles of 400 px suit nuScenes
    and KITTI.
    """

    section: ClassVar[str] = "ssd"


class SsdSemantics(TiledNetwork):
    """Detections of SSDLite MobileNetV2; its input is 300 x 300 px."""

    name = "ssd"
    weights = "coco_ssd_lite_mobilenetv2.onnx"
    weights_sha256 = "860ef8e13733c6f74e179d10d492099bd33f9fb8a86795028d425d6f3ccf1939"
    labels: Mapping[int, str] = MappingProxyType({category - 1: label for category, label in COCO_NAMES.items()})

    def _look(self, patch: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pixels = np.asarray(patch.resize((_INPUT_PX, _INPUT_PX), Image.Resampling.BILINEAR), dtype=np.float32)
        boxes, scores = self._run((pixels / 127.5 - 1)[None])
        return boxes[0, :, 0][:, [1, 0, 3, 2]] * twice(*patch.size), scores[0]  # top, left, bottom, right


PLUGIN = SemanticsPlugin(
    SsdConfig,
    lambda config, context: SsdSemantics(context.mapping, config, context.threads),
    lambda _config, _masks_dir: SsdSemantics.weights_sha256,
    labels="coco",
    takes_folder=False,
    survey=lambda _config, context, _images: require_coco_labels(context.mapping),
)
