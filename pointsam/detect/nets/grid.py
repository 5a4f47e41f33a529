"""The grid of a detector, and points sorted into it without loss.

P points, K of them inside of the grid, V voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.base.errors import SchemaError


@dataclass(frozen=True)
class Grid:
    """A box of voxels.

    Args:
        range_m: x0, y0, z0, x1, y1, z1, LiDAR frame.
        voxel_m: size along x, y, z.

    Raises:
        SchemaError: SCH005 on sizes that are not above 0, or that do not divide the range; it names the nearest range
            that works.
    """

    range_m: tuple[float, float, float, float, float, float]
    voxel_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        low, high = self.range_m[:3], self.range_m[3:]
        if min(self.voxel_m) <= 0 or any(b <= a for a, b in zip(low, high, strict=True)):
            raise SchemaError("SCH005", f"grid: range {self.range_m}, voxels {self.voxel_m}", "give sizes above 0")
        counts = [(b - a) / v for a, b, v in zip(low, high, self.voxel_m, strict=True)]
        if any(abs(count - round(count)) > 1e-4 for count in counts):
            raise SchemaError(
                "SCH005",
                f"grid: voxels of {self.voxel_m} m do not divide the range {self.range_m}",
                f"use the range {self._nearest(counts, (1, 1, 1))}",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        x, y, z = (round((b - a) / v) for a, b, v in zip(self.range_m[:3], self.range_m[3:], self.voxel_m, strict=True))
        return x, y, z

    def require_stride(self, stride: int) -> None:
        """Refuse a grid that a network of this stride in the ground plane would cut.

        Raises:
            SchemaError: SCH005, naming the nearest range that works.
        """
        x, y, z = self.shape
        if x % stride or y % stride:
            raise SchemaError(
                "SCH005",
                f"grid: {x} x {y} voxels are no multiple of the network's stride {stride}",
                f"use the range {self._nearest((x, y, z), (stride, stride, 1))}",
            )

    def _nearest(self, counts: Sequence[float], of: Sequence[int]) -> tuple[float, ...]:
        """The range with the nearest multiples of `of` of voxels, about the same middle."""
        counts = [max(1, math.floor(count / n + 0.5)) * n for count, n in zip(counts, of, strict=True)]
        middle = [(a + b) / 2 for a, b in zip(self.range_m[:3], self.range_m[3:], strict=True)]
        half = [count * size / 2 for count, size in zip(counts, self.voxel_m, strict=True)]
        low = [round(m - h, 6) for m, h in zip(middle, half, strict=True)]
        return (*low, *(round(m + h, 6) for m, h in zip(middle, half, strict=True)))


@dataclass(frozen=True)
class MapShape:
    """A detector's map.

    Args:
        origin_m: x, y of its lower corner.
        cell_m: length of a cell along x, y.
        shape: H, W, its rows (y) and columns (x).
    """

    origin_m: tuple[float, float]
    cell_m: tuple[float, float]
    shape: tuple[int, int]

    @staticmethod
    def of(grid: Grid, stride: int) -> MapShape:
        """The map of a grid at a stride."""
        x, y, _ = grid.shape
        cell = (grid.voxel_m[0] * stride, grid.voxel_m[1] * stride)
        return MapShape((grid.range_m[0], grid.range_m[1]), cell, (y // stride, x // stride))


@dataclass(frozen=True, eq=False)
class Voxels:
    """Which voxel each point is in.

    Args:
        coordinate: (V,4) int64 batch, z, y, x; sorted, unique.
        point: (K,) int64 the points inside, rising.
        voxel: (K,) int64 their voxels.
    """

    coordinate: Tensor
    point: Tensor
    voxel: Tensor


def voxelize(xyz: Tensor, batch: Tensor, grid: Grid) -> Voxels:
    """Sort points into voxels: every point of the grid, however many a voxel holds.

    Args:
        xyz: (P,3) metres.
        batch: (P,) int64 the sample of each.
        grid: the lower faces belong to it, the upper ones do not.
    """
    low, size = xyz.new_tensor(grid.range_m[:3]), xyz.new_tensor(grid.voxel_m)
    x, y, z = grid.shape
    index = torch.floor((xyz - low) / size).to(torch.int64)
    inside = ((index >= 0) & (index < index.new_tensor([x, y, z]))).all(dim=1)
    point = inside.nonzero(as_tuple=True)[0]
    i, j, k = index[point].unbind(1)
    key, voxel = torch.unique(((batch[point] * z + k) * y + j) * x + i, return_inverse=True)
    columns = [key // (x * y * z), key // (x * y) % z, key // x % y, key % x]
    return Voxels(torch.stack(columns, dim=1), point, voxel)


def scatter_mean(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size,C) means of (K,C) values by index; 0 where there is none."""
    total = values.new_zeros(size, values.shape[1]).index_add_(0, index, values)
    count = torch.bincount(index, minlength=size).clamp(min=1)
    return total / count[:, None].to(values.dtype)


def scatter_max(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size,C) largest of (K,C) values by index; 0 where there is none."""
    out = values.new_zeros(size, values.shape[1])
    return out.scatter_reduce(0, index[:, None].expand_as(values), values, "amax", include_self=False)
