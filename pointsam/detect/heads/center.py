"""CenterPoint's head: a heat map a class, and at each peak a box.

Source: CenterPoint (arXiv 2006.11275); losses method.md B.5. Unlike CenterPoint, one branch regresses the whole code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pointsam.base.ranges import require
from pointsam.detect.assign.center import CODE, CenterMap, Peak, center_targets
from pointsam.detect.heads.base import PRIOR_LOGIT, Losses, branch
from pointsam.detect.labels import SampleLabels
from pointsam.detect.losses import divisor, heat_focal, masked_l1
from pointsam.detect.nets.grid import MapShape
from pointsam.detect.nets.norm import conv_norm_relu
from pointsam.detect.predictions import Predictions, together

_LARGEST_LOG = 4.0
"""Logarithm of a size in metres beyond which nothing is decoded: an untrained head may say anything."""


@dataclass(frozen=True)
class CenterHeadConfig:
    """A centre head.

    Args:
        kind: of the head.
        groups: class names of each heat branch; classes of one group suppress each other.
        smallest_radius: of a peak in cells, by class name; `default_radius` for the others.
        default_radius: cells.
        reach: cells about a box's peak in which it is regressed too (assign.center.CenterMap).
        peak: of a box: "visible" or "true" (there, too).
        channels: of the shared layer and the branches.
        class_weight: of the heat loss.
        box_weight: of the regression loss.
        code_weights: of each regressed number (assign.center.CODE), in the regression loss.
        score_threshold: peaks below are dropped.
        candidates: peaks of a group that are decoded.
        nms_iou: overlap in bird's-eye view from which the weaker of two boxes of a group goes.
        most: boxes a sample.
        proposals: boxes a sample that a second stage looks at, however low their score.
        proposal_nms_iou: their overlap.
    """

    kind: Literal["center"] = field(default="center", kw_only=True)
    groups: tuple[tuple[str, ...], ...]
    smallest_radius: dict[str, int]
    default_radius: int = 3
    reach: int = 0
    peak: Peak = "visible"
    channels: int = 64
    class_weight: float = 1.0
    box_weight: float = 0.25
    code_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 1.0, 1.0)
    score_threshold: float = 0.1
    candidates: int = 500
    nms_iou: float = 0.2
    most: int = 300
    proposals: int = 256
    proposal_nms_iou: float = 0.8
    description: ClassVar[str] = "centers"
    takes_centers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        names = [name for group in self.groups for name in group]
        require(bool(names) and len(set(names)) == len(names), "head.groups", self.groups, "every class once")
        require(len(self.code_weights) == len(CODE), "head.code_weights", self.code_weights, f"one a number of {CODE}")

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes."""
        return tuple(name for group in self.groups for name in group)

    def ablations(self) -> dict[str, CenterHeadConfig]:
        """Boxes that peak at their true middles, and boxes that are regressed at their peaks alone."""
        configs = {"true peaks": replace(self, peak="true")}
        return configs | ({"no reach": replace(self, reach=0)} if self.reach else {})

    def build(self, channels: int, place: MapShape, class_ids: Mapping[str, int]) -> CenterHead:
        """The network."""
        return CenterHead(channels, place, class_ids, self)


class CenterHead(nn.Module):
    """A centre head.

    Args:
        channels: of the map.
        place: the map.
        class_ids: of the class names.
        config: the rest.
    """

    code_weights: Tensor

    def __init__(self, channels: int, place: MapShape, class_ids: Mapping[str, int], config: CenterHeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.shared = nn.Sequential(*conv_norm_relu(channels, width))
        self.heats = nn.ModuleList([branch(width, width, len(group), PRIOR_LOGIT) for group in config.groups])
        self.codes = nn.ModuleList([branch(width, width, len(CODE)) for _ in config.groups])
        self.maps = [
            CenterMap(
                **vars(place),
                classes=tuple(class_ids[name] for name in group),
                smallest_radius=tuple(config.smallest_radius.get(name, config.default_radius) for name in group),
                reach=config.reach,
                peak=config.peak,
            )
            for group in config.groups
        ]
        self.register_buffer("code_weights", torch.tensor(config.code_weights), persistent=False)

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Heat logits (S,C,H,W) and codes (S,10,H,W) of each group."""
        x = self.shared(x)
        return [(heat(x), code(x)) for heat, code in zip(self.heats, self.codes, strict=True)]

    def loss(self, output: list[tuple[Tensor, Tensor]], labels: Sequence[SampleLabels]) -> Losses:
        """Heat and box loss, groups added up."""
        heat_loss, box_loss = [], []
        for (heat, code), target_map in zip(output, self.maps, strict=True):
            targets = center_targets(labels, target_map)
            heat_loss.append(heat_focal(heat, targets.heat, targets.counted) / divisor(targets.num_peaks, heat))
            predicted = code[targets.sample, :, targets.row, targets.column]
            box_loss.append(masked_l1(predicted, targets.code, self.code_weights) / divisor(len(targets.code), heat))
        return {
            "heat": torch.stack(heat_loss).sum() * self.config.class_weight,
            "box": torch.stack(box_loss).sum() * self.config.box_weight,
        }

    def predict(self, output: list[tuple[Tensor, Tensor]]) -> list[Predictions]:
        """Boxes of each sample, the best first."""
        groups = self._decoded(output, self.config.score_threshold)
        kept = [[predictions.best(self.config.most, self.config.nms_iou) for predictions in parts] for parts in groups]
        return [together(parts).best(self.config.most) for parts in kept]

    def propose(self, output: list[tuple[Tensor, Tensor]]) -> list[Predictions]:
        """What a second stage looks at: more boxes, however low their score."""
        every = [together(parts) for parts in self._decoded(output, 0.0)]
        return [
            predictions.best(self.config.candidates).best(self.config.proposals, self.config.proposal_nms_iou)
            for predictions in every
        ]

    def _decoded(self, output: list[tuple[Tensor, Tensor]], threshold: float) -> list[tuple[Predictions, ...]]:
        """By sample and group."""
        groups = [self._group(*parts, place, threshold) for parts, place in zip(output, self.maps, strict=True)]
        return list(zip(*groups, strict=True))

    def _group(self, heat: Tensor, code: Tensor, place: CenterMap, threshold: float) -> list[Predictions]:
        cells = heat[0, 0].numel()
        score, flat = heat.float().sigmoid().flatten(1).topk(min(self.config.candidates, heat[0].numel()), dim=1)
        classes = torch.tensor(place.classes, device=heat.device)
        predictions = []
        for sample in range(len(heat)):
            kept = score[sample] >= threshold
            channel, cell = flat[sample, kept] // cells, flat[sample, kept] % cells
            row, column = cell // heat.shape[3], cell % heat.shape[3]
            values = code[sample, :, row, column].float().T
            xy = (torch.stack([column, row], dim=1) + values[:, :2]) * values.new_tensor(place.cell_m)
            size = values[:, 3:6].clamp(-_LARGEST_LOG, _LARGEST_LOG).exp()
            yaw = torch.atan2(values[:, 7:8], values[:, 6:7])
            boxes = torch.cat([xy + xy.new_tensor(place.origin_m), values[:, 2:3], size, yaw], dim=1)
            predictions.append(Predictions(boxes, score[sample, kept], classes[channel], values[:, 8:10]))
        return predictions
