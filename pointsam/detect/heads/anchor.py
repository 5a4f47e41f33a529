"""SECOND's head: every anchor has one class logit, residuals of its box, and a direction.

The class logit is that of the anchor's own class. S samples, K classes, R rotations, H and W rows and columns of the
feature map. Source: SECOND (Sensors 18(10), 2018); losses docs/method.md B.7.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pointsam.base.document import OPTIONAL
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require, require_between
from pointsam.detect.assign.anchor import (
    IGNORED,
    POSITIVE,
    Match,
    anchor_targets,
    decode_boxes,
    encode_boxes,
    sine_difference,
)
from pointsam.detect.assign.anchor_map import AnchorClass, AnchorMap, Places
from pointsam.detect.boxes import wrapped
from pointsam.detect.heads.base import PRIOR_LOGIT, Losses, require_head
from pointsam.detect.labels import BatchLabels
from pointsam.detect.losses import masked_smooth_l1, sigmoid_focal
from pointsam.detect.nets.encoders import MOST_CHANNELS
from pointsam.detect.nets.grid import MapShape
from pointsam.detect.nets.norm import conv_norm_relu
from pointsam.detect.predictions import BatchPredictions, Predictions, at_least
from pointsam.taxonomy import ClassSpec

_CODE = 9
"""Regressed numbers of an anchor: seven residuals and a velocity (2)."""
_TURN = math.pi / 4
"""The two direction bins are split at 45 degrees, where few objects point (SECOND)."""


@dataclass(frozen=True)
class AnchorHeadConfig:
    """The configuration of an anchor head.

    Args:
        kind: name of the head.
        anchors: anchors of every class.
        channels: width of a convolution before the outputs; 0 = no convolution, as published for KITTI.
        balance: divide the class loss of each class by the number of its own positive anchors, as centre heads do.
            Published: divide by the positive anchors of all classes. Rare or small classes then have little weight
            beside the many anchors of cars.
        match: how anchors are assigned to boxes and clusters: "overlap", as published, or "centers" (see
            `anchor_targets`).
        class_weight, box_weight, direction_weight: weights of the three losses.
        velocity_weight: weight of the velocity in the box loss.
        score_threshold: predictions of a lower score are dropped.
        candidates: number of anchors of highest score that are decoded, all classes together.
        nms_iou: overlap in bird's-eye view above which the weaker of two boxes is suppressed.
        most: largest number of boxes per sample.
        proposals: largest number of proposals per sample for a second stage.
        proposal_nms_iou: as `nms_iou`, for proposals, across classes.
        places: where the anchors are (assign.anchor.AnchorMap).
        nms_across: whether a box also suppresses boxes of other classes, as published.
        proposal_candidates: as `candidates`, for proposals in training; None = `candidates`.
        test_proposal_candidates, test_proposal_nms_iou: the same two for proposals in prediction; None = as in
            training.
    """

    kind: Literal["anchor"] = field(default="anchor", kw_only=True)
    anchors: tuple[AnchorClass, ...]
    channels: int = 0
    balance: bool = False
    match: Match = "overlap"
    class_weight: float = 1.0
    box_weight: float = 2.0
    direction_weight: float = 0.2
    velocity_weight: float = 0.2
    score_threshold: float = 0.1
    candidates: int = 1000
    nms_iou: float = 0.1
    most: int = 300
    proposals: int = 256
    proposal_nms_iou: float = 0.8
    places: Places = field(default="centers", metadata=OPTIONAL)
    nms_across: bool = field(default=False, metadata=OPTIONAL)
    proposal_candidates: int | None = field(default=None, metadata=OPTIONAL)
    test_proposal_candidates: int | None = field(default=None, metadata=OPTIONAL)
    test_proposal_nms_iou: float | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(
            len(set(self.class_names)) == len(self.anchors) > 0,
            "detector.head.anchors",
            self.class_names,
            "every class once",
        )
        require_head(self, "detector.head")
        require_between(self, "detector.head", 0, MOST_CHANNELS, ("channels",))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes."""
        return tuple(some.name for some in self.anchors)

    @property
    def takes_centers(self) -> bool:
        """Whether it can be trained on centres without points: the overlap with a cluster needs points."""
        return self.match == "centers"

    def without(self, names: Collection[str]) -> AnchorHeadConfig:
        """The anchors of the other classes."""
        return replace(self, anchors=tuple(anchors for anchors in self.anchors if anchors.name not in names))

    def for_classes(self, classes: Sequence[ClassSpec]) -> AnchorHeadConfig:
        """Anchors of these classes. New ones have the typical size of their class, stand on the ground, and have the
        thresholds of the anchors whose volume is nearest.

        Raises:
            SchemaError: SCH005 on a class without a typical size.
        """
        known = {anchors.name: anchors for anchors in self.anchors}
        return replace(self, anchors=tuple(known.get(spec.name) or self._anchors_of(spec) for spec in classes))

    def _anchors_of(self, spec: ClassSpec) -> AnchorClass:
        size = spec.typical_lwh_m
        if size is None:
            raise SchemaError(
                "SCH005",
                f"class {spec.name!r} has no typical size, which anchors need",
                "state its size_lwh_m in the mapping file that the labels are made with, or use a recipe with a centre "
                "head",
            )
        ground_m = min(anchors.center_z_m - anchors.size_lwh_m[2] / 2 for anchors in self.anchors)
        near = min(self.anchors, key=lambda anchors: abs(math.log(math.prod(anchors.size_lwh_m) / math.prod(size))))
        return replace(near, name=spec.name, size_lwh_m=size, center_z_m=round(ground_m + size[2] / 2, 3))

    def ablations(self) -> dict[str, AnchorHeadConfig]:
        """Matching by overlap, and matching by overlap with the thresholds of boxes for clusters, too."""
        by_overlap = replace(self, match="overlap")
        anchors = tuple(replace(some, cluster_iou=some.box_iou) for some in self.anchors)
        configs = {"by overlap": by_overlap} if self.match == "centers" else {}
        return configs | {"by overlap, one threshold": replace(by_overlap, anchors=anchors)}

    def build(self, channels: int, map_shape: MapShape, class_ids: Mapping[str, int]) -> AnchorHead:
        """The network."""
        return AnchorHead(channels, map_shape, class_ids, self)


