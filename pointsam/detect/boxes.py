"""Boxes in torch: exact overlap of rotated rectangles, points inside.

A box is a row x, y, z of its centre, length, width, height, yaw about z: metres and radians, LiDAR frame. N and M are
numbers of boxes, P of pairs or points. There is no compiled extension; pairs that cannot touch are skipped before
their intersection is computed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_PAIRS = 1 << 15
"""Number of pairs whose intersections are computed at once; it bounds the memory."""
_EPS = 1e-9


def wrapped(yaw: Tensor) -> Tensor:
    """(N,) the same angles in (-pi, pi]."""
    return -(torch.remainder(-yaw + math.pi, 2 * math.pi) - math.pi)


def toward(yaw: Tensor, vector: Tensor) -> Tensor:
    """(N,) yaw or yaw + pi, whichever is within 90 degrees of a vector, in (-pi, pi].

    Args:
        yaw: (N,).
        vector: (N,2).
    """
    along = yaw.cos() * vector[:, 0] + yaw.sin() * vector[:, 1]
    return wrapped(yaw + math.pi * (along < 0))


def corners_bev(boxes: Tensor) -> Tensor:
    """(N,4,2) corners in the ground plane, counter-clockwise."""
    length, width = boxes[:, 3:4] / 2, boxes[:, 4:5] / 2
    x, y = torch.cat([length, -length, -length, length], dim=1), torch.cat([width, width, -width, -width], dim=1)
    c, s = torch.cos(boxes[:, 6, None]), torch.sin(boxes[:, 6, None])
    return torch.stack([c * x - s * y, s * x + c * y], dim=2) + boxes[:, None, :2]


def intersection_bev(a: Tensor, b: Tensor) -> Tensor:
    """(P,) float64 area of the intersection of two rectangles, pair by pair.

    The four sides of `b` clip `a` in turn (Sutherland-Hodgman); each step leaves a convex polygon.

    Args:
        a: (P,7) boxes.
        b: (P,7) boxes.
    """
    a, b = a.double(), b.double()
    center = a[:, :2].clone()
    a, b = a.clone(), b.clone()
    a[:, :2] -= center  # coordinates near the origin keep the precision of boxes far from it
    b[:, :2] -= center
    polygon, clip = corners_bev(a), corners_bev(b)
    for k in range(4):
        polygon = _clipped(polygon, clip[:, k], clip[:, (k + 1) % 4])
    following = polygon.roll(-1, dims=1)
    cross = polygon[..., 0] * following[..., 1] - polygon[..., 1] * following[..., 0]
    return cross.sum(dim=1).clamp(min=0) / 2


def _clipped(polygon: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The part of (P,K,2) polygons on the left of a line, as (P,2K,2) corners, some of them repeated.

    Every side yields two corners: its first point, moved onto the line if it is on the right, and the crossing.
    """
    direction = (end - start)[:, None]
    from_start = polygon - start[:, None]
    side = direction[..., 0] * from_start[..., 1] - direction[..., 1] * from_start[..., 0]  # > 0: left, inside
    following, side_next = polygon.roll(-1, dims=1), side.roll(-1, dims=1)
    crosses = (side >= 0) != (side_next >= 0)
    step = side - side_next
    fraction = torch.where(crosses, side / torch.where(step.abs() < _EPS, torch.full_like(step, _EPS), step), 0)
    crossing = polygon + fraction[..., None] * (following - polygon)
    inside = (side >= 0)[..., None]
    # A removed corner is replaced by a kept one, so that the area and the number of corners stay the same.
    first = torch.where(inside, polygon, crossing)
    second = torch.where(crosses[..., None], crossing, first)
    removed = ~inside[..., 0] & ~crosses
    out = torch.stack([first, second], dim=2).flatten(1, 2)
    removed = torch.stack([removed, removed], dim=2).flatten(1, 2)
    return _without(out, removed)


def _without(polygon: Tensor, removed: Tensor) -> Tensor:
    """Move each removed corner onto the last kept one before it; a polygon without kept corners becomes a point."""
    size = removed.shape[1]
    index = torch.arange(size, device=removed.device).expand_as(removed)
    last = torch.where(removed, -1, index).cummax(dim=1).values
    wrapped = torch.where(last < 0, last[:, -1:], last)
    kept = polygon.gather(1, wrapped.clamp(min=0)[..., None].expand_as(polygon))
    return torch.where((wrapped >= 0)[..., None], kept, torch.zeros_like(kept))


