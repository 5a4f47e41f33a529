"""Does `confidence` tell good clusters from bad ones?

Specification
    Clusters     those of at least `min_points` non-void points.
    IoU          of a cluster: the largest with any object, whatever its class. It is right if that is > 0.5.
    Bins         ten of equal width in confidence: how many clusters, their mean confidence, mean IoU, share right.
    ECE          expected calibration error, mean over clusters of |mean confidence - share right| of their bin.
    AUROC        chance that a right cluster is more confident than a wrong one, ties count half. 0.5 tells nothing.
    Spearman     rank correlation of confidence and IoU.

Ranks are those of a grid of 1/200: two clusters within one cell count as equal, and memory does not grow with them.
Source: ECE, Naeini et al., AAAI 2015; Guo et al., ICML 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
_CELLS = 200


@dataclass(frozen=True)
class ConfidenceBin:
    """Clusters of a range of confidence; NaN in an empty one."""

    low: float
    high: float
    num_clusters: int
    mean_confidence: float
    mean_iou: float
    share_right: float


@dataclass(frozen=True)
class ConfidenceQuality:
    """The result, see the module's specification; NaN where there is nothing to compare."""

    num_clusters: int
    ece: float
    auroc: float
    spearman: float
    bins: tuple[ConfidenceBin, ...]


class ConfidenceAccumulator:
    """Sums over sweeps; its memory does not grow with them."""

    def __init__(self) -> None:
        self._sums = np.zeros((4, BINS))  # clusters, confidence, IoU, right
        self._grid = np.zeros((_CELLS, _CELLS), dtype=np.int64)  # confidence, IoU
        self._right = np.zeros((2, _CELLS), dtype=np.int64)  # wrong and right clusters by confidence

    def add(self, confidence: NDArray[np.floating[Any]], iou: NDArray[np.floating[Any]]) -> None:
        """Count the clusters of one sweep.

        Args:
            confidence: (K,) in [0,1].
            iou: (K,) in [0,1], with the best object.
        """
        right = iou > 0.5
        at = _cell(confidence, BINS)
        rows = (np.ones(len(at)), confidence, iou, right)
        self._sums += np.stack([np.bincount(at, weights=row, minlength=BINS) for row in rows])
        cell = _cell(confidence, _CELLS)
        np.add.at(self._grid, (cell, _cell(iou, _CELLS)), 1)
        np.add.at(self._right, (right.astype(np.int64), cell), 1)

    def result(self) -> ConfidenceQuality:
        """Figures of what was counted so far."""
        count, *sums = self._sums
        number = int(count.sum())
        with np.errstate(invalid="ignore"):
            confidence, iou, right = (total / count for total in sums)
        full = count > 0
        ece = float((count * np.abs(confidence - right))[full].sum() / number) if number else math.nan
        bins = tuple(
            ConfidenceBin(k / BINS, (k + 1) / BINS, int(n), float(c), float(i), float(r))
            for k, (n, c, i, r) in enumerate(zip(count, confidence, iou, right, strict=True))
        )
        return ConfidenceQuality(number, ece, self._auroc(), self._spearman(), bins)

    def _auroc(self) -> float:
        wrong, right = self._right
        pairs = int(wrong.sum()) * int(right.sum())
        below = np.cumsum(wrong) - wrong
        return float((right * (below + wrong / 2)).sum() / pairs) if pairs else math.nan

    def _spearman(self) -> float:
        sizes = [self._grid.sum(axis=1 - axis) for axis in (0, 1)]
        x, y = (np.cumsum(size) - (size - 1) / 2 for size in sizes)  # mid-ranks
        number = self._grid.sum()
        if number == 0:
            return math.nan
        x, y = (rank - (rank * size).sum() / number for rank, size in zip((x, y), sizes, strict=True))
        spread = math.sqrt((x**2 * sizes[0]).sum() * (y**2 * sizes[1]).sum())
        return float(x @ self._grid @ y / spread) if spread else math.nan


def _cell(value: NDArray[np.floating[Any]], cells: int) -> NDArray[np.int64]:
    place: NDArray[np.int64] = np.clip((np.asarray(value) * cells).astype(np.int64), 0, cells - 1)
    return place
