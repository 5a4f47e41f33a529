"""Encoders from points to a feature map: pillars, or sparse voxels whose layers become channels.

P points with F features: x, y, z, and others of the sweep (intensity, age). S samples.
Source: PointPillars (arXiv 1812.05784), SECOND (Sensors 18(10), 2018), CenterPoint (arXiv 2006.11275).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from pointsam.base.document import OPTIONAL
from pointsam.base.ranges import require
from pointsam.detect.nets.grid import Grid, Voxels, grid_tensors, scatter_max, scatter_mean, voxelize
from pointsam.detect.nets.norm import BatchNorm, conv_norm_relu, norm_relu
from pointsam.detect.nets.rulebook import SparseTensor
from pointsam.detect.nets.sparse import SparseConv3d, SparseModule, SparseSequential, SubMConv3d

MOST_CHANNELS = 65_536
_CHANNELS = f"numbers from 1 to {MOST_CHANNELS}"


@dataclass(frozen=True)
class EncoderConfig:
    """The configuration of an encoder.

    Args:
        kind: "pillar" or "voxel".
        pillar_channels: number of features of a pillar.
        voxel_channels: channels of the four stages of the voxel encoder, each at half the resolution of the one before.
        voxel_out: channels of each remaining layer in z, before the layers are concatenated.
        residual: whether voxel stages consist of residual blocks (CenterPoint) or plain ones (SECOND).
        first_layers: number of blocks of the first voxel stage; the others have two. Published: two residual blocks, or
            one plain one.
    """

    kind: Literal["pillar", "voxel"] = "pillar"
    pillar_channels: int = 64
    voxel_channels: tuple[int, int, int, int] = (16, 32, 64, 128)
    voxel_out: int = 128
    residual: bool = True
    first_layers: int = field(default=2, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        widths = (self.pillar_channels, self.voxel_out, *self.voxel_channels)
        require(all(0 < width <= MOST_CHANNELS for width in widths), "detector.encoder.channels", widths, _CHANNELS)
        require(0 <= self.first_layers <= 100, "detector.encoder.first_layers", self.first_layers, "0 to 100")

    @property
    def stride(self) -> int:
        """Number of voxels along one location of the feature map."""
        return _ENCODERS[self.kind].stride

    def build(self, grid: Grid, features: int) -> Encoder:
        """The network, for points of `features` features."""
        return _ENCODERS[self.kind](grid, features, self)


class PillarEncoder(nn.Module):
    """PointPillars' encoder: the maximum of the point features in each pillar.

    Args:
        grid: grid that is one voxel high.
        features: F.
        config: configuration.

    Raises:
        SchemaError: SCH005 on a grid with several layers in z.
    """

    stride = 1

    def __init__(self, grid: Grid, features: int, config: EncoderConfig) -> None:
        super().__init__()
        require(grid.shape[2] == 1, "detector.grid.voxel_m", grid.voxel_m, "pillars as high as the range")
        self.grid, self.channels = grid, config.pillar_channels
        self.layer = nn.Sequential(nn.Linear(features + 5, self.channels, bias=False), *norm_relu(self.channels))

    def forward(self, points: Tensor, sample: Tensor, samples: int) -> Tensor:
        """(S,C,H,W) of (P,F) points of `samples` samples."""
        voxels = voxelize(points[:, :3], sample, self.grid)
        inside = points[voxels.point]
        count = len(voxels.coordinate)
        mean = scatter_mean(inside[:, :3], voxels.voxel, count)[voxels.voxel]
        center = _centers(voxels, self.grid).to(points.dtype)[voxels.voxel]
        features = torch.cat([inside, inside[:, :3] - mean, inside[:, :2] - center[:, :2]], dim=1)
        with torch.autocast(points.device.type, enabled=False):  # half precision resolves only 25 cm at 50 m
            pillars = scatter_max(self.layer(features), voxels.voxel, count)
        w, h, _ = self.grid.shape
        batch, _, y, x = voxels.coordinate.unbind(1)
        flat = pillars.new_zeros(samples * h * w, self.channels).index_copy(0, (batch * h + y) * w + x, pillars)
        return flat.view(samples, h, w, self.channels).permute(0, 3, 1, 2)


def _centers(voxels: Voxels, grid: Grid) -> Tensor:
    """(V,3) centre of each voxel."""
    low, size, _ = grid_tensors(grid, voxels.coordinate.device, torch.float32)
    return low + (voxels.coordinate[:, 1:].flip(1) + 0.5) * size


class _Residual(SparseModule):
    """A residual block of two submanifold convolutions."""

    def __init__(self, channels: int, key: str) -> None:
        super().__init__()
        self.first, self.second = (SubMConv3d(channels, channels, 3, bias=False, indice_key=key) for _ in range(2))
        self.norms = nn.ModuleList([BatchNorm(channels), BatchNorm(channels)])

    def forward(self, x: SparseTensor) -> SparseTensor:
        inner = self.first(x)
        inner = self.second(inner.replace(self.norms[0](inner.features).relu()))
        return x.replace((self.norms[1](inner.features) + x.features).relu())


class VoxelEncoder(nn.Module):
    """Sparse convolutions to an eighth of the resolution; the remaining layers in z become channels.

    Args:
        grid: grid of voxels; the number of layers in z is divided by 16.
        features: F.
        config: configuration.

    Raises:
        SchemaError: SCH005 on a grid with too few layers in z.
    """

    stride = 8

    def __init__(self, grid: Grid, features: int, config: EncoderConfig) -> None:
        super().__init__()
        self.grid = grid
        x, y, z = grid.shape
        self.shape = (z + 1, y, x)  # one more layer, as published: it can be halved four times
        widths = config.voxel_channels
        self.first = SparseSequential(
            SubMConv3d(features, widths[0], 3, bias=False, indice_key="stage0"), *norm_relu(widths[0])
        )
        stages = [self._stage(widths[0], widths[0], 0, config.residual, layers=config.first_layers)]
        height = z + 1
        for level in range(1, 4):
            above = 0 if level == 3 else 1
            stages.append(self._stage(widths[level - 1], widths[level], level, config.residual, above))
            height = (height + 2 * above - 3) // 2 + 1
        self.stages = nn.ModuleList(stages)
        self.last = SparseSequential(
            SparseConv3d(widths[3], config.voxel_out, (3, 1, 1), stride=(2, 1, 1), bias=False),
            *norm_relu(config.voxel_out),
        )
        layers = (height - 3) // 2 + 1
        require(layers > 0, "detector.grid.voxel_m", grid.voxel_m, f"a height of about 40 voxels, {z} are too few")
        self.channels = config.voxel_out * layers

    @staticmethod
    def _stage(
        before: int, width: int, level: int, residual: bool, above: int | None = None, layers: int = 2
    ) -> SparseSequential:
        key = f"stage{level}"
        parts: list[nn.Module] = []
        if above is not None:
            parts = [SparseConv3d(before, width, 3, stride=2, padding=(above, 1, 1), bias=False), *norm_relu(width)]
        for _ in range(layers):
            plain = (SubMConv3d(width, width, 3, bias=False, indice_key=key), *norm_relu(width))
            parts += [_Residual(width, key)] if residual else plain
        return SparseSequential(*parts)

    def forward(self, points: Tensor, sample: Tensor, samples: int) -> Tensor:
        """(S,C,H/8,W/8) of (P,F) points of `samples` samples."""
        voxels = voxelize(points[:, :3], sample, self.grid)
        mean = scatter_mean(points[voxels.point], voxels.voxel, len(voxels.coordinate))
        with torch.autocast(points.device.type, enabled=False):  # as in PillarEncoder
            x: SparseTensor = self.first(SparseTensor(mean, voxels.coordinate, self.shape, samples, checked=True))
        for stage in self.stages:
            x = stage(x)
        out: SparseTensor = self.last(x)
        return out.dense().flatten(1, 2)


Encoder = PillarEncoder | VoxelEncoder
_ENCODERS: Mapping[str, type[PillarEncoder] | type[VoxelEncoder]] = {"pillar": PillarEncoder, "voxel": VoxelEncoder}


@dataclass(frozen=True)
class NeckConfig:
    """Stages of 2D convolutions, whose outputs are scaled to one resolution and concatenated.

    Args:
        layers: number of convolutions of each stage after its first.
        strides: stride of each stage's first convolution.
        channels: channels of each stage.
        up_channels: channels that each stage contributes to the output.
        out_stride: stride of the output, in locations of the input.
    """

    layers: tuple[int, ...] = (3, 5, 5)
    strides: tuple[int, ...] = (2, 2, 2)
    channels: tuple[int, ...] = (64, 128, 256)
    up_channels: tuple[int, ...] = (128, 128, 128)
    out_stride: int = 4

    def __post_init__(self) -> None:
        lengths = {len(self.layers), len(self.strides), len(self.channels), len(self.up_channels)}
        prefix, alike = "detector.neck", len(lengths) == 1 and bool(self.layers)
        require(alike, f"{prefix}.layers", self.layers, "one entry per stage in all four lists")
        require(all(0 <= n <= 100 for n in self.layers), f"{prefix}.layers", self.layers, "numbers from 0 to 100")
        strides = (*self.strides, self.out_stride)
        short = all(1 <= n <= 64 for n in strides)
        require(short, f"{prefix}.strides and {prefix}.out_stride", strides, "numbers from 1 to 64")
        for name in ("channels", "up_channels"):
            widths = getattr(self, name)
            require(all(0 < width <= MOST_CHANNELS for width in widths), f"{prefix}.{name}", widths, _CHANNELS)


class Neck(nn.Module):
    """The 2D network of SECOND and PointPillars.

    Args:
        channels: channels of the encoder's feature map.
        config: configuration.
    """

    def __init__(self, channels: int, config: NeckConfig) -> None:
        super().__init__()
        self.stages, self.ups = nn.ModuleList(), nn.ModuleList()
        self.channels, self.stride = sum(config.up_channels), config.out_stride
        deepest = 1
        for layers, stride, width, up in zip(
            config.layers, config.strides, config.channels, config.up_channels, strict=True
        ):
            deepest *= stride
            self.stages.append(nn.Sequential(*conv_norm_relu(channels, width, stride), *_repeat(width, layers)))
            self.ups.append(_scaled(width, up, deepest, config.out_stride))
            channels = width

    def forward(self, x: Tensor) -> Tensor:
        """(S,D,H/out_stride,W/out_stride) of (S,C,H,W); D is the sum of `up_channels`."""
        outs = []
        for stage, up in zip(self.stages, self.ups, strict=True):
            x = stage(x)
            outs.append(up(x))
        return torch.cat(outs, dim=1)


def _repeat(width: int, times: int) -> Sequence[nn.Module]:
    return [layer for _ in range(times) for layer in conv_norm_relu(width, width)]


def _scaled(width: int, up: int, stride: int, out_stride: int) -> nn.Sequential:
    """A layer from `width` channels at one stride to `up` channels at another, finer or coarser."""
    require(
        stride % out_stride == 0 or out_stride % stride == 0,
        "detector.neck.out_stride",
        out_stride,
        "a multiple or divisor of each stride",
    )
    if stride >= out_stride:
        step = stride // out_stride
        return nn.Sequential(nn.ConvTranspose2d(width, up, step, stride=step, bias=False), *norm_relu(up))
    step = out_stride // stride
    return nn.Sequential(nn.Conv2d(width, up, step, stride=step, bias=False), *norm_relu(up))
