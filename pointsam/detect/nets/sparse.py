"""Sparse 3D convolutions in plain torch, on any device, with the names and weights of spconv 2.

A rulebook lists, for each offset of the kernel, which input row contributes to which output row. Rows are found by
sorting and searching flattened coordinates; a convolution is then a gather, a matrix product and an indexed sum for
each offset. No row occurs twice in an offset, so sums have a fixed order and results are identical in every run.

Shapes: V voxels, P pairs of a rulebook, K offsets of a kernel, C and D channels in and out; axes are z, y, x.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """Features at the occupied voxels of a grid. Coordinates are unique and sorted; convolutions check it.

    Args:
        features: (V,C).
        coordinate: (V,4) int64 batch, z, y, x; each row greater than the one before.
        shape: size of the grid: z, y, x.
        batch_size: number of grids.
        rules: rulebooks by indice_key, shared by all tensors at these coordinates.

    Raises:
        SchemaError: SCH003 if the shapes of features and coordinates do not match.
    """

    features: Tensor
    coordinate: Tensor
    shape: Triple
    batch_size: int
    rules: dict[str, Rulebook] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        features, coordinate = tuple(self.features.shape), tuple(self.coordinate.shape)
        if len(features) != 2 or coordinate != (features[0], 4) or self.coordinate.dtype != torch.int64:
            raise SchemaError(
                "SCH003",
                f"sparse tensor: features are {features}, coordinates {coordinate} of {self.coordinate.dtype}",
                "pass features (V,C) and coordinates (V,4) of int64",
            )

    def replace(self, features: Tensor) -> SparseTensor:
        """A tensor with other features (V,D) at the same coordinates."""
        return dataclasses.replace(self, features=features)

    def dense(self) -> Tensor:
        """(B,C,z,y,x) grids, contiguous, 0 where there is no voxel."""
        flat = self.features.new_zeros(self.batch_size * math.prod(self.shape), self.features.shape[1])
        flat.index_copy_(0, _keys(self.coordinate, self.shape), self.features)
        return flat.view(self.batch_size, *self.shape, -1).permute(0, 4, 1, 2, 3).contiguous()


@dataclass(frozen=True)
class Geometry:
    """The geometry of a convolution along z, y, x; a submanifold convolution keeps the coordinates of its input."""

    kernel: Triple
    stride: Triple
    padding: Triple
    submanifold: bool


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Which input row contributes to which output row.

    Args:
        geometry: geometry of the convolution.
        source: (K) arrays (P,), rows of the input, increasing.
        target: (K) arrays (P,), rows of the output, increasing.
        sites: (V,0) output tensor without channels; None = the coordinates of the input.
    """

    geometry: Geometry
    source: Sequence[Tensor]
    target: Sequence[Tensor]
    sites: SparseTensor | None


