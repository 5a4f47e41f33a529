"""CenterPoint's head: one heat map per class, and a box at each of its peaks.

CenterPoint regresses the heading as (cos yaw, sin yaw). While front and back of an object look alike, the best guess is
then close to 0, so that not even its axis is learned. `heading="axis"` splits the two questions: the axis is regressed
as (cos 2 yaw, sin 2 yaw), which is the same for both directions, and a vector that is trained as a logistic classifier
says which of them is the front (`losses.facing`).

Source: CenterPoint (arXiv 2006.11275); losses docs/method.md B.5. Unlike CenterPoint, one branch regresses all numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pointsam.base.document import OPTIONAL
from pointsam.base.ranges import require, require_between
from pointsam.detect.assign.center import CODE, CenterMap, Peak, center_targets
from pointsam.detect.boxes import toward
from pointsam.detect.heads.base import PRIOR_LOGIT, Losses, branch, require_head
from pointsam.detect.labels import BatchLabels
from pointsam.detect.losses import divisor, facing, heat_focal, masked_l1
from pointsam.detect.nets.encoders import MOST_CHANNELS
from pointsam.detect.nets.grid import MapShape
from pointsam.detect.nets.norm import conv_norm_relu
from pointsam.detect.predictions import BatchPredictions, Predictions, at_least
from pointsam.taxonomy import ClassSpec

Heading = Literal["vector", "axis"]
_COS, _SIN = CODE.index("cos yaw"), CODE.index("sin yaw")
_SMALL_M = 1.0
"""Typical length below which a class has small peaks."""
_LARGEST_LOG = 4.0
"""Decoded logarithms of sizes in metres are clamped to this: an untrained head may predict any size."""


@dataclass(frozen=True)
class CenterHeadConfig:
    """The configuration of a centre head.

    Args:
        kind: name of the head.
        groups: class names of each heat branch; classes of one group suppress each other.
        smallest_radius: smallest radius of a peak in locations of the feature map, by class name.
        default_radius: the same for classes that `smallest_radius` does not list.
        reach: distance from its peak, in locations, up to which a box is also regressed (assign.center.CenterMap).
        peak: position of a box's peak, "visible" or "true" (assign.center.CenterMap).
        heading: how the heading is predicted: "vector", as published, or "axis" (see above). With "axis", the numbers
            "cos yaw" and "sin yaw" of CODE are those of twice the yaw.
        channels: width of the shared layer and of the branches.
        class_weight: weight of the heat loss.
        box_weight: weight of the regression loss.
        code_weights: weight of each regressed number (assign.center.CODE) in the regression loss.
        facing_weight: weight of the loss of front and back, with `heading="axis"`.
        score_threshold: predictions of a lower score are dropped.
        candidates: number of locations of highest score that are decoded in each group.
        nms_iou: overlap in bird's-eye view above which the weaker of two boxes of a group is suppressed.
        most: largest number of boxes per sample.
        proposals: largest number of proposals per sample for a second stage.
        proposal_nms_iou: as `nms_iou`, for proposals, across groups.
        most_of_group: largest number of boxes of a group; None = `most`.
        heat_bias: initial bias of the heat logits.
    """

    kind: Literal["center"] = field(default="center", kw_only=True)
    groups: tuple[tuple[str, ...], ...]
    smallest_radius: dict[str, int]
    default_radius: int = 3
    reach: int = 0
    peak: Peak = "visible"
    heading: Heading = field(default="vector", metadata=OPTIONAL)
    channels: int = 64
    class_weight: float = 1.0
    box_weight: float = 0.25
    code_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 1.0, 1.0)
    facing_weight: float = field(default=0.25, metadata=OPTIONAL)
    score_threshold: float = 0.1
    candidates: int = 500
    nms_iou: float = 0.2
    most: int = 300
    proposals: int = 256
    proposal_nms_iou: float = 0.8
    most_of_group: int | None = field(default=None, metadata=OPTIONAL)
    heat_bias: float = field(default=PRIOR_LOGIT, metadata=OPTIONAL)
    takes_centers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        names = [name for group in self.groups for name in group]
        each_once = bool(names) and len(set(names)) == len(names) and all(self.groups)
        require(each_once, "detector.head.groups", self.groups, "every class once, and no empty group")
        require(
            len(self.code_weights) == len(CODE),
            "detector.head.code_weights",
            self.code_weights,
            f"one number for each of {CODE}",
        )
        require_head(self, "detector.head")
        require_between(self, "detector.head", 0, 1000, ("smallest_radius", "default_radius", "reach"))
        require_between(self, "detector.head", 1, MOST_CHANNELS, ("channels",))
        require_between(self, "detector.head", -100, 100, ("heat_bias",))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes."""
        return tuple(name for group in self.groups for name in group)

    def without(self, names: Collection[str]) -> CenterHeadConfig:
        """The groups without some classes; groups that become empty are left out."""
        groups = (tuple(name for name in group if name not in names) for group in self.groups)
        return replace(self, groups=tuple(group for group in groups if group))

    def for_classes(self, classes: Sequence[ClassSpec]) -> CenterHeadConfig:
        """The groups with the classes that they have, and a group for each other class.

        Peaks of classes that are shorter than a metre are as small as those of pedestrians.
        """
        names = [spec.name for spec in classes]
        kept = (tuple(name for name in group if name in names) for group in self.groups)
        new = [spec for spec in classes if spec.name not in self.class_names]
        sizes = {spec.name: spec.typical_lwh_m for spec in new}
        small = [name for name, size in sizes.items() if size is not None and max(size[:2]) < _SMALL_M]
        radius = min(self.smallest_radius.values(), default=self.default_radius)
        return replace(
            self,
            groups=(*(group for group in kept if group), *((spec.name,) for spec in new)),
            smallest_radius={name: r for name, r in self.smallest_radius.items() if name in names}
            | dict.fromkeys(small, radius),
        )

    def ablations(self) -> dict[str, CenterHeadConfig]:
        """Boxes with peaks at their true centres, and boxes that are regressed at their peaks only."""
        configs = {"true peaks": replace(self, peak="true")}
        return configs | ({"no reach": replace(self, reach=0)} if self.reach else {})

    def build(self, channels: int, map_shape: MapShape, class_ids: Mapping[str, int]) -> CenterHead:
        """The network."""
        return CenterHead(channels, map_shape, class_ids, self)


