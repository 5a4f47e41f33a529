"""Semantic IoU: whether each point has the right class, whatever its object.

Specification
    Points    all points that are not void.
    IoU       of a class: number of points that both assign to it / that either assigns to it; NaN if neither does.
    Mean      over the classes that occur in either, without background.
    Confusion rows are true classes, columns are predicted classes, background is last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.panoptic import mean_counted
from pointsam.taxonomy import Taxonomy
from pointsam.types import PointLabels, PointTruth


@dataclass(frozen=True)
class SemanticQuality:
    """The result, see the module's specification.

    Args:
        mean_iou: mean IoU of the classes.
        iou: (C,) IoU of each class of the taxonomy.
        confusion: (C+1,C+1) numbers of points.
    """

    mean_iou: float
    iou: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


class SemanticAccumulator:
    """Sums over sweeps; its memory does not grow with them."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._size = len(taxonomy.classes) + 1
        self._confusion = np.zeros((self._size, self._size), dtype=np.int64)

    def add(self, labels: PointLabels, truth: PointTruth) -> None:
        """Count one sweep, whose classes the caller has checked against the taxonomy."""
        true, pred = (self._row(each.class_id)[~truth.void] for each in (truth.labels, labels))
        counts = np.bincount(true * self._size + pred, minlength=self._size**2)
        self._confusion += counts.reshape(self._size, self._size)

    def _row(self, class_id: NDArray[np.uint8]) -> NDArray[np.int64]:
        return np.minimum(class_id, self._size - 1).astype(np.int64)

    def result(self) -> SemanticQuality:
        """Metrics of all sweeps added."""
        both = np.diag(self._confusion)[:-1]
        either = (self._confusion.sum(axis=0) + self._confusion.sum(axis=1))[:-1] - both
        iou = tuple(float(b / e) if e else float("nan") for b, e in zip(both, either, strict=True))
        return SemanticQuality(mean_counted(iou), iou, tuple(tuple(row) for row in self._confusion.tolist()))
