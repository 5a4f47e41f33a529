"""Non-maximum suppression with exact rotated overlap, of all samples and classes of a batch at once.

Boxes are taken in blocks by descending score, each twice as large as the one before. A block first loses the boxes that
kept ones overlap, so that few pairs of boxes are compared. Only pairs whose overlap may exceed the threshold are
computed: two bounds exclude the others before. Which boxes of a block stay is decided in rounds for all of them, not
box by box: a round keeps every box that no undecided box of a higher score overlaps, and removes the rivals of these.
The result is that of the greedy loop.

Shapes: N boxes by descending score, P pairs of boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pointsam.detect.boxes import shared_area

_BLOCK = 512
"""Number of boxes of the first block."""
_PAIRS = 1 << 22
"""Number of pairs of centres that are compared at once."""
_ROUNDS = 4
"""Number of rounds between two questions to the device whether boxes are undecided."""
_EPS, _SLACK = 1e-9, 1e-6


def nms_bev(
    boxes: Tensor, scores: Tensor, iou_threshold: float, most: int | None = None, group: Tensor | None = None
) -> Tensor:
    """Greedy non-maximum suppression in the ground plane.

    Args:
        boxes: (N,7).
        scores: (N,); of equal scores, the first in order has priority.
        iou_threshold: a box that overlaps a kept one of its group by more than this is suppressed.
        most: largest number of boxes to keep in each group; None = all.
        group: (N,) int64 group of each box, for example its sample and class; None = one group.

    Returns:
        (K,) int64 indices of the kept boxes, by descending score.
    """
    rest = torch.argsort(scores, descending=True, stable=True)
    group = torch.zeros_like(rest) if group is None else group
    kept, size = rest[:0], _BLOCK
    while len(rest):
        block, rest = rest[:size], rest[size:]
        new = block[_undisputed(boxes[block], group[block], iou_threshold)]
        kept, size = torch.cat([kept, new]), 2 * size
        if len(rest) and most is not None:
            rest = rest[_counts(group[kept], group[rest]) < most]
        if len(rest):
            _, met = _rivals(boxes[new], boxes[rest], group[new], group[rest], iou_threshold)
            rest = rest[~_any(met, torch.ones_like(met, dtype=torch.bool), len(rest))]
    return kept if most is None else kept[rank_in_group(group[kept]) < most]


def rank_in_group(group: Tensor) -> Tensor:
    """(N,) number of boxes of the same group before each box."""
    order = torch.argsort(group, stable=True)
    ordered = group[order]
    place = torch.arange(len(group), device=group.device)
    return torch.empty_like(place).index_copy_(0, order, place - torch.searchsorted(ordered, ordered))


def _counts(group: Tensor, wanted: Tensor) -> Tensor:
    """(M,) how often each of the wanted groups is in (N,) group."""
    ordered = group.sort().values
    return torch.searchsorted(ordered, wanted, right=True) - torch.searchsorted(ordered, wanted)


def _undisputed(ranked: Tensor, group: Tensor, iou_threshold: float) -> Tensor:
    """(K,) indices of the boxes that stay, increasing."""
    above, below = _rivals(ranked, ranked, group, group, iou_threshold, upper=True)
    kept = ~_any(below, torch.ones_like(below, dtype=torch.bool), len(ranked))
    undecided = ~(kept | _any(below, kept[above], len(ranked)))
    while bool(undecided.any()):
        for _ in range(_ROUNDS):
            free = undecided & ~_any(below, undecided[above], len(ranked))
            kept |= free
            undecided &= ~(free | _any(below, free[above], len(ranked)))
    return kept.nonzero(as_tuple=True)[0]


def _any(index: Tensor, there: Tensor, size: int) -> Tensor:
    """(size,) bool, whether one of the (P,) `there` is true at each index; sums of integers have no order."""
    return torch.zeros(size, dtype=torch.int32, device=index.device).index_add_(0, index, there.int()) > 0


def _rivals(
    a: Tensor, b: Tensor, group_a: Tensor, group_b: Tensor, iou_threshold: float, upper: bool = False
) -> tuple[Tensor, Tensor]:
    """(P,) indices of the pairs of boxes of one group that overlap by more than the threshold.

    Args:
        a: (N,7) boxes.
        b: (M,7) boxes.
        group_a: (N,) group of each box of `a`.
        group_b: (M,) group of each box of `b`.
        iou_threshold: the threshold.
        upper: whether only pairs are wanted whose first index is less than the second.
    """
    (reach_a, area_a), (reach_b, area_b) = (
        (torch.linalg.norm(boxes[:, 3:5], dim=1) / 2, (boxes[:, 3] * boxes[:, 4])) for boxes in (a, b)
    )
    index = torch.arange(max(len(a), len(b)), device=a.device)
    rows = max(1, _PAIRS // max(len(b), 1))
    pairs = []
    for start in range(0, len(a), rows):
        some, after = slice(start, start + rows), slice(start if upper else 0, None)
        offset = (a[some, None, k] - b[after, k] for k in (0, 1))
        meets = sum(x.square() for x in offset) <= (reach_a[some, None] + reach_b[after]).square()
        small, large = (how(area_a[some, None], area_b[after]) for how in (torch.minimum, torch.maximum))
        meets &= (small >= (iou_threshold - _SLACK) * large) & (group_a[some, None] == group_b[after])
        if upper:
            meets &= index[some, None] < index[after]
        i, j = meets.nonzero(as_tuple=True)
        pairs.append((i + start, j + after.start))
    if not pairs:
        return index[:0], index[:0]
    i, j = torch.cat([i for i, _ in pairs]), torch.cat([j for _, j in pairs])
    both = area_a.double()[i] + area_b.double()[j]
    may = _bound(a[i].double(), b[j].double()) > (iou_threshold / (1 + iou_threshold) - _SLACK) * both
    i, j, both = i[may], j[may], both[may]
    shared = shared_area(a, b, i, j)
    over = shared / (both - shared).clamp(min=_EPS) > iou_threshold
    return i[over], j[over]


def _bound(a: Tensor, b: Tensor) -> Tensor:
    """(P,) upper bound of the shared area of pairs of boxes: that of one and the upright rectangle around the other."""
    bounds = []
    for one, other in ((a, b), (b, a)):
        c, s = one[:, 6].cos(), one[:, 6].sin()
        x, y = (other[:, :2] - one[:, :2]).unbind(1)
        turn = other[:, 6] - one[:, 6]
        along, aside = turn.cos().abs(), turn.sin().abs()
        length, width = other[:, 3], other[:, 4]
        shared = [
            torch.minimum(far + half, own / 2) - torch.maximum(far - half, -own / 2)
            for far, half, own in (
                (c * x + s * y, (along * length + aside * width) / 2, one[:, 3]),
                (c * y - s * x, (aside * length + along * width) / 2, one[:, 4]),
            )
        ]
        bounds.append(shared[0].clamp(min=0) * shared[1].clamp(min=0))
    return torch.minimum(*bounds)
