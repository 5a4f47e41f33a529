"""The voxel grid of a detector, and the assignment of all points to its voxels.

P points, K of them inside the grid, V voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from pointsam.base.errors import SchemaError

_MOST_M = 10_000.0
_MOST_VOXELS = 100_000


@dataclass(frozen=True)
class Grid:
    """A grid of voxels.

    Args:
        range_m: x0, y0, z0, x1, y1, z1, map frame.
        voxel_m: size of a voxel along x, y, z.

    Raises:
        SchemaError: SCH005 on sizes that are not above 0, or that do not divide the range; it names the nearest valid
            range.
    """

    range_m: tuple[float, float, float, float, float, float]
    voxel_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        low, high = self.range_m[:3], self.range_m[3:]
        if min(self.voxel_m) <= 0 or any(b <= a for a, b in zip(low, high, strict=True)):
            raise SchemaError("SCH005", f"grid: range {self.range_m}, voxels {self.voxel_m}", "give sizes above 0")
        small = max(map(abs, self.range_m)) * 2 / _MOST_VOXELS
        if not (all(abs(x) <= _MOST_M for x in self.range_m) and all(size >= small for size in self.voxel_m)):
            raise SchemaError(
                "SCH005",
                f"grid: range {self.range_m}, voxels {self.voxel_m}",
                f"give a range within {_MOST_M:.0f} m, and fewer than {_MOST_VOXELS} voxels along each axis",
            )
        counts = [(b - a) / v for a, b, v in zip(low, high, self.voxel_m, strict=True)]
        if any(abs(count - round(count)) > 1e-4 for count in counts):
            raise SchemaError(
                "SCH005",
                f"grid: voxels of {self.voxel_m} m do not divide the range {self.range_m}",
                f"use the range {self._nearest(counts, (1, 1, 1))}",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along x, y, z."""
        x, y, z = (round((b - a) / v) for a, b, v in zip(self.range_m[:3], self.range_m[3:], self.voxel_m, strict=True))
        return x, y, z

    def require_stride(self, stride: int) -> None:
        """Refuse a grid whose size in the ground plane is not a multiple of a network's stride.

        Raises:
            SchemaError: SCH005, naming the nearest valid range.
        """
        x, y, z = self.shape
        if x % stride or y % stride:
            raise SchemaError(
                "SCH005",
                f"grid: {x} x {y} voxels are not a multiple of the network's stride {stride}",
                f"use the range {self._nearest((x, y, z), (stride, stride, 1))}",
            )

    def _nearest(self, counts: Sequence[float], of: Sequence[int]) -> tuple[float, ...]:
        """The range around the same centre whose numbers of voxels are the nearest multiples of `of`."""
        counts = [max(1, math.floor(count / n + 0.5)) * n for count, n in zip(counts, of, strict=True)]
        center = [(a + b) / 2 for a, b in zip(self.range_m[:3], self.range_m[3:], strict=True)]
        half = [count * size / 2 for count, size in zip(counts, self.voxel_m, strict=True)]
        low = [round(c - h, 6) for c, h in zip(center, half, strict=True)]
        return (*low, *(round(c + h, 6) for c, h in zip(center, half, strict=True)))


