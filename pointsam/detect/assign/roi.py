"""Second-stage targets: proposals are matched to boxes by volume and to clusters by points.

A proposal that matches a cluster trains the confidence only. The targets of all samples of a batch are computed at
once, and the host never waits: nothing here depends on the number of matches.

Shapes: S samples, R rows of the table of proposals, T of them sampled, P rows of the table of points; B boxes and M
clusters of the batch. Source: docs/method.md B.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.base.ranges import require
from pointsam.detect.assign.overlap import iou_of_counts
from pointsam.detect.boxes import shared_3d
from pointsam.detect.labels import BatchLabels
from pointsam.detect.padding import Padding

_COUNTED = 1 << 26
"""Number of pairs of a point and a proposal that are counted at once; it bounds the memory."""
_PAIRED = 1 << 18
"""Number of pairs of a proposal and a box whose overlaps are computed at once."""


@dataclass(frozen=True)
class RoiConfig:
    """How proposals are matched and sampled.

    Args:
        samples: number of proposals per sample that are trained on.
        most_foreground: largest number of foreground proposals among them.
        foreground_iou: a proposal with at least this overlap is foreground; with more, it also regresses its box.
        easy_iou: background with less overlap is easy, other background is hard.
        hard_share: largest fraction of hard proposals in the background.
        confidence_iou: the target confidence is 0 below the first, 1 above the second, and linear between.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    samples: int = 128
    most_foreground: int = 64
    foreground_iou: float = 0.55
    easy_iou: float = 0.1
    hard_share: float = 0.8
    confidence_iou: tuple[float, float] = (0.25, 0.75)

    def __post_init__(self) -> None:
        name = "detector.roi.sampling"
        few = 0 < self.most_foreground <= self.samples
        require(few, f"{name}.most_foreground", self.most_foreground, "1 to samples")
        easy = 0 <= self.easy_iou < self.foreground_iou <= 1
        require(easy, f"{name}.easy_iou", self.easy_iou, "less than foreground_iou")
        require(0 <= self.hard_share <= 1, f"{name}.hard_share", self.hard_share, "a fraction")
        low, high = self.confidence_iou
        rising = 0 <= low < high <= 1
        require(rising, f"{name}.confidence_iou", self.confidence_iou, "two increasing fractions")


@dataclass(frozen=True, eq=False)
class RoiMatch:
    """The best match of each proposal among the boxes and clusters of its class.

    Args:
        there: (S,R) bool, False for rows of the table that hold no proposal.
        iou: (S,R) its largest overlap with a box or a cluster.
        box: (S,R) index of the matched box among those of the batch, -1 where nothing matches or a cluster matches
            better.
        unknown: (S,R) bool, whether it holds unknown points.
    """

    there: Tensor
    iou: Tensor
    box: Tensor
    unknown: Tensor


@dataclass(frozen=True, eq=False)
class RoiTargets:
    """Targets of the sampled proposals.

    Args:
        proposal: (S,T) row of each sampled proposal in the table, with repetitions.
        confidence: (S,T) target confidence in [0,1].
        counted: (S,T) bool, False for background that holds unknown points: its confidence is not trained. Also False
            in a sample without proposals.
        box: (S,T) index of the box to regress among those of the batch, -1 for none.
    """

    proposal: Tensor
    confidence: Tensor
    counted: Tensor
    box: Tensor


