"""Boxes in torch: exact overlap of rotated rectangles, points inside.

A box is a row x, y, z of its centre, length, width, height, yaw about z: metres and radians, map frame. N and M are
numbers of boxes, P of pairs or points. There is no compiled extension; pairs that cannot touch are skipped before
their intersection is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_PAIRS = 1 << 16
"""Number of pairs whose intersections are computed at once; it bounds the memory."""
_TESTED = 1 << 24
"""Number of pairs of a point and a box that are tested at once."""
_EPS = 1e-9
_TINY = 1e-300
_PI_SINGLE = 3.1415925
"""The largest number of single precision that does not exceed pi."""


def wrapped(yaw: Tensor) -> Tensor:
    """(N,) the same angles in (-pi, pi]."""
    turned = -(torch.remainder(-yaw + math.pi, 2 * math.pi) - math.pi)
    half = math.pi if yaw.dtype == torch.float64 else _PI_SINGLE
    return torch.where(turned < -half, half, turned.clamp(max=half))


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
    """(...) float64 area of the intersection of two rectangles, pair by pair.

    The outline of an intersection consists of the parts of each rectangle's sides that lie in the other rectangle. The
    area is half the sum of the cross products of the ends of these parts (Green's theorem), about the centre of `a`.
    `b` is taken a billionth smaller than it is: of two sides that coincide, one is then inside and the other outside.

    Args:
        a: (...,7) boxes.
        b: (...,7) boxes; the leading shapes broadcast.
    """
    a, b = torch.broadcast_tensors(a.double(), b.double())  # type: ignore[no-untyped-call]
    size_a, size_b = a[..., 3:5], b[..., 3:5] * (1 - _EPS)
    x, y = torch.split(b[..., :2] - a[..., :2], 1, dim=-1)
    x, y = _rotated(x, y, -a[..., 6:])
    turn = b[..., 6:] - a[..., 6:]
    own_x, own_y = _rectangle(size_a)
    ax, ay = _rotated(own_x - x, own_y - y, -turn)  # corners of a in the frame of b
    bx, by = _rotated(*_rectangle(size_b), turn)
    bx, by = bx + x, by + y  # corners of b in the frame of a
    of_a, of_b = _inside(torch.stack([ax, ay, bx, by], dim=-1), torch.cat([size_b, size_a], dim=-1) / 2).unbind(-1)
    cross = bx * by.roll(-1, -1) - by * bx.roll(-1, -1)
    return (size_a.prod(-1, keepdim=True) / 2 * of_a + of_b * cross).sum(-1).clamp(min=0) / 2


def _rotated(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates after a rotation about the origin."""
    c, s = angle.cos(), angle.sin()
    return c * x - s * y, s * x + c * y


def _rectangle(size: Tensor) -> tuple[Tensor, Tensor]:
    """(...,4) x and y of the corners of (...,2) rectangles about the origin, counter-clockwise."""
    length, width = torch.split(size / 2, 1, dim=-1)
    return torch.cat([length, -length, -length, length], dim=-1), torch.cat([width, width, -width, -width], dim=-1)


def _inside(corners: Tensor, half: Tensor) -> Tensor:
    """(...,4,2) fraction of each side of two polygons that lies in an upright rectangle about the origin.

    Args:
        corners: (...,4,4) corners of the polygons; x, y of the first, x, y of the second.
        half: (...,4) half of the length and width of the rectangle for the first, and for the second.
    """
    step = corners.roll(-1, -2) - corners
    step = torch.where(step.abs() < _TINY, _TINY, step)
    one, other = ((edge[..., None, :] - corners) / step for edge in (-half, half))
    ends = (how(one, other) for how in (torch.minimum, torch.maximum))
    start, end = (end.view(*end.shape[:-1], 2, 2) for end in ends)
    return (end.amin(-1).clamp(max=1) - start.amax(-1).clamp(min=0)).clamp(min=0)


def shared_bev(a: Tensor, b: Tensor) -> Tensor:
    """(...) float64 intersection over union in the ground plane, pair by pair; arguments as of `intersection_bev`."""
    shared = intersection_bev(a, b)
    both = a[..., 3:5].double().prod(-1) + b[..., 3:5].double().prod(-1)
    return shared / (both - shared).clamp(min=_EPS)


def shared_3d(a: Tensor, b: Tensor) -> Tensor:
    """(...) float64 intersection over union of volumes, pair by pair; arguments as of `intersection_bev`."""
    (z_a, half_a), (z_b, half_b) = ((boxes[..., 2].double(), boxes[..., 5].double() / 2) for boxes in (a, b))
    height = torch.minimum(z_a + half_a, z_b + half_b) - torch.maximum(z_a - half_a, z_b - half_b)
    shared = intersection_bev(a, b) * height.clamp(min=0)
    both = a[..., 3:6].double().prod(-1) + b[..., 3:6].double().prod(-1)
    return shared / (both - shared).clamp(min=_EPS)


def overlapping_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) indices into `a` and `b` of pairs whose circumscribed circles touch, ordered by `a`, then `b`."""
    reach_a, reach_b = (torch.linalg.norm(boxes[:, 3:5], dim=1) / 2 for boxes in (a, b))
    rows = max(1, (_PAIRS * 8) // max(len(b), 1))
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


def of_pairs(of: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """(P,) float64 `shared_bev` or `shared_3d` of pairs of indices into two arrays of boxes; parts bound the memory."""
    parts = [of(a[p], b[q]) for p, q in zip(torch.split(i, _PAIRS), torch.split(j, _PAIRS), strict=True)]
    return torch.cat(parts) if parts else a.new_zeros(0, dtype=torch.float64)


def iou_bev(a: Tensor, b: Tensor) -> Tensor:
    """(N,M) intersection over union in the ground plane of (N,7) and (M,7) boxes, exact for any yaw."""
    return _of_all(shared_bev, a, b)


def iou_3d(a: Tensor, b: Tensor) -> Tensor:
    """(N,M) intersection over union of the volumes of (N,7) and (M,7) upright boxes."""
    return _of_all(shared_3d, a, b)


def _of_all(of: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    i, j = overlapping_pairs(a, b)
    iou = a.new_zeros(len(a), len(b))
    iou[i, j] = of_pairs(of, a, b, i, j).to(iou.dtype)
    return iou


def nearest_bev(boxes: Tensor) -> Tensor:
    """(N,4) x0, y0, x1, y1 of each box turned to the nearest multiple of 90 degrees (SECOND's matching)."""
    turned = torch.remainder(boxes[:, 6] + math.pi / 4, math.pi) >= math.pi / 2
    size = boxes[:, 3:5]
    half = torch.where(turned[:, None], size.flip(1), size) / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)