class CenterHead(nn.Module):
    """A centre head.

    Args:
        channels: number of channels of the feature map.
        map_shape: geometry of the feature map.
        class_ids: class_id by class name.
        config: configuration.
    """

    code_weights: Tensor
    group: Tensor
    classes: Tensor

    def __init__(
        self, channels: int, map_shape: MapShape, class_ids: Mapping[str, int], config: CenterHeadConfig
    ) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.shared = nn.Sequential(*conv_norm_relu(channels, width))
        self.heats = nn.ModuleList([branch(width, width, len(group), config.heat_bias) for group in config.groups])
        numbers = len(CODE) + 2 * (config.heading == "axis")  # the last two are the vector to the front
        self.codes = nn.ModuleList([branch(width, width, numbers) for _ in config.groups])
        names = config.class_names
        self.map = CenterMap(
            **vars(map_shape),
            groups=tuple(tuple(class_ids[name] for name in group) for group in config.groups),
            smallest_radius=tuple(config.smallest_radius.get(name, config.default_radius) for name in names),
            reach=config.reach,
            peak=config.peak,
        )
        channels_of_group = [len(group) for group in config.groups]
        group = torch.arange(len(config.groups)).repeat_interleave(torch.tensor(channels_of_group))
        self.register_buffer("group", group, persistent=False)
        self.register_buffer("classes", torch.tensor([class_ids[name] for name in names]), persistent=False)
        self.register_buffer("code_weights", torch.tensor(config.code_weights), persistent=False)

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Heat logits (S,C,H,W) and regressed numbers (S,10,H,W) of each group; 12 numbers with `heading="axis"`."""
        x = self.shared(x)
        return [(heat(x), code(x)) for heat, code in zip(self.heats, self.codes, strict=True)]

    def loss(self, output: list[tuple[Tensor, Tensor]], labels: BatchLabels) -> Losses:
        """Heat and box loss, and that of front and back with `heading="axis"`, summed over groups."""
        config, targets = self.config, center_targets(labels, self.map)
        peaks, boxes = divisor(torch.stack([targets.num_peaks, targets.num_boxes]))
        heat = heat_focal(torch.cat([heat for heat, _ in output], dim=1), targets.heat, targets.counted)
        # Every group is read at all regressed locations; of these numbers, those of the location's own group count.
        of_groups = torch.stack([code[targets.sample, :, targets.row, targets.column] for _, code in output])
        predicted = of_groups[targets.group, torch.arange(len(targets.code), device=of_groups.device)]
        code, boxes = targets.code, boxes[targets.group]
        losses = {"heat": (heat / peaks[self.group]).sum() * config.class_weight}
        regressed = code if config.heading == "vector" else _doubled(code)
        box = masked_l1(predicted[:, : len(CODE)], regressed, self.code_weights)
        losses["box"] = (box / boxes).sum() * config.box_weight
        if config.heading == "axis":
            front = facing(predicted[:, len(CODE) :], code[:, _COS : _SIN + 1])
            losses["facing"] = (front / boxes).sum() * config.facing_weight
        return losses

    def predict(self, output: list[tuple[Tensor, Tensor]]) -> list[Predictions]:
        """Predictions of each sample, by descending score."""
        config = self.config
        predictions, group = self._decoded(output, config.score_threshold)
        most = config.most if config.most_of_group is None else config.most_of_group
        return predictions.suppressed(most, config.nms_iou, group).best(config.most).split()

    def propose(self, output: list[tuple[Tensor, Tensor]]) -> BatchPredictions:
        """Proposals of each sample for a second stage, without a score threshold."""
        config = self.config
        predictions, _ = self._decoded(output, 0.0)
        return predictions.best(config.candidates).suppressed(config.proposals, config.proposal_nms_iou)

    def _decoded(self, output: list[tuple[Tensor, Tensor]], threshold: float) -> tuple[BatchPredictions, Tensor]:
        """The boxes of all samples of at least this score, and (N,) the group of each."""
        (height, width), parts, first = self.map.shape, [], 0
        for group, (heat, code) in enumerate(output):
            candidates = min(self.config.candidates, heat[0].numel())
            score, flat = heat.float().sigmoid().flatten(1).topk(candidates, dim=1)
            location = flat % (height * width)
            values = code.flatten(2).gather(2, location[:, None].expand(-1, code.shape[1], -1)).float()
            channel = flat // (height * width) + first
            parts.append((score, channel, location, values, torch.full_like(flat, group)))
            first += heat.shape[1]
        score, channel, location, values, group_of = (
            torch.cat(columns, dim=-1) for columns in zip(*parts, strict=True)
        )
        sample, at = at_least(score, threshold)
        location, values = location[sample, at], values[sample, :, at]
        xy = torch.stack([location % width, location // width], dim=1) + values[:, :2]
        (x_m, y_m), (step_x_m, step_y_m) = self.map.origin_m, self.map.location_m
        size = values[:, 3:6].clamp(-_LARGEST_LOG, _LARGEST_LOG).exp()
        yaw = torch.atan2(values[:, _SIN], values[:, _COS])
        if self.config.heading == "axis":
            yaw = toward(yaw / 2, values[:, len(CODE) :])
        columns = [xy[:, :1] * step_x_m + x_m, xy[:, 1:] * step_y_m + y_m, values[:, 2:3], size, yaw[:, None]]
        found = Predictions(
            torch.cat(columns, dim=1), score[sample, at], self.classes[channel[sample, at]], values[:, 8:10]
        )
        return BatchPredictions(found, sample, len(score)), group_of[sample, at]


def _doubled(code: Tensor) -> Tensor:
    """(K,10) targets with the cosine and sine of twice the yaw in place of those of the yaw."""
    cos, sin = code[:, _COS : _COS + 1], code[:, _SIN : _SIN + 1]
    return torch.cat([code[:, :_COS], cos**2 - sin**2, 2 * sin * cos, code[:, _SIN + 1 :]], dim=1)
