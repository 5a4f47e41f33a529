"""What heads share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from pointsam.detect.grid import Grid
from pointsam.detect.nets.norm import conv_norm_relu

Losses = dict[str, Tensor]
"""Terms by name, weighted; their sum is trained on."""

PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)
"""What a class logit begins with: almost everywhere is nothing (RetinaNet's prior of 0.01)."""


@dataclass(frozen=True)
class MapShape:
    """A detector's map.

    Args:
        origin_m: x, y of its lower corner.
        cell_m: length of a cell along x, y.
        shape: rows (y), columns (x).
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


def branch(channels: int, width: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    """Two convolutions to some outputs, the last with a bias."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(*conv_norm_relu(channels, width), last)
