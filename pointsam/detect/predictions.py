"""What a detector says of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.detect.boxes import nms_bev


@dataclass(frozen=True, eq=False)
class Predictions:
    """Boxes of one sample, LiDAR frame, metres.

    Args:
        boxes: (N,7) x, y, z, length, width, height, yaw.
        score: (N,) in [0,1].
        class_id: (N,) int64.
        velocity: (N,2) metres a second.
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
        """The best ones, after non-maximum suppression among all of them if a threshold is given; by falling score."""
        if iou_threshold is not None:
            return self[nms_bev(self.boxes, self.score, iou_threshold, most)]
        return self[torch.argsort(self.score, descending=True, stable=True)[:most]]

    def best_of_classes(self, most: int, iou_threshold: float) -> Predictions:
        """As `best`, but a box suppresses those of its class only."""
        parts = [self[self.class_id == k].best(most, iou_threshold) for k in torch.unique(self.class_id).tolist()]
        return together(parts).best(most) if parts else self


def together(parts: Sequence[Predictions]) -> Predictions:
    """One after the other."""
    fields = ("boxes", "score", "class_id", "velocity")
    return Predictions(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))
