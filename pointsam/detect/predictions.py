"""The predictions of a detector for one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.detect.boxes import nms_bev


@dataclass(frozen=True, eq=False)
class Predictions:
    """N predicted boxes of one sample, LiDAR frame.

    Args:
        boxes: (N,7) x, y, z of the centre, length, width, height in metres, yaw in radians.
        score: (N,) in [0,1].
        class_id: (N,) int64.
        velocity: (N,2) along x and y, metres per second.
    """

    boxes: Tensor
    score: Tensor
    class_id: Tensor
    velocity: Tensor

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, which: Tensor) -> Predictions:
        return Predictions(self.boxes[which], self.score[which], self.class_id[which], self.velocity[which])

    def best(self, most: int, iou_threshold: float | None = None) -> Predictions:
        """The `most` boxes of highest score, in descending order.

        Args:
            most: largest number of boxes.
            iou_threshold: overlap in bird's-eye view for non-maximum suppression across classes; None = no suppression.
        """
        if iou_threshold is not None:
            return self[nms_bev(self.boxes, self.score, iou_threshold, most)]
        return self[torch.argsort(self.score, descending=True, stable=True)[:most]]

    def suppressed(self, most: int, iou_threshold: float, across: bool) -> Predictions:
        """As `best`; unless `across` classes, a box suppresses only boxes of its own class."""
        if across:
            return self.best(most, iou_threshold)
        parts = [self[self.class_id == k].best(most, iou_threshold) for k in torch.unique(self.class_id).tolist()]
        return concatenated(parts).best(most) if parts else self


def concatenated(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of all parts, in their order."""
    fields = ("boxes", "score", "class_id", "velocity")
    return Predictions(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))
