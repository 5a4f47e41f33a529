"""Waymo's average precision (AP), and the same weighted by heading (APH), at two levels of difficulty.

At each of 101 score cutoffs, the predictions that reach it are matched with the objects of their frame anew, such that
the sum of IoU is largest; pairs below the IoU threshold cannot match. Every cutoff gives a recall and a precision. The
average precision is the area under these points.

* Level 1 does not count the *missed* objects of level 2; a prediction that matches one is right at both levels.
* A prediction in a zone without labels is not wrong if it matches nothing.
* APH counts 1 - |heading error| / pi in place of 1 for each match, in the precision only.
* A range has the predictions and the objects whose own centres lie in it.

Source: arXiv 1912.04838, section 5.1; the details, such as the cutoffs and the 0.05 between recalls, from the evaluator
of the Waymo Open Dataset (github.com/waymo-research/waymo-open-dataset, metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pointsam.base.arrays import AnyArray, IntArray

MIN_IOU = {"vehicle": 0.7, "pedestrian": 0.5, "cyclist": 0.5, "sign": 0.5}
LEVELS = (1, 2)
NOT_COUNTED = 0
"""Level of an object without points."""
EVERYWHERE_M = (0.0, np.inf)
RANGES_M = ((0.0, 30.0), (30.0, 50.0), (50.0, np.inf))
CUTOFFS = (np.arange(101) * 0.01).astype(np.float32)
_FEW_POINTS = 5
_IOU_STEPS = 1e6
_RECALL_STEP = 0.05
_ROUNDING = 1e-6


class Precision(NamedTuple):
    """Average precision of a class, in [0,1]: plain, and weighted by heading."""

    ap: float
    aph: float


@dataclass(frozen=True, eq=False)
class WaymoFrame:
    """A frame for one class: D predictions of the class and G objects of it.

    Args:
        iou: (D,G) IoU in 3D.
        score: (D,) score of the predictions, in [0,1].
        yaw_rad: (D,) heading of the predictions.
        range_m: (D,) distance of their centres from the origin of the vehicle, in 3D.
        unlabelled: (D,) bool, whether a prediction overlaps a zone without labels.
        true_yaw_rad: (G,) heading of the objects.
        true_range_m: (G,) distance of their centres from the origin of the vehicle, in 3D.
        level: (G,) level of the objects, of `difficulty`.
    """

    iou: NDArray[np.float64]
    score: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    range_m: NDArray[np.float64]
    unlabelled: NDArray[np.bool_]
    true_yaw_rad: NDArray[np.float64]
    true_range_m: NDArray[np.float64]
    level: NDArray[np.int64]

    def within(self, range_m: tuple[float, float]) -> WaymoFrame:
        """What counts in a range [from, to), metres."""
        low, high = range_m
        found = (self.range_m >= low) & (self.range_m < high)
        true = (self.true_range_m >= low) & (self.true_range_m < high) & (self.level != NOT_COUNTED)
        return WaymoFrame(
            self.iou[found][:, true],
            self.score[found],
            self.yaw_rad[found],
            self.range_m[found],
            self.unlabelled[found],
            self.true_yaw_rad[true],
            self.true_range_m[true],
            self.level[true],
        )


def difficulty(num_points: IntArray, stated: IntArray | None = None) -> NDArray[np.int64]:
    """(G,) level of objects: NOT_COUNTED without points, else as stated, else 2 with five points or fewer, else 1.

    Args:
        num_points: (G,) number of LiDAR points in each object.
        stated: (G,) level by the annotation, 0 where it has none; None if it never has one.
    """
    level = np.where(num_points > _FEW_POINTS, 1, 2)
    if stated is not None:
        level = np.where(stated > 0, stated, level)
    return np.where(num_points > 0, level, NOT_COUNTED).astype(np.int64)


def average_precision(
    frames: Sequence[WaymoFrame], min_iou: float, range_m: tuple[float, float] = EVERYWHERE_M
) -> dict[int, Precision]:
    """AP and APH of one class at each of LEVELS.

    NaN if there is no object of the level or of an easier one (the evaluator's figure is 0 where nothing is found).

    Args:
        frames: all frames, for the class.
        min_iou: IoU at or above which a prediction may match an object, both rounded to single precision.
        range_m: the range, [from, to) in metres.
    """
    some = [frame.within(range_m) for frame in frames]
    score, unlabelled, level = (_all(some, name) for name in ("score", "unlabelled", "level"))
    num_met = np.searchsorted(CUTOFFS, score.astype(np.float32), side="right")
    match = _matches(_pairs(some, min_iou, num_met))
    turned = _all(some, "yaw_rad")[match.found] - _all(some, "true_yaw_rad")[match.true]
    accuracy = np.abs(np.mod(turned, 2 * np.pi) / np.pi - 1)

    hits, weighted = match.at_cutoffs(np.ones(len(accuracy))), match.at_cutoffs(accuracy)
    may_be_wrong = unlabelled == 0
    claims = hits + _reached(num_met[may_be_wrong]) - match.at_cutoffs(may_be_wrong[match.found])
    met = hits > 0
    result = {}
    for of in LEVELS:
        wanted = level <= of
        recall = hits[met] / (hits + wanted.sum() - match.at_cutoffs(wanted[match.true]))[met]
        areas = (_area(part[met] / claims[met], recall) for part in (hits, weighted))
        result[of] = Precision(*areas) if wanted.any() else Precision(float("nan"), float("nan"))
    return result


def _all(frames: Sequence[WaymoFrame], name: str) -> NDArray[np.float64]:
    """A field of all frames in a row."""
    joined: NDArray[np.float64] = np.concatenate([np.zeros(0), *(getattr(frame, name) for frame in frames)])
    return joined


def _reached(num_met: IntArray) -> NDArray[np.float64]:
    """(C,) number of predictions that reach each cutoff, of those that reach the first `num_met`."""
    counts = np.bincount(num_met, minlength=len(CUTOFFS) + 1)
    reached: NDArray[np.float64] = (counts.sum() - np.cumsum(counts)[:-1]).astype(np.float64)
    return reached


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs that may match; predictions and objects are numbered through all frames.

    Args:
        found: (K,) prediction.
        true: (K,) object.
        iou: (K,) IoU in steps of 1e-6.
        num_met: (K,) number of cutoffs that the prediction reaches.
    """

    found: NDArray[np.int64]
    true: NDArray[np.int64]
    iou: NDArray[np.int64]
    num_met: NDArray[np.int64]

    def __getitem__(self, which: AnyArray) -> _Pairs:
        return _Pairs(*(getattr(self, one.name)[which] for one in fields(self)))


def _pairs(frames: Sequence[WaymoFrame], min_iou: float, num_met: IntArray) -> _Pairs:
    parts, num_found, num_true = [np.zeros((3, 0), dtype=np.int64)], 0, 0
    for frame in frames:
        iou = frame.iou.astype(np.float32)
        d, g = np.nonzero(iou >= np.float32(min_iou))
        parts.append(np.stack([d + num_found, g + num_true, np.round(iou[d, g] * _IOU_STEPS).astype(np.int64)]))
        num_found, num_true = num_found + iou.shape[0], num_true + iou.shape[1]
    found, true, steps = np.concatenate(parts, axis=1)
    return _Pairs(found, true, steps, num_met[found].astype(np.int64))


@dataclass(frozen=True, eq=False)
class _Matches:
    """Matches, each of which holds at consecutive cutoffs.

    Args:
        found: (K,) prediction.
        true: (K,) object.
        first: (K,) first cutoff.
        end: (K,) cutoff after the last.
    """

    found: NDArray[np.int64]
    true: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]

    def at_cutoffs(self, weight: AnyArray) -> NDArray[np.float64]:
        """(C,) sum of the weights (K,) of the matches that hold at each cutoff."""
        begun, ended = (np.bincount(at, weight, minlength=len(CUTOFFS) + 1) for at in (self.first, self.end))
        total: NDArray[np.float64] = np.cumsum(begun - ended)[:-1]
        return total


