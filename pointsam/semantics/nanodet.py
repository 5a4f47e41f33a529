"""NanoDet-g trained on COCO, a bundled network (RangiLyu, https://github.com/RangiLyu/nanodet).

A convolutional network predicts classes and boxes for every cell of three grids. The longer side of its input has 416
px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pointsam.semantics.onnx.carried import CarriedNetwork
from pointsam.semantics.tiled import TiledConfig


@dataclass(frozen=True)
class NanodetConfig(TiledConfig):
    """Thresholds and tiling of NanoDet; docs/mapping.md says how the defaults were chosen."""

    score_threshold: float = 0.4
    tile_px: int = 500

    section: ClassVar[str] = "nanodet"


NANODET = CarriedNetwork("nanodet", "d0ba6dac9d14531648748e846fb4d8efcd7006f64621c972ce5c48f296510ae1")
PLUGIN = NANODET.plugin(NanodetConfig)
