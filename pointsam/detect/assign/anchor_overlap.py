"""Overlaps of boxes and clusters with the anchors of a batch, in a window around each object.

An object overlaps few of the anchors, so each has a window of rows and columns that is as large as the longest object
of the batch needs. The labels know how long that is, so the host does not wait for the device.

Points in anchors are counted exactly without testing all pairs: the anchors that hold a point form a rectangle of rows
and columns, so four entries of a difference table per point, summed up, give the counts of all anchors.

Shapes: S samples, K classes, R rotations; H, W rows and columns of the feature map, h, w of a window; N objects, B of
them boxes or M of them clusters; P points. Source: docs/method.md B.6 and B.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pointsam.detect.assign.anchor_map import ROTATIONS, AnchorMap, spans_of
from pointsam.detect.assign.overlap import iou_of_counts
from pointsam.detect.boxes import nearest_bev
from pointsam.detect.labels import BatchLabels

_EPS = 1e-9


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlaps of N objects with the anchors around them.

    Args:
        value: (N,R,h,w) overlaps; anchors outside of a window have 0.
        anchor: (N,R,h,w) index of each anchor among the flattened (S,K,R,H,W); their number where the overlap is 0.
    """

    value: Tensor
    anchor: Tensor


def num_anchors(labels: BatchLabels, anchor_map: AnchorMap) -> int:
    """S * K * R * H * W."""
    return len(labels) * len(anchor_map.classes) * len(ROTATIONS) * anchor_map.shape[0] * anchor_map.shape[1]


def box_overlaps(labels: BatchLabels, anchor_map: AnchorMap) -> Overlaps:
    """Overlaps of boxes with the anchors of their class, as rectangles turned to the nearest of 0 and 90 degrees."""
    boxes, spans = labels.every.boxes, spans_of(anchor_map, labels.every.boxes.device)
    kind = spans.kind[labels.every.box_class]
    x0, y0, x1, y1 = nearest_bev(boxes)[..., None, None].unbind(1)
    known = (kind >= 0)[:, None, None]
    side_x, side_y = (
        (torch.minimum(high[kind], last) - torch.maximum(low[kind], first)).clamp(min=0) * known
        for low, high, first, last in (
            (spans.low_x, spans.high_x, x0, x1),
            (spans.low_y, spans.high_y, y0, y1),
        )
    )
    h, w = _window_shape(labels.longest_m[0], anchor_map)
    (row, held_y, long_y), (column, held_x, long_x) = (
        _window(side, (high - low)[kind], size)
        for side, low, high, size in (
            (side_y, spans.low_y, spans.high_y, h),
            (side_x, spans.low_x, spans.high_x, w),
        )
    )
    shared = held_y[..., :, None] * held_x[..., None, :]
    united = long_y[..., :, None] * long_x[..., None, :] + ((x1 - x0) * (y1 - y0))[..., None] - shared
    value = shared / united.clamp(min=_EPS)
    return Overlaps(value, _anchors(value > 0, labels.box_sample, kind, row, column, labels, anchor_map))


