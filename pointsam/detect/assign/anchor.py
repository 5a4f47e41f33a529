"""Anchor assignment: to boxes by the overlap of rectangles, to clusters by the overlap of points; or by centres.

The targets of all samples and classes of a batch are computed at once. Every step is an operation on all objects or all
anchors; none asks the device how many objects remain.

Shapes: S samples, K classes, R rotations; H, W rows and columns of the feature map; N objects of a batch, boxes before
clusters. Source: docs/method.md B.7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pointsam.detect.assign.anchor_map import ROTATIONS, AnchorMap, spans_of
from pointsam.detect.assign.anchor_overlap import (
    Overlaps,
    box_overlaps,
    cluster_overlaps,
    count_points,
    num_anchors,
)
from pointsam.detect.labels import BatchLabels

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
Match = Literal["overlap", "centers"]


@dataclass(frozen=True, eq=False)
class AnchorTargets:
    """Targets of the anchors of a batch.

    Args:
        label: (S,K,R,H,W) int8 POSITIVE, NEGATIVE or IGNORED.
        box: (S,K,R,H,W) int64 index of the box to regress among all boxes of the batch, -1 for none. An anchor that is
            positive for a box regresses it even where, in matching by overlap, a cluster overrules its label.
    """

    label: Tensor
    box: Tensor


def anchor_targets(labels: BatchLabels, anchor_map: AnchorMap, match: Match = "overlap") -> AnchorTargets:
    """Assign the boxes and clusters of a batch; negative anchors that hold unknown points become ignored.

    Args:
        labels: labels of the batch.
        anchor_map: the anchors.
        match: "overlap", the published rule: the label by clusters overrules the label by boxes wherever it is not
            negative; or "centers": both kinds are matched by the centre of their visible points, as in centre heads.
    """
    rule = {"overlap": _by_overlap, "centers": _by_centers}[match]
    counts = count_points(labels, anchor_map)
    label, box = rule(
        labels, anchor_map, box_overlaps(labels, anchor_map), cluster_overlaps(labels, anchor_map, counts)
    )
    label.masked_fill_((label == NEGATIVE) & counts.unknown, IGNORED)
    return AnchorTargets(label, box)


def _by_overlap(
    labels: BatchLabels, anchor_map: AnchorMap, boxes: Overlaps, clusters: Overlaps
) -> tuple[Tensor, Tensor]:
    """(S,K,R,H,W) label and box of all anchors (docs/method.md B.7)."""
    spans = spans_of(anchor_map, labels.every.boxes.device)
    label, owner = _matched(boxes, spans.box_iou, labels, anchor_map)
    by_cluster, _ = _matched(clusters, spans.cluster_iou, labels, anchor_map)
    return torch.where(by_cluster == NEGATIVE, label, by_cluster), torch.where(label == POSITIVE, owner, -1)


def _matched(
    overlaps: Overlaps, thresholds: Tensor, labels: BatchLabels, anchor_map: AnchorMap
) -> tuple[Tensor, Tensor]:
    """(S,K,R,H,W) label and best object of each anchor; the best anchors of an object are positive if they overlap it.

    Args:
        overlaps: overlaps of objects with anchors.
        thresholds: (2,K) overlap from which on an anchor is positive, and below which it is negative.
        labels: labels of the batch.
        anchor_map: the anchors.
    """
    count, shape = num_anchors(labels, anchor_map), _shape(labels, anchor_map)
    value, anchor = overlaps.value, overlaps.anchor
    most = _most(overlaps, count)
    high, low = thresholds[..., None, None, None]
    label = torch.zeros(shape, dtype=torch.int8, device=value.device)
    label.masked_fill_(most[:count].view(shape) >= low, IGNORED)
    best = value.amax(dim=(1, 2, 3), keepdim=True)
    forced = torch.where((value == best) & (best > 0), anchor, count)
    positive = torch.zeros(count + 1, dtype=torch.bool, device=value.device).index_fill_(0, forced.flatten(), True)
    label.masked_fill_((most[:count].view(shape) >= high) | positive[:count].view(shape), POSITIVE)
    owner = _first(torch.where(value == most[anchor], anchor, count), count)
    return label, owner[:count].view(shape)


def _shape(labels: BatchLabels, anchor_map: AnchorMap) -> tuple[int, int, int, int, int]:
    return len(labels), len(anchor_map.classes), len(ROTATIONS), *anchor_map.shape


def _most(overlaps: Overlaps, count: int) -> Tensor:
    """(count+1,) largest overlap of each anchor; the last entry is that of no anchor."""
    most = overlaps.value.new_zeros(count + 1)
    return most.scatter_reduce_(0, overlaps.anchor.flatten(), overlaps.value.flatten(), "amax")


def _first(place: Tensor, count: int) -> Tensor:
    """(count+1,) first of N objects at each place, of (N,...) places; N where there is none."""
    rank = torch.arange(len(place), device=place.device).view(-1, *[1] * (place.dim() - 1)).expand_as(place)
    out = torch.full((count + 1,), len(place), device=place.device)
    return out.scatter_reduce_(0, place.flatten(), rank.flatten(), "amin")


def _by_centers(
    labels: BatchLabels, anchor_map: AnchorMap, boxes: Overlaps, clusters: Overlaps
) -> tuple[Tensor, Tensor]:
    """(S,K,R,H,W) label and box of all anchors.

    An anchor is positive within half a width of an object's visible centre, and at the location nearest to it. If
    several objects are that near, the nearest one is matched. For a box, the anchor of the rotation nearest to its
    heading is positive; for a cluster, the rotation with the largest overlap, and the other rotation is ignored. All
    other anchors that overlap an object by at least the lower threshold are ignored.
    """
    every, shape, count = labels.every, _shape(labels, anchor_map), num_anchors(labels, anchor_map)
    spans = spans_of(anchor_map, every.boxes.device)
    owner = _nearest(labels, anchor_map)  # (S,K,1,H,W), the number of objects where none is near
    yaw, by_rotation = every.boxes[:, 6], clusters.value.amax(dim=(2, 3))
    turned = torch.cat([yaw.sin().abs() > yaw.cos().abs(), by_rotation[:, 1] > by_rotation[:, 0], yaw.new_zeros(1) > 0])
    near, boxed = owner < len(turned) - 1, owner < len(yaw)
    label = torch.zeros(shape, dtype=torch.int8, device=owner.device)
    for overlaps, thresholds in ((boxes, spans.box_iou), (clusters, spans.cluster_iou)):
        low = thresholds[1, :, None, None, None]
        label.masked_fill_(_most(overlaps, count)[:count].view(shape) >= low, IGNORED)
    label.masked_fill_(near & ~boxed, IGNORED)
    rotation = torch.arange(len(ROTATIONS), device=owner.device).view(-1, 1, 1)
    chosen = turned[owner] == (rotation == 1)
    label.masked_fill_(near & chosen, POSITIVE)
    return label, torch.where(boxed & chosen, owner, -1)


def _nearest(labels: BatchLabels, anchor_map: AnchorMap) -> Tensor:
    """(S,K,1,H,W) nearest object of the class whose visible centre is near a location; the number of objects for none.

    Near is within half of the anchors' shorter side, or the location of the map that is nearest to the centre.
    """
    every, (height, width), kinds = labels.every, anchor_map.shape, len(anchor_map.classes)
    spans = spans_of(anchor_map, every.boxes.device)
    center = torch.cat([every.visible_center, every.cluster_center])[:, :2]
    sample = torch.cat([labels.box_sample, labels.cluster_sample])
    kind = spans.kind[torch.cat([every.box_class, every.cluster_class])]
    known = (kind >= 0) & ((center >= spans.origin_m) & (center < spans.end_m)).all(dim=1)
    widest = max(min(some.size_lwh_m[:2]) / 2 for some in anchor_map.classes)
    axes = []
    for k, (places, size) in enumerate(((spans.x, width), (spans.y, height))):
        reach = math.ceil(widest / anchor_map.location_m[k]) + 2
        at = torch.searchsorted(places, center[:, k].contiguous())[:, None]
        at = at + torch.arange(-reach, reach + 1, device=center.device)
        axes.append((at, (at >= 0) & (at < size), places[at.clamp(0, size - 1)]))
    (column, in_x, x), (row, in_y, y) = axes
    inside = known[:, None, None] & in_y[:, :, None] & in_x[:, None, :]
    at_xy = torch.stack([x[:, None].expand_as(inside), y[:, :, None].expand_as(inside)], dim=3)
    offset = at_xy - center[:, None, None]
    far = torch.where(inside, torch.linalg.norm(offset, dim=3), torch.inf)
    count = len(labels) * kinds * height * width
    place = (((sample * kinds + kind)[:, None, None] * height + row[:, :, None]) * width) + column[:, None, :]
    place = torch.where(inside, place, count)
    least = far.new_full((count + 1,), torch.inf).scatter_reduce_(0, place.flatten(), far.flatten(), "amin")
    close = inside & ((far <= spans.narrow_m[kind][:, None, None]) | (far == far.amin(dim=(1, 2), keepdim=True)))
    near = torch.zeros(count + 1, dtype=torch.bool, device=far.device)
    near.index_fill_(0, torch.where(close, place, count).flatten(), True)
    owner = _first(torch.where(far == least[place], place, count), count)
    return torch.where(near, owner, len(center))[:count].view(len(labels), kinds, 1, height, width)


def sine_difference(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Values whose difference is sin(predicted - target), so that an error of 180 degrees costs nothing (SECOND)."""
    return predicted.sin() * target.cos(), predicted.cos() * target.sin()


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """(N,7) residuals of boxes to their anchors: offsets over the anchor's diagonal and height, log sizes, yaw."""
    diagonal = torch.linalg.norm(anchors[:, 3:5], dim=1, keepdim=True)
    offset = (boxes[:, :3] - anchors[:, :3]) / torch.cat([diagonal, diagonal, anchors[:, 5:6]], dim=1)
    return torch.cat([offset, (boxes[:, 3:6] / anchors[:, 3:6]).log(), boxes[:, 6:] - anchors[:, 6:]], dim=1)


def decode_boxes(residuals: Tensor, anchors: Tensor) -> Tensor:
    """(N,7) boxes of residuals: the inverse of `encode_boxes`."""
    diagonal = torch.linalg.norm(anchors[:, 3:5], dim=1, keepdim=True)
    center = residuals[:, :3] * torch.cat([diagonal, diagonal, anchors[:, 5:6]], dim=1) + anchors[:, :3]
    return torch.cat([center, residuals[:, 3:6].exp() * anchors[:, 3:6], residuals[:, 6:] + anchors[:, 6:]], dim=1)
