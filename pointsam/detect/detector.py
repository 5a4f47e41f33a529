"""A detector: points to a map, a map to boxes, and perhaps a second look.

One class for CenterPoint on pillars or voxels, SECOND, and two stages on either: parts differ, the way is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pointsam.detect.heads.base import Losses
from pointsam.detect.heads.protocol import Head, HeadConfig
from pointsam.detect.heads.roi import RoiHead, RoiHeadConfig
from pointsam.detect.heads.union import HeadUnion
from pointsam.detect.labels import SampleLabels
from pointsam.detect.nets.encoders import EncoderConfig, Neck, NeckConfig
from pointsam.detect.nets.grid import Grid, MapShape
from pointsam.detect.predictions import Predictions
from pointsam.taxonomy import Taxonomy

FEATURES = 5
"""Of a point: x, y, z in metres, intensity, age in seconds."""


@dataclass(frozen=True)
class DetectorConfig:
    """A detector: a head, and a second stage or none.

    Args:
        grid: range and voxels.
        encoder: points to map.
        neck: map to map.
        head: map to boxes.
        roi: the second stage.

    Raises:
        SchemaError: SCH005 on a grid that the network's stride cuts.
    """

    grid: Grid
    encoder: EncoderConfig
    neck: NeckConfig
    head: HeadUnion
    roi: RoiHeadConfig | None = None

    def __post_init__(self) -> None:
        deepest = self.encoder.stride
        for stride in self.neck.strides:
            deepest *= stride
        self.grid.require_stride(deepest)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What it detects."""
        return self.head.class_names


@dataclass(frozen=True, eq=False)
class Batch:
    """S samples.

    Args:
        frame_ids: of the samples.
        points: (P,FEATURES) of each, the key sweep's first.
        num_key: points of the key sweep of each.
        labels: one SampleLabels per sample, its `xyz` the points of the key sweep; empty for prediction.
    """

    frame_ids: tuple[str, ...]
    points: tuple[Tensor, ...]
    num_key: tuple[int, ...]
    labels: tuple[SampleLabels, ...] = ()

    def to(self, device: torch.device) -> Batch:
        """On a device."""

        def moved(value: Tensor) -> Tensor:
            return value.to(device, non_blocking=True)

        labels = tuple(
            SampleLabels(
                **{field.name: moved(getattr(sample_labels, field.name)) for field in dataclasses.fields(sample_labels)}
            )
            for sample_labels in self.labels
        )
        return Batch(self.frame_ids, tuple(moved(points) for points in self.points), self.num_key, labels)

    def pin_memory(self) -> Batch:
        """For the data loader."""
        return dataclasses.replace(self, points=tuple(points.pin_memory() for points in self.points))

    @property
    def key_points(self) -> list[Tensor]:
        """(P,FEATURES) of each sample's key sweep."""
        return [points[:count] for points, count in zip(self.points, self.num_key, strict=True)]


class Detector(nn.Module):
    """A detector.

    Args:
        config: its parts.
        taxonomy: of the labels; predictions carry its class ids.

    Raises:
        SchemaError: SCH001 on a class that the taxonomy lacks.
    """

    def __init__(self, config: DetectorConfig, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.build(config.grid, FEATURES)
        self.neck = Neck(self.encoder.channels, config.neck)
        place = MapShape.of(config.grid, self.encoder.stride * self.neck.stride)
        class_ids = {name: taxonomy.class_id(name) for name in config.class_names}
        head: HeadConfig = config.head
        self.head: Head[Any] = head.build(self.neck.channels, place, class_ids)
        # Channels last: pillars come so, and convolutions are the faster for it.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.to(memory_format=torch.channels_last)
        self.roi = None if config.roi is None else RoiHead(self.neck.channels, FEATURES, place, config.roi)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Losses | list[Predictions]:
        """Losses in training, predictions else.

        Args:
            batch: S samples, with labels in training.
            generator: of the second stage's sampling; torch's own if none.
        """
        x = self.map(batch.points)
        output = self.head(x)
        if not self.training:
            if self.roi is None:
                return self.head.predict(output)
            return self.roi.predict(x, batch.key_points, self.head.propose(output))
        losses = self.head.loss(output, batch.labels)
        if self.roi is not None:
            with torch.no_grad():
                proposals = self.head.propose(output)
            losses |= self.roi.loss(x, batch.key_points, proposals, batch.labels, generator)
        return losses

    def map(self, points: Sequence[Tensor]) -> Tensor:
        """(S,C,H,W) map of the samples' points."""
        sample = torch.cat([torch.full((len(own),), k, device=own.device) for k, own in enumerate(points)])
        x: Tensor = self.encoder(torch.cat(list(points)), sample, len(points))
        out: Tensor = self.neck(x.contiguous(memory_format=torch.channels_last))
        return out