def overlapping_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) indices into `a` and `b` of pairs whose circumscribed circles touch, ordered by `a`, then `b`."""
    reach_a, reach_b = (torch.linalg.norm(boxes[:, 3:5], dim=1) / 2 for boxes in (a, b))
    rows = max(1, (_PAIRS * 16) // max(len(b), 1))
    pairs = []
    for start in range(0, len(a), rows):
        some = slice(start, start + rows)
        apart = torch.linalg.norm(a[some, None, :2] - b[None, :, :2], dim=2)
        i, j = (apart <= reach_a[some, None] + reach_b[None]).nonzero(as_tuple=True)
        pairs.append((i + start, j))
    if not pairs:
        none = torch.zeros(0, dtype=torch.int64, device=a.device)
        return none, none
    return torch.cat([i for i, _ in pairs]), torch.cat([j for _, j in pairs])


def shared_area(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """(P,) float64 `intersection_bev` of pairs of indices into two arrays of boxes, in parts that bound the memory."""
    parts = [intersection_bev(a[p], b[q]) for p, q in zip(torch.split(i, _PAIRS), torch.split(j, _PAIRS), strict=True)]
    return torch.cat(parts) if parts else a.new_zeros(0, dtype=torch.float64)


def iou_bev(a: Tensor, b: Tensor) -> Tensor:
    """(N,M) intersection over union in the ground plane of (N,7) and (M,7) boxes, exact for any yaw."""
    i, j = overlapping_pairs(a, b)
    shared = shared_area(a, b, i, j)
    area_a, area_b = ((boxes[:, 3] * boxes[:, 4]).double() for boxes in (a, b))
    return _scattered(shared, area_a[i] + area_b[j] - shared, i, j, a, b)


def iou_3d(a: Tensor, b: Tensor) -> Tensor:
    """(N,M) intersection over union of the volumes of (N,7) and (M,7) upright boxes."""
    i, j = overlapping_pairs(a, b)
    (low_a, high_a), (low_b, high_b) = (
        ((boxes[:, 2] - boxes[:, 5] / 2).double(), (boxes[:, 2] + boxes[:, 5] / 2).double()) for boxes in (a, b)
    )
    height = (torch.minimum(high_a[i], high_b[j]) - torch.maximum(low_a[i], low_b[j])).clamp(min=0)
    shared = shared_area(a, b, i, j) * height
    volume_a, volume_b = (boxes[:, 3:6].double().prod(dim=1) for boxes in (a, b))
    return _scattered(shared, volume_a[i] + volume_b[j] - shared, i, j, a, b)


def _scattered(shared: Tensor, union: Tensor, i: Tensor, j: Tensor, a: Tensor, b: Tensor) -> Tensor:
    iou = a.new_zeros(len(a), len(b))
    iou[i, j] = (shared / union.clamp(min=_EPS)).to(iou.dtype)
    return iou


def nearest_bev(boxes: Tensor) -> Tensor:
    """(N,4) x0, y0, x1, y1 of each box turned to the nearest multiple of 90 degrees (SECOND's matching)."""
    turned = torch.remainder(boxes[:, 6] + math.pi / 4, math.pi) >= math.pi / 2
    size = boxes[:, 3:5]
    half = torch.where(turned[:, None], size.flip(1), size) / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)


def iou_aligned(a: Tensor, b: Tensor) -> Tensor:
    """(N,M) intersection over union of (N,4) and (M,4) axis-aligned rectangles x0, y0, x1, y1."""
    side = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    shared = side.prod(dim=2)
    area_a, area_b = ((rectangles[:, 2:] - rectangles[:, :2]).prod(dim=1) for rectangles in (a, b))
    return shared / (area_a[:, None] + area_b[None] - shared).clamp(min=_EPS)


def point_box_pairs(xyz: Tensor, boxes: Tensor, chunk: int = 1 << 24) -> tuple[Tensor, Tensor]:
    """Every (point, box) pair where the point lies in the box, surface included, without a cap on either number.

    Args:
        xyz: (P,3).
        boxes: (N,7).
        chunk: largest number of pairs that are tested at once.

    Returns:
        point, box: (K,) int64 each, ordered by box, then point.
    """
    rows = max(1, chunk // max(len(xyz), 1))
    pairs = [(xyz.new_zeros(0, dtype=torch.int64),) * 2]
    for start in range(0, len(boxes), rows):
        some = boxes[start : start + rows, None]
        offset = xyz[None] - some[..., :3]
        c, s = torch.cos(some[..., 6]), torch.sin(some[..., 6])
        along = (offset[..., 0] * c + offset[..., 1] * s).abs() <= some[..., 3] / 2
        aside = (offset[..., 1] * c - offset[..., 0] * s).abs() <= some[..., 4] / 2
        box, point = (along & aside & (offset[..., 2].abs() <= some[..., 5] / 2)).nonzero(as_tuple=True)
        pairs.append((point, box + start))
    return torch.cat([point for point, _ in pairs]), torch.cat([box for _, box in pairs])
