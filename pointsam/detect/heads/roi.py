"""A second stage: it predicts the quality of each proposal and refines its box, from the points inside.

The stage uses points instead of voxels: all points of the key sweep, with the features of the map at their positions.
It therefore works with pillar and voxel encoders, loses nothing to the sampling of key points (farthest-point sampling
is slow in plain torch), and can use the cluster id of every point directly.

P points, K pairs of a point and a proposal, R proposals, G bins along a proposal's side. Source: PV-RCNN
(arXiv 1912.13192), Part-A2 (arXiv 1907.03670) for the bins; targets and losses docs/method.md B.8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pointsam.base.document import OPTIONAL
from pointsam.detect.assign.roi import RoiConfig, match_rois, roi_targets
from pointsam.detect.boxes import corners_bev, point_box_pairs, wrapped
from pointsam.detect.heads.base import PRIOR_LOGIT, Losses
from pointsam.detect.labels import SampleLabels
from pointsam.detect.losses import divisor, masked_smooth_l1, sigmoid_focal
from pointsam.detect.nets.grid import MapShape, scatter_max
from pointsam.detect.nets.norm import norm_relu
from pointsam.detect.predictions import BatchPredictions, Predictions

_RING_M = 0.2
"""Points between a box and the box enlarged by this are neither foreground nor background (docs/method.md B.8)."""


@dataclass(frozen=True)
class RoiHeadConfig:
    """The configuration of a second stage.

    Args:
        sampling: how proposals are matched and sampled in training.
        cells: G, bins along each side of a proposal.
        point_channels: number of features of a point.
        channels: number of features of a proposal.
        enlarge_m: proposals are enlarged by this along each axis before their points are collected.
        confidence_weight, box_weight, corner_weight, point_weight: weights of the four losses.
        test_proposals: number of proposals of highest score that are refined in prediction.
        score_threshold: predictions of a lower score are dropped.
        nms_iou: overlap in bird's-eye view above which the weaker of two boxes is suppressed.
        most: largest number of boxes per sample.
        nms_across: whether a box also suppresses boxes of other classes, as published.
    """

    sampling: RoiConfig = RoiConfig()
    cells: int = 6
    point_channels: int = 32
    channels: int = 256
    enlarge_m: float = 0.5
    confidence_weight: float = 1.0
    box_weight: float = 1.0
    corner_weight: float = 1.0
    point_weight: float = 1.0
    test_proposals: int = 100
    score_threshold: float = 0.1
    nms_iou: float = 0.1
    most: int = 300
    nms_across: bool = field(default=False, metadata=OPTIONAL)


class RoiHead(nn.Module):
    """A second stage.

    Args:
        channels: number of channels of the feature map.
        features: F, number of features of an input point: x, y, z and others.
        map_shape: geometry of the feature map.
        config: configuration.
    """

    def __init__(self, channels: int, features: int, map_shape: MapShape, config: RoiHeadConfig) -> None:
        super().__init__()
        self.map_shape, self.config = map_shape, config
        width = config.point_channels
        self.points = nn.Sequential(nn.Linear(channels + features - 2, width, bias=False), *norm_relu(width))
        self.foreground = nn.Linear(width, 1)
        nn.init.constant_(self.foreground.bias, PRIOR_LOGIT)
        self.local = nn.Sequential(nn.Linear(width + 7, width, bias=False), *norm_relu(width))
        bins = config.cells**3
        self.trunk = nn.Sequential(
            nn.Linear(bins * width, config.channels, bias=False),
            *norm_relu(config.channels),
            nn.Linear(config.channels, config.channels, bias=False),
            *norm_relu(config.channels),
        )
        self.confidence = nn.Linear(config.channels, 1)
        self.residuals = nn.Linear(config.channels, 7)
        for last in (self.confidence, self.residuals):
            nn.init.normal_(last.weight, std=0.001)
            nn.init.zeros_(last.bias)

    def loss(
        self,
        x: Tensor,
        points: Sequence[Tensor],
        proposals: Sequence[Predictions],
        labels: Sequence[SampleLabels],
        generator: torch.Generator | None,
    ) -> Losses:
        """The four losses.

        Args:
            x: (S,C,H,W) feature map.
            points: (S) arrays (P,F), the points of the key sweep in the order of `labels.xyz`.
            proposals: (S) proposals, without gradients.
            labels: (S) labels.
            generator: random generator for the sampling of proposals; None = torch's global one.
        """
        matches = [match_rois(s, p.boxes, p.class_id) for s, p in zip(labels, proposals, strict=True)]
        targets = [roi_targets(match, self.config.sampling, generator) for match in matches]
        rois = [p.boxes[t.proposal] for p, t in zip(proposals, targets, strict=True)]
        features, logits = self._point_features(x, points)
        trunk = self._roi_features(features, points, rois)
        confidence, residuals = self.confidence(trunk)[:, 0], self.residuals(trunk)
        counted, target_confidence = (
            torch.cat([getattr(t, name) for t in targets]) for name in ("counted", "confidence")
        )
        cross_entropy = functional.binary_cross_entropy_with_logits(
            confidence.float(), target_confidence, reduction="none"
        )
        boxed = torch.cat([t.box for t in targets]) >= 0
        target_boxes = torch.cat([s.boxes[t.box[t.box >= 0]] for s, t in zip(labels, targets, strict=True)])
        base, predicted = torch.cat(rois)[boxed], residuals[boxed].float()
        apart = masked_smooth_l1(predicted, encode_roi(target_boxes, base), predicted.new_ones(7))
        corners = _corner_distance(decode_roi(predicted, base), target_boxes)
        point_loss, num_points = _point_loss(logits, points, labels)
        counts = torch.stack([counted.sum(), boxed.sum(), num_points])
        num_counted, num_boxes, num_points = divisor(counts)
        config = self.config
        return {
            "roi confidence": (cross_entropy * counted).sum() / num_counted * config.confidence_weight,
            "roi box": apart.sum() / num_boxes * config.box_weight,
            "roi corner": corners.sum() / num_boxes * config.corner_weight,
            "roi point": point_loss / num_points * config.point_weight,
        }

    def predict(self, x: Tensor, points: Sequence[Tensor], proposals: Sequence[Predictions]) -> list[Predictions]:
        """Refined boxes of each sample, by descending score; arguments as those of `loss`."""
        config, every = self.config, BatchPredictions.join([p.best(self.config.test_proposals) for p in proposals])
        features, _ = self._point_features(x, points)
        trunk = self._roi_features(features, points, [p.boxes for p in every.split()])
        score, residuals = self.confidence(trunk)[:, 0].float().sigmoid(), self.residuals(trunk).float().clamp(-10, 10)
        refined = replace(every.every, boxes=decode_roi(residuals, every.every.boxes), score=score)
        sure = replace(every, every=refined)[score >= config.score_threshold]
        apart = None if config.nms_across else sure.every.class_id
        return sure.suppressed(config.most, config.nms_iou, apart).best(config.most).split()

    def _point_features(self, x: Tensor, points: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Point features (P,width) of each sample, weighted by the foreground probability, and its (ΣP,) logits."""
        (height, width), origin_m, location_m = self.map_shape.shape, self.map_shape.origin_m, self.map_shape.location_m
        rows = []
        for k, own in enumerate(points):
            columns = [
                (own[:, axis] - origin_m[axis]) / location_m[axis] / size * 2 - 1
                for axis, size in enumerate((width, height))
            ]
            at = torch.stack(columns, dim=1)[None, None]
            beneath = functional.grid_sample(x[k : k + 1].float(), at, align_corners=False)[0, :, 0].T
            rows.append(torch.cat([beneath, own[:, 2:]], dim=1))
        features = self.points(torch.cat(rows))
        logits = self.foreground(features)[:, 0]
        weighted = features * logits.sigmoid()[:, None]
        return list(torch.split(weighted, [len(own) for own in points])), logits

    def _roi_features(self, features: list[Tensor], points: Sequence[Tensor], rois: Sequence[Tensor]) -> Tensor:
        """(ΣR,channels) features of all proposals, from the maximum over the points in each bin."""
        bins, parts, owner, start = self.config.cells, [], [], 0
        for own, feature, boxes in zip(points, features, rois, strict=True):
            large = torch.cat([boxes[:, :3], boxes[:, 3:6] + self.config.enlarge_m, boxes[:, 6:]], dim=1)
            point, roi = point_box_pairs(own[:, :3], large)
            local = _into(own[point, :3], large[roi])
            position = local / large[roi, 3:6] + 0.5
            at = (position * bins).long().clamp(0, bins - 1)
            owner.append((roi + start) * bins**3 + (at[:, 2] * bins + at[:, 1]) * bins + at[:, 0])
            size = large[roi, 3:6].log()
            far = torch.linalg.norm(own[point, :2], dim=1, keepdim=True) / 50
            parts.append(torch.cat([feature[point], position - 0.5, size, far], dim=1))
            start += len(boxes)
        pooled = scatter_max(self.local(torch.cat(parts)), torch.cat(owner), start * bins**3)
        out: Tensor = self.trunk(pooled.view(start, bins**3 * pooled.shape[1]))
        return out


