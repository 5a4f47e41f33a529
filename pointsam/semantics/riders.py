"""A rider and what he rides are two objects to most 2D networks and one box in nuScenes and KITTI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.rle import united
from pointsam.semantics.boxes import area, intersection
from pointsam.taxonomy import Taxonomy
from pointsam.types import Detections

# What a person on a bicycle or motorcycle looks like from any side, with room for a sloppy box. An upright cyclist:
# the handlebar is 1.0 m high, the head 1.7 m, the lower foot 0.2 m.
_MIN_WIDTH_SHARE = 0.5  # of the narrower box lies beside the other: side by side is not riding
_MIN_RISE = 0.2  # of the rider's height is above the cycle
_MIN_HEIGHT_SHARE = 0.4  # of the cycle's height is hidden by the rider: people further off end higher up
_MAX_FEET_BELOW = 0.1  # of the cycle's height: whoever stands lower in the image is nearer to the camera
_MAX_HEIGHT_RATIO = 2.2  # rider to cycle


@dataclass(frozen=True)
class RiderConfig:
    """Whether riders join what they ride; the published method keeps them apart.

    Args:
        enabled: apply `ride`.
    """

    enabled: bool = False


def ride(detections: Detections, taxonomy: Taxonomy, config: RiderConfig) -> Detections:
    """Join every "rider" detection that sits on a "ridden" one with it (the rider rule of quality.md).

    Pairs join by falling share of the smaller box that lies in the other, one rider a cycle. The joint object has the
    ridden class, the box and mask around both, and the higher of the two scores: whichever part the network was sure
    of shows that the object is there. A box alone is enough for SAM, which cuts both parts when it is prompted with
    the box around them. This is repeated until nobody rides a cycle that is still there, so that a second call
    changes nothing. At last, ridden ones without a rider go where the class says that it is one with its rider.

    Args:
        detections: of one image, with or without masks; a semantic map has no objects and comes back as it is.
        taxonomy: says which classes ride (`role`) and which are nothing without a rider (`needs_rider`).
        config: the switch.

    Returns:
        the detections that did not join, in their order, then the joint ones by falling overlap.
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
    """(rider, ridden) indices, greedy by overlap; ties go by what the two are, never by their order."""
    box, score = detections.box_xyxy_px.astype(np.float64), detections.score

    def what(k: int) -> tuple[float, list[float], int, bytes]:
        mask = b"" if detections.rle is None else detections.rle[k]
        return -float(score[k]), box[k].tolist(), int(detections.class_id[k]), mask

    a, b = box[riders], box[ridden]
    smaller = np.minimum(area(a)[:, None], area(b)[None])
    share = np.divide(intersection(a, b), smaller, out=np.zeros_like(smaller), where=smaller > 0)
    candidates = [(-share[i, j], riders[i], ridden[j]) for i, j in np.argwhere(_sits_on(a, b))]
    candidates.sort(key=lambda pair: (pair[0], what(pair[1]), what(pair[2])))

    taken: set[int] = set()
    pairs = []
    for _, i, j in candidates:
        if i not in taken and j not in taken:
            taken |= {i, j}
            pairs.append((int(i), int(j)))
    return pairs


def _sits_on(rider_xyxy_px: NDArray[np.float64], ridden_xyxy_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(R,C) whether a box looks like somebody on the other one."""
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
    )
