"""Sparse tensors, and the tables of neighbours that convolutions read.

Rows are found by sorting and searching flattened coordinates.

Shapes: V voxels, N output voxels, K offsets of a kernel, C channels; axes are z, y, x.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pointsam.base.errors import SchemaError
from pointsam.detect.nets.grid import unravelled

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
        checked: whether the order of the coordinates is known to be right, so that no convolution needs to check it.

    Raises:
        SchemaError: SCH003 if the shapes of features and coordinates do not match.
    """

    features: Tensor
    coordinate: Tensor
    shape: Triple
    batch_size: int
    rules: dict[str, Rulebook] = field(default_factory=dict, repr=False)
    checked: bool = field(default=False, repr=False)

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


_BITS = 31
"""Offsets that one int32 can hold, its sign left out."""


@dataclass(frozen=True, eq=False)
class OffsetTable:
    """A table of a rulebook as the kernels of spconv read it: by offset, and rows with the same offsets together.

    Args:
        row: (K,N) int32 row that is read at each offset, -1 for none.
        bits: (N) int32, sorted; bit k says whether a row is read at offset k. None if a kernel has more offsets than
            an int32 has bits.
        order: (N) int32 index of the row that each of `bits` belongs to; None without `bits`.
    """

    row: Tensor
    bits: Tensor | None
    order: Tensor | None

    @staticmethod
    def of(table: Tensor, none: int) -> OffsetTable:
        """The table (N,K) of a rulebook, in which `none` stands for no row."""
        there = (table != none).T
        row = torch.where(there, table.T, -1).contiguous()
        if len(row) > _BITS:
            return OffsetTable(row, None, None)
        power = 2 ** torch.arange(len(row), device=row.device)
        bits, order = (there * power[:, None]).sum(0).int().sort(stable=True)
        return OffsetTable(row, bits, order.int())


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Which input row contributes to which output row.

    Args:
        geometry: geometry of the convolution.
        source: (N,K) int32 row of the input that each output reads at each offset, V for none.
        target: (V,K) int32 row of the output that reads each input at each offset, N for none.
        sites: (N,0) output tensor without channels; None = the coordinates of the input.
    """

    geometry: Geometry
    source: Tensor
    target: Tensor
    sites: SparseTensor | None

    @cached_property
    def by_offset(self) -> tuple[OffsetTable, OffsetTable]:
        """`source` and `target` in another layout."""
        return OffsetTable.of(self.source, len(self.target)), OffsetTable.of(self.target, len(self.source))


def build_rulebook(x: SparseTensor, geometry: Geometry) -> Rulebook:
    """Find the neighbours of all rows.

    Raises:
        SchemaError: SCH003 if coordinates are outside the grid, not sorted or not unique, or if the kernel is larger
            than the padded grid.
    """
    keys = _keys(x.coordinate, x.shape)
    if not x.checked:
        _require_order(x, keys)
    if geometry.submanifold:
        source = _neighbours(x, keys, geometry)
        target = source.flip(1)  # a voxel is read by the one at the opposite offset
        return Rulebook(geometry, source, target, None)
    sizes = zip(x.shape, geometry.kernel, geometry.stride, geometry.padding, strict=True)
    shape = triple([(size + 2 * padding - kernel) // stride + 1 for size, kernel, stride, padding in sizes])
    if min(shape) < 1:
        raise SchemaError("SCH003", f"{geometry} does not fit a grid of {x.shape}", "use a larger grid or padding")
    row, offset, key = _readers(x, geometry, shape)
    key, reader = torch.unique(key, return_inverse=True)
    coordinate = unravelled(key, shape)
    offsets, rows, outputs = math.prod(geometry.kernel), len(keys), len(key)
    source = torch.full((outputs * offsets,), rows, device=key.device).index_copy_(0, reader * offsets + offset, row)
    target = torch.full((rows * offsets,), outputs, device=key.device).index_copy_(0, row * offsets + offset, reader)
    sites = SparseTensor(x.features.new_zeros(outputs, 0), coordinate, shape, x.batch_size, checked=True)
    return Rulebook(geometry, source.view(-1, offsets).int(), target.view(-1, offsets).int(), sites)


def _require_order(x: SparseTensor, keys: Tensor) -> None:
    limit = x.coordinate.new_tensor([x.batch_size, *x.shape])
    inside = ((x.coordinate >= 0) & (x.coordinate < limit)).all()
    if not bool(inside & (keys[1:] > keys[:-1]).all()):
        raise SchemaError(
            "SCH003",
            f"sparse tensor: coordinates are not unique, sorted and inside {x.batch_size} grids of {x.shape}",
            "sort by batch, z, y, x and keep one row per voxel",
        )


def _keys(coordinate: Tensor, shape: Triple) -> Tensor:
    """(V,) index of each voxel in the flattened grids."""
    batch, z, y, x = coordinate.unbind(1)
    return ((batch * shape[0] + z) * shape[1] + y) * shape[2] + x


def _neighbours(x: SparseTensor, keys: Tensor, geometry: Geometry) -> Tensor:
    """(V,K) int32 row of the voxel at each offset from each voxel, V for none.

    Neighbours along x are neighbours in the sorted keys too, so only the first of each line of the kernel is searched.
    """
    batch, z, y, column = x.coordinate.unbind(1)
    (kz, ky, kx), (pz, py, px) = geometry.kernel, geometry.padding
    line = torch.arange(kz * ky, device=keys.device)[:, None]
    at_z, at_y = z + line // ky - pz, y + line % ky - py
    inside = (at_z >= 0) & (at_z < x.shape[0]) & (at_y >= 0) & (at_y < x.shape[1])
    key = ((batch * x.shape[0] + at_z) * x.shape[1] + at_y) * x.shape[2] + column - px
    row = torch.searchsorted(keys, key)
    following = torch.cat([keys, keys.new_full((1,), -1)])
    rows = []
    for step in range(kx):
        met = following[row] == key + step
        at_x = column + (step - px)
        rows.append(torch.where(met & inside & (at_x >= 0) & (at_x < x.shape[2]), row, len(keys)).int())
        row = row + met
    return torch.stack(rows, dim=1).flatten(0, 1).T.contiguous()


def _readers(x: SparseTensor, geometry: Geometry, shape: Triple) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) row, offset, and key of the output, of all pairs of a voxel and an output in `shape` that reads it."""
    key = x.coordinate[:, 0]
    offset, inside = torch.zeros_like(key), torch.ones_like(key, dtype=torch.bool)
    for axis in range(3):
        # The axes are independent except for the key, so each adds a dimension: the result is (nz,ny,nx,V).
        kernel, stride = geometry.kernel[axis], geometry.stride[axis]
        at = x.coordinate[:, axis + 1] + geometry.padding[axis]
        to = at.div(stride, rounding_mode="floor") - torch.arange(-(-kernel // stride), device=key.device)[:, None]
        own = at - to * stride
        inside = inside.unsqueeze(-2) & (own < kernel) & (to >= 0) & (to < shape[axis])
        key, offset = key.unsqueeze(-2) * shape[axis] + to, offset.unsqueeze(-2) * kernel + own
    pair = inside.flatten().nonzero(as_tuple=True)[0]
    return pair % len(x.coordinate), offset.flatten()[pair], key.flatten()[pair]


def triple(value: int | Sequence[int]) -> Triple:
    """One number for all axes, or three along z, y, x."""
    z, y, x = (value,) * 3 if isinstance(value, int) else value
    return z, y, x
