"""Thresholds and resources of a promptable segmenter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pointsam.base.document import LEFT_OUT
from pointsam.base.hub_models import PRECISIONS
from pointsam.base.ranges import require


@dataclass(frozen=True)
class SegmentConfig:
    """How prompts become masks; the defaults are the published thresholds.

    Args:
        pred_iou_threshold: keep a mask if its predicted IoU is greater than this.
        stability_threshold: keep a mask if its stability score is at least this.
        stability_offset: the stability score compares the areas at logits `mask_threshold` + and - this offset.
        nms_iou: if the boxes of two masks have a higher IoU, only the mask with the higher predicted IoU is kept.
        mask_threshold: a pixel belongs to the mask if its logit is greater than this.
        chunk: number of prompts decoded at once; None = 4 on a CPU, where larger chunks lose time to memory
            allocation, and 64 on CUDA, as segment_anything's own generator.
        precision: number type of the networks; logits and scores are always float32.
        batch: number of images encoded at once; None = 1 on a CPU and 8 on CUDA. A run gives a CPU one
            image at a time, and a GPU those of a frame.
        compile: whether torch.compile compiles the image encoder when it is first used; None = no.
        filters: where stability and boxes of the masks of points are measured: in pixels of the "image" (None), as
            published, or in those of the "network", before any mask is enlarged, which takes less time.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    pred_iou_threshold: float = 0.7
    stability_threshold: float = 0.8
    stability_offset: float = 1.0
    nms_iou: float = 0.7
    mask_threshold: float = 0.0
    chunk: int | None = None
    precision: str = "float32"
    batch: int | None = field(default=None, metadata=LEFT_OUT)
    compile: bool | None = field(default=None, metadata=LEFT_OUT)
    filters: Literal["image", "network"] | None = field(default=None, metadata=LEFT_OUT)

    def __post_init__(self) -> None:
        for name in ("pred_iou_threshold", "stability_threshold", "nms_iou"):
            require(0.0 <= getattr(self, name) <= 1.0, f"segment.{name}", getattr(self, name), "a number from 0 to 1")
        require(self.stability_offset > 0.0, "segment.stability_offset", self.stability_offset, "a number above 0")
        require(self.chunk is None or self.chunk >= 1, "segment.chunk", self.chunk, "a whole number from 1, or nothing")
        require(self.batch is None or self.batch >= 1, "segment.batch", self.batch, "a whole number from 1, or nothing")
        require(self.filters in (None, "image", "network"), "segment.filters", self.filters, "image or network")
        require(self.precision in PRECISIONS, "segment.precision", self.precision, f"one of {', '.join(PRECISIONS)}")