def build_rulebook(x: SparseTensor, geometry: Geometry) -> Rulebook:
    """Find all pairs of an input row and an output row.

    Raises:
        SchemaError: SCH003 if coordinates are outside the grid, not sorted or not unique, or if the kernel is larger
            than the padded grid.
    """
    keys = _keys(x.coordinate, x.shape)
    limit = x.coordinate.new_tensor([x.batch_size, *x.shape])
    inside = ((x.coordinate >= 0) & (x.coordinate < limit)).all()
    if not bool(inside & (keys[1:] > keys[:-1]).all()):
        raise SchemaError(
            "SCH003",
            f"sparse tensor: coordinates are not unique, sorted and inside {x.batch_size} grids of {x.shape}",
            "sort by batch, z, y, x and keep one row per voxel",
        )
    if geometry.submanifold:
        offset, source, key = _reach(x, geometry, x.shape)
        target = torch.searchsorted(keys, key).clamp_(max=len(keys) - 1)
        occupied = keys[target] == key
        offset, source, target, sites = offset[occupied], source[occupied], target[occupied], None
    else:
        sizes = zip(x.shape, geometry.kernel, geometry.stride, geometry.padding, strict=True)
        shape = _triple([(size + 2 * padding - kernel) // stride + 1 for size, kernel, stride, padding in sizes])
        if min(shape) < 1:
            raise SchemaError("SCH003", f"{geometry} does not fit a grid of {x.shape}", "use a larger grid or padding")
        offset, source, key = _reach(x, geometry, shape)
        key, target = torch.unique(key, return_inverse=True)
        coordinate = torch.stack(torch.unravel_index(key, (x.batch_size, *shape)), dim=1)
        sites = SparseTensor(x.features.new_zeros(len(key), 0), coordinate, shape, x.batch_size)
    counts = torch.bincount(offset, minlength=math.prod(geometry.kernel)).tolist()
    return Rulebook(geometry, torch.split(source, counts), torch.split(target, counts), sites)


def _keys(coordinate: Tensor, shape: Triple) -> Tensor:
    """(V,) index of each voxel in the flattened grids."""
    batch, z, y, x = coordinate.unbind(1)
    return ((batch * shape[0] + z) * shape[1] + y) * shape[2] + x


def _reach(x: SparseTensor, geometry: Geometry, shape: Triple) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) offset, input row and key of the output position, for all offsets and voxels whose output is in `shape`."""
    key = x.coordinate[:, 0]
    inside = torch.ones_like(key, dtype=torch.bool)
    for axis in range(3):
        # The axes are independent except for the key, so each adds a dimension: the result is (kz,ky,kx,V).
        offset = torch.arange(geometry.kernel[axis], device=key.device)[:, None]
        at = x.coordinate[:, axis + 1] + geometry.padding[axis] - offset
        to = at.div(geometry.stride[axis], rounding_mode="floor")
        inside = inside.unsqueeze(-2) & (to * geometry.stride[axis] == at) & (to >= 0) & (to < shape[axis])
        key = key.unsqueeze(-2) * shape[axis] + to
    offset, row = inside.flatten(0, 2).nonzero(as_tuple=True)
    return offset, row, key.flatten(0, 2)[offset, row]


def _sum(features: Tensor, weight: Tensor, source: Sequence[Tensor], target: Sequence[Tensor], rows: int) -> Tensor:
    """(V,C) features and (K,C,D) weights to (rows,D), summed in float32 or better."""
    out = features.new_zeros(rows, weight.shape[2], dtype=torch.promote_types(features.dtype, torch.float32))
    for matrix, come, go in zip(weight, source, target, strict=True):
        out.index_add_(0, go, (features.index_select(0, come) @ matrix).to(out.dtype))
    return out.to(features.dtype)


class _Context(Protocol):
    """The context of an autograd function, with the rulebook that `_Convolve` stores in it."""

    rulebook: Rulebook

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]: ...

    @property
    def needs_input_grad(self) -> tuple[bool, ...]: ...

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Convolve(torch.autograd.Function):
    """`_sum` with its own backward pass: autograd would keep the gathered features of every offset in memory."""

    @staticmethod
    def forward(ctx: _Context, features: Tensor, weight: Tensor, rulebook: Rulebook, rows: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rulebook = rulebook
        return _sum(features, weight, rulebook.source, rulebook.target, rows)

    @staticmethod
    def backward(ctx: _Context, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, weight = ctx.saved_tensors
        source, target, grad = ctx.rulebook.source, ctx.rulebook.target, grads[0]
        grad_features = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_features = _sum(grad, weight.transpose(1, 2), target, source, len(features))
        if ctx.needs_input_grad[1]:
            pairs = zip(source, target, strict=True)
            grad_weight = torch.stack([features.index_select(0, s).T @ grad.index_select(0, t) for s, t in pairs])
        return grad_features, grad_weight, None, None


class SparseModule(nn.Module):
    """A layer from SparseTensor to SparseTensor; `SparseSequential` passes only the features to any other layer."""


class SparseSequential(nn.Sequential, SparseModule):
    """A sequence of sparse layers and of torch layers that work on rows, such as BatchNorm1d, ReLU and Linear."""

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Apply the layers in order."""
        for layer in self:
            x = layer(x) if isinstance(layer, SparseModule) else x.replace(layer(x.features))
        return x


class _Convolution(SparseModule):
    """The base of both convolutions: weight (D,kz,ky,kx,C) and bias (D), as in spconv 2."""

    def __init__(
        self, in_channels: int, out_channels: int, geometry: Geometry, bias: bool, indice_key: str | None
    ) -> None:
        super().__init__()
        require(min(geometry.kernel) > 0, "kernel_size", geometry.kernel, "lengths from 1")
        require(min(geometry.stride) > 0, "stride", geometry.stride, "steps from 1")
        require(min(geometry.padding) >= 0, "padding", geometry.padding, "widths from 0")
        self.geometry, self.indice_key = geometry, indice_key
        self.weight = nn.Parameter(torch.empty(out_channels, *geometry.kernel, in_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        # As in torch's convolutions: the bound of Kaiming uniform with a = sqrt(5) is 1 / sqrt(fan in).
        bound = 1 / math.sqrt(math.prod(geometry.kernel) * in_channels)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolve.

        Raises:
            SchemaError: SCH003 as `build_rulebook`, SCH005 if a layer of another geometry uses the same indice_key.
        """
        rules, key = ({}, "") if self.indice_key is None else (x.rules, self.indice_key)
        if key not in rules:
            rules[key] = build_rulebook(x, self.geometry)
        rulebook = rules[key]
        require(rulebook.geometry == self.geometry, "indice_key", key, f"another than {rulebook.geometry} has")
        sites = x if rulebook.sites is None else rulebook.sites
        features, device = x.features, x.features.device.type
        if torch.is_autocast_enabled(device) and features.dtype != torch.float64:
            features = features.to(torch.get_autocast_dtype(device))
        weight = self.weight.to(features.dtype).flatten(1, 3).permute(1, 2, 0)
        out: Tensor = _Convolve.apply(features, weight, rulebook, len(sites.coordinate))
        return sites.replace(out if self.bias is None else out + self.bias.to(out.dtype))


class SubMConv3d(_Convolution):
    """Submanifold convolution: the output is at the voxels of the input, with the kernel centred on each.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: one odd number, or three along z, y, x.
        padding: None or kernel_size // 2, which centres the kernel.
        bias: whether to add a bias.
        indice_key: name under which layers of the same geometry and coordinates share a rulebook.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        bias: bool = True,
        indice_key: str | None = None,
    ) -> None:
        z, y, x = _triple(kernel_size)
        half = (z // 2, y // 2, x // 2)
        require(bool(z & y & x & 1), "kernel_size", kernel_size, "odd lengths")
        require(padding is None or _triple(padding) == half, "padding", padding, f"none, or {half}")
        super().__init__(in_channels, out_channels, Geometry((z, y, x), (1, 1, 1), half, True), bias, indice_key)


class SparseConv3d(_Convolution):
    """Convolution whose output is at all positions where the kernel covers a voxel; equal to a dense `conv3d` there.

    Args and Raises as for `SubMConv3d`; stride and padding are one number, or three along z, y, x.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        bias: bool = True,
        indice_key: str | None = None,
    ) -> None:
        geometry = Geometry(_triple(kernel_size), _triple(stride), _triple(padding), False)
        super().__init__(in_channels, out_channels, geometry, bias, indice_key)


def _triple(value: int | Sequence[int]) -> Triple:
    z, y, x = (value,) * 3 if isinstance(value, int) else value
    return z, y, x
