"""A minimal third head: a class and a box at every location. It has the content of `heads/x.py` and `assign/x.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from helpers.recipes import tiny
from torch import nn
from torch.nn import functional

from pointsam.detect.heads.base import PRIOR_LOGIT
from pointsam.detect.predictions import BatchPredictions, Predictions


def location_targets(labels, map_shape, class_ids):
    """(K,H,W) 1 at the locations of objects of each class, and (B,2) row and column of the boxes inside of the map."""
    heat = torch.zeros(len(class_ids), *map_shape.shape)
    for channel, class_id in enumerate(class_ids):
        centers = torch.cat(
            [
                labels.visible_center[labels.box_class == class_id],
                labels.cluster_center[labels.cluster_class == class_id],
            ]
        )
        row, column, inside = locations(centers, map_shape)
        heat[channel, row[inside], column[inside]] = 1
    return heat, *locations(labels.visible_center, map_shape)


def locations(centers, map_shape):
    """(N,) row, column, and whether they are inside of the map."""
    column, row = (
        ((centers[:, :2] - centers.new_tensor(map_shape.origin_m)) / centers.new_tensor(map_shape.location_m))
        .long()
        .unbind(1)
    )
    return row, column, (row >= 0) & (row < map_shape.shape[0]) & (column >= 0) & (column < map_shape.shape[1])


@dataclass(frozen=True)
class ToyHeadConfig:
    class_names: tuple[str, ...]
    kind: Literal["toy"] = "toy"
    box_weight: float = 0.1
    most: int = 20
    score_threshold: float = 0.0
    takes_centers: ClassVar[bool] = True

    def without(self, names):
        return replace(self, class_names=tuple(name for name in self.class_names if name not in names))

    def for_classes(self, classes):
        return replace(self, class_names=tuple(spec.name for spec in classes))

    def ablations(self):
        return {"no boxes": replace(self, box_weight=0.0)}

    def build(self, channels, map_shape, class_ids):
        return ToyHead(channels, map_shape, class_ids, self)


class ToyHead(nn.Module):
    def __init__(self, channels, map_shape, class_ids, config):
        super().__init__()
        self.map_shape, self.config = map_shape, config
        self.class_ids = tuple(class_ids[name] for name in config.class_names)
        self.logits, self.boxes = nn.Conv2d(channels, len(self.class_ids), 1), nn.Conv2d(channels, 7, 1)
        nn.init.constant_(self.logits.bias, PRIOR_LOGIT)

    def forward(self, x):
        return self.logits(x), self.boxes(x)

    def loss(self, output, labels):
        heat, box = [], []
        for logits, boxes, sample_labels in zip(*output, labels.samples(), strict=True):
            target, row, column, inside = location_targets(sample_labels, self.map_shape, self.class_ids)
            heat.append(functional.binary_cross_entropy_with_logits(logits, target, reduction="sum"))
            predicted = boxes[:, row[inside], column[inside]].T
            box.append(functional.smooth_l1_loss(predicted, sample_labels.boxes[inside], reduction="sum"))
        return {"heat": torch.stack(heat).mean(), "box": torch.stack(box).mean() * self.config.box_weight}

    def predict(self, output):
        found = [self._best(*sample) for sample in zip(*output, strict=True)]
        return [one[one.score >= self.config.score_threshold] for one in found]

    def propose(self, output):
        return BatchPredictions.join([self._best(*sample) for sample in zip(*output, strict=True)])

    def _best(self, logits, boxes):
        score, at = logits.sigmoid().flatten().topk(self.config.most)
        channel, location = at // logits[0].numel(), at % logits[0].numel()
        best = boxes.flatten(1)[:, location].T
        best = torch.cat([best[:, :3], best[:, 3:6].abs() + 0.1, best[:, 6:]], dim=1)
        return Predictions(best, score, torch.tensor(self.class_ids)[channel], torch.zeros(len(score), 2))


def toy():
    """The recipe, as a function of `recipes.py` returns it."""
    base = tiny(learning_rate=0.01)
    return replace(base, name="toy", detector=replace(base.detector, head=ToyHeadConfig(("car", "pedestrian"))))
