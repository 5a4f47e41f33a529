"""Thresholds and resources of a promptable segmenter."""

from __future__ import annotations

from dataclasses import dataclass

from pointsam.base.ranges import require

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class SegmentConfig:
    """How prompts become masks; every threshold is the published one (method.md A.0, A.3).

    Args:
        pred_iou_threshold: keep a mask whose predicted IoU is strictly greater (A.3).
        stability_threshold: keep a mask whose stability is at least this (A.3).
        stability_offset: distance of the two logit levels of the stability from `mask_threshold` (A.3).
        nms_iou: of two masks whose bounding boxes overlap more than this, the higher predicted IoU stays (A.3).
        mask_threshold: a pixel belongs to the mask where its logit is strictly greater (A.3).
        chunk: prompts decoded at once; None = 4 on a CPU, where larger chunks lose to memory allocation
            (quality.md, last row), and 64 on CUDA, the batch of segment_anything's own generator.
        precision: arithmetic of the networks; logits and scores are float32 in any case.

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

    def __post_init__(self) -> None:
        for name in ("pred_iou_threshold", "stability_threshold", "nms_iou"):
            require(0.0 <= getattr(self, name) <= 1.0, f"segment.{name}", getattr(self, name), "a number from 0 to 1")
        require(self.stability_offset > 0.0, "segment.stability_offset", self.stability_offset, "a number above 0")
        require(self.chunk is None or self.chunk >= 1, "segment.chunk", self.chunk, "a whole number from 1, or nothing")
        require(self.precision in PRECISIONS, "segment.precision", self.precision, f"one of {', '.join(PRECISIONS)}")
