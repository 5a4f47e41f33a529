"""A second stage: it predicts the quality of each proposal and refines its box, from the points inside.

The stage uses points instead of voxels: all points of the key sweep, with the features of the map at their positions.
It therefore works with pillar and voxel encoders, loses nothing to the sampling of key points (farthest-point sampling
is slow in plain torch), and can use the cluster id of every point directly.

The samples of a batch are computed at once; the host waits once in training, for the number of points in proposals.

S samples, P points of a sample, R proposals of a sample, B boxes of a sample, G bins along a proposal's side.
Source: PV-RCNN (arXiv 1912.13192), Part-A2 (arXiv 1907.03670) for the bins; targets and losses docs/method.md B.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from pointsam.base.document import OPTIONAL
from pointsam.base.ranges import require_between
from pointsam.detect.assign.roi import RoiConfig, match_rois, roi_targets
from pointsam.detect.boxes import points_within
from pointsam.detect.heads.base import PRIOR_LOGIT, Losses, require_head
from pointsam.detect.heads.roi_code import corner_distance, decode_roi, encode_roi, into_boxes
from pointsam.detect.labels import BatchLabels
from pointsam.detect.losses import divisor, masked_smooth_l1, sigmoid_focal
from pointsam.detect.nets.encoders import MOST_CHANNELS
from pointsam.detect.nets.grid import MapShape, map_at, scatter_max
from pointsam.detect.nets.norm import norm_relu
from pointsam.detect.padding import Padding
from pointsam.detect.predictions import BatchPredictions, Predictions

_RING_M = 0.2
"""Points between a box and the box enlarged by this are neither foreground nor background (docs/method.md B.8)."""
_FAR_M = 1e6
"""Coordinates of the rows of a table that hold no point: they are in no box and off the map."""
_NO_BOX = -1e3
"""All numbers of the rows of a table that hold no box: a negative size holds no point, nor does it when enlarged."""


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

    def __post_init__(self) -> None:
        require_head(self, "detector.roi")
        require_between(self, "detector.roi", 1, 32, ("cells",))
        require_between(self, "detector.roi", 1, MOST_CHANNELS, ("point_channels", "channels"))
        require_between(self, "detector.roi", 0, 100, ("enlarge_m",))


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
        proposals: BatchPredictions,
        labels: BatchLabels,
        generator: torch.Generator | None,
    ) -> Losses:
        """The four losses.

        Args:
            x: (S,C,H,W) feature map.
            points: (S) arrays (P,F), the points of the key sweep in the order of `labels.every.xyz`.
            proposals: proposals of all samples, without gradients.
            labels: labels of the batch.
            generator: random generator for the sampling of proposals; None = torch's global one.
        """
        config, cloud, padding = self.config, _Cloud.of(points), proposals.padding
        rois, classes = padding.table(proposals.every.boxes, _NO_BOX), padding.table(proposals.every.class_id, -1)
        (held, in_box), (near, in_ring) = self._tested(cloud, rois, labels)
        match = match_rois(labels, cloud.padding, held, rois, classes)
        targets = roi_targets(match, config.sampling, generator)
        rois = torch.take_along_dim(rois, targets.proposal[..., None], dim=1)
        features, logits = self._point_features(x, cloud)
        near = near.gather(2, targets.proposal[:, None].expand(-1, near.shape[1], -1))
        trunk = self._roi_features(features, cloud, rois, near)
        confidence, residuals = self.confidence(trunk)[:, 0], self.residuals(trunk)
        counted, box = targets.counted.flatten(), targets.box.flatten()
        cross_entropy = functional.binary_cross_entropy_with_logits(
            confidence.float(), targets.confidence.flatten(), reduction="none"
        )
        # Where no box is regressed, the target, the proposal and the prediction are one and the same box.
        boxed, boxes = box >= 0, labels.every.boxes
        target = torch.cat([boxes, boxes.new_ones(1, 7)])[box]
        base = torch.where(boxed[:, None], rois.flatten(0, 1), 1.0)
        predicted = torch.where(boxed[:, None], residuals.float(), 0.0)
        apart = masked_smooth_l1(predicted, encode_roi(target, base), predicted.new_ones(7))
        corners = corner_distance(decode_roi(predicted, base), target)
        point_loss, num_points = _point_loss(logits, cloud, in_box, in_ring, labels)
        num_counted, num_boxes, num_points = divisor(torch.stack([counted.sum(), boxed.sum(), num_points]))
        return {
            "roi confidence": (cross_entropy * counted).sum() / num_counted * config.confidence_weight,
            "roi box": (apart * boxed).sum() / num_boxes * config.box_weight,
            "roi corner": (corners * boxed).sum() / num_boxes * config.corner_weight,
            "roi point": point_loss / num_points * config.point_weight,
        }

    def predict(self, x: Tensor, points: Sequence[Tensor], proposals: BatchPredictions) -> list[Predictions]:
        """Refined boxes of each sample, by descending score; arguments as those of `loss`."""
        config, every, cloud = self.config, proposals.best(self.config.test_proposals), _Cloud.of(points)
        features, _ = self._point_features(x, cloud)
        padding = every.padding
        rois = padding.table(every.every.boxes, _NO_BOX)
        _, near = points_within(cloud.xyz, rois, rois.new_full(rois.shape[1:2], config.enlarge_m / 2))
        trunk = self._roi_features(features, cloud, rois, near)[padding.place]
        score, residuals = self.confidence(trunk)[:, 0].float().sigmoid(), self.residuals(trunk).float().clamp(-10, 10)
        refined = replace(every.every, boxes=decode_roi(residuals, every.every.boxes), score=score)
        sure = replace(every, every=refined)[score >= config.score_threshold]
        apart = None if config.nms_across else sure.every.class_id
        return sure.suppressed(config.most, config.nms_iou, apart).best(config.most).split()

    def _tested(self, cloud: _Cloud, rois: Tensor, labels: BatchLabels) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Whether points lie in proposals and in the boxes of the labels, and in them enlarged.

        Returns:
            two pairs of (S,P,R) for the proposals and (S,P,B) for the boxes.
        """
        counts = [count for count, _, _ in labels.counts]
        boxes = Padding.of_counts(counts, rois.device).table(labels.every.boxes, _NO_BOX)
        sizes = [rois.shape[1], boxes.shape[1]]
        margins = zip(sizes, (self.config.enlarge_m / 2, _RING_M / 2), strict=True)
        margin_m = torch.cat([rois.new_full((size,), margin) for size, margin in margins])
        inside, near = points_within(cloud.xyz, torch.cat([rois, boxes], dim=1), margin_m)
        return torch.split(inside, sizes, dim=2), torch.split(near, sizes, dim=2)

    def _point_features(self, x: Tensor, cloud: _Cloud) -> tuple[Tensor, Tensor]:
        """(ΣP,width) features of points, weighted by the foreground probability, and its (ΣP,) logits."""
        xy, padding = cloud.rows[:, :2], cloud.padding
        beneath = map_at(x.float(), xy, padding.place // padding.most, self.map_shape)
        features = self.points(torch.cat([beneath, cloud.rows[:, 2:]], dim=1))
        logits = self.foreground(features)[:, 0]
        return features * logits.sigmoid()[:, None], logits

    def _roi_features(self, features: Tensor, cloud: _Cloud, rois: Tensor, near: Tensor) -> Tensor:
        """(S*R,channels) features of proposals, from the maximum over the points in each bin.

        Args:
            features: (ΣP,width) features of points.
            cloud: the points.
            rois: (S,R,7) proposals.
            near: (S,P,R) bool, whether each point lies in each of them enlarged.
        """
        bins, (samples, most, _) = self.config.cells, rois.shape
        sample, point, roi = near.nonzero(as_tuple=True)
        own, box = cloud.xyz[sample, point], rois[sample, roi]
        size = box[:, 3:6] + self.config.enlarge_m
        position = into_boxes(own, box) / size + 0.5
        at = (position * bins).long().clamp(0, bins - 1)
        bin_ = (sample * most + roi) * bins**3 + (at[:, 2] * bins + at[:, 1]) * bins + at[:, 0]
        far = torch.linalg.norm(own[:, :2], dim=1, keepdim=True) / 50
        feature = cloud.padding.table(features)[sample, point]
        rows = torch.cat([feature, position - 0.5, size.log(), far], dim=1)
        pooled = scatter_max(self.local(rows), bin_, samples * most * bins**3)
        out: Tensor = self.trunk(pooled.view(samples * most, bins**3 * pooled.shape[1]))
        return out


@dataclass(frozen=True, eq=False)
class _Cloud:
    """The points of a batch.

    Args:
        rows: (ΣP,F) points of all samples.
        padding: their places in a table.
    """

    rows: Tensor
    padding: Padding

    @staticmethod
    def of(points: Sequence[Tensor]) -> _Cloud:
        """The points of each sample."""
        rows = torch.cat(list(points))
        return _Cloud(rows, Padding.of_counts([len(own) for own in points], rows.device))

    @cached_property
    def table(self) -> Tensor:
        """(S,P,F) the points, and far away ones."""
        return self.padding.table(self.rows, _FAR_M)

    @property
    def xyz(self) -> Tensor:
        """(S,P,3) their positions."""
        return self.table[..., :3]


def _point_loss(
    logits: Tensor, cloud: _Cloud, in_box: Tensor, in_ring: Tensor, labels: BatchLabels
) -> tuple[Tensor, Tensor]:
    """Summed focal loss of foreground points, in a box or of a cluster, and their number.

    It skips the ring around boxes, and unknown points.

    Args:
        logits: (ΣP,) logits of foreground.
        cloud: the points.
        in_box: (S,P,B) bool, whether each point lies in each box.
        in_ring: (S,P,B) bool, whether it lies in the box or its ring.
        labels: labels of the batch.
    """
    inside, around = (cloud.padding.rows(within.any(dim=2)) for within in (in_box, in_ring))
    positive = inside | (labels.every.cluster_id >= 0)
    counted = positive | ~(around | labels.every.unknown)
    return (sigmoid_focal(logits, positive) * counted).sum(), positive.sum()
