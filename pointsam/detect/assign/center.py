"""Centre-based assignment: every object, box or cluster, has one peak in the heat map of its class.

Both kinds have their peak at the centre of their visible points; only boxes are targets of centre, size and heading.
H, W locations of the feature map along y and x, C classes of a head, K locations at which a box is regressed.

Source: docs/method.md B.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pointsam.detect.labels import SampleLabels
from pointsam.detect.nets.grid import MapShape

CODE = ("x", "y", "z", "log length", "log width", "log height", "cos yaw", "sin yaw", "vx", "vy")
"""The numbers that a head regresses, in this order."""
Peak = Literal["visible", "true"]
_OVERLAP = 0.1
_MOST_OBJECTS = 500


@dataclass(frozen=True)
class CenterMap(MapShape):
    """The heat map of a head.

    Args:
        origin_m, location_m, shape: as in `MapShape`.
        classes: class_id of each channel.
        smallest_radius: smallest radius of a peak in locations, by channel; clusters always have this radius.
        reach: distance from its peak, in locations, up to which a box is also regressed. Published: 0, the peak only.
            Where clusters cover half of an object, the predicted peak is off the centre, and a location that never
            regressed a box decodes to an arbitrary one.
        peak: position of a box's peak: "visible", the centre of its visible points, as for clusters, or "true", its
            centre, as in CenterPoint.
    """

    classes: tuple[int, ...]
    smallest_radius: tuple[int, ...]
    reach: int = 0
    peak: Peak = "visible"


@dataclass(frozen=True, eq=False)
class CenterTargets:
    """Targets of one head for a batch of S samples.

    Args:
        heat: (S,C,H,W) 1 at the location of each object, decreasing around it.
        counted: (S,H,W) bool, False in ignore regions.
        num_peaks: scalar, number of locations with a heat of 1. Two objects of a class in one location are one peak.
        sample, row, column: (K,) locations at which boxes are regressed.
        code: (K,10) regression targets in the order of CODE; the velocity is NaN where unknown.
    """

    heat: Tensor
    counted: Tensor
    num_peaks: Tensor
    sample: Tensor
    row: Tensor
    column: Tensor
    code: Tensor


def center_targets(labels: Sequence[SampleLabels], head: CenterMap) -> CenterTargets:
    """Targets of a head for the labels of a batch."""
    heats, counted, rows = [], [], []
    for index, sample_labels in enumerate(labels):
        location, channel, radius, box = _peaks(sample_labels, head)
        heat = splat(location, channel, radius, (len(head.classes), *head.shape))
        heats.append(heat)
        counted.append(_counted(sample_labels, head, heat))
        location, box = _regressed(location, box, head)
        at = torch.cat([torch.full_like(location[:, :1], index), location], dim=1)
        rows.append((at, _code(sample_labels, box, location, head)))
    sample, column, row = torch.cat([at for at, _ in rows]).unbind(1)
    code = torch.cat([code for _, code in rows])
    heat = torch.stack(heats)
    return CenterTargets(heat, torch.stack(counted), (heat == 1).sum(), sample, row, column, code)


def _peaks(labels: SampleLabels, head: CenterMap) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(N,2) location x, y, (N,) channel, radius and box (-1 for a cluster) of the objects of a head, boxes first."""
    channel_of = torch.full((256,), -1, device=labels.xyz.device)
    channel_of[list(head.classes)] = torch.arange(len(head.classes), device=labels.xyz.device)
    boxed = labels.visible_center if head.peak == "visible" else labels.boxes[:, :3]
    centers = torch.cat([boxed, labels.cluster_center])
    channel = channel_of[torch.cat([labels.box_class, labels.cluster_class])]
    none = torch.full_like(labels.cluster_class, -1)
    box = torch.cat([torch.arange(len(labels.boxes), device=none.device), none])
    at_xy = (centers[:, :2] - centers.new_tensor(head.origin_m)) / centers.new_tensor(head.location_m)
    size = at_xy.new_tensor([head.shape[1], head.shape[0]])
    ours = ((channel >= 0) & ((at_xy >= 0) & (at_xy < size)).all(dim=1)).nonzero(as_tuple=True)[0][:_MOST_OBJECTS]
    at_xy, channel, box = at_xy[ours], channel[ours], box[ours]
    location = at_xy.floor().long()
    radius = torch.tensor(head.smallest_radius, device=location.device)[channel]
    of_box = box >= 0
    length, width = (labels.boxes[box[of_box], 3:5] / centers.new_tensor(head.location_m)).unbind(1)
    radius[of_box] = torch.maximum(gaussian_radius(length, width).floor().long(), radius[of_box])
    return location, channel, radius, box


