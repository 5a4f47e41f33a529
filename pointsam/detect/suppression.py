"""Non-maximum suppression with exact rotated overlap, of all samples and classes of a batch at once.

Boxes are taken in blocks by descending score, each twice as large as the one before. A block first loses the boxes that
kept ones overlap, and those of groups that are full. Only pairs whose overlap may exceed the threshold are computed.
Which boxes of a block stay is decided on the host, in rounds for all of them, not box by box: a round keeps every box
that no undecided box of a higher score overlaps, and removes the rivals of these. The result is that of the greedy
loop. The host waits twice for a block, for the number of pairs and for the pairs that overlap, and again twice before
each further block, for the boxes that are left.

Shapes: N boxes by descending score, P pairs of boxes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointsam.detect.boxes import of_pairs, shared_bev

_BLOCK = 2048
"""Number of boxes of the first block."""
_PAIRS = 1 << 22
"""Number of pairs of centres that are compared at once."""
_APART = 1e18
"""Distance of two groups along a third axis: boxes of different groups are as far from each other."""
_SLACK = 1e-6


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
        place = _greedy(boxes[block], group[block], iou_threshold, most)
        new = block[torch.from_numpy(place).to(block.device, non_blocking=True)]
        kept, size = torch.cat([kept, new]), 2 * size
        if len(rest):
            full = _counts(group[kept], group[rest]) >= (len(boxes) if most is None else most)
            _, met, over = _rivals(boxes[new], boxes[rest], group[new], group[rest], iou_threshold)
            rest = rest[~full & (full.new_zeros(len(rest), dtype=torch.int32).index_add_(0, met, over.int()) == 0)]
    if most is None or len(boxes) <= _BLOCK:
        return kept
    return kept[rank_in_group(group[kept]) < most]


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


def _greedy(boxes: Tensor, group: Tensor, iou_threshold: float, most: int | None) -> NDArray[np.int64]:
    """(K,) indices of the boxes that stay, increasing, at most `most` of a group."""
    above, below, over = _rivals(boxes, boxes, group, group, iou_threshold, upper=True)
    known = torch.cat([above, below, over.long(), group]).cpu().numpy()
    groups, (above, below, over) = known[3 * len(above) :], known[: 3 * len(above)].reshape(3, -1)
    above, below = above[over > 0], below[over > 0]
    undecided, kept = np.ones(len(boxes), dtype=bool), np.zeros(len(boxes), dtype=bool)
    while undecided.any():
        free = undecided.copy()
        free[below] = False
        kept |= free
        undecided &= ~free
        undecided[below[free[above]]] = False
        still = undecided[above] & undecided[below]
        above, below = above[still], below[still]
    place = np.flatnonzero(kept)
    if most is None:
        return place
    order = np.argsort(groups[place], kind="stable")
    ordered = groups[place][order]
    return np.sort(place[order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < most]])


def _rivals(
    a: Tensor, b: Tensor, group_a: Tensor, group_b: Tensor, iou_threshold: float, upper: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) indices of pairs of boxes of one group, and (P,) bool whether they overlap by more than the threshold.

    Args:
        a: (N,7) boxes.
        b: (M,7) boxes.
        group_a: (N,) group of each box of `a`.
        group_b: (M,) group of each box of `b`.
        iou_threshold: the threshold.
        upper: whether only pairs are wanted whose first index is less than the second.
    """
    places = [torch.cat([box[:, :2], own[:, None] * _APART], dim=1) for box, own in ((a, group_a), (b, group_b))]
    reach_a, reach_b = (torch.linalg.norm(boxes[:, 3:5], dim=1) * ((1 + _SLACK) / 2) for boxes in (a, b))
    rows, pairs = max(1, _PAIRS // max(len(b), 1)), []
    for start in range(0, len(a), rows):
        some, after = slice(start, start + rows), slice(start if upper else 0, None)
        apart = torch.cdist(places[0][some], places[1][after], compute_mode="donot_use_mm_for_euclid_dist")
        meets = apart <= _far(reach_a[some, None], reach_b[after], iou_threshold)
        i, j = (meets.triu_(1) if upper else meets).nonzero(as_tuple=True)
        pairs.append((i + start, j + after.start))
    i, j = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return i, j, of_pairs(shared_bev, a, b, i, j) > iou_threshold


def _far(reach_a: Tensor, reach_b: Tensor, iou_threshold: float) -> Tensor:
    """Distance of the centres of boxes, of which the diagonals are known, above which they do not overlap too much.

    Boxes whose circumscribed circles are apart have nothing in common. For thresholds from 1/2 on, fewer do: let d be
    the distance, r the larger radius, and h the extent of a box from its centre along the line of the centres. One of
    the boxes sticks out of the other by d or more along this line. Its sections across the line become shorter toward
    its ends, so the part outside is at least (d / h)^2 / 2 >= (d / r)^2 / 2 of it, as of a rhombus, while d <= r.

    Args:
        reach_a: (N,1) radius of the circumscribed circle.
        reach_b: (M,) likewise.
        iou_threshold: the threshold.
    """
    if iou_threshold < 0.5:
        return reach_a + reach_b
    factor = math.sqrt(2 * max(1 - iou_threshold, 0))
    return torch.maximum(reach_a * factor, reach_b * factor)
