"""Join a rider with the cycle: two objects for most 2D networks, one box in nuScenes and KITTI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.rle import united
from pointsam.semantics.boxes import area, intersection
from pointsam.taxonomy import Taxonomy
from pointsam.types import Detections

# Proportions of a person on a bicycle or motorcycle from any side, with a margin for inaccurate boxes. Of an upright
# cyclist, the handlebar is at 1.0 m, the head at 1.7 m, and the lower foot at 0.2 m.
_MIN_WIDTH_SHARE = 0.5  # smallest horizontal overlap / width of the narrower box; rejects people beside the cycle
_MIN_RISE = 0.2  # smallest part of the rider above the cycle / height of the rider
_MIN_HEIGHT_SHARE = 0.4  # smallest vertical overlap / height of the cycle; rejects people further away
_MAX_FEET_BELOW = 0.1  # largest part of the rider below the cycle / height of the cycle; rejects people in front
_MAX_HEIGHT_RATIO = 2.2  # height of the rider / height of the cycle


@dataclass(frozen=True)
class RiderConfig:
    """Whether riders are joined with their cycles; the published method keeps them separate.

    Args:
        enabled: apply `ride`.
    """

    enabled: bool = False


def ride(detections: Detections, taxonomy: Taxonomy, config: RiderConfig) -> Detections:
    """Join every "rider" detection with the "ridden" detection that it sits on (docs/mapping.md, Riders).

    Pairs are joined in the order of falling overlap (intersection / area of the smaller box), one rider per cycle. The
    joint object has the ridden class, the box around both, the union of their masks, and the higher of the two scores,
    because either part shows that the object exists. Without masks the box is enough: SAM segments both parts if it is
    prompted with the box around them. The search is repeated until no rider sits on a cycle, so that a second call
    changes nothing. Finally, ridden objects without a rider are dropped if their class needs a rider.

    Args:
        detections: detections of one image, with or without masks. A semantic map has no objects and is returned
            unchanged.
        taxonomy: gives the `role` of each class, and `needs_rider`.
        config: whether to do anything.

    Returns:
        the detections that were not joined, in their order, then the joint ones by falling overlap.
    """
    if not config.enabled or not detections.instances:
        return detections
    roles = np.array([spec.role for spec in taxonomy.classes])[detections.class_id]
    lone = np.array([spec.needs_rider for spec in taxonomy.classes])[detections.class_id]
    while pairs := _pairs(detections, np.flatnonzero(roles == "rider"), np.flatnonzero(roles == "ridden")):
        left = np.setdiff1d(np.arange(len(detections)), np.array(pairs))
        detections = _joined(detections, left, pairs)
        roles = np.concatenate([roles[left], np.full(len(pairs), "ridden")])
        lone = np.concatenate([lone[left], np.zeros(len(pairs), dtype=np.bool_)])
    return _joined(detections, np.flatnonzero(~lone), []) if lone.any() else detections


def _pairs(detections: Detections, riders: NDArray[np.intp], ridden: NDArray[np.intp]) -> list[tuple[int, int]]:
    """(rider, ridden) indices, greedy by overlap; score, box, class and mask break ties, never the order."""
    box, score = detections.box_xyxy_px.astype(np.float64), detections.score

    def tie_break(k: int) -> tuple[float, list[float], int, bytes]:
        mask = b"" if detections.rle is None else detections.rle[k]
        return -float(score[k]), box[k].tolist(), int(detections.class_id[k]), mask

    a, b = box[riders], box[ridden]
    smaller = np.minimum(area(a)[:, None], area(b)[None])
    share = np.divide(intersection(a, b), smaller, out=np.zeros_like(smaller), where=smaller > 0)
    candidates = [(-share[i, j], riders[i], ridden[j]) for i, j in np.argwhere(_sits_on(a, b))]
    candidates.sort(key=lambda pair: (pair[0], tie_break(pair[1]), tie_break(pair[2])))

    taken: set[int] = set()
    pairs = []
    for _, i, j in candidates:
        if i not in taken and j not in taken:
            taken |= {i, j}
            pairs.append((int(i), int(j)))
    return pairs


def _sits_on(rider_xyxy_px: NDArray[np.float64], ridden_xyxy_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(R,C) whether the boxes of a rider and a cycle have the proportions of a person on it."""
    ax1, ay1, ax2, ay2 = rider_xyxy_px.T[:, :, None]
    bx1, by1, bx2, by2 = ridden_xyxy_px.T[:, None, :]
    tall, high = ay2 - ay1, by2 - by1
    beside = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    behind = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    sits: NDArray[np.bool_] = (
        (beside > 0)
        & (beside >= _MIN_WIDTH_SHARE * np.minimum(ax2 - ax1, bx2 - bx1))
        & (by1 - ay1 >= _MIN_RISE * tall)
        & (behind >= _MIN_HEIGHT_SHARE * high)
        & (ay2 - by2 <= _MAX_FEET_BELOW * high)
        & (tall <= _MAX_HEIGHT_RATIO * high)
    )
    return sits


def _joined(detections: Detections, left: NDArray[np.intp], pairs: list[tuple[int, int]]) -> Detections:
    i, j = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    a, b = detections.box_xyxy_px[i], detections.box_xyxy_px[j]
    union = np.concatenate([np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])], axis=1)
    rle = detections.rle
    return Detections(
        np.concatenate([detections.box_xyxy_px[left], union]),
        np.concatenate([detections.class_id[left], detections.class_id[j]]),
        np.concatenate([detections.score[left], np.maximum(detections.score[i], detections.score[j])]),
        None if rle is None else tuple(rle[k] for k in left) + tuple(united(rle[p], rle[q]) for p, q in pairs),
        unmapped=detections.unmapped,
    )
