"""Class-agnostic quality of objects, without the 15-point filter of panoptic quality.

Specification
    Object, cluster   all non-void points of one (class, instance) of the ground truth, of the prediction.
    Best IoU          of an object: the largest IoU with any cluster, 0 without one. Classes are ignored.
    Mean IoU          mean of the best IoU over objects of at least `min_points` points.
    Recall            fraction of these objects whose best IoU is > 0.5.
    Precision         fraction of the clusters of at least `min_points` non-void points whose best IoU with any object,
                      of any size, is > 0.5.
    Point precision   fraction of the non-void points in clusters that lie in an object.
    Point recall      fraction of the non-void points in objects that lie in a cluster.
    By class          objects by their true class, clusters by their predicted class; matching ignores the class.

0 / 0 is NaN. This complements panoptic quality because most objects that a weak detector misses are small, and the
filter of the benchmark hides them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.overlap import Overlaps, overlaps
from pointsam.taxonomy import Taxonomy
from pointsam.types import PointLabels, PointTruth


@dataclass(frozen=True)
class ObjectQuality:
    """Class-agnostic metrics of a group of objects and clusters ("all", or one class)."""

    name: str
    num_objects: int
    num_clusters: int
    mean_iou: float
    recall: float
    precision: float


@dataclass(frozen=True)
class AgnosticQuality:
    """The result, see the module's specification.

    Args:
        overall: metrics of all objects and clusters.
        classes: metrics of every class of the taxonomy, in its order.
        point_precision, point_recall: point precision and recall of the foreground.
        num_frames: number of sweeps added.
        min_points: smallest number of points of an object or a cluster that counts.
    """

    overall: ObjectQuality
    classes: tuple[ObjectQuality, ...]
    point_precision: float
    point_recall: float
    num_frames: int
    min_points: int


def best_iou(seen: Overlaps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T,) best IoU of each true segment with any predicted one, (P,) of each predicted one with any true one."""
    of_object, of_cluster = np.zeros(len(seen.true_size)), np.zeros(len(seen.pred_size))
    np.maximum.at(of_object, seen.true_index, seen.iou)
    np.maximum.at(of_cluster, seen.pred_index, seen.iou)
    return of_object, of_cluster


class AgnosticAccumulator:
    """Sums over sweeps; its memory does not grow with them.

    Args:
        taxonomy: classes of labels and ground truth.
        min_points: smallest number of non-void points of an object or a cluster that counts.
    """

    def __init__(self, taxonomy: Taxonomy, min_points: int = 5) -> None:
        self.taxonomy = taxonomy
        self.min_points = min_points
        self._num_frames = 0
        self._counts = np.zeros((4, len(taxonomy.classes)), dtype=np.int64)  # objects, found, clusters, right
        self._iou_sum = np.zeros(len(taxonomy.classes), dtype=np.float64)
        self._points = np.zeros(3, dtype=np.int64)  # in both, in clusters, in objects

    def add(self, labels: PointLabels, truth: PointTruth) -> None:
        """Count one sweep.

        Raises:
            SchemaError: SCH003 if labels and ground truth differ in their number of points, SCH004 on an unknown class.
        """
        self.add_overlaps(overlaps(labels, truth, self.taxonomy))

    def add_overlaps(self, seen: Overlaps) -> None:
        """Count one sweep from the overlaps of its segments."""
        object_iou, cluster_iou = best_iou(seen)
        num_classes = len(self.taxonomy.classes)
        objects, clusters = seen.true_size >= self.min_points, seen.pred_size >= self.min_points
        counted = (
            seen.true_class[objects],
            seen.true_class[objects & (object_iou > 0.5)],
            seen.pred_class[clusters],
            seen.pred_class[clusters & (cluster_iou > 0.5)],
        )
        self._counts += np.stack([np.bincount(class_id, minlength=num_classes) for class_id in counted])
        self._iou_sum += np.bincount(seen.true_class[objects], weights=object_iou[objects], minlength=num_classes)
        self._points += (seen.num_foreground_shared, int(seen.pred_size.sum()), int(seen.true_size.sum()))
        self._num_frames += 1

    def result(self) -> AgnosticQuality:
        """Metrics of all sweeps added."""
        classes = tuple(
            object_quality(name, self._counts[:, i], float(self._iou_sum[i]))
            for i, name in enumerate(self.taxonomy.names)
        )
        both, in_clusters, in_objects = (int(n) for n in self._points)
        return AgnosticQuality(
            object_quality("all", self._counts.sum(axis=1), float(self._iou_sum.sum())),
            classes,
            _share(both, in_clusters),
            _share(both, in_objects),
            self._num_frames,
            self.min_points,
        )


def object_quality(name: str, counts: NDArray[np.int64], iou_sum: float) -> ObjectQuality:
    """Metrics of the objects of one class, or of all.

    Args:
        name: class name, or "all".
        counts: (4,) numbers of objects, of objects with a best IoU above 0.5, of clusters, and of clusters with a best
            IoU above 0.5.
        iou_sum: sum over the objects of their best IoU.
    """
    objects, found, clusters, right = (int(n) for n in counts)
    return ObjectQuality(
        name, objects, clusters, _share(iou_sum, objects), _share(found, objects), _share(right, clusters)
    )


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan
