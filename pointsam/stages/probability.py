"""The probability that a cluster is an object: that its IoU with a true object, whatever its class, exceeds 0.5.

The logit is a sum of step functions, one for each feature (boosted stumps). All features are in the tables: the
probability of stored labels can be computed, and fitted, again (`pointsam.evaluate.fit_probability`). Features of a
class are its traits, so any taxonomy can be used. A feature outside the range of the fitted clusters draws the
probability towards the share of right clusters among them; one that is worse than all fitted ones never raises it
(docs/probability.md).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pointsam.base.document import parse_document
from pointsam.base.errors import SchemaError
from pointsam.base.files import require_file
from pointsam.base.ranges import require
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, Cluster, FrameLabels

FEATURES = (
    "score",
    "pred_iou",
    "stability",
    "class_share",
    "points",
    "range",
    "cameras",
    "agreement",
    "cut",
    "grown",
    "length",
    "height",
    "large",
)
"""Names of the columns of `features`."""

TRACKED_FEATURES = ("single", "points", "range", "frames", "share", "votes", "recovered", "extended")
"""Names of the columns of `pointsam.stages.tracks.probability.tracked_features`."""

DIRECTION: Mapping[str, int] = MappingProxyType(
    {
        "score": 1,
        "pred_iou": 1,
        "stability": 1,
        "class_share": 1,
        "points": 1,
        "range": -1,
        "cameras": 1,
        "agreement": 1,
        "cut": -1,
        "single": 1,
        "frames": 1,
        "share": 1,
        "votes": 1,
    }
)
"""Features that may only raise (1) or lower (-1) the probability; the others may do either."""

_LEAST_M = 0.05
_KNOWN = tuple(dict.fromkeys((*FEATURES, *TRACKED_FEATURES)))
_GRADED = ("score", "single")
"""Features whose bad end is no sign of an unknown kind of clusters."""


def features(found: FrameLabels, taxonomy: Taxonomy) -> NDArray[np.float64]:
    """(M,F) what the tables tell of each cluster, by column of `FEATURES`. NaN where they do not: unknown class sizes.

    score, pred_iou, stability, class_share: as in `Cluster`, the first two clipped to [0,1]. points: natural logarithm
    of the number of points that masks gave. range: of the distance in metres. cameras: number of cameras whose masks
    built it. agreement: of the views of its masked points, the share with a mask. cut: share that refinement removed of
    what its masks covered. grown: share of its points that growth added. length, height: logarithm of its extent over
    the typical one of its class (`ClassSpec.typical_lwh_m`), in the x-y plane of the LiDAR and along its z. large: 1
    for large classes, otherwise 0.

    Args:
        found: labels of a frame.
        taxonomy: its classes.
    """
    ids = found.labels.instance_id
    masked = np.flatnonzero((ids != NO_INSTANCE) & ~found.grown)
    views, covered = (
        np.bincount(ids[masked], counts[masked], len(found.clusters)) for counts in (found.views, found.covered)
    )
    agreement = np.divide(covered, views, out=np.zeros(len(views)), where=views > 0)
    rows = [_of_cluster(one, share, taxonomy) for one, share in zip(found.clusters, agreement.tolist(), strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def _of_cluster(cluster: Cluster, agreement: float, taxonomy: Taxonomy) -> tuple[float, ...]:
    spec = taxonomy.classes[cluster.class_id]
    masked = cluster.num_points - cluster.num_points_grown
    length, height = np.nan, np.nan
    if spec.typical_lwh_m is not None:
        length = np.log(max(2 * cluster.radius_bev_m, _LEAST_M) / np.hypot(*spec.typical_lwh_m[:2]))
        height = np.log(max(cluster.size_aabb_m[2], _LEAST_M) / spec.typical_lwh_m[2])
    return (
        min(max(cluster.score, 0.0), 1.0),
        min(max(cluster.pred_iou, 0.0), 1.0),
        cluster.stability,
        cluster.class_share,
        np.log(max(masked, 1)),
        np.log(max(cluster.range_m, 1.0)),
        len(set(cluster.cameras)),
        agreement,
        cluster.num_points_cut / max(masked + cluster.num_points_cut, 1),
        cluster.num_points_grown / max(cluster.num_points, 1),
        length,
        height,
        float(spec.is_large),
    )


@dataclass(frozen=True)
class FeatureEffect:
    """The part of a feature in a probability: a step function.

    Args:
        name: one of `FEATURES` or `TRACKED_FEATURES`.
        low, high: the range of the middle 98 % of the fitted clusters.
        scale: their standard deviation within it.
        edges: (E) ends of the steps, increasing; a value equal to an end belongs to the step before it.
        values: (E+1) change of the logit in each step. Their mean over the fitted clusters is 0. They do not go against
            the feature's `DIRECTION`.

    Raises:
        SchemaError: SCH005 on a number that is not possible.
    """

    name: str
    low: float
    high: float
    scale: float
    edges: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        where = f"features.{self.name}"
        require(self.name in _KNOWN, "features.name", self.name, f"one of: {', '.join(_KNOWN)}")
        require(self.low <= self.high, f"{where}.low", self.low, "at most high")
        require(0 < self.scale < math.inf, f"{where}.scale", self.scale, "a number above 0")
        rises = all(map(math.isfinite, self.edges)) and all(one < other for one, other in pairwise(self.edges))
        require(
            rises and len(self.values) == len(self.edges) + 1, f"{where}.edges", self.edges, "an edge between steps"
        )
        require(all(map(math.isfinite, self.values)), f"{where}.values", self.values, "finite numbers")
        steps = [DIRECTION.get(self.name, 0) * (other - one) for one, other in pairwise(self.values)]
        require(min(steps, default=0.0) >= 0, f"{where}.values", self.values, "steps in the feature's direction")


@dataclass(frozen=True)
class FittedOn:
    """The clusters that a probability was fitted to.

    Args:
        clusters, right: numbers of clusters, and of those with an IoU above 0.5.
        scenes: number of scenes.
        labels: descriptions of the labels.
    """

    clusters: int
    right: int
    scenes: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ProbabilityModel:
    """A fitted probability, as its file holds it.

    Args:
        version: version of the format.
        intercept: mean logit of the fitted clusters.
        base_rate: share of right clusters among them.
        features: effect of each feature.
        fitted_on: the fitted clusters.

    Raises:
        SchemaError: SCH005 on a number that is not possible.
    """

    version: int
    intercept: float
    base_rate: float
    features: tuple[FeatureEffect, ...]
    fitted_on: FittedOn

    def __post_init__(self) -> None:
        names = [one.name for one in self.features]
        require(len(set(names)) == len(names), "features", names, "each feature once")
        require(math.isfinite(self.intercept), "intercept", self.intercept, "a finite number")
        require(0 < self.base_rate < 1, "base_rate", self.base_rate, "a number between 0 and 1")

    def probability(self, values: NDArray[np.float64], names: tuple[str, ...] = FEATURES) -> NDArray[np.float64]:
        """(M,) probabilities with six decimals, which libraries of all machines agree on.

        The sum runs over one feature after another, so that a cluster does not depend on the others.

        Args:
            values: (M,F) from `features`; NaN has no effect.
            names: names of the columns.
        """
        logit = np.full(len(values), self.intercept)
        unlike, worse = np.zeros((2, len(values)))
        for one in self.features:
            column = values[:, names.index(one.name)]
            step = np.searchsorted(one.edges, column)
            logit += np.where(np.isnan(column), 0.0, np.asarray(one.values)[step])
            beyond = np.nan_to_num(column - np.clip(column, one.low, one.high)) / one.scale
            if one.name not in DIRECTION:
                unlike += np.abs(beyond)
            elif one.name not in _GRADED:
                worse += np.maximum(-DIRECTION[one.name] * beyond, 0)
        base = math.log(self.base_rate / (1 - self.base_rate))
        above = logit - base
        drawn = above / (1 + unlike + np.where(above > 0, worse, 0))
        found: NDArray[np.float64] = np.round(expit(base + drawn), 6)
        return found


VERSION = 1
BUNDLED = Path(__file__).parent / "data" / "probability.json"
BUNDLED_TRACKED = Path(__file__).parent / "data" / "probability_tracks.json"


@dataclass(frozen=True)
class StoredModel:
    """A probability with the digest of its file.

    Args:
        model: the probability.
        sha256: hex digest of the file.
    """

    model: ProbabilityModel
    sha256: str


def read_probability(path: Path = BUNDLED, names: tuple[str, ...] = FEATURES) -> StoredModel:
    """Read a file that `pointsam-label fit-probability` wrote.

    Args:
        path: the file; by default the one in the package.
        names: features of the labels that it is for.

    Raises:
        SchemaError: SCH005 on a file that is missing or is not of this kind, SCH003 on one of another version.
    """
    hint = (
        "install pointsam again" if path in (BUNDLED, BUNDLED_TRACKED) else "make one: pointsam-label fit-probability"
    )

    def refuse(why: str) -> SchemaError:
        return SchemaError("SCH005", f"{path} is not a probability file: {why}", hint)

    def known(values: object) -> object:
        version = values.get("version") if isinstance(values, Mapping) else None
        if isinstance(version, int) and version != VERSION:
            raise SchemaError("SCH003", f"{path} has version {version}, this is version {VERSION}", hint)
        return values

    try:
        require_file(path)
        content = path.read_bytes()
    except OSError as error:
        raise refuse(f"cannot be read ({error.strerror})") from error
    model = parse_document(content, ProbabilityModel, refuse, known)
    other = [one.name for one in model.features if one.name not in names]
    if other:
        raise refuse(f"{', '.join(other)} are features of the other stage of labels: --stage of fit-probability")
    return StoredModel(model, hashlib.sha256(content).hexdigest())


def tracked_probability(path: Path | None = None) -> StoredModel | None:
    """The probability of clusters after tracking; None if they keep that of their frames.

    Args:
        path: the file, None for the one in the package, if it has one.

    Raises:
        SchemaError: as `read_probability`.
    """
    if path is None and not BUNDLED_TRACKED.exists():
        return None
    return read_probability(path or BUNDLED_TRACKED, TRACKED_FEATURES)


@cache
def _bundled() -> ProbabilityModel:
    return read_probability().model


def with_probability(found: FrameLabels, taxonomy: Taxonomy, model: ProbabilityModel | None = None) -> FrameLabels:
    """The labels of a frame with the probability of every cluster. It depends on the tables of the frame only.

    Args:
        found: labels of a frame.
        taxonomy: its classes.
        model: the probability to use, None for the one in the package.
    """
    model = model or _bundled()
    values = model.probability(features(found, taxonomy)).tolist()
    clusters = tuple(replace(one, probability=value) for one, value in zip(found.clusters, values, strict=True))
    return replace(found, clusters=clusters)
