"""SSDLite MobileNetV2 trained on COCO, a bundled network: boxes with classes. Its input is 300 x 300 px.

The recipe `paper` uses it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pointsam.semantics.onnx.carried import CarriedNetwork
from pointsam.semantics.tiled import TiledConfig


@dataclass(frozen=True)
class SsdConfig(TiledConfig):
    """Thresholds and tiling of the SSD; the defaults are those of the published method. Tiles of 400 px suit nuScenes
    and KITTI.
    """

    section: ClassVar[str] = "ssd"


SSD = CarriedNetwork("ssd", "860ef8e13733c6f74e179d10d492099bd33f9fb8a86795028d425d6f3ccf1939")
PLUGIN = SSD.plugin(SsdConfig)
