"""A last stage that looks at every box in its own frame: it moves the box and turns it to its front.

A network on the feature map must learn what a front looks like for every direction anew; in the frame of a box there is
one front only. The stage samples the heights of the points around a box on a grid that is aligned with it, so that a
small network is enough. It is trained on ground-truth boxes that are moved at random, independently of the network
before it, and no gradient leaves it.

Half a turn of a box reverses its grid. The logit of the front and the offsets along the ground are therefore the
difference of the outputs for the grid and its reverse, and all other numbers their mean: a box and the same box turned
by half give the same result.

S samples, N boxes, H and W cells of a height map, U and V cells of a box's grid along its length and width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pointsam.base.ranges import require, require_between
from pointsam.detect.boxes import wrapped
from pointsam.detect.heads.base import Losses, require_head
from pointsam.detect.heads.roi_code import decode_roi, encode_roi
from pointsam.detect.labels import BatchLabels
from pointsam.detect.losses import divisor
from pointsam.detect.nets.encoders import MOST_CHANNELS
from pointsam.detect.nets.grid import Grid
from pointsam.detect.predictions import BatchPredictions, Predictions

_CODE = 7
_ODD = 2
"""The first residuals, of x and y, change their sign with half a turn; those of z, sizes and yaw do not."""
_LOW, _HIGH = 0.1, 1.3
"""Heights in a box, as fractions of its own: what is below is ground, what is above is not part of the object."""
_MOVED_SHARE, _MOVED_M, _MOST_MOVED_M = 0.1, 0.1, 0.6
_RAISED_SHARE, _SIZED, _TURNED_RAD = 0.06, 0.08, 0.1
"""Standard deviations of the changes of boxes in training, near the errors of a detector after a short training: of the
centre along each side 0.1 m and a tenth of the side, at most 0.6 m; in height; of the logarithm of each side; and of
the yaw."""
_BETA = 0.05
_MOST_RESIDUAL = 1.0
_MOST_READ = 1 << 15
"""Bound of the heights that are read for a box."""
_MOST_CELLS = 1 << 24
"""Bound of the cells of a height map: 64 MB for each sample."""
_ROWS = 128
"""The network gets multiples of so many grids: each new number of rows costs time and memory that oneDNN keeps."""


@dataclass(frozen=True)
class RefineConfig:
    """The configuration of the stage.

    Args:
        cells: U, V.
        samples: points at which the height map is read along each side of a cell.
        cell_m: size of a cell of the height map.
        enlarge: size of the grid relative to the box.
        channels: width of the convolutions.
        passes: number of times that a box is moved; each pass starts from the box of the one before.
        box_weight, front_weight: weights of the two losses.
    """

    cells: tuple[int, int] = (12, 6)
    samples: int = 5
    cell_m: float = 0.1
    enlarge: float = 1.3
    channels: int = 64
    passes: int = 3
    box_weight: float = 5.0
    front_weight: float = 1.0

    def __post_init__(self) -> None:
        name, cells, samples = "detector.refine", self.cells, self.samples
        require(all(1 <= count <= 64 for count in cells), f"{name}.cells", cells, "two numbers from 1 to 64")
        few = samples >= 1 and math.prod(cells) * samples**2 <= _MOST_READ
        wanted = f"1 or more; cells[0] * cells[1] * samples**2 is at most {_MOST_READ}"
        require(few, f"{name}.samples", samples, wanted)
        require_head(self, name)
        require_between(self, name, 0.01, 10, ("cell_m",))
        require_between(self, name, 0.1, 10, ("enlarge",))
        require_between(self, name, 1, MOST_CHANNELS, ("channels",))
        require_between(self, name, 1, 100, ("passes",))

    def require_memory(self, grid: Grid) -> None:
        """Refuse a height map that is too large.

        Raises:
            SchemaError: SCH005.
        """
        x, y = _map_shape(grid, self.cell_m)
        wanted = f"a larger one: the height map would have {x} x {y} cells, more than {_MOST_CELLS}"
        require(x * y <= _MOST_CELLS, "detector.refine.cell_m", self.cell_m, wanted)


class RefineHead(nn.Module):
    """The stage.

    Args:
        grid: range of the detector.
        class_ids: the detector's classes; each has a logit of its own.
        config: configuration.
    """

    classes: Tensor
    offsets: Tensor

    def __init__(self, grid: Grid, class_ids: Sequence[int], config: RefineConfig) -> None:
        super().__init__()
        self.config, (self.cells_x, self.cells_y) = config, _map_shape(grid, config.cell_m)
        self.origin_m, self.top_m = grid.range_m[:2], grid.range_m[5]
        classes = torch.zeros(256, dtype=torch.int64)
        classes[list(class_ids)] = torch.arange(len(class_ids))
        self.register_buffer("classes", classes, persistent=False)
        steps = [(torch.arange(n * config.samples) + 0.5) / (n * config.samples) - 0.5 for n in config.cells]
        self.register_buffer("offsets", torch.cartesian_prod(*steps) * config.enlarge, persistent=False)
        width = config.channels
        self.trunk = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * math.prod(config.cells), 2 * width),
            nn.ReLU(),
        )
        self.outputs = nn.Linear(2 * width, len(class_ids) * (1 + _CODE))

    def loss(self, points: Sequence[Tensor], labels: BatchLabels, generator: torch.Generator | None) -> Losses:
        """Loss of the residuals, and of front and back.

        Args:
            points: (S) arrays (P,F) of each sample, x, y, z first.
            labels: labels of the samples.
            generator: random generator on the CPU for the changes of the boxes; None = torch's global one.
        """
        boxes, config, heights = labels.every.boxes, self.config, self._heights(points)
        draws = torch.randn(len(boxes), _CODE, generator=generator).to(boxes.device, non_blocking=True)
        start, box_loss, front_loss = _changed(boxes, draws), boxes.new_zeros(()), boxes.new_zeros(())
        for _ in range(config.passes):
            front, residuals, seen = self._outputs(heights, labels.box_sample, start, labels.every.box_class)
            # Boxes without points do not count. Those with a side of 0 have none, and their residuals are no numbers.
            target = torch.where(seen[:, None], encode_roi(boxes, start), residuals)
            ahead = torch.where((boxes[:, 6] - start[:, 6]).cos() < 0, -front, front)
            apart = functional.smooth_l1_loss(residuals, target, reduction="none", beta=_BETA).mean(dim=1)
            count = divisor(seen.sum()) * config.passes
            box_loss = box_loss + apart.sum() / count
            front_loss = front_loss + (functional.softplus(-ahead) * seen).sum() / count
            start = self._moved(start, residuals.detach(), seen)
        return {"refine": box_loss * config.box_weight, "front": front_loss * config.front_weight}

    def predict(self, points: Sequence[Tensor], predictions: Sequence[Predictions]) -> list[Predictions]:
        """The predictions of each sample in their order, with other boxes; points as for `loss`."""
        every, heights = BatchPredictions.join(predictions), self._heights(points)
        boxes, class_id = every.every.boxes.float(), every.every.class_id
        front = boxes.new_zeros(len(boxes))
        for _ in range(self.config.passes):
            front, residuals, seen = self._outputs(heights, every.sample, boxes, class_id)
            boxes = self._moved(boxes, residuals, seen)
        yaw = wrapped(boxes[:, 6] + math.pi * (front < 0))
        boxes = torch.cat([boxes[:, :6], yaw[:, None]], dim=1)
        return replace(every, every=replace(every.every, boxes=boxes)).split()

    def _heights(self, points: Sequence[Tensor]) -> Tensor:
        """(S,HW) height of each cell's highest point below the grid's top, -inf where there is none."""
        every, cells = torch.cat(list(points)), self.cells_x * self.cells_y
        sample = torch.cat([torch.full((len(own),), k, device=own.device) for k, own in enumerate(points)])
        cell, inside = self._cell(every[:, :2])
        # What is outside goes to a cell of its own, so that the host need not wait for the number of the others.
        inside = inside & (every[:, 2] < self.top_m)
        at = torch.where(inside, sample * cells + cell, len(points) * cells)
        heights = every.new_full((len(points) * cells + 1,), -math.inf).scatter_reduce_(0, at, every[:, 2], "amax")
        return heights[:-1].view(len(points), cells)

    def _cell(self, xy: Tensor) -> tuple[Tensor, Tensor]:
        """(...) index of the cell of each position (...,2), and whether there is one."""
        x, y = ((xy[..., k] - self.origin_m[k]).div(self.config.cell_m).floor().long() for k in range(2))
        inside = (x >= 0) & (x < self.cells_x) & (y >= 0) & (y < self.cells_y)
        return torch.where(inside, y * self.cells_x + x, 0), inside

    def _grids(self, heights: Tensor, sample: Tensor, boxes: Tensor) -> Tensor:
        """(N,3,U,V) highest and lowest height of each cell, as fractions of the box's, and whether there is one."""
        config = self.config
        at = self.offsets * boxes[:, None, 3:5]
        c, s = boxes[:, 6, None].cos(), boxes[:, 6, None].sin()
        x, y = c * at[..., 0] - s * at[..., 1], s * at[..., 0] + c * at[..., 1]
        cell, inside = self._cell(torch.stack([x, y], dim=2) + boxes[:, None, :2])
        height = heights.flatten()[sample[:, None] * heights.shape[1] + cell]
        share = (height - boxes[:, 2:3]) / boxes[:, 5:6] + 0.5
        there = inside & (share > _LOW) & (share < _HIGH)
        u, v = config.cells
        share = torch.where(there, share, 0).view(len(boxes), 1, u * config.samples, v * config.samples)
        high = functional.max_pool2d(share, config.samples)
        low = -functional.max_pool2d(-torch.where(share > 0, share, math.inf), config.samples)
        return torch.cat([high, torch.where(high > 0, low, 0), high > 0], dim=1)

    def _outputs(
        self, heights: Tensor, sample: Tensor, boxes: Tensor, class_id: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(N,) logit of the box's yaw against its opposite, (N,7) residuals, and (N,) whether it has points."""
        grids = self._grids(heights, sample, boxes)
        both = torch.cat([grids, grids.flip(2, 3)])
        filled = functional.pad(both, (0, 0, 0, 0, 0, 0, 0, -len(both) % _ROWS))
        outputs = self.outputs(self.trunk(filled))[: len(both)].float()
        outputs = outputs.unflatten(1, (-1, 1 + _CODE)).unflatten(0, (2, len(grids)))
        one, other = outputs[:, torch.arange(len(grids), device=grids.device), self.classes[class_id]]
        odd, even = (one - other) / 2, (one + other) / 2
        residuals = torch.cat([odd[:, 1 : 1 + _ODD], even[:, 1 + _ODD :]], dim=1)
        return odd[:, 0], residuals, (grids[:, 2] > 0).flatten(1).any(dim=1)

    @staticmethod
    def _moved(boxes: Tensor, residuals: Tensor, seen: Tensor) -> Tensor:
        """(N,7) boxes moved by residuals; those without points stay."""
        moved = decode_roi(residuals.clamp(-_MOST_RESIDUAL, _MOST_RESIDUAL), boxes)
        return torch.where(seen[:, None], moved, boxes)


def _map_shape(grid: Grid, cell_m: float) -> tuple[int, int]:
    """Cells of the height map along x and y."""
    x, y = (math.ceil((high - low) / cell_m) for low, high in zip(grid.range_m[:2], grid.range_m[3:5], strict=True))
    return x, y


def _changed(boxes: Tensor, draws: Tensor) -> Tensor:
    """(N,7) boxes with errors as a detector makes them.

    Args:
        boxes: (N,7).
        draws: (N,7) standard normal numbers for x, y, z, length, width, height, yaw, in the frame of the box.
    """
    moved_m = (boxes[:, 3:5] * _MOVED_SHARE + _MOVED_M).clamp(max=_MOST_MOVED_M) * draws[:, :2]
    c, s = boxes[:, 6].cos(), boxes[:, 6].sin()
    x, y = c * moved_m[:, 0] - s * moved_m[:, 1], s * moved_m[:, 0] + c * moved_m[:, 1]
    z = draws[:, 2] * _RAISED_SHARE * boxes[:, 5]
    size = boxes[:, 3:6] * (draws[:, 3:6] * _SIZED).exp()
    yaw = boxes[:, 6] + draws[:, 6] * _TURNED_RAD
    return torch.cat([boxes[:, :3] + torch.stack([x, y, z], dim=1), size, yaw[:, None]], dim=1)
