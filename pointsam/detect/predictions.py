"""The predictions of a detector for one sample, and for the samples of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pointsam.detect.padding import Padding
from pointsam.detect.suppression import nms_bev, rank_in_group


@dataclass(frozen=True, eq=False)
class Predictions:
    """N predicted boxes of one sample, map frame.

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

    def best(self, most: int) -> Predictions:
        """The `most` boxes of highest score, in descending order."""
        return self[torch.argsort(self.score, descending=True, stable=True)[:most]]


def concatenated(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of all parts, in their order."""
    fields = ("boxes", "score", "class_id", "velocity")
    return Predictions(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def at_least(score: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """(N,) row and column of the scores of at least a threshold; with the threshold 0, the host does not wait.

    Args:
        score: (S,M) in [0,1]. NaN is not below 0: with the threshold 0, it is taken too.
        threshold: least score.
    """
    if threshold > 0:
        row, column = (score >= threshold).nonzero(as_tuple=True)
        return row, column
    index = torch.arange(score.numel(), device=score.device)
    return index // score.shape[1], index % score.shape[1]


@dataclass(frozen=True, eq=False)
class BatchPredictions:
    """Predicted boxes of S samples.

    Args:
        every: the boxes of all samples.
        sample: (N,) int64 sample of each box.
        num_samples: S.
        most: bound of the number of boxes of a sample that is known without asking the device; None = N.
    """

    every: Predictions
    sample: Tensor
    num_samples: int
    most: int | None = None

    @staticmethod
    def join(parts: Sequence[Predictions]) -> BatchPredictions:
        """The predictions of each of one sample or more."""
        every = concatenated(parts)
        index = [torch.full((len(part),), k, device=every.score.device) for k, part in enumerate(parts)]
        return BatchPredictions(every, torch.cat(index), len(parts), max(len(part) for part in parts))

    def __getitem__(self, which: Tensor) -> BatchPredictions:
        return BatchPredictions(self.every[which], self.sample[which], self.num_samples, self.most)

    @property
    def padding(self) -> Padding:
        """The places of the boxes in a table."""
        return Padding.of_samples(self.sample, self.num_samples, len(self.sample) if self.most is None else self.most)

    def best(self, most: int) -> BatchPredictions:
        """The `most` boxes of highest score of each sample, by descending score."""
        order = torch.argsort(self.every.score, descending=True, stable=True)
        return self[order[rank_in_group(self.sample[order]) < most]].bounded(most)

    def bounded(self, most: int) -> BatchPredictions:
        """The same boxes, of which each sample has at most so many."""
        return replace(self, most=most if self.most is None else min(self.most, most))

    def suppressed(self, most: int, iou_threshold: float, apart: Tensor | None = None) -> BatchPredictions:
        """The boxes of each sample that no box of a higher score overlaps, by descending score.

        Args:
            most: largest number of boxes of a sample, or of each part of it.
            iou_threshold: overlap in bird's-eye view above which the weaker of two boxes is suppressed.
            apart: (N,) int64 part of its sample that each box belongs to, for example its class; boxes suppress only
                those of their own part. None = all of the sample.
        """
        group = self.sample if apart is None else apart * self.num_samples + self.sample
        kept = self[nms_bev(self.every.boxes, self.every.score, iou_threshold, most, group)]
        return kept.bounded(most) if apart is None else kept

    def split(self) -> list[Predictions]:
        """The predictions of each sample, in their order; the host waits once, for their numbers."""
        order = torch.argsort(self.sample, stable=True)
        samples = torch.arange(self.num_samples, device=order.device)
        counts = (self.sample == samples[:, None]).sum(dim=1).tolist()
        return [self.every[which] for which in torch.split(order, counts)]
