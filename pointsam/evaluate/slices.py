"""The metrics by properties of the objects: range, size, visibility, cameras.

Specification
    Dimension     a property by which objects are sorted into bins ("range"). An object may be in no bin of a dimension,
                  or in several ("camera").
    TP, FN        count in the bins of the true object.
    FP            count in the bins of the cluster, because a false positive has no object.
    Objects, IoU, recall   count in the bins of the object. Clusters, precision   count in the bins of the cluster.

The metrics are those of `pointsam.evaluate.panoptic` and `pointsam.evaluate.agnostic`. In a dimension of objects only
(visibility), there are no false positives and no clusters: PQ is that of matches and misses, and precision is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.agnostic import ObjectQuality, best_iou, object_quality
from pointsam.evaluate.overlap import Overlaps
from pointsam.evaluate.panoptic import ClassQuality, class_quality, match, mean_counted
from pointsam.taxonomy import Taxonomy

_PANOPTIC = ("tp", "fp", "fn")
_AGNOSTIC = ("objects", "found", "clusters", "right")


@dataclass(frozen=True, eq=False)
class Members:
    """The bins of one dimension that the segments of a sweep are in.

    Args:
        objects: (T,B) bool, bins of the true segments.
        clusters: (P,B) bool, bins of the predicted segments.
    """

    objects: NDArray[np.bool_]
    clusters: NDArray[np.bool_]


@dataclass(frozen=True)
class BinQuality:
    """Metrics of one bin.

    Args:
        dimension, bin: names of the dimension and the bin.
        pq, sq, rq: means over the classes that occur in it.
        objects: class-agnostic metrics of all classes.
        classes: panoptic quality of each class of the taxonomy, in its order.
        class_objects: class-agnostic metrics of each class.
    """

    dimension: str
    bin: str
    pq: float
    sq: float
    rq: float
    objects: ObjectQuality
    classes: tuple[ClassQuality, ...]
    class_objects: tuple[ObjectQuality, ...]


class SliceAccumulator:
    """Sums over sweeps; its memory does not grow with them.

    Args:
        taxonomy: classes of labels and ground truth.
        dimensions: names of the bins, by dimension.
        min_points_panoptic: smallest number of points of an unmatched segment that counts.
        min_points_objects: smallest number of points of an object or a cluster in the class-agnostic metrics.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        dimensions: Mapping[str, tuple[str, ...]],
        min_points_panoptic: int = 15,
        min_points_objects: int = 5,
    ) -> None:
        self.taxonomy, self.dimensions = taxonomy, dict(dimensions)
        self._min_points = (min_points_panoptic, min_points_objects)
        classes = len(taxonomy.classes)
        rows = (*_PANOPTIC, "matched iou", *_AGNOSTIC, "best iou")
        self._sums = {
            name: {row: np.zeros((classes, len(bins))) for row in rows} for name, bins in self.dimensions.items()
        }

    def add(self, seen: Overlaps, members: Mapping[str, Members]) -> None:
        """Count one sweep.

        Args:
            seen: its segments.
            members: their bins, by dimension; a missing dimension is not counted.
        """
        found = match(seen, self._min_points[0])
        object_iou, cluster_iou = best_iou(seen)
        object_of = seen.true_index[found.pair]
        matched, matched_iou = np.zeros(len(seen.true_size)), np.zeros(len(seen.true_size))
        matched[object_of], matched_iou[object_of] = 1, found.iou[found.pair]
        objects, clusters = seen.true_size >= self._min_points[1], seen.pred_size >= self._min_points[1]
        of_objects = {
            "tp": matched,
            "matched iou": matched_iou,
            "fn": found.missed,
            "objects": objects,
            "found": objects & (object_iou > 0.5),
            "best iou": objects * object_iou,
        }
        of_clusters = {
            "fp": found.false_alarm,
            "clusters": clusters,
            "right": clusters & (cluster_iou > 0.5),
        }
        classes = np.arange(len(self.taxonomy.classes))[:, None]
        true_class, pred_class = ((classes == of).astype(float) for of in (seen.true_class, seen.pred_class))
        for dimension, bins in members.items():
            sums = self._sums[dimension]
            for row, weight in of_objects.items():
                sums[row] += (true_class * weight) @ bins.objects
            for row, weight in of_clusters.items():
                sums[row] += (pred_class * weight) @ bins.clusters

    def result(self) -> tuple[BinQuality, ...]:
        """Metrics of every bin of every dimension."""
        return tuple(
            self._bin(dimension, name, column)
            for dimension, bins in self.dimensions.items()
            for column, name in enumerate(bins)
        )

    def _bin(self, dimension: str, name: str, column: int) -> BinQuality:
        sums = {row: values[:, column] for row, values in self._sums[dimension].items()}
        counts = np.stack([sums[row] for row in _PANOPTIC]).astype(np.int64)
        objects = np.stack([sums[row] for row in _AGNOSTIC]).astype(np.int64)
        classes = tuple(
            class_quality(one, counts[:, k], float(sums["matched iou"][k])) for k, one in enumerate(self.taxonomy.names)
        )
        return BinQuality(
            dimension,
            name,
            mean_counted(c.pq for c in classes),
            mean_counted(c.sq for c in classes),
            mean_counted(c.rq for c in classes),
            object_quality("all", objects.sum(axis=1), float(sums["best iou"].sum())),
            classes,
            tuple(
                object_quality(one, objects[:, k], float(sums["best iou"][k]))
                for k, one in enumerate(self.taxonomy.names)
            ),
        )