def _into(xyz: Tensor, boxes: Tensor) -> Tensor:
    """(K,3) points in the frames of their boxes."""
    offset = xyz - boxes[:, :3]
    c, s = boxes[:, 6].cos(), boxes[:, 6].sin()
    x, y = offset[:, 0], offset[:, 1]
    return torch.stack([c * x + s * y, c * y - s * x, offset[:, 2]], dim=1)


def encode_roi(boxes: Tensor, rois: Tensor) -> Tensor:
    """(N,7) residuals of boxes in the frames of proposals; the yaw is taken modulo 180 degrees, in [-90, 90)."""
    diagonal = torch.linalg.norm(rois[:, 3:5], dim=1, keepdim=True)
    offset = _into(boxes[:, :3], rois) / torch.cat([diagonal, diagonal, rois[:, 5:6]], dim=1)
    turn = torch.remainder(boxes[:, 6:] - rois[:, 6:] + math.pi / 2, math.pi) - math.pi / 2
    return torch.cat([offset, (boxes[:, 3:6] / rois[:, 3:6]).log(), turn], dim=1)


def decode_roi(residuals: Tensor, rois: Tensor) -> Tensor:
    """(N,7) boxes of residuals, yaw in (-pi, pi]: the inverse of `encode_roi` up to half turns."""
    diagonal = torch.linalg.norm(rois[:, 3:5], dim=1, keepdim=True)
    local = residuals[:, :3] * torch.cat([diagonal, diagonal, rois[:, 5:6]], dim=1)
    c, s = rois[:, 6].cos(), rois[:, 6].sin()
    x, y = local[:, 0], local[:, 1]
    center = torch.stack([c * x - s * y, s * x + c * y, local[:, 2]], dim=1) + rois[:, :3]
    yaw = wrapped(residuals[:, 6:] + rois[:, 6:])
    return torch.cat([center, residuals[:, 3:6].exp() * rois[:, 3:6], yaw], dim=1)


