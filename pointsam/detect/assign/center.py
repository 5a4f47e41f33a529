"""Centre-based assignment: every object, box or cluster, has one peak in the heat map of its class.

Both kinds have their peak at the centre of their visible points; only boxes are targets of centre, size and heading.
The targets of all heads and samples of a batch are computed at once: there is no loop over samples, heads or objects,
and the host waits for the device twice, for the largest radius and for the number of regressed locations.

Shapes: S samples, G heads (groups of classes), C channels of all heads; H, W locations of the feature map along y and
x; N objects of a batch, boxes before clusters, B of them boxes; K locations at which a box is regressed; O locations
around a peak. Source: docs/method.md B.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pointsam.detect.labels import BatchLabels, SampleLabels
from pointsam.detect.nets.grid import MapShape

CODE = ("x", "y", "z", "log length", "log width", "log height", "cos yaw", "sin yaw", "vx", "vy")
"""The numbers that a head regresses, in this order."""
Peak = Literal["visible", "true"]
_OVERLAP = 0.1
_MOST_OBJECTS = 500
"""Largest number of objects of a head in a sample; boxes come first."""


@dataclass(frozen=True)
class CenterMap(MapShape):
    """The heat maps of all heads.

    Args:
        origin_m, location_m, shape: as in `MapShape`.
        groups: (G) class_ids of each head; the channels are those of all heads, one after another.
        smallest_radius: (C) smallest radius of a peak in locations; clusters always have this radius.
        reach: distance from its peak, in locations, up to which a box is also regressed. Published: 0, the peak only.
            Where clusters cover half of an object, the predicted peak is off the centre, and a location that never
            regressed a box decodes to an arbitrary one.
        peak: position of a box's peak: "visible", the centre of its visible points, as for clusters, or "true", its
            centre, as in CenterPoint.
    """

    groups: tuple[tuple[int, ...], ...]
    smallest_radius: tuple[int, ...]
    reach: int = 0
    peak: Peak = "visible"

    @cached_property
    def group_of_channel(self) -> tuple[int, ...]:
        """(C) head of each channel."""
        return tuple(group for group, classes in enumerate(self.groups) for _ in classes)


@dataclass(frozen=True, eq=False)
class CenterTargets:
    """Targets of all heads for a batch.

    Args:
        heat: (S,C,H,W) 1 at the location of each object, decreasing around it.
        counted: (S,C,H,W) bool, False in ignore regions; the same for all channels of a head.
        num_peaks: (G,) number of locations with a heat of 1. Two objects of a class in one location are one peak.
        num_boxes: (G,) number of locations at which boxes are regressed.
        group, sample, row, column: (K,) these locations.
        code: (K,10) regression targets in the order of CODE; the velocity is NaN where unknown.
    """

    heat: Tensor
    counted: Tensor
    num_peaks: Tensor
    num_boxes: Tensor
    group: Tensor
    sample: Tensor
    row: Tensor
    column: Tensor
    code: Tensor


@dataclass(frozen=True, eq=False)
class _Tables:
    """Constants of a map on a device: copying them there for each batch would make the host wait.

    Args:
        origin_m, location_m, size: (2,) along x and y; size is W, H.
        channel: (256,) channel of each class_id, -1 for none.
        radius, group: (C,) smallest radius and head of each channel.
        offset: (O,2) locations within the reach of a peak, relative to it.
    """

    origin_m: Tensor
    location_m: Tensor
    size: Tensor
    channel: Tensor
    radius: Tensor
    group: Tensor
    offset: Tensor


@lru_cache(maxsize=32)
def _tables(head: CenterMap, device: torch.device) -> _Tables:
    channel = torch.full((256,), -1)
    channel[[class_id for group in head.groups for class_id in group]] = torch.arange(len(head.group_of_channel))
    step = torch.arange(-head.reach, head.reach + 1)
    values = (
        torch.tensor(head.origin_m),
        torch.tensor(head.location_m),
        torch.tensor([head.shape[1], head.shape[0]]),
        channel,
        torch.tensor(head.smallest_radius),
        torch.tensor(head.group_of_channel),
        torch.cartesian_prod(step, step),
    )
    return _Tables(*(value.to(device) for value in values))


@dataclass(frozen=True, eq=False)
class _Objects:
    """The N objects of a batch.

    Args:
        sample, channel, group, radius: (N,).
        location: (N,2) x, y.
        there: (N,) bool, whether a head has the object; the other values of an object that no head has are arbitrary.
    """

    sample: Tensor
    channel: Tensor
    group: Tensor
    radius: Tensor
    location: Tensor
    there: Tensor

    def some(self, part: slice) -> _Objects:
        """Consecutive objects."""
        return _Objects(*(value[part] for value in vars(self).values()))


def center_targets(labels: BatchLabels, head: CenterMap) -> CenterTargets:
    """Targets of all heads for the labels of a batch."""
    every, samples, boxes = labels.every, len(labels), len(labels.every.boxes)
    tables = _tables(head, every.boxes.device)
    objects = _objects(labels, head, tables)
    channels = len(head.group_of_channel)
    heat = torch.zeros(samples, channels, *head.shape, device=objects.there.device)
    # Only boxes have large peaks; the largest peak of a cluster is known without asking the device.
    largest = int(torch.where(objects.there, objects.radius, 0)[:boxes].amax()) if boxes else 0
    for part, most in ((slice(0, boxes), largest), (slice(boxes, None), max(head.smallest_radius))):
        o = objects.some(part)
        splat(heat.flatten(0, 1), o.sample * channels + o.channel, o.location, o.radius, o.there, most)
    box, offset = _regressed(objects, samples, boxes, head, tables)
    at = objects.location[box] + offset
    group = objects.group[box]
    heads = torch.arange(len(head.groups), device=heat.device)
    peaks = (heat == 1).sum(dim=(0, 2, 3))[:, None] * (tables.group[:, None] == heads)
    return CenterTargets(
        heat,
        _counted(labels, head, heat, tables),
        peaks.sum(dim=0),
        (group[:, None] == heads).sum(dim=0),
        group,
        objects.sample[box],
        at[:, 1],
        at[:, 0],
        _code(every, box, at, tables),
    )


def _objects(labels: BatchLabels, head: CenterMap, tables: _Tables) -> _Objects:
    every = labels.every
    centers = torch.cat([every.visible_center if head.peak == "visible" else every.boxes[:, :3], every.cluster_center])
    sample = torch.cat([labels.box_sample, labels.cluster_sample])
    channel = tables.channel[torch.cat([every.box_class, every.cluster_class])]
    group = tables.group[channel]
    at_xy = (centers[:, :2] - tables.origin_m) / tables.location_m
    there = (channel >= 0) & ((at_xy >= 0) & (at_xy < tables.size)).all(dim=1)
    heads = torch.arange(len(labels) * len(head.groups), device=there.device)
    ours = there[:, None] & ((sample * len(head.groups) + group)[:, None] == heads)
    there = (ours & (ours.cumsum(dim=0) <= _MOST_OBJECTS)).any(dim=1)
    length, width = (every.boxes[:, 3:5] / tables.location_m).unbind(1)
    radius, boxes = tables.radius[channel], len(every.boxes)
    large = torch.maximum(gaussian_radius(length, width).floor().long(), radius[:boxes])
    return _Objects(sample, channel, group, torch.cat([large, radius[boxes:]]), at_xy.floor().long(), there)


def _regressed(objects: _Objects, samples: int, boxes: int, head: CenterMap, tables: _Tables) -> tuple[Tensor, Tensor]:
    """(K,) boxes to regress, and (K,2) the location of each, relative to its peak.

    Each box is regressed at its peak, and within its reach where no other peak of its head is nearer.
    """
    far = (tables.offset**2).sum(dim=1)
    about = objects.location[:, None] + tables.offset
    kept = objects.there[:, None] & ((about >= 0) & (about < tables.size)).all(dim=2)
    if head.reach:
        (height, width), groups = head.shape, len(head.groups)
        locations = samples * groups * height * width
        place = (objects.sample * groups + objects.group)[:, None]
        place = torch.where(kept, (place * height + about[..., 1]) * width + about[..., 0], locations)
        rank = far * len(kept) + torch.arange(len(kept), device=far.device)[:, None]  # by distance, then by object
        nearest = torch.full((locations + 1,), torch.iinfo(torch.int64).max, device=far.device)
        nearest.scatter_reduce_(0, place.flatten(), rank.flatten(), "amin")
        kept &= (nearest[place] == rank) | (far == 0)
    owner, offset = kept[:boxes].nonzero(as_tuple=True)
    return owner, tables.offset[offset]


def gaussian_radius(length: Tensor, width: Tensor, overlap: float = _OVERLAP) -> Tensor:
    """(N,) offset, in locations, at which rectangles still have this overlap (CornerNet, as CenterPoint computes it).

    It is the third of CornerNet's cases and at most the square root of the area; the other two are never smaller.
    """
    o, both, area = overlap, length + width, length * width
    return (-2 * o * both + torch.sqrt(4 * o**2 * both**2 - 16 * o * (o - 1) * area)) / 2


def splat(heat: Tensor, channel: Tensor, location: Tensor, radius: Tensor, there: Tensor, largest: int) -> None:
    """Raise heat maps to the Gaussians of objects, with sigma (2r + 1) / 6 and truncated at the radius r.

    Args:
        heat: (C,H,W) changed in place; where objects overlap, the maximum counts.
        channel: (N,) map of each object.
        location: (N,2) location x, y of each object.
        radius: (N,) radius in locations.
        there: (N,) bool, whether an object counts.
        largest: the largest radius, or more.
    """
    step = torch.arange(-largest, largest + 1, device=heat.device)
    dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
    x, y = location[:, :1] + dx, location[:, 1:] + dy
    sigma = (2 * radius[:, None] + 1) / 6
    bell = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    inside = there[:, None] & (dx.abs() <= radius[:, None]) & (dy.abs() <= radius[:, None])
    inside &= (x >= 0) & (x < heat.shape[2]) & (y >= 0) & (y < heat.shape[1])
    flat = (channel[:, None] * heat.shape[1] + y) * heat.shape[2] + x
    at = torch.where(inside, flat, 0)  # what is outside raises the first location to 0, which changes nothing
    heat.view(-1).scatter_reduce_(0, at.flatten(), torch.where(inside, bell, 0).flatten(), "amax")


def _counted(labels: BatchLabels, head: CenterMap, heat: Tensor, tables: _Tables) -> Tensor:
    """(S,C,H,W) bool: all locations except those next to an unknown point and without heat of an object of the head."""
    height, width = head.shape
    location = ((labels.every.xyz[:, :2] - tables.origin_m) / tables.location_m).floor().long()
    inside = labels.every.unknown & ((location >= 0) & (location < tables.size)).all(dim=1)
    column, row = location.unbind(1)
    locations = len(labels) * height * width
    at = torch.where(inside, (labels.point_sample * height + row) * width + column, locations)
    unknown = torch.zeros(locations + 1, device=heat.device).index_fill_(0, at, 1.0)
    around = functional.max_pool2d(unknown[:-1].view(-1, 1, height, width), 3, stride=1, padding=1) > 0
    labelled = torch.stack([own.amax(dim=1) for own in torch.split(heat, [len(g) for g in head.groups], dim=1)], dim=1)
    return ~(around & (labelled == 0))[:, tables.group]


def _code(labels: SampleLabels, box: Tensor, location: Tensor, tables: _Tables) -> Tensor:
    """(K,10) targets of boxes; the offset is relative to the location and may lie far outside of [0, 1)."""
    boxes = labels.boxes[box]
    true = (boxes[:, :2] - tables.origin_m) / tables.location_m
    yaw = boxes[:, 6:7]
    parts = [true - location, boxes[:, 2:3], boxes[:, 3:6].log(), yaw.cos(), yaw.sin(), labels.velocity[box]]
    return torch.cat(parts, dim=1)
