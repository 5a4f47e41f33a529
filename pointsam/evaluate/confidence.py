"""Does `confidence` separate good clusters from bad ones?

Specification
    Clusters     those of at least `min_points` non-void points.
    IoU          of a cluster: the largest IoU with any object, whatever its class. The cluster is right if it is > 0.5.
    Bins         ten bins of equal width in confidence: number of clusters, their mean confidence, mean IoU, and the
                 fraction that is right.
    ECE          expected calibration error: mean over clusters of |mean confidence - fraction right| of their bin.
    AUROC        probability that a right cluster is more confident than a wrong one; ties count half. 0.5 is chance.
    Spearman     rank correlation of confidence and IoU.

Source: ECE, Naeini et al., AAAI 2015; Guo et al., ICML 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray

BINS = 10


@dataclass(frozen=True)
class ConfidenceBin:
    """Clusters in a range of confidence; the means are NaN without clusters."""

    low: float
    high: float
    num_clusters: int
    mean_confidence: float
    mean_iou: float
    share_right: float


@dataclass(frozen=True)
class ConfidenceQuality:
    """The result, see the module's specification; NaN if there is nothing to compare."""

    num_clusters: int
    ece: float
    auroc: float
    spearman: float
    bins: tuple[ConfidenceBin, ...]


class ConfidenceAccumulator:
    """Keeps confidence and IoU of every cluster: 16 bytes each."""

    def __init__(self) -> None:
        self._sweeps: list[NDArray[np.float64]] = [np.zeros((2, 0))]

    def add(self, confidence: FloatArray, iou: FloatArray) -> None:
        """Keep the clusters of one sweep.

        Args:
            confidence: (K,) confidence in [0,1].
            iou: (K,) best IoU with an object, in [0,1].
        """
        self._sweeps.append(np.array([confidence, iou], dtype=np.float64))

    def result(self) -> ConfidenceQuality:
        """Metrics of all clusters added."""
        from scipy.stats import binned_statistic

        confidence, iou = np.concatenate(self._sweeps, axis=1)
        right, edges, means = iou > 0.5, np.arange(BINS + 1) / BINS, np.full((3, BINS), np.nan)
        if len(iou):
            means = binned_statistic(confidence, [confidence, iou, right], "mean", edges).statistic
        count = np.histogram(confidence, edges)[0]
        ece = float(np.nansum(count * np.abs(means[0] - means[2])) / len(iou)) if len(iou) else math.nan
        rows = zip(edges[:-1].tolist(), edges[1:].tolist(), count.tolist(), *means.tolist(), strict=True)
        bins = tuple(ConfidenceBin(*row) for row in rows)
        return ConfidenceQuality(len(iou), ece, _auroc(right, confidence), _spearman(confidence, iou), bins)


def _auroc(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(right, confidence)) if right.any() and not right.all() else math.nan


def _spearman(confidence: NDArray[np.float64], iou: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    varied = len(iou) > 0 and np.ptp(confidence) > 0 and np.ptp(iou) > 0
    return float(spearmanr(confidence, iou).statistic) if varied else math.nan