def _corner_distance(predicted: Tensor, target: Tensor) -> Tensor:
    """(N,) mean smooth-L1 distance of the eight corners; the target may be turned by 180 degrees, corner by corner."""
    headings = [_corners(target), _corners(torch.cat([target[:, :6], target[:, 6:] + math.pi], dim=1))]
    apart = torch.stack([torch.linalg.norm(_corners(predicted) - corners, dim=2) for corners in headings]).amin(dim=0)
    return functional.smooth_l1_loss(apart, torch.zeros_like(apart), reduction="none").mean(dim=1)


def _corners(boxes: Tensor) -> Tensor:
    flat = corners_bev(boxes)
    ends = [boxes[:, 2] + sign * boxes[:, 5] / 2 for sign in (-1, 1)]
    return torch.cat([torch.cat([flat, end[:, None, None].expand(-1, 4, 1)], dim=2) for end in ends], dim=1)


def _point_loss(logits: Tensor, points: Sequence[Tensor], labels: Sequence[SampleLabels]) -> tuple[Tensor, Tensor]:
    """Summed focal loss of foreground points, in a box or of a cluster, and their number.

    It skips the ring around boxes, and unknown points.
    """
    targets, counted = [], []
    for own, sample_labels in zip(points, labels, strict=True):
        inside = torch.zeros(len(own), dtype=torch.bool, device=own.device)
        ring = inside.clone()
        inside[point_box_pairs(own[:, :3], sample_labels.boxes)[0]] = True
        large = torch.cat(
            [sample_labels.boxes[:, :3], sample_labels.boxes[:, 3:6] + _RING_M, sample_labels.boxes[:, 6:]], dim=1
        )
        ring[point_box_pairs(own[:, :3], large)[0]] = True
        positive = inside | (sample_labels.cluster_id >= 0)
        targets.append(positive)
        counted.append(positive | ~(ring | sample_labels.unknown))
    positive = torch.cat(targets)
    return (sigmoid_focal(logits, positive) * torch.cat(counted)).sum(), positive.sum()