def beyond_faces(xyz: Tensor, boxes: Tensor) -> Tensor:
    """(...) how far points lie outside of boxes, in metres: the largest excess along an axis of the box.

    It is 0 on the surface and negative inside.

    Args:
        xyz: (...,3).
        boxes: (...,7); the leading shapes broadcast.
    """
    c, s = boxes[..., 6].cos(), boxes[..., 6].sin()
    x, y, z = (point - center for point, center in zip(xyz.unbind(-1), boxes[..., :3].unbind(-1), strict=True))
    local = torch.addcmul(x * c, y, s), torch.addcmul(y * c, x, s, value=-1), z
    halves = (boxes[..., 3:6] / 2).unbind(-1)
    along, aside, above = (at.abs_().sub_(half) for at, half in zip(local, halves, strict=True))
    return torch.maximum(torch.maximum(along, aside, out=along), above, out=along)


def points_within(xyz: Tensor, boxes: Tensor, margin_m: Tensor) -> tuple[Tensor, Tensor]:
    """(S,P,N) bool each: whether points lie in boxes, surface included, and in the boxes enlarged on every side.

    Args:
        xyz: (S,P,3) points of S samples.
        boxes: (S,N,7) boxes of the same samples.
        margin_m: (N,) distance by which the second ones reach beyond the faces.
    """
    parts, size = [], max(1, _TESTED // max(xyz.shape[0] * xyz.shape[1], 1))
    for some, margin in zip(torch.split(boxes, size, dim=1), torch.split(margin_m, size), strict=True):
        beyond_m = beyond_faces(xyz[:, :, None], some[:, None])
        parts.append((beyond_m <= 0, beyond_m <= margin))
    inside, near = (torch.cat(columns, dim=2) for columns in zip(*parts, strict=True))
    return inside, near