def _matches(pairs: _Pairs) -> _Matches:
    """The matching of largest sum of IoU at each cutoff.

    Pairs that share no prediction and no object do not compete. Where predictions compete for one object only, which is
    the rule, the largest IoU wins, and no assignment needs to be solved.
    """
    found, true = (np.unique(ids, return_inverse=True)[1] for ids in (pairs.found, pairs.true))
    num_found, num = found.max(initial=-1) + 1, len(np.unique(found)) + len(np.unique(true))
    graph = coo_matrix((np.ones(len(found)), (found, true + num_found)), shape=(max(num, 1),) * 2)
    group = connected_components(graph, directed=False)[1]
    objects = np.bincount(group[num_found:])
    group = group[found]
    single = objects[group] == 1
    rest = np.flatnonzero(~single)
    rest = rest[np.argsort(group[rest], kind="stable")]
    several = np.split(rest, np.flatnonzero(np.diff(group[rest])) + 1) if len(rest) else []
    parts = [_of_single_objects(pairs[single]), *(_of_group(pairs[some]) for some in several)]
    return _Matches(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(_Matches)))


def _of_single_objects(pairs: _Pairs) -> _Matches:
    """Each object with the prediction of largest IoU of those that reach the cutoff; of equal ones, the first."""
    pairs = pairs[np.lexsort((pairs.found, -pairs.iou, pairs.true))]
    new = np.diff(pairs.true, prepend=-1) != 0
    offset = np.cumsum(new) * (len(CUTOFFS) + 1)  # so that a maximum over all before is that of the same object
    most = np.maximum.accumulate(pairs.num_met + offset) - offset
    first = np.where(new, 0, np.roll(most, 1))
    holds = first < pairs.num_met
    return _Matches(pairs.found[holds], pairs.true[holds], first[holds], pairs.num_met[holds])


def _of_group(pairs: _Pairs) -> _Matches:
    """The assignment of predictions that compete for several objects."""
    found, at, row = np.unique(pairs.found, return_index=True, return_inverse=True)
    true, column = np.unique(pairs.true, return_inverse=True)
    iou = np.zeros((len(found), len(true)))
    iou[row, column] = pairs.iou
    num_met = pairs.num_met[at]
    parts, first = [np.zeros((4, 0), dtype=np.int64)], 0
    for end in np.unique(num_met[num_met > 0]).tolist():  # the same predictions reach all cutoffs in between
        there = np.flatnonzero(num_met >= end)
        i, j = linear_sum_assignment(iou[there], maximize=True)
        i = there[i]
        taken = iou[i, j] > 0
        i, j = i[taken], j[taken]
        parts.append(np.stack([found[i], true[j], np.full_like(i, first), np.full_like(i, end)]))
        first = end
    return _Matches(*np.concatenate(parts, axis=1))


def _area(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Area under (K,) precisions at positive recalls, each at least that of any higher recall.

    Precision is interpolated over the last 0.05 of recall above a point only; above it stays that of the next point.
    """
    if not len(recall):
        return 0.0
    order = np.lexsort((-precision, -recall))
    recall, best = recall[order], np.maximum.accumulate(precision[order])
    gap = recall[:-1] - recall[1:]
    level = _RECALL_STEP * np.maximum(np.ceil((gap - _ROUNDING) / _RECALL_STEP) - 1, 0)
    between = best[:-1] * level + (best[:-1] + best[1:]) / 2 * (gap - level)
    return float(between.sum() + best[-1] * recall[-1])
