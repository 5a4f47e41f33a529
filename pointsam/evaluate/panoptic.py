"""Panoptic quality of thing classes.

Specification
    Segment     all non-void points of one (class, instance). Void points are removed from prediction and ground truth
                first. Background is not void: a predicted segment that contains background loses IoU.
    Match (TP)  a predicted and a true segment of the same class with IoU > 0.5. The inequality is strict, so matches
                are one-to-one. Segments of any size match.
    FP, FN      an unmatched predicted or true segment of at least `min_points` non-void points. Smaller ones count as
                neither, so the filter affects false positives and misses only, never matches.
    SQ          sum of IoU over matches / TP, 0 without a match.
    RQ          TP / (TP + FP / 2 + FN / 2).
    PQ          SQ * RQ.
    Mean        over the classes that occur (TP + FP + FN > 0). Other classes are listed with NaN.

Counts are summed over sweeps per class before the ratios are computed. Per class, the values are those of the
nuScenes-devkit's PanopticEval up to rounding. The devkit gives 0 to a class that does not occur, and its mean includes
such classes and its six stuff classes. On a few frames its mean is therefore lower than ours. If all thing classes
occur, our mean is the mean over thing classes, as the paper reports it.

Source: Kirillov et al., Panoptic Segmentation, 2019; nuscenes.eval.panoptic.PanopticEval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.overlap import Overlaps, overlaps
from pointsam.taxonomy import Taxonomy
from pointsam.types import PointLabels, PointTruth


@dataclass(frozen=True)
class ClassQuality:
    """Counts and ratios of one class; pq, sq and rq are NaN if tp + fp + fn = 0."""

    name: str
    tp: int
    fp: int
    fn: int
    iou_sum: float
    pq: float
    sq: float
    rq: float


@dataclass(frozen=True)
class PanopticQuality:
    """The result, see the module's specification.

    Args:
        pq, sq, rq: means over the classes that occur, NaN if none does.
        classes: metrics of every class of the taxonomy, in its order.
        num_frames: number of sweeps added.
        min_points: smallest number of points of an unmatched segment that counts.
    """

    pq: float
    sq: float
    rq: float
    classes: tuple[ClassQuality, ...]
    num_frames: int
    min_points: int


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches, misses and false positives of a sweep.

    Args:
        pair: (K,) bool, whether an overlapping pair is a match.
        iou: (K,) float64 IoU of the pairs.
        missed: (T,) bool, true segments that count as FN.
        false_alarm: (P,) bool, predicted segments that count as FP.
    """

    pair: NDArray[np.bool_]
    iou: NDArray[np.float64]
    missed: NDArray[np.bool_]
    false_alarm: NDArray[np.bool_]


def match(seen: Overlaps, min_points: int) -> Matches:
    """Match the segments of a sweep by the module's specification."""
    iou = seen.iou
    pair = (iou > 0.5) & (seen.pred_class[seen.pred_index] == seen.true_class[seen.true_index])
    missed = seen.true_size >= min_points
    missed[seen.true_index[pair]] = False
    false_alarm = seen.pred_size >= min_points
    false_alarm[seen.pred_index[pair]] = False
    return Matches(pair, iou, missed, false_alarm)


class PanopticAccumulator:
    """Sums counts over sweeps; its memory does not grow with them.

    Args:
        taxonomy: classes of labels and ground truth.
        min_points: smallest number of non-void points of an unmatched segment that counts; the nuScenes benchmark has
            15.
    """

    def __init__(self, taxonomy: Taxonomy, min_points: int = 15) -> None:
        self.taxonomy = taxonomy
        self.min_points = min_points
        self._num_frames = 0
        self._counts = np.zeros((3, len(taxonomy.classes)), dtype=np.int64)  # rows tp, fp, fn
        self._iou_sum = np.zeros(len(taxonomy.classes), dtype=np.float64)

    def add(self, labels: PointLabels, truth: PointTruth) -> None:
        """Count one sweep.

        Raises:
            SchemaError: SCH003 if labels and ground truth differ in their number of points, SCH004 on an unknown class.
        """
        self.add_overlaps(overlaps(labels, truth, self.taxonomy))

    def add_overlaps(self, seen: Overlaps) -> None:
        """Count one sweep from the overlaps of its segments."""
        found = match(seen, self.min_points)
        num_classes = len(self.taxonomy.classes)
        matched_class = seen.true_class[seen.true_index[found.pair]]
        counted = (matched_class, seen.pred_class[found.false_alarm], seen.true_class[found.missed])
        self._counts += np.stack([np.bincount(class_id, minlength=num_classes) for class_id in counted])
        self._iou_sum += np.bincount(matched_class, weights=found.iou[found.pair], minlength=num_classes)
        self._num_frames += 1

    def result(self) -> PanopticQuality:
        """Metrics of all sweeps added."""
        classes = tuple(
            class_quality(name, self._counts[:, i], float(self._iou_sum[i]))
            for i, name in enumerate(self.taxonomy.names)
        )
        return PanopticQuality(
            pq=mean_counted([c.pq for c in classes]),
            sq=mean_counted([c.sq for c in classes]),
            rq=mean_counted([c.rq for c in classes]),
            classes=classes,
            num_frames=self._num_frames,
            min_points=self.min_points,
        )


def mean_counted(ratios: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN without any."""
    counted = [ratio for ratio in ratios if not math.isnan(ratio)]
    return sum(counted) / len(counted) if counted else math.nan


def panoptic_quality(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) panoptic quality of (...,4,C) tp, fp, fn, iou_sum: mean over the classes that occur, NaN if none does."""
    tp, fp, fn, iou = np.moveaxis(counts, -2, 0)
    weight = tp + (fp + fn) / 2
    counted = (weight > 0).sum(axis=-1)
    total = (iou / np.where(weight > 0, weight, 1)).sum(axis=-1)
    quality: NDArray[np.float64] = np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
    return quality


def class_quality(name: str, counts: NDArray[np.int64], iou_sum: float) -> ClassQuality:
    """Metrics of one class.

    Args:
        name: class name.
        counts: (3,) numbers of true positives, false positives and false negatives.
        iou_sum: sum of the IoU over the matches.
    """
    tp, fp, fn = (int(n) for n in counts)
    if tp + fp + fn == 0:
        return ClassQuality(name, 0, 0, 0, 0.0, math.nan, math.nan, math.nan)
    sq = iou_sum / tp if tp else 0.0
    rq = tp / (tp + 0.5 * fp + 0.5 * fn)
    return ClassQuality(name, tp, fp, fn, iou_sum, sq * rq, sq, rq)
