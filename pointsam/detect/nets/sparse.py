"""Sparse 3D convolutions in plain torch, on any device, with the names and weights of spconv 2.

A rulebook is a table of neighbours: the input row that each output row reads at each offset of the kernel. A
convolution gathers the neighbours of some rows side by side and multiplies them with the weights of all offsets at
once. Nothing is scattered, so that results are identical in every run, on any device. The table also has the offsets at
which there is no voxel, mostly two thirds; products of them are wasted. On a CPU, that costs 10 to 50 % of an encoder's
time; on a GPU, which waits for each call, few large calls matter more. There, `compute_by` chooses the kernels of an
optional package instead (`nets/sparse_triton`).

Shapes: V voxels, N output voxels, K offsets of a kernel, C and D channels in and out; axes are z, y, x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from pointsam.base.ranges import require
from pointsam.detect.nets import sparse_triton
from pointsam.detect.nets.rulebook import Geometry, Rulebook, SparseTensor, build_rulebook, triple

SparseKind = Literal["torch", "triton"]
"""What computes sparse convolutions: plain torch, or the package spconv-triton on a GPU."""

_ENTRIES_CPU, _ENTRIES = 1 << 20, 1 << 26
"""Number of features that are gathered at once, on a CPU and on a GPU."""


def _gathered(features: Tensor, table: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the rows of a (N,K) table, and (n,K*C) features that they read, 0 for none.

    There are as many rows in a slice as fit into the cache of a CPU, or a small part of a GPU's memory.
    """
    rows, width = len(table), table.shape[1] * features.shape[1]
    padded = torch.cat([features, features.new_zeros(1, features.shape[1])])
    step = max(1, (_ENTRIES_CPU if features.device.type == "cpu" else _ENTRIES) // max(width, 1))
    for start in range(0, rows, step):
        some = slice(start, start + step)
        yield some, padded.index_select(0, table[some].flatten()).view(-1, width)


def _product(features: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """(N,D) of (V,C) features, a (N,K) table of their rows, and (D,K*C) weights."""
    parts = [read @ weight.T for _, read in _gathered(features, table)]
    return torch.cat(parts) if parts else features.new_zeros(0, len(weight))


class _Context(Protocol):
    """The context of an autograd function, with what `_Convolve` stores in it."""

    rulebook: Rulebook
    kind: SparseKind

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]: ...

    @property
    def needs_input_grad(self) -> tuple[bool, ...]: ...

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Convolve(torch.autograd.Function):
    """Convolution of (V,C) features with (D,K,C) weights; autograd would keep all gathered features in memory."""

    @staticmethod
    def forward(ctx: _Context, features: Tensor, weight: Tensor, rulebook: Rulebook, kind: SparseKind) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rulebook, ctx.kind = rulebook, kind
        if kind == "triton":
            return sparse_triton.product(features, weight, rulebook)
        return _product(features, rulebook.source, weight.flatten(1))

    @staticmethod
    def backward(ctx: _Context, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, weight = ctx.saved_tensors
        grad, grad_features, grad_weight = grads[0], None, None
        if ctx.kind == "triton":
            return (*sparse_triton.gradients(features, weight, ctx.rulebook, grad), None, None)
        if ctx.needs_input_grad[0]:
            grad_features = _product(grad, ctx.rulebook.target, weight.permute(2, 1, 0).flatten(1))
        if ctx.needs_input_grad[1]:
            total = weight.new_zeros(weight.flatten(1).shape, dtype=torch.promote_types(grad.dtype, torch.float32))
            for some, read in _gathered(features, ctx.rulebook.source):
                total += grad[some].T @ read
            grad_weight = total.to(weight.dtype).view_as(weight)
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
        self.kind: SparseKind = "torch"
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
            BackendError: BCK005 or BCK006 if Triton was chosen and cannot run.
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
        weight = self.weight.to(features.dtype).flatten(1, 3)
        out: Tensor = _Convolve.apply(features, weight, rulebook, self.kind)
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
        z, y, x = triple(kernel_size)
        half = (z // 2, y // 2, x // 2)
        require(bool(z & y & x & 1), "kernel_size", kernel_size, "odd lengths")
        require(padding is None or triple(padding) == half, "padding", padding, f"none, or {half}")
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
        geometry = Geometry(triple(kernel_size), triple(stride), triple(padding), False)
        super().__init__(in_channels, out_channels, geometry, bias, indice_key)


def compute_by(network: nn.Module, kind: SparseKind) -> None:
    """Choose what computes the sparse convolutions of a network; its parameters stay as they are."""
    for layer in network.modules():
        if isinstance(layer, _Convolution):
            layer.kind = kind


def require_sparse(kind: SparseKind, device: torch.device | str) -> None:
    """Raise if sparse convolutions of a kind cannot run on a device, before a long job starts.

    Raises:
        BackendError: BCK006 if "triton" has no GPU, BCK005 if its package is not installed.
    """
    if kind == "triton":
        sparse_triton.kernels_on(torch.device(device))