@dataclass(frozen=True, eq=False)
class AnchorOutput:
    """The output of an anchor head.

    Args:
        logits: (S,K,R,H,W) class logits.
        residuals: (S,K,R,H,W,9) residuals of the box, and velocity.
        direction: (S,K,R,H,W,2) logits of the direction bins.
    """

    logits: Tensor
    residuals: Tensor
    direction: Tensor


class AnchorHead(nn.Module):
    """An anchor head.

    Args:
        channels: number of channels of the feature map.
        map_shape: geometry of the feature map.
        class_ids: class_id by class name.
        config: configuration.
    """

    anchors: Tensor
    weights: Tensor
    class_ids: Tensor

    def __init__(
        self, channels: int, map_shape: MapShape, class_ids: Mapping[str, int], config: AnchorHeadConfig
    ) -> None:
        super().__init__()
        self.config = config
        ids = tuple(class_ids[name] for name in config.class_names)
        self.map = AnchorMap(**vars(map_shape), classes=config.anchors, class_ids=ids, places=config.places)
        anchors = torch.stack([self.map.boxes(some) for some in config.anchors])
        self.register_buffer("anchors", anchors, persistent=False)
        weights = torch.tensor([1.0] * 7 + [config.velocity_weight] * 2)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("class_ids", torch.tensor(ids), persistent=False)
        self.kinds = anchors.shape[0] * anchors.shape[1]
        last = nn.Conv2d(config.channels or channels, self.kinds * (1 + _CODE + 2), 1)
        with torch.no_grad():
            nn.init.normal_(last.weight, std=0.01)
            last.bias.zero_()  # type: ignore[union-attr]
            last.bias[: self.kinds] = PRIOR_LOGIT  # type: ignore[index]
        between = conv_norm_relu(channels, config.channels) if config.channels else []
        self.layers = nn.Sequential(*between, last)

    def forward(self, x: Tensor) -> AnchorOutput:
        """The output for a feature map (S,C,H,W)."""
        parts = torch.split(self.layers(x), [self.kinds, self.kinds * _CODE, self.kinds * 2], dim=1)
        k, r, h, w, _ = self.anchors.shape
        logits, residuals, direction = (part.view(len(x), k, r, -1, h, w).movedim(3, -1) for part in parts)
        return AnchorOutput(logits[..., 0], residuals, direction)

    def loss(self, output: AnchorOutput, labels: BatchLabels) -> Losses:
        """Class, box and direction loss: the mean over samples, each normalised by its own counts."""
        config, targets, every = self.config, anchor_targets(labels, self.map, self.config.match), labels.every
        positive, boxed = targets.label == POSITIVE, targets.box >= 0
        focal = sigmoid_focal(output.logits, positive) * (targets.label != IGNORED)
        parts = (2, 3, 4) if config.balance else (1, 2, 3, 4)
        class_loss = (focal.sum(parts) / positive.sum(parts).clamp(min=1)).sum()
        at = boxed.nonzero(as_tuple=True)
        share = 1 / boxed.flatten(1).sum(dim=1).clamp(min=1)[at[0]]  # the weight of a row in its sample
        box = targets.box[at]
        target = torch.cat([encode_boxes(every.boxes[box], self.anchors[at[1:]]), every.velocity[box]], dim=1)
        predicted = output.residuals[at].float()
        predicted_yaw, target_yaw = sine_difference(predicted[:, 6:7], target[:, 6:7])
        predicted = torch.cat([predicted[:, :6], predicted_yaw, predicted[:, 7:]], dim=1)
        target = torch.cat([target[:, :6], target_yaw, target[:, 7:]], dim=1)
        box_loss = (masked_smooth_l1(predicted, target, self.weights) * share).sum()
        bins, yaw = output.direction[at].float(), every.boxes[box, 6]
        direction_loss = functional.cross_entropy(bins, half_turn(yaw), reduction="none")
        samples = len(labels)
        return {
            "class": class_loss * (config.class_weight / samples),
            "box": box_loss * (config.box_weight / samples),
            "direction": (direction_loss * share).sum() * (config.direction_weight / samples),
        }

    def predict(self, output: AnchorOutput) -> list[Predictions]:
        """Predictions of each sample, by descending score."""
        config = self.config
        every = self._decoded(output, config.score_threshold, config.candidates)
        apart = None if config.nms_across else every.every.class_id
        return every.suppressed(config.most, config.nms_iou, apart).best(config.most).split()

    def propose(self, output: AnchorOutput) -> BatchPredictions:
        """Proposals of each sample for a second stage, without a score threshold."""
        config = self.config
        candidates, iou = config.proposal_candidates or config.candidates, config.proposal_nms_iou
        if not self.training:
            candidates = config.test_proposal_candidates or candidates
            iou = iou if config.test_proposal_nms_iou is None else config.test_proposal_nms_iou
        return self._decoded(output, 0.0, candidates).suppressed(config.proposals, iou)

    def _decoded(self, output: AnchorOutput, threshold: float, candidates: int) -> BatchPredictions:
        """The boxes of all samples of at least this score."""
        k, r, h, w, _ = self.anchors.shape
        score, flat = output.logits.float().sigmoid().flatten(1).topk(min(candidates, k * r * h * w), dim=1)
        sample, at = at_least(score, threshold)
        kept = flat[sample, at]
        residuals = output.residuals.reshape(len(score), -1, _CODE)[sample, kept].float()
        boxes = decode_boxes(residuals[:, :7].clamp(-20, 20), self.anchors.view(-1, 7)[kept])
        half = output.direction.reshape(len(score), -1, 2)[sample, kept].argmax(dim=1)
        yaw = wrapped(torch.remainder(boxes[:, 6] - _TURN, math.pi) + _TURN + math.pi * half)
        boxes = torch.cat([boxes[:, :6], yaw[:, None]], dim=1)
        found = Predictions(boxes, score[sample, at], self.class_ids[kept // (r * h * w)], residuals[:, 7:])
        return BatchPredictions(found, sample, len(score))


def half_turn(yaw: Tensor) -> Tensor:
    """(N,) 0 for a yaw in [45, 225) degrees, 1 for the other half of the circle."""
    return (torch.remainder(yaw - _TURN, 2 * math.pi) >= math.pi).long()
