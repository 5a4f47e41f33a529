"""How well does a value of clusters, `confidence` or `probability`, tell right clusters from wrong ones?

Specification
    Clusters     those of at least `min_points` non-void points. Clusters without the value (NaN) are left out.
    IoU          of a cluster: the largest IoU with any object, whatever its class. The cluster is right if it is > 0.5.
    Bins         ten bins of equal width in the value: number of clusters, their mean value, mean IoU, and the fraction
                 that is right.
    ECE          expected calibration error: mean over clusters of |mean value - fraction right| of their bin. Its band
                 is 95 % of bootstrap draws of scenes, or of frames if scenes are few.
    Chance ECE   the ECE that is expected of so many clusters if the values are exact probabilities: a bin's number of
                 right clusters then has the variance sum p (1 - p), and a normal deviate is on average sqrt(2 / pi)
                 standard deviations large.
    Brier        mean squared difference between the value and 1 (right) or 0 (wrong).
    AUROC        probability that a right cluster has a higher value than a wrong one; ties count half. 0.5 is chance.
    Spearman     rank correlation of value and IoU.

Source: ECE, Naeini et al., AAAI 2015; Guo et al., ICML 2017. Brier, Monthly Weather Review 1950.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.evaluate.bootstrap import FEWEST_SCENES, interval, times_drawn

BINS = 10
_DRAWS = 1000


@dataclass(frozen=True)
class ReliabilityBin:
    """Clusters in a range of the value; the means are NaN without clusters.

    Args:
        low, high: the range.
        num_clusters: number of clusters.
        mean_confidence: mean value, called confidence in the literature whatever the value is.
        mean_iou: mean IoU.
        share_right: fraction that is right.
    """

    low: float
    high: float
    num_clusters: int
    mean_confidence: float
    mean_iou: float
    share_right: float


@dataclass(frozen=True)
class Reliability:
    """The result, see the module's specification; NaN if there is nothing to compare.

    Args:
        num_clusters: number of clusters with the value.
        ece: expected calibration error.
        ece_low, ece_high: its band.
        ece_chance: the error that exact probabilities would have.
        unit: what the band draws, "scenes" or "frames".
        brier, auroc, spearman, bins: as specified.
    """

    num_clusters: int
    ece: float
    ece_low: float
    ece_high: float
    ece_chance: float
    unit: str
    brier: float
    auroc: float
    spearman: float
    bins: tuple[ReliabilityBin, ...]


class ReliabilityAccumulator:
    """Keeps value and IoU of every cluster: 16 bytes each."""

    def __init__(self) -> None:
        self._sweeps: list[NDArray[np.float64]] = [np.zeros((2, 0))]
        self._scenes: list[str] = []

    def add(self, value: FloatArray, iou: FloatArray, scene: str) -> None:
        """Keep the clusters of one sweep.

        Args:
            value: (K,) values in [0,1]; NaN for none.
            iou: (K,) best IoU with an object, in [0,1].
            scene: scene of the sweep.
        """
        pairs = np.array([value, iou], dtype=np.float64)
        self._sweeps.append(pairs[:, np.isfinite(pairs[0])])
        self._scenes.append(scene)

    def result(self) -> Reliability:
        """Metrics of all clusters added."""
        return reliability(np.concatenate(self._sweeps, axis=1), [s.shape[1] for s in self._sweeps[1:]], self._scenes)


def reliability(pairs: NDArray[np.float64], counts: list[int], scenes: list[str]) -> Reliability:
    """Metrics of clusters.

    Args:
        pairs: (2,K) value and IoU, one frame after another.
        counts: number of clusters of each frame.
        scenes: scene of each frame.
    """
    value, iou = pairs
    right, count = iou > 0.5, len(iou)
    names = np.unique(scenes, return_inverse=True)[1] if scenes else np.zeros(0, dtype=np.int64)
    unit = "scenes" if names.max(initial=-1) + 1 >= FEWEST_SCENES else "frames"
    of_frame = names if unit == "scenes" else np.arange(len(scenes))
    of_cluster = np.repeat(of_frame, counts).astype(np.int64)
    edges = np.arange(BINS + 1) / BINS
    inside = np.clip(np.searchsorted(edges, value, side="right") - 1, 0, BINS - 1)
    units = int(of_frame.max(initial=-1)) + 1

    def sums(weight: FloatArray | NDArray[np.bool_]) -> NDArray[np.float64]:
        """(U,BINS) sum over the clusters of each unit and bin."""
        cell = of_cluster * BINS + inside
        return np.bincount(cell, weight.astype(np.float64), units * BINS).astype(np.float64).reshape(units, BINS)

    held, values, rights = sums(np.ones(count)), sums(value), sums(right)
    in_bin = held.sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = np.array([one.sum(axis=0) for one in (values, sums(iou), rights)]) / in_bin
    times = times_drawn(units, _DRAWS, "reliability") if units > 1 else np.zeros((0, units), dtype=np.int64)
    low, high = interval(_ece(*(times @ one for one in (held, values, rights))))
    rows = zip(edges[:-1].tolist(), edges[1:].tolist(), in_bin.astype(int).tolist(), *means.tolist(), strict=True)
    return Reliability(
        num_clusters=count,
        ece=float(_ece(*(one.sum(axis=0) for one in (held, values, rights)))),
        ece_low=low,
        ece_high=high,
        ece_chance=float(np.sqrt(2 / math.pi * sums(value * (1 - value)).sum(axis=0)).sum() / count)
        if count
        else math.nan,
        unit=unit,
        brier=float(np.mean((value - right) ** 2)) if count else math.nan,
        auroc=_auroc(right, value),
        spearman=_spearman(value, iou),
        bins=tuple(ReliabilityBin(*row) for row in rows),
    )


def _ece(held: NDArray[np.float64], values: NDArray[np.float64], rights: NDArray[np.float64]) -> NDArray[np.float64]:
    """ECE from numbers of clusters, sums of values and numbers of right ones; the last axis is that of the bins."""
    with np.errstate(invalid="ignore"):
        error: NDArray[np.float64] = np.abs(values - rights).sum(axis=-1) / held.sum(axis=-1)
    return error


def _auroc(right: NDArray[np.bool_], value: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(right, value)) if right.any() and not right.all() else math.nan


def _spearman(value: NDArray[np.float64], iou: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    varied = len(iou) > 0 and np.ptp(value) > 0 and np.ptp(iou) > 0
    return float(spearmanr(value, iou).statistic) if varied else math.nan