def match_rois(labels: BatchLabels, points: Padding, held: Tensor, rois: Tensor, roi_class: Tensor) -> RoiMatch:
    """Overlaps of proposals with boxes (3D) and clusters (points).

    Args:
        labels: labels of the batch.
        points: places of their points in a table.
        held: (S,P,R) bool, whether each point of the table lies in each proposal.
        rois: (S,R,7) proposals; rows that hold none have negative sizes.
        roi_class: (S,R) predicted class_id, -1 where there is no proposal.
    """
    every, own, cluster = labels.every, labels.box_sample, labels.cluster_sample
    shared = _shared(labels, points, held)
    by_points = iou_of_counts(shared, held.sum(dim=1)[cluster], every.cluster_points[:, None])
    by_points = by_points * (roi_class[cluster] == every.cluster_class[:, None])
    parts = torch.split(torch.arange(len(own), device=own.device), max(1, _PAIRED // rois.shape[1]))
    volume = torch.cat([shared_3d(rois[own[some]], every.boxes[some, None]) for some in parts]).to(rois.dtype)
    volume = volume * (roi_class[own] == every.box_class[:, None])
    by_cluster, by_box = _most(by_points, cluster, rois), _most(volume, own, rois)
    index = torch.where(volume == by_box[own], torch.arange(len(own), device=own.device)[:, None], len(own))
    first = torch.full_like(roi_class, len(own)).scatter_reduce_(0, _rows(own, rois), index, "amin")
    box = torch.where((by_box > 0) & (by_cluster <= by_box), first, -1)
    unknown = (held & points.table(every.unknown)[:, :, None]).any(dim=1)
    return RoiMatch(roi_class >= 0, torch.maximum(by_box, by_cluster), box, unknown)


def _shared(labels: BatchLabels, points: Padding, held: Tensor) -> Tensor:
    """(M,R) number of points of each cluster in the proposals of its sample."""
    ids, clusters = labels.every.cluster_id, len(labels.every.cluster_class)
    owner = points.table(torch.where(ids >= 0, ids, clusters), clusters).flatten()
    parts = []
    for some in torch.split(held.flatten(0, 1), max(1, _COUNTED // len(owner)), dim=1):
        counts = torch.zeros(clusters + 1, some.shape[1], dtype=torch.int32, device=held.device)
        parts.append(counts.index_add_(0, owner, some.int())[:clusters])  # the last row: points in no cluster
    return torch.cat(parts, dim=1)


def _most(overlap: Tensor, sample: Tensor, rois: Tensor) -> Tensor:
    """(S,R) largest of the (N,R) overlaps of N objects of these samples with the proposals; 0 without objects."""
    return overlap.new_zeros(rois.shape[:2]).scatter_reduce_(0, _rows(sample, rois), overlap, "amax")


def _rows(sample: Tensor, rois: Tensor) -> Tensor:
    """(N,R) the row of each of N objects in a table of samples."""
    return sample[:, None].expand(-1, rois.shape[1])


def roi_targets(match: RoiMatch, config: RoiConfig, generator: torch.Generator | None) -> RoiTargets:
    """Sample proposals and compute their targets.

    Args:
        match: matches of the proposals.
        config: rule of sampling.
        generator: random generator on the CPU; None = torch's global one.
    """
    proposal = _sampled(match, config, generator)
    there, iou, box, unknown = (column.gather(1, proposal) for column in vars(match).values())
    low, high = config.confidence_iou
    confidence = ((iou - low) / (high - low)).clamp(0, 1)
    counted = there & ~(unknown & (iou < config.foreground_iou))
    return RoiTargets(proposal, confidence, counted, torch.where(iou > config.foreground_iou, box, -1))


def _sampled(match: RoiMatch, config: RoiConfig, generator: torch.Generator | None) -> Tensor:
    """(S,T) sampled rows; those of a sample without proposals are arbitrary.

    The proposals of a sample are put in order of their kind, and at random within a kind. First come those with a box,
    then those with a cluster; all of them if they are not too many, else those with boxes first, and others are drawn
    with replacement. Then come hard and easy background, drawn with replacement. Without background, the foreground is
    drawn again; the published sampler raises an error there.
    """
    (samples, rois), wanted, most = match.iou.shape, config.samples, config.most_foreground
    random = torch.rand(samples, rois + wanted, generator=generator).to(match.iou.device, non_blocking=True)
    kind = torch.where(match.iou >= config.easy_iou, 2, 3)
    kind = torch.where(match.iou >= config.foreground_iou, (match.box < 0).long(), kind)
    kind = torch.where(match.there, kind, 4)
    order = torch.argsort(kind + random[:, :rois] / 2, dim=1, stable=True)
    counts = (kind[..., None] == torch.arange(4, device=kind.device)).sum(dim=1)
    boxed, class_only, hard, easy = torch.split(counts, 1, dim=1)
    slot, draw = torch.arange(wanted, device=kind.device), random[:, rois:]
    foreground, background = boxed + class_only, hard + easy
    taken = foreground.clamp(max=most)
    first = torch.where((foreground <= most) | (slot < boxed), slot, boxed + (draw * class_only).long())
    left = wanted - taken
    num_hard = torch.where(easy > 0, torch.minimum((left.double() * config.hard_share).long(), hard), left)
    among_hard, among_easy = foreground + (draw * hard).long(), foreground + hard + (draw * easy).long()
    then = torch.where(slot < taken + num_hard, among_hard, among_easy)
    then = torch.where(background > 0, then, first.gather(1, (draw * taken).long()))
    place = torch.where(slot < taken, first, then)
    return order.gather(1, place.clamp(max=rois - 1))
