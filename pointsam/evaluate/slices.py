"""The same figures by what an object is like: its range, size, visibility, cameras.

Specification
    Dimension     a way to sort objects into bins ("range"); an object may be in several bins of one ("camera") or none.
    TP, FN        count in the bins of the true object.
    FP            count in the bins of the cluster: a false alarm has no object.
    Objects, IoU, recall   by the bins of the object. Clusters, precision   by those of the cluster.

Figures are those of `pointsam.evaluate.panoptic` and `pointsam.evaluate.agnostic`. A dimension that only objects have
(visibility) has no false alarms and no clusters: PQ is then that of matches and misses, precision NaN.
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
    """Which bins of one dimension the segments of a sweep are in.

    Args:
        objects: (T,B) bool of the true segments.
        clusters: (P,B) bool of the predicted ones.
    """

    objects: NDArray[np.bool_]
    clusters: NDArray[np.bool_]


@dataclass(frozen=True)
class BinQuality:
    """One bin.

    Args:
        dimension, bin: its names.
        pq, sq, rq: means over the classes that were counted in it.
        objects: class-agnostic figures of all classes.
        classes: panoptic quality of each class of the taxonomy, in its order.
        class_objects: class-agnostic figures of each.
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
        taxonomy: classes of labels and truth.
        dimensions: names of the bins of each.
        min_points_panoptic: size from which an unmatched segment counts.
        min_points_objects: size from which objects and clusters count in the class-agnostic figures.
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
            members: their bins, by dimension; one that is left out is not counted.
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
        """Every bin of every dimension."""
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
