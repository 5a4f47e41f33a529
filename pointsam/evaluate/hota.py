"""HOTA: detection and association of tracks, at every required overlap.

Specification
    Segment    as in `pointsam.evaluate.tracking`. An unmatched segment of fewer than `min_points` points is left out,
               as in panoptic quality. Classes are scored one by one: segments of two classes have no overlap.
    Alignment  of an object and a track in a scene: a / (g + p - a), where g and p are their numbers of sweeps, and a
               sums IoU / (all IoU of the object + all IoU of the track - IoU) over the sweeps.
    Matches    of a sweep: the assignment, one to one, with the largest sum of alignment * IoU. Of these, a pair is a TP
               at the overlap alpha if its IoU is at least alpha. Other segments are FP and FN.
    DetA       TP / (TP + FP + FN).
    AssA       mean over TP of n / (g + p - n), where n is the number of sweeps in which the same object and track are
               TP; 0 without TP.
    HOTA       sqrt(DetA * AssA). All three are means over alpha = 0.05, 0.10, ..., 0.95, then over the classes that
               occur. Counts are summed over scenes before the ratios are computed.

The values are those of TrackEval. Its package needs a numpy that nuscenes-devkit excludes, and py-motmetrics has no
HOTA; tests compare with TrackEval where it is installed.

Source: Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pointsam.evaluate.overlap import Overlaps
from pointsam.evaluate.panoptic import match

ALPHAS = np.arange(1, 20) / 20
"""Required overlaps."""
ROWS = ("tp", "fp", "fn", "association sum")
"""What is counted of a scene, by overlap and class."""
FIGURES = ("HOTA", "DetA", "AssA")
"""Names of the figures of `figures`."""

_EPS = np.finfo(np.float64).eps
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Sweep:
    """Segments of one class in one sweep: T objects, P tracks, and the IoU of those pairs that share a point."""

    class_id: int
    true: _Ints
    pred: _Ints
    row: _Ints
    column: _Ints
    value: _Floats

    @property
    def iou(self) -> _Floats:
        """(T,P) IoU."""
        iou = np.zeros((len(self.true), len(self.pred)))
        iou[self.row, self.column] = self.value
        return iou


class SceneHota:
    """Counts of one scene; its memory grows by the segments and their overlaps.

    Args:
        num_classes: number of classes.
        min_points: as in the specification.
    """

    def __init__(self, num_classes: int, min_points: int = 15) -> None:
        self._num_classes, self._min_points = num_classes, min_points
        self._sweeps: list[_Sweep] = []

    def add(self, seen: Overlaps) -> None:
        """Count the next sweep of the scene; the instances of its segments are numbers in the scene."""
        found = match(seen, self._min_points)
        large = seen.true_size >= self._min_points, seen.pred_size >= self._min_points
        large[0][seen.true_index[found.pair]] = True
        large[1][seen.pred_index[found.pair]] = True
        iou = np.zeros((len(seen.true_id), len(seen.pred_id)))
        iou[seen.true_index, seen.pred_index] = seen.iou
        for k in np.unique(np.concatenate([seen.true_class[large[0]], seen.pred_class[large[1]]])).tolist():
            of, by = (
                np.flatnonzero(large[0] & (seen.true_class == k)),
                np.flatnonzero(large[1] & (seen.pred_class == k)),
            )
            inside = iou[np.ix_(of, by)]
            row, column = np.nonzero(inside)
            self._sweeps.append(_Sweep(k, seen.true_id[of], seen.pred_id[by], row, column, inside[row, column]))

    def counts(self) -> _Floats:
        """(4,A,C) counts of the sweeps added, by row of `ROWS`, overlap and class."""
        out = np.zeros((len(ROWS), len(ALPHAS), self._num_classes))
        for k in sorted({sweep.class_id for sweep in self._sweeps}):
            out[:, :, k] = _of_class([sweep for sweep in self._sweeps if sweep.class_id == k])
        return out


def _of_class(sweeps: list[_Sweep]) -> _Floats:
    """(4,A) counts of one class of a scene."""
    true, true_sweeps = np.unique(np.concatenate([sweep.true for sweep in sweeps]), return_counts=True)
    pred, pred_sweeps = np.unique(np.concatenate([sweep.pred for sweep in sweeps]), return_counts=True)
    placed = [(np.searchsorted(true, sweep.true), np.searchsorted(pred, sweep.pred)) for sweep in sweeps]
    keys, weights = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for (t, p), sweep in zip(placed, sweeps, strict=True):
        row, column, iou = sweep.row, sweep.column, sweep.iou
        keys.append(t[row] * len(pred) + p[column])
        weights.append(sweep.value / (iou.sum(axis=0)[column] + iou.sum(axis=1)[row] - sweep.value))
    pair, of = np.unique(np.concatenate(keys), return_inverse=True)
    shared = np.bincount(of.reshape(-1), np.concatenate(weights), len(pair))
    both = true_sweeps[pair // max(len(pred), 1)] + pred_sweeps[pair % max(len(pred), 1)]
    alignment = shared / (both - shared)

    hits, found = np.zeros((len(ALPHAS), len(pair))), np.zeros(len(ALPHAS))
    for (t, p), sweep in zip(placed, sweeps, strict=True):
        at, known = _places(pair, t[:, None] * len(pred) + p)
        iou = sweep.iou
        row, column = linear_sum_assignment(
            np.where(known, alignment[at] if len(pair) else 0.0, 0.0) * iou, maximize=True
        )
        right = (iou[row, column] >= ALPHAS[:, None] - _EPS).astype(np.float64)
        found += right.sum(axis=1)
        positive = known[row, column]
        hits[:, at[row, column][positive]] += right[:, positive]
    association = (hits**2 / (both - hits)).sum(axis=1)
    return np.stack([found, pred_sweeps.sum() - found, true_sweeps.sum() - found, association])


def _places(keys: _Ints, wanted: _Ints) -> tuple[_Ints, NDArray[np.bool_]]:
    """Place of each wanted key among sorted ones, and whether it is there."""
    if not len(keys):
        return np.zeros_like(wanted), np.zeros(wanted.shape, dtype=bool)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted


def of_classes(counts: _Floats) -> _Floats:
    """(...,C,3) figures of each class, of (...,4,A,C) counts summed over scenes; NaN if a class does not occur."""
    tp, fp, fn, association = np.moveaxis(counts, -3, 0)
    total = tp + fp + fn
    det = tp / np.maximum(total, 1)
    ass = association / np.maximum(tp, 1)
    by_alpha = np.stack([np.sqrt(det * ass), det, ass], axis=-1)
    occurs = (total > 0).any(axis=-2)
    found: _Floats = np.where(occurs[..., None], by_alpha.mean(axis=-3), np.nan)
    return found


def figures(counts: _Floats) -> _Floats:
    """(...,3) figures of (...,4,A,C) counts, summed over scenes, in the order of `FIGURES`; NaN if no class occurs."""
    value = of_classes(counts)
    known = np.isfinite(value)
    number = known.sum(axis=-2)
    mean: _Floats = np.where(number > 0, np.where(known, value, 0).sum(axis=-2) / np.maximum(number, 1), np.nan)
    return mean
