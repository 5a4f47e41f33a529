"""Fits the probability of clusters to labels with ground truth (`pointsam.stages.probability`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError, NothingToScoreError, SchemaError
from pointsam.datasets.base import Dataset
from pointsam.evaluate.bootstrap import FEWEST_SCENES
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, FrameVerdict
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.reliability import Reliability, reliability
from pointsam.evaluate.track_traits import StoredTracks
from pointsam.stages.probability import (
    DIRECTION,
    FEATURES,
    TRACKED_FEATURES,
    VERSION,
    FeatureEffect,
    FittedOn,
    ProbabilityModel,
    features,
)
from pointsam.store.reader import Labels

FEWEST_CLUSTERS, FEWEST_EACH = 100, 20
"""Fewest clusters that a probability is fitted to, and fewest right and wrong ones among them."""
_FOLDS = 5
"""Parts of the scenes in cross-validation."""
_OUTSIDE = (1.0, 99.0)
"""Percentiles of a feature between which clusters are like the fitted ones."""
_STEPS, _STUMPS = 16, 100
"""Largest number of steps of a feature, and number of stumps."""
_PARTS, _LEAF = 15, (10, 60)
"""Fewest clusters on each side of a stump: a fifteenth of all, clipped to 10 to 60."""


@dataclass(eq=False)
class JudgedClusters:
    """Clusters of labels with ground truth, one frame after another.

    Args:
        names: names of the features: those of single-frame or of tracked labels.
        values: (K,F) of them, by frame.
        iou: (K,) best IoU with an object of any class, by frame.
        stored: (K,) probability in the labels, NaN for none, by frame.
        confidence: (K,) confidence in the labels, by frame.
        scenes: scene of each frame.
        classes: number of clusters by class name.
        sources: descriptions of the labels.
        notes: what was left out of them, and why.
    """

    names: tuple[str, ...] = FEATURES
    values: list[NDArray[np.float64]] = field(default_factory=list)
    iou: list[NDArray[np.float64]] = field(default_factory=list)
    stored: list[NDArray[np.float64]] = field(default_factory=list)
    confidence: list[NDArray[np.float64]] = field(default_factory=list)
    scenes: list[str] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    sources: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_labels(self, labels: Labels, dataset: Dataset, source: str, split: str | None = None) -> None:
        """Add the clusters of at least five points of labels.

        Args:
            labels: the labels; their stage is that of the features.
            dataset: their data set, with ground truth.
            source: description of the labels.
            split: split or scene of the frames, None for all frames of the labels.

        Raises:
            SchemaError: SCH003 if the labels have no semantic scores: version 2 of the tables.
            DatasetError: DAT009 if no frame is in the split; what `evaluate_labels` raises.
        """
        data = dataset.fingerprint()  # several labels of one data set share its scenes
        wanted = None if split is None else set(dataset.frame_ids(split))
        if wanted is not None and wanted.isdisjoint(labels.frame_ids()):
            raise DatasetError(
                "DAT009",
                f"no frame of the labels in {labels.out} is in split {split!r}",
                "name a split that they are of",
            )

        tracks = StoredTracks(labels) if self.names == TRACKED_FEATURES else None

        def add(verdict: FrameVerdict) -> None:
            found = labels.labels(verdict.frame_id)
            if tracks is None and any(np.isnan(cluster.score) for cluster in found.clusters):
                raise SchemaError(
                    "SCH003",
                    f"{labels.out}: clusters of frame {verdict.frame_id} have no score: an older version made them",
                    "make the clusters again: pointsam-label clusters DATA --out NEW --masks-from OUT",
                )
            large = verdict.large_clusters
            if tracks is None:
                values = features(found, labels.taxonomy)
            else:
                values = tracks.features(verdict.frame_id, found.frame.scene)
            self.values.append(values[verdict.seen.pred_id[large]])
            self.iou.append(verdict.cluster_iou[large])
            self.stored.append(verdict.probability[large])
            self.confidence.append(verdict.confidence[large])
            self.scenes.append(f"{data}/{found.frame.scene}")
            self.classes.update(labels.taxonomy.names[k] for k in verdict.seen.pred_class[large])

        self.notes += evaluate_labels(labels, dataset, on_verdict=add, frame_ids=wanted).notes()
        self.classes.update(dict.fromkeys(labels.taxonomy.names, 0))
        self.sources.append(source)

    def __len__(self) -> int:
        return sum(map(len, self.iou))

    @property
    def right(self) -> NDArray[np.bool_]:
        """(K,) whether the IoU exceeds 0.5."""
        right: NDArray[np.bool_] = np.concatenate([np.zeros(0), *self.iou]) > 0.5
        return right

    def reliability(self, values: NDArray[np.float64]) -> Reliability:
        """How well (K,) values tell right clusters from wrong ones; NaN leaves a cluster out."""
        known = np.isfinite(values)
        frame = np.repeat(np.arange(len(self.iou)), [len(one) for one in self.iou])
        counts = np.bincount(frame[known], minlength=len(self.iou)).tolist()
        return reliability(np.array([values, np.concatenate(self.iou)])[:, known], counts, self.scenes)


@dataclass(frozen=True)
class FittedProbability:
    """A fitted probability and what is known of it.

    Args:
        model: fitted to all clusters.
        before: reliability of the probability in the labels.
        after: reliability of probabilities fitted to the other scenes: cross-validation.
        left_out: features without effect: they do not vary, or would count against their direction.
    """

    model: ProbabilityModel
    before: Reliability
    after: Reliability
    left_out: tuple[str, ...]


def fit_probability(found: JudgedClusters) -> FittedProbability:
    """Fit a probability, and test it by cross-validation over scenes, or over frames if scenes are few.

    Raises:
        NothingToScoreError: DAT009 on fewer than 100 clusters, or fewer than 20 that are right or wrong.
    """
    right = found.right
    wrong = len(right) - int(right.sum())
    if len(right) < FEWEST_CLUSTERS or min(wrong, int(right.sum())) < FEWEST_EACH:
        raise NothingToScoreError(
            "DAT009",
            f"{len(right)} clusters of {MIN_POINTS_OBJECTS} points or more, {wrong} of them wrong: too few to fit a "
            f"probability to, which takes {FEWEST_CLUSTERS}, {FEWEST_EACH} of them right and {FEWEST_EACH} wrong",
            "label more frames with ground truth; until then the probability in the package is used",
        )
    values = np.concatenate(found.values)
    names = found.scenes if len(set(found.scenes)) >= FEWEST_SCENES else [str(k) for k in range(len(found.scenes))]
    group = np.repeat(np.unique(names, return_inverse=True)[1], [len(one) for one in found.iou])
    crossed = np.full(len(right), np.nan)
    for fold in range(_FOLDS):
        test = group % _FOLDS == fold
        if test.any() and 0 < right[~test].sum() < (~test).sum():
            crossed[test] = fit(values[~test], right[~test], found).probability(values[test], found.names)
    model = fit(values, right, found)
    used = {one.name for one in model.features if any(one.values)}
    return FittedProbability(
        model,
        found.reliability(np.concatenate(found.stored)),
        found.reliability(crossed),
        tuple(name for name in found.names if name not in used),
    )


def fit(values: NDArray[np.float64], right: NDArray[np.bool_], found: JudgedClusters) -> ProbabilityModel:
    """Boosted stumps on steps of the features, monotone where a feature has a direction.

    A sum of stumps is a sum of step functions of single features, which are read off one after another. A missing value
    is fitted as the median of the known ones.

    Args:
        values: (K,F) of the features of `found`.
        right: (K,) whether each cluster is right, some of both.
        found: where the clusters come from.

    Source: Friedman, Annals of Statistics 2001; scikit-learn.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    ranges = {name: _range(values[:, k]) for k, name in enumerate(found.names)}
    names = [name for name, (_, _, scale) in ranges.items() if scale > 0]
    columns = [values[:, found.names.index(name)] for name in names]
    edges = [_edges(column) for column in columns]
    steps = [np.searchsorted(*pair).astype(np.float64) for pair in zip(edges, columns, strict=True)]
    known = [np.isfinite(column) for column in columns]
    middle_step = [np.searchsorted(edge, np.nanmedian(column)) for edge, column in zip(edges, columns, strict=True)]
    boosted = HistGradientBoostingClassifier(
        max_iter=_STUMPS,
        max_depth=1,
        min_samples_leaf=int(np.clip(len(right) // _PARTS, *_LEAF)),
        monotonic_cst=[DIRECTION.get(name, 0) for name in names],
        early_stopping=False,
        random_state=0,
    ).fit(np.column_stack([np.where(*one) for one in zip(known, steps, middle_step, strict=True)]), right)
    intercept, effects = float(boosted.decision_function(np.zeros((1, len(names))))[0]), []
    for k, name in enumerate(names):
        rows = np.zeros((len(edges[k]) + 1, len(names)))
        rows[:, k] = np.arange(len(rows))
        curve = boosted.decision_function(rows)
        if name in DIRECTION:  # rounding
            curve = DIRECTION[name] * np.maximum.accumulate(DIRECTION[name] * curve)
        curve = curve - curve[0]
        middle = float(curve[steps[k][known[k]].astype(int)].mean())
        intercept += middle
        effects.append(FeatureEffect(name, *ranges[name], tuple(edges[k].tolist()), tuple((curve - middle).tolist())))
    on = FittedOn(len(right), int(right.sum()), len(set(found.scenes)), tuple(found.sources))
    return ProbabilityModel(VERSION, intercept, float(right.mean()), tuple(effects), on)


def _edges(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ends of the steps of a feature: sixteenths of its known values, without repetition.

    1e-9 is added, because an end may equal a value that occurs, whose last bits differ between libraries.
    """
    known = column[np.isfinite(column)]
    ends: NDArray[np.float64] = np.unique(np.percentile(known, np.linspace(0, 100, _STEPS + 1)[1:-1])) + 1e-9
    return ends


def _range(column: NDArray[np.float64]) -> tuple[float, float, float]:
    """Ends of the middle 98 % of the known values, and the standard deviation of all when clipped to them."""
    known = column[np.isfinite(column)]
    if len(known) == 0:
        return 0.0, 0.0, 0.0
    low, high = np.percentile(known, _OUTSIDE)
    return float(low), float(high), float(np.clip(known, low, high).std()) if high > low else 0.0