def _window(side: Tensor, length: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """(N,R,size) index, overlap and length of the spans from the first one on that an object overlaps.

    Args:
        side: (N,R,L) overlap of an object with each of the L spans along an axis.
        length: (N,R,L) their lengths.
        size: number of spans of the window.
    """
    index = (side > 0).int().argmax(dim=2, keepdim=True) + torch.arange(size, device=side.device)
    at = index.clamp(max=side.shape[2] - 1)
    return index, side.gather(2, at) * (index < side.shape[2]), length.gather(2, at)


def _window_shape(longest_m: Mapping[int, float], anchor_map: AnchorMap) -> list[int]:
    """h, w, rows and columns of anchors that an object overlaps at most, given the longest of each class."""
    classes = zip(anchor_map.class_ids, anchor_map.classes, strict=True)
    both_m = max(longest_m.get(class_id, 0) + max(some.size_lwh_m[:2]) for class_id, some in classes)
    steps = zip(anchor_map.shape, reversed(anchor_map.location_m), strict=True)
    return [min(size, int(both_m / step_m) + 2) for size, step_m in steps]


def _anchors(
    met: Tensor, sample: Tensor, kind: Tensor, row: Tensor, column: Tensor, labels: BatchLabels, anchor_map: AnchorMap
) -> Tensor:
    """(N,R,h,w) index of the anchors in windows of (N,R,h) rows and (N,R,w) columns; their number where not `met`."""
    (height, width), rotations = anchor_map.shape, len(ROTATIONS)
    rotation = torch.arange(rotations, device=met.device)
    of_class = (sample * len(anchor_map.classes) + kind)[:, None] * rotations + rotation
    at = ((of_class[..., None] * height + row)[..., None]) * width + column[..., None, :]
    return torch.where(met, at, num_anchors(labels, anchor_map))


@dataclass(frozen=True, eq=False)
class PointCounts:
    """Points in anchors.

    Args:
        columns, rows: pairs of (K,R,P), the first anchor along x and y that holds a point, and the one after the last.
        points: (S,K,R,H,W) int64 number of points in each anchor, at any height.
        unknown: (S,K,R,H,W) bool, whether some of them are unknown.
    """

    columns: tuple[Tensor, Tensor]
    rows: tuple[Tensor, Tensor]
    points: Tensor
    unknown: Tensor


def count_points(labels: BatchLabels, anchor_map: AnchorMap) -> PointCounts:
    """Count the points in the rectangles of all anchors, edges included."""
    every, spans = labels.every, spans_of(anchor_map, labels.every.xyz.device)
    (height, width), rotations = anchor_map.shape, len(ROTATIONS)
    columns = _held_by(spans.low_x, spans.high_x, every.xyz[:, 0])
    rows = _held_by(spans.low_y, spans.high_y, every.xyz[:, 1])
    kinds = torch.arange(len(anchor_map.classes) * rotations, device=every.xyz.device).view(-1, rotations, 1)
    group = labels.point_sample * kinds.numel() + kinds
    groups = len(labels) * kinds.numel()
    # One table counts both: unknown points add 1 to the upper half of the number besides.
    total = _rectangles(rows, columns, group, (groups, height, width), 1 + (every.unknown.long() << 32))
    total = total.view(len(labels), -1, rotations, height, width)
    return PointCounts(columns, rows, total & 0xFFFFFFFF, (total >> 32) > 0)


def _held_by(low: Tensor, high: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """(K,R,P) first span that holds each position, and the one after the last, of (K,R,L) spans."""
    of_all = position.to(low.dtype).expand(*low.shape[:2], -1).contiguous()
    return torch.searchsorted(high, of_all), torch.searchsorted(low, of_all, right=True)


def _rectangles(
    rows: tuple[Tensor, Tensor],
    columns: tuple[Tensor, Tensor],
    group: Tensor,
    shape: tuple[int, int, int],
    value: Tensor,
) -> Tensor:
    """(G,H,W) int64 sum of the values of all rectangles of a group that cover a cell.

    Args:
        rows: pair of (...), the first row of each rectangle, and the one after the last.
        columns: likewise.
        group: (...) group of each rectangle.
        shape: G, H, W.
        value: (...) value of each rectangle.
    """
    groups, height, width = shape
    value = torch.where((rows[0] < rows[1]) & (columns[0] < columns[1]), value, 0)
    steps = torch.zeros(groups * (height + 1) * (width + 1), dtype=torch.int64, device=value.device)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = (group * (height + 1) + rows[i]) * (width + 1) + columns[j]
        steps.index_add_(0, at.flatten(), (value if i == j else -value).flatten())
    return steps.view(groups, height + 1, width + 1).cumsum(1).cumsum(2)[:, :height, :width]


def cluster_overlaps(labels: BatchLabels, anchor_map: AnchorMap, counts: PointCounts) -> Overlaps:
    """Overlaps of the clusters with the anchors of their class, by points (docs/method.md B.6)."""
    every, clusters, rotations = labels.every, len(labels.every.cluster_class), len(ROTATIONS)
    kind = spans_of(anchor_map, every.xyz.device).kind[every.cluster_class]
    owner = every.cluster_id.clamp(min=0)
    point = torch.arange(len(owner), device=owner.device)
    if clusters == 0:
        empty = counts.points.new_zeros(0, rotations, 1, 1)
        return Overlaps(empty.float(), empty)
    own = kind[owner]
    columns, rows = ([end[own, :, point] for end in ends] for ends in (counts.columns, counts.rows))  # (P,R)
    met = (columns[0] < columns[1]) & (rows[0] < rows[1]) & ((every.cluster_id >= 0) & (own >= 0))[:, None]
    at = torch.where(met, owner[:, None], clusters)
    top, left = (
        _least(torch.where(met, first, size), at, clusters, size)
        for first, size in ((rows[0], anchor_map.shape[0]), (columns[0], anchor_map.shape[1]))
    )
    h, w = _window_shape(labels.longest_m[1], anchor_map)
    turn = torch.arange(rotations, device=owner.device)
    rows, columns = (
        [torch.where(met, end - first[owner], 0) for end in ends] for ends, first in ((rows, top), (columns, left))
    )
    shared = _rectangles(
        (rows[0], rows[1]),
        (columns[0], columns[1]),
        owner[:, None] * rotations + turn,
        (clusters * rotations, h, w),
        met,
    ).view(clusters, rotations, h, w)
    row, column = (first[..., None] + torch.arange(size, device=owner.device) for first, size in ((top, h), (left, w)))
    anchor = _anchors(shared > 0, labels.cluster_sample, kind, row, column, labels, anchor_map)
    held = counts.points.flatten()[anchor.clamp(max=counts.points.numel() - 1)]
    return Overlaps(iou_of_counts(shared, held, every.cluster_points[:, None, None, None]), anchor)


def _least(values: Tensor, index: Tensor, size: int, initial: int) -> Tensor:
    """(size,R) minimum of (P,R) values by (P,R) index; an index of `size` counts nowhere."""
    out = torch.full((size + 1, values.shape[1]), initial, device=values.device)
    return out.scatter_reduce_(0, index, values, "amin")[:size]