@dataclass(frozen=True)
class MapShape:
    """The geometry of a feature map.

    Args:
        origin_m: x, y of its lower corner.
        location_m: size of a location along x, y.
        shape: H, W, its rows (y) and columns (x).
    """

    origin_m: tuple[float, float]
    location_m: tuple[float, float]
    shape: tuple[int, int]

    @staticmethod
    def of(grid: Grid, stride: int) -> MapShape:
        """The feature map of a grid at a stride."""
        x, y, _ = grid.shape
        location_m = (grid.voxel_m[0] * stride, grid.voxel_m[1] * stride)
        return MapShape((grid.range_m[0], grid.range_m[1]), location_m, (y // stride, x // stride))


@dataclass(frozen=True, eq=False)
class Voxels:
    """The occupied voxels of a grid and their points.

    Args:
        coordinate: (V,4) int64 batch, z, y, x of each occupied voxel; sorted, unique.
        point: (K,) int64 index of each point inside the grid, increasing.
        voxel: (K,) int64 index of its voxel.
    """

    coordinate: Tensor
    point: Tensor
    voxel: Tensor


def voxelize(xyz: Tensor, batch: Tensor, grid: Grid) -> Voxels:
    """Assign points to voxels, without a cap on the points of a voxel.

    Args:
        xyz: (P,3) metres.
        batch: (P,) int64 sample of each point.
        grid: the grid; it includes its lower faces and excludes its upper ones.
    """
    low, size, shape = grid_tensors(grid, xyz.device, xyz.dtype)
    x, y, z = grid.shape
    index = torch.floor((xyz - low) / size).to(torch.int64)
    inside = ((index >= 0) & (index < shape)).all(dim=1)
    point = inside.nonzero(as_tuple=True)[0]
    i, j, k = index[point].unbind(1)
    key, voxel = torch.unique(((batch[point] * z + k) * y + j) * x + i, return_inverse=True)
    return Voxels(unravelled(key, (z, y, x)), point, voxel)


@lru_cache(maxsize=32)
def grid_tensors(grid: Grid, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Lower corner, size of a voxel, and number of voxels, (3,) each along x, y, z; the last is int64.

    They are copied to a device once: each copy would make the host wait.
    """
    low, size = (torch.tensor(values, dtype=dtype).to(device) for values in (grid.range_m[:3], grid.voxel_m))
    return low, size, torch.tensor(grid.shape).to(device)


def unravelled(key: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(V,4) batch, z, y, x of (V,) indices in flattened grids of a shape; `unravel_index` would make the host wait."""
    z, y, x = shape
    return torch.stack([key // (x * y * z), key // (x * y) % z, key // x % y, key % x], dim=1)


def scatter_mean(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size,C) means of (K,C) values by index; 0 where an index has no value."""
    total = values.new_zeros(size, values.shape[1]).index_add_(0, index, values)
    count = torch.zeros(size, dtype=torch.int64, device=index.device).index_add_(0, index, torch.ones_like(index))
    return total / count.clamp(min=1)[:, None].to(values.dtype)  # `bincount` would make the host wait


def scatter_max(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size,C) maxima of (K,C) values by index; 0 where an index has no value."""
    out = values.new_zeros(size, values.shape[1])
    return out.scatter_reduce(0, index[:, None].expand_as(values), values, "amax", include_self=False)


def map_at(x: Tensor, xy: Tensor, sample: Tensor, shape: MapShape) -> Tensor:
    """(P,C) bilinear samples of feature maps, 0 off the map; the host does not wait.

    Equal to torch's `grid_sample` (zeros, `align_corners=False`) but for rounding. Its gradient on CUDA has no fixed
    order of summation; that of a sum of table rows has one, because the rows are sorted first.

    Args:
        x: (S,C,H,W) feature maps, float32.
        xy: (P,2) positions, metres.
        sample: (P,) index of the map of each position.
        shape: geometry of the maps.
    """
    (height, width), origin_m, location_m = shape.shape, shape.origin_m, shape.location_m
    (column, along), (row, aside) = (
        _taps((xy[:, axis] - origin_m[axis]) / location_m[axis] - 0.5, size)
        for axis, size in enumerate((width, height))
    )
    place = ((sample * height)[:, None] + row)[:, :, None] * width + column[:, None]
    weight = aside[:, :, None] * along[:, None]
    table = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    return functional.embedding_bag(place.flatten(1), table, mode="sum", per_sample_weights=weight.flatten(1))


def _taps(at: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(P,2) int64 locations before and after positions along one side of a map, and their weights, 0 off the map."""
    before = at.floor()
    near = torch.stack([before, before + 1], dim=1)
    inside = near.clamp(0, size - 1)
    return inside.long(), (1 - (at[:, None] - near).abs()) * (near == inside)
