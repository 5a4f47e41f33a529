"""Second-stage targets: proposals are matched to boxes by volume and to clusters by points.

A proposal that matches a cluster trains the confidence only. R proposals, T of them sampled.

Source: docs/method.md B.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.base.ranges import require
from pointsam.detect.assign.overlap import box_cluster_iou, counts_of
from pointsam.detect.boxes import iou_3d, point_box_pairs
from pointsam.detect.labels import SampleLabels


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
        require(0 < self.most_foreground <= self.samples, "roi.most_foreground", self.most_foreground, "1 to samples")
        require(
            0 <= self.easy_iou < self.foreground_iou <= 1, "roi.easy_iou", self.easy_iou, "less than foreground_iou"
        )
        require(0 <= self.hard_share <= 1, "roi.hard_share", self.hard_share, "a fraction")
        low, high = self.confidence_iou
        require(0 <= low < high <= 1, "roi.confidence_iou", self.confidence_iou, "two increasing fractions")


@dataclass(frozen=True, eq=False)
class RoiMatch:
    """The best match of each proposal among the boxes and clusters of its class.

    Args:
        iou: (R,) its largest overlap with a box or a cluster.
        box: (R,) index of the matched box, -1 where nothing matches or a cluster matches better.
        unknown: (R,) bool, whether it holds unknown points.
    """

    iou: Tensor
    box: Tensor
    unknown: Tensor


@dataclass(frozen=True, eq=False)
class RoiTargets:
    """Targets of the sampled proposals of one sample.

    Args:
        proposal: (T,) index of each sampled proposal, with repetitions.
        confidence: (T,) target confidence in [0,1].
        counted: (T,) bool, False for background that holds unknown points: its confidence is not trained.
        box: (T,) index of the box to regress, -1 for none.
    """

    proposal: Tensor
    confidence: Tensor
    counted: Tensor
    box: Tensor


def match_rois(labels: SampleLabels, rois: Tensor, roi_class: Tensor) -> RoiMatch:
    """Overlaps of proposals with boxes (3D) and clusters (points).

    Args:
        labels: labels of one sample.
        rois: (R,7) proposals.
        roi_class: (R,) predicted class_id.
    """
    volume = iou_3d(rois, labels.boxes) * (roi_class[:, None] == labels.box_class)
    point, roi = point_box_pairs(labels.xyz, rois)
    shared = box_cluster_iou(point, roi, len(rois), labels.cluster_id, labels.cluster_points)
    shared = shared * (roi_class[:, None] == labels.cluster_class)
    by_box, box = _most(volume)
    by_cluster, _ = _most(shared)
    box = torch.where((by_box > 0) & (by_cluster <= by_box), box, -1)
    unknown = counts_of(roi, labels.unknown[point], len(rois)) > 0
    return RoiMatch(torch.maximum(by_box, by_cluster), box, unknown)


def _most(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) largest overlap of each row and its column; 0 and -1 if there are no columns."""
    if overlap.shape[1] == 0:
        return overlap.new_zeros(len(overlap)), torch.full((len(overlap),), -1, device=overlap.device)
    most, where = overlap.max(dim=1)
    return most, where


def roi_targets(match: RoiMatch, config: RoiConfig, generator: torch.Generator | None) -> RoiTargets:
    """Sample proposals and compute their targets.

    Args:
        match: matches of the proposals of one sample.
        config: rule of sampling.
        generator: random generator on the CPU; None = torch's global one.
    """
    proposal = _sampled(match, config, generator)
    iou, box = match.iou[proposal], match.box[proposal]
    low, high = config.confidence_iou
    confidence = ((iou - low) / (high - low)).clamp(0, 1)
    counted = ~(match.unknown[proposal] & (iou < config.foreground_iou))
    return RoiTargets(proposal, confidence, counted, torch.where(iou > config.foreground_iou, box, -1))


def _sampled(match: RoiMatch, config: RoiConfig, generator: torch.Generator | None) -> Tensor:
    foreground = match.iou >= config.foreground_iou
    boxed, class_only = _places(foreground & (match.box >= 0)), _places(foreground & (match.box < 0))
    hard = _places(~foreground & (match.iou >= config.easy_iou))
    easy = _places(~foreground & (match.iou < config.easy_iou))
    most = config.most_foreground
    if len(boxed) + len(class_only) <= most:
        chosen = torch.cat([boxed, class_only])
    else:
        first = boxed[torch.randperm(len(boxed), generator=generator).to(boxed.device)[:most]]
        chosen = torch.cat([first, _drawn(class_only, most - len(first), generator)])
    left = config.samples - len(chosen)
    if len(hard) + len(easy) == 0:  # the published sampler raises an error here
        return torch.cat([chosen, _drawn(chosen, left, generator)])
    num_hard = min(int(left * config.hard_share), len(hard)) if len(easy) else left
    return torch.cat([chosen, _drawn(hard, num_hard, generator), _drawn(easy, left - num_hard, generator)])


def _places(mask: Tensor) -> Tensor:
    return mask.nonzero(as_tuple=True)[0]


def _drawn(among: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(count,) random elements, with replacement; empty if `among` is empty."""
    if len(among) == 0:
        return among
    return among[torch.randint(len(among), (count,), generator=generator).to(among.device)]
