"""Second-stage targets: proposals meet boxes by volume and clusters by points; those met by a cluster teach class only.

R proposals, T of them sampled. Source: method.md B.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.base.ranges import require
from pointsam.detect.assign.overlap import box_cluster_iou
from pointsam.detect.boxes import iou_3d, points_in_boxes
from pointsam.detect.labels import SampleLabels


@dataclass(frozen=True)
class RoiConfig:
    """How proposals are matched and sampled.

    Args:
        samples: proposals a sample that are trained on.
        most_foreground: of them.
        foreground_iou: from here on a proposal is foreground, and above it regresses a box.
        easy_iou: background below is easy.
        hard_share: of the background, at most, that is hard.
        confidence_iou: confidence is 0 below the first, 1 above the second, linear between.

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
        require(0 <= self.hard_share <= 1, "roi.hard_share", self.hard_share, "a share")
        low, high = self.confidence_iou
        require(0 <= low < high <= 1, "roi.confidence_iou", self.confidence_iou, "two rising shares")


@dataclass(frozen=True, eq=False)
class RoiMatch:
    """What each proposal met of its own class.

    Args:
        iou: (R,) the larger of its overlaps with boxes and clusters.
        box: (R,) the box it met, -1 where it met nothing or a cluster more: then it teaches its class only.
        unknown: (R,) bool, it holds unknown points.
    """

    iou: Tensor
    box: Tensor
    unknown: Tensor


@dataclass(frozen=True, eq=False)
class RoiTargets:
    """What the sampled proposals of one sample should say.

    Args:
        proposal: (T,) which; with repetitions.
        confidence: (T,) in [0,1].
        counted: (T,) bool, whether the confidence counts: not that of background which holds unknown points.
        box: (T,) the box to regress, -1 for none.
    """

    proposal: Tensor
    confidence: Tensor
    counted: Tensor
    box: Tensor


def match_rois(labels: SampleLabels, rois: Tensor, roi_class: Tensor) -> RoiMatch:
    """Overlaps of proposals with boxes (3D) and clusters (points).

    Args:
        labels: of one sample.
        rois: (R,7).
        roi_class: (R,) predicted class_id.
    """
    volume = iou_3d(rois, labels.boxes) * (roi_class[:, None] == labels.box_class)
    point, roi = points_in_boxes(labels.xyz, rois)
    shared = box_cluster_iou(point, roi, len(rois), labels.cluster_id, labels.cluster_points)
    shared = shared * (roi_class[:, None] == labels.cluster_class)
    by_box, box = _most(volume)
    by_cluster, _ = _most(shared)
    box = torch.where((by_box > 0) & (by_cluster <= by_box), box, -1)
    unknown = torch.bincount(roi[labels.unknown[point]], minlength=len(rois)) > 0
    return RoiMatch(torch.maximum(by_box, by_cluster), box, unknown)


def _most(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) largest overlap and where; 0 and -1 without columns."""
    if overlap.shape[1] == 0:
        return overlap.new_zeros(len(overlap)), torch.full((len(overlap),), -1, device=overlap.device)
    most, where = overlap.max(dim=1)
    return most, where


def roi_targets(match: RoiMatch, config: RoiConfig, generator: torch.Generator | None) -> RoiTargets:
    """Sample proposals and say what they should say.

    Args:
        match: of one sample.
        config: the rule.
        generator: of the draws, on the CPU; torch's own if none.
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
    if len(hard) + len(easy) == 0:  # the published sampler raises here
        return torch.cat([chosen, _drawn(chosen, left, generator)])
    num_hard = min(int(left * config.hard_share), len(hard)) if len(easy) else left
    return torch.cat([chosen, _drawn(hard, num_hard, generator), _drawn(easy, left - num_hard, generator)])


def _places(mask: Tensor) -> Tensor:
    return mask.nonzero(as_tuple=True)[0]


def _drawn(among: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(count,) with replacement; none of none."""
    if len(among) == 0:
        return among
    return among[torch.randint(len(among), (count,), generator=generator).to(among.device)]
