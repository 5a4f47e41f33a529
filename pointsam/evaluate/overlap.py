"""Overlaps of the predicted and true objects of a sweep, from which all metrics of labels are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

_Segments = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Sizes and intersections of segments; a segment is all non-void points of one (class, instance).

    Args:
        pred_class: (P,) int64 class_id of each predicted segment.
        pred_id: (P,) int64 its instance_id.
        pred_size: (P,) int64 its number of points.
        true_class: (T,) int64 class_id of each true segment.
        true_id: (T,) int64 its instance_id.
        true_size: (T,) int64 its number of points.
        pred_index: (K,) int64 predicted segment of each pair that shares a point.
        true_index: (K,) int64 true segment of each pair.
        shared: (K,) int64 number of points that each pair shares, all positive.
        num_foreground_shared: number of points that are foreground in both.
        pred_at: (F,) int64 indices of the points that are predicted foreground and not void.
        pred_of: (F,) int64 predicted segment of each of these points.
        true_of_point: (N,) int64 true segment of each point of the sweep, NO_INSTANCE for background and void points.
    """

    pred_class: NDArray[np.int64]
    pred_id: NDArray[np.int64]
    pred_size: NDArray[np.int64]
    true_class: NDArray[np.int64]
    true_id: NDArray[np.int64]
    true_size: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    true_index: NDArray[np.int64]
    shared: NDArray[np.int64]
    num_foreground_shared: int
    pred_at: NDArray[np.int64]
    pred_of: NDArray[np.int64]
    true_of_point: NDArray[np.int64]

    @property
    def pred_of_point(self) -> NDArray[np.int64]:
        """(N,) predicted segment of each point of the sweep, as `true_of_point`."""
        out = np.full_like(self.true_of_point, NO_INSTANCE)
        out[self.pred_at] = self.pred_of
        return out

    @property
    def iou(self) -> NDArray[np.float64]:
        """(K,) intersection over union of each pair, from numbers of points."""
        union = self.pred_size[self.pred_index] + self.true_size[self.true_index] - self.shared
        return self.shared / union


def overlaps(labels: PointLabels, truth: PointTruth, taxonomy: Taxonomy) -> Overlaps:
    """Count the points that segments share, without void points.

    Args:
        labels: (N,) predicted labels of a sweep.
        truth: (N,) ground truth of the same points.
        taxonomy: classes of both.

    Raises:
        SchemaError: SCH003 if the two differ in their number of points, SCH004 if a class is not in the taxonomy.
    """
    if len(labels) != len(truth.labels):
        raise SchemaError(
            "SCH003",
            f"labels of {len(labels)} points, but ground truth of {len(truth.labels)}",
            "evaluate against the data set that the labels were made from",
        )
    pred_at, pred_of, pred = _segments(labels, truth.void, taxonomy)
    true_at, true_of, true = _segments(truth.labels, truth.void, taxonomy)

    true_of_point = np.full(len(labels), NO_INSTANCE, dtype=np.int64)
    true_of_point[true_at] = true_of
    true_under_pred = true_of_point[pred_at]
    both = true_under_pred != NO_INSTANCE
    num_true = len(true[0])
    pair, shared, _ = _count(pred_of[both] * num_true + true_under_pred[both])
    pred_index, true_index = np.divmod(pair, max(num_true, 1))
    num_shared = int(np.count_nonzero(both))
    return Overlaps(*pred, *true, pred_index, true_index, shared, num_shared, pred_at, pred_of, true_of_point)


def _segments(
    labels: PointLabels, void: NDArray[np.bool_], taxonomy: Taxonomy
) -> tuple[NDArray[np.intp], NDArray[np.int64], _Segments]:
    """Indices of foreground points, the segment of each, and the class, instance and size of each segment."""
    at = np.flatnonzero((labels.instance_id != NO_INSTANCE) & ~void)
    class_id = labels.class_id[at].astype(np.int64)
    if class_id.size and class_id.max() >= len(taxonomy.classes):
        raise SchemaError(
            "SCH004",
            f"class_id {class_id.max()} does not exist in taxonomy {taxonomy.name!r}",
            "evaluate with the taxonomy that the labels were made with",
        )
    instance_id = labels.instance_id[at].astype(np.int64)
    span = int(instance_id.max(initial=0)) + 1  # ids are int32 and classes uint8: the product fits int64
    key, size, of_point = _count(class_id * span + instance_id)
    class_of, instance_of = np.divmod(key, span)
    return at, of_point, (class_of, instance_of, size)


def _count(
    key: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys in ascending order, their counts, and the index of each input key among them."""
    if key.max(initial=0) > 8 * key.size:
        unique, index, count = np.unique(key, return_inverse=True, return_counts=True)
        return unique, count, index.reshape(-1)  # numpy 2.0 keeps the input's shape here, other versions do not
    # Dense keys, the common case, need no sorting, which takes three times as long.
    count = np.bincount(key)
    present = count > 0
    return np.flatnonzero(present), count[present], (np.cumsum(present) - 1)[key]