def _regressed(location: Tensor, box: Tensor, head: CenterMap) -> tuple[Tensor, Tensor]:
    """(K,2) locations where boxes are regressed, and (K,) their boxes.

    Each box is regressed at its peak, and within its reach where no other peak is nearer.
    """
    step = torch.arange(-head.reach, head.reach + 1, device=location.device)
    offset = torch.cartesian_prod(step, step)
    height, width = head.shape
    about = (location[:, None] + offset).flatten(0, 1)
    owner = torch.arange(len(location), device=location.device).repeat_interleave(len(offset))
    far = (offset**2).sum(dim=1).repeat(len(location))
    inside = ((about >= 0) & (about < about.new_tensor([width, height]))).all(dim=1).nonzero(as_tuple=True)[0]
    order = inside[torch.argsort(far[inside], stable=True)]
    _, group = torch.unique(about[order, 1] * width + about[order, 0], return_inverse=True)
    rank = torch.arange(len(order), device=location.device)
    nearest = torch.full_like(rank, len(order)).scatter_reduce(0, group, rank, "amin")[group] == rank
    kept = order[(nearest | (far[order] == 0)) & (box[owner[order]] >= 0)]
    return about[kept], box[owner[kept]]


def gaussian_radius(length: Tensor, width: Tensor, overlap: float = _OVERLAP) -> Tensor:
    """(N,) offset, in locations, at which rectangles still have this overlap (CornerNet, as CenterPoint computes it).

    It is the third of CornerNet's cases and at most the square root of the area; the other two are never smaller.
    """
    o, both, area = overlap, length + width, length * width
    return (-2 * o * both + torch.sqrt(4 * o**2 * both**2 - 16 * o * (o - 1) * area)) / 2


def splat(location: Tensor, channel: Tensor, radius: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(C,H,W) maximum over objects of a Gaussian with sigma (2r + 1) / 6, truncated at the radius r.

    Args:
        location: (N,2) location x, y of each object.
        channel: (N,) channel of each object.
        radius: (N,) radius in locations.
        shape: C, H, W.
    """
    heat = torch.zeros(shape, device=location.device)
    if len(location) == 0:
        return heat
    reach = int(radius.max())
    step = torch.arange(-reach, reach + 1, device=location.device)
    dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
    x, y = location[:, :1] + dx, location[:, 1:] + dy
    sigma = (2 * radius[:, None] + 1) / 6
    bell = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    inside = (dx.abs() <= radius[:, None]) & (dy.abs() <= radius[:, None])
    inside &= (x >= 0) & (x < shape[2]) & (y >= 0) & (y < shape[1])
    flat = (channel[:, None] * shape[1] + y) * shape[2] + x
    heat.view(-1).scatter_reduce_(0, flat[inside], bell[inside], "amax")
    return heat


def _counted(labels: SampleLabels, head: CenterMap, heat: Tensor) -> Tensor:
    """(H,W) bool: all locations except those next to an unknown point and without heat of a labelled object."""
    xy = labels.xyz[labels.unknown, :2]
    location = ((xy - xy.new_tensor(head.origin_m)) / xy.new_tensor(head.location_m)).floor().long()
    inside = ((location >= 0) & (location < location.new_tensor([head.shape[1], head.shape[0]]))).all(dim=1)
    column, row = location[inside].unbind(1)
    unknown = torch.zeros(head.shape, device=heat.device)
    unknown[row, column] = 1.0
    around = functional.max_pool2d(unknown[None], 3, stride=1, padding=1)[0] > 0
    return ~(around & (heat.amax(dim=0) == 0))


def _code(labels: SampleLabels, box: Tensor, location: Tensor, head: CenterMap) -> Tensor:
    """(K,10) targets of boxes; the offset is relative to the location and may lie far outside of [0, 1)."""
    boxes = labels.boxes[box]
    true = (boxes[:, :2] - boxes.new_tensor(head.origin_m)) / boxes.new_tensor(head.location_m)
    yaw = boxes[:, 6:7]
    parts = [true - location, boxes[:, 2:3], boxes[:, 3:6].log(), yaw.cos(), yaw.sin(), labels.velocity[box]]
    return torch.cat(parts, dim=1)
