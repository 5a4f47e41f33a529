"""A detector: points to a BEV feature map, feature map to boxes, and optionally further stages that refine them.

One class covers CenterPoint on pillars or voxels, SECOND, and two-stage detectors: the parts differ, the data flow is
the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from pointsam.base.document import OPTIONAL
from pointsam.base.ranges import require
from pointsam.detect.heads.base import Losses
from pointsam.detect.heads.protocol import AnyHead, HeadConfig
from pointsam.detect.heads.refine import RefineConfig, RefineHead
from pointsam.detect.heads.roi import RoiHead, RoiHeadConfig
from pointsam.detect.heads.union import HeadUnion
from pointsam.detect.labels import BatchLabels
from pointsam.detect.nets.encoders import EncoderConfig, Neck, NeckConfig
from pointsam.detect.nets.grid import Grid, MapShape
from pointsam.detect.nets.sparse import SparseKind, compute_by
from pointsam.detect.predictions import Predictions
from pointsam.taxonomy import Taxonomy

FEATURES = 5
"""Features of a point: x, y, z in metres, intensity in [0, 1], age in seconds."""


@dataclass(frozen=True)
class DetectorConfig:
    """The configuration of a detector.

    Args:
        grid: range and size of the voxels.
        encoder: network from points to the first feature map.
        neck: network from feature map to feature map.
        head: network from feature map to boxes.
        roi: second stage that refines the boxes; None = no second stage.
        refine: last stage that moves each box in its own frame and turns it to its front; None = no such stage.
        sparse: what computes the sparse convolutions of a voxel encoder: "torch", or "triton" for the package
            spconv-triton, on a GPU. Weights do not depend on it, and results only by rounding.

    Raises:
        SchemaError: SCH005 on a grid that is not a multiple of the network's stride, if there are no sparse
            convolutions that `sparse` could compute, or if the height map of `refine` would be too large.
    """

    grid: Grid
    encoder: EncoderConfig
    neck: NeckConfig
    head: HeadUnion
    roi: RoiHeadConfig | None = None
    refine: RefineConfig | None = field(default=None, metadata=OPTIONAL)
    sparse: SparseKind = field(default="torch", metadata=OPTIONAL)

    def __post_init__(self) -> None:
        has_voxels = self.encoder.kind == "voxel"
        require(has_voxels or self.sparse == "torch", "detector.sparse", self.sparse, "torch, as pillars need no other")
        deepest = self.encoder.stride
        for stride in self.neck.strides:
            deepest *= stride
        self.grid.require_stride(deepest)
        if self.refine is not None:
            self.refine.require_memory(self.grid)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that it detects."""
        return self.head.class_names

    def with_threshold(self, score: float) -> DetectorConfig:
        """The same detector, which drops predictions of a lower score than this one. Weights do not depend on it."""
        head, roi = replace(self.head, score_threshold=score), self.roi
        return replace(self, head=head, roi=None if roi is None else replace(roi, score_threshold=score))


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of S samples.

    Args:
        frame_ids: (S) frame id of each sample.
        points: (S) arrays (P,FEATURES); the points of the key sweep come first.
        num_key: (S) number of points of the key sweep.
        labels: labels of the samples, whose `xyz` are the points of the key sweep; None for prediction.
    """

    frame_ids: tuple[str, ...]
    points: tuple[Tensor, ...]
    num_key: tuple[int, ...]
    labels: BatchLabels | None = None

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return self._map(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in pinned memory; torch's data loader calls it."""
        return self._map(torch.Tensor.pin_memory)

    def used_by(self, stream: torch.cuda.Stream) -> Batch:
        """The batch, whose memory is not given away before a stream has used it."""

        def used(value: Tensor) -> Tensor:
            value.record_stream(stream)
            return value

        return self._map(used)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        labels = None if self.labels is None else self.labels.map(change)
        return dataclasses.replace(self, points=tuple(map(change, self.points)), labels=labels)

    @property
    def key_points(self) -> list[Tensor]:
        """(P,FEATURES) of each sample's key sweep."""
        return [points[:count] for points, count in zip(self.points, self.num_key, strict=True)]


class Detector(nn.Module):
    """A detector.

    Args:
        config: its parts.
        taxonomy: classes of the labels; predictions carry its class ids.

    Raises:
        SchemaError: SCH001 on a class that is not in the taxonomy.
    """

    def __init__(self, config: DetectorConfig, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.build(config.grid, FEATURES)
        compute_by(self.encoder, config.sparse)
        self.neck = Neck(self.encoder.channels, config.neck)
        map_shape = MapShape.of(config.grid, self.encoder.stride * self.neck.stride)
        class_ids = {name: taxonomy.class_id(name) for name in config.class_names}
        head: HeadConfig = config.head
        self.head: AnyHead = head.build(self.neck.channels, map_shape, class_ids)
        # Channels last: the pillar encoder yields this layout, and convolutions run faster in it.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.to(memory_format=torch.channels_last)
        self.roi = None if config.roi is None else RoiHead(self.neck.channels, FEATURES, map_shape, config.roi)
        self.refine = (
            None if config.refine is None else RefineHead(config.grid, tuple(class_ids.values()), config.refine)
        )

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Losses | list[Predictions]:
        """Losses in training mode, predictions in evaluation mode.

        Args:
            batch: S samples, with labels in training.
            generator: random generator for the sampling of proposals; None = torch's global one.
        """
        x = self.map(batch.points)
        output = self.head(x)
        if not self.training:
            if self.roi is None:
                found = self.head.predict(output)
            else:
                found = self.roi.predict(x, batch.key_points, self.head.propose(output))
            return found if self.refine is None else self.refine.predict(batch.points, found)
        assert batch.labels is not None  # training
        losses = self.head.loss(output, batch.labels)
        if self.roi is not None:
            with torch.no_grad():
                proposals = self.head.propose(output)
            losses |= self.roi.loss(x, batch.key_points, proposals, batch.labels, generator)
        if self.refine is not None:
            losses |= self.refine.loss(batch.points, batch.labels, generator)
        return losses

    def map(self, points: Sequence[Tensor]) -> Tensor:
        """(S,C,H,W) feature map of the points of S samples."""
        sample = torch.cat([torch.full((len(own),), k, device=own.device) for k, own in enumerate(points)])
        x: Tensor = self.encoder(torch.cat(list(points)), sample, len(points))
        out: Tensor = self.neck(x.contiguous(memory_format=torch.channels_last))
        return out
