"""The probability that a cluster is an object: that its IoU with a true object, whatever its class, exceeds 0.5.

A logistic regression on features that are all in the tables: the probability of stored labels can be computed, and
fitted, again (`pointsam.evaluate.fit_probability`). Features of a class are its traits, so any taxonomy can be used. A
feature outside the range of the fitted clusters counts as the end of that range. If it may count either way, it also
draws the probability towards the share of right clusters among them (docs/probability.md).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
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
    }
)
"""Features that may only raise (1) or lower (-1) the probability; the others may do either."""

_LEAST_M = 0.05


def features(found: FrameLabels, taxonomy: Taxonomy) -> NDArray[np.float64]:
    """(M,F) what the tables tell of each cluster, by column of `FEATURES`. NaN where they do not: unknown class sizes.

    score, pred_iou, stability, class_share: as in `Cluster`, the first two clipped to [0,1]. points: natural logarithm
    of the number of points that masks gave. range: of the distance in metres. cameras: number of cameras whose masks
    built it. agreement: of the views of its masked points, the share with a mask. cut: share that refinement removed of
    what its masks covered. grown: share of its points that growth added. length, height: logarithm of its extent over
    the typical one of its class (`ClassSpec.typical_lwh_m`), in the ground plane and along z. large: 1 for large
    classes, otherwise 0.

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
class FeatureWeight:
    """The part of a feature in a probability.

    Args:
        name: one of `FEATURES`.
        low, high: the range of the middle 98 % of the fitted clusters.
        center, scale: their mean and standard deviation within it.
        weight: change of the logit by one `scale`.
    """

    name: str
    low: float
    high: float
    center: float
    scale: float
    weight: float

    def __post_init__(self) -> None:
        require(self.name in FEATURES, "features.name", self.name, f"one of: {', '.join(FEATURES)}")
        numbers = (self.low, self.high, self.center, self.scale, self.weight)
        ordered = self.low <= self.center <= self.high and self.scale > 0
        require(all(map(math.isfinite, numbers)) and ordered, f"features.{self.name}", numbers, "low <= center <= high")


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
        intercept: logit of a cluster whose features are all at their centres.
        base_rate: share of right clusters among the fitted ones.
        features: the features that count. A higher `score` never lowers the probability.
        fitted_on: the fitted clusters.

    Raises:
        SchemaError: SCH005 on a number that is not possible.
    """

    version: int
    intercept: float
    base_rate: float
    features: tuple[FeatureWeight, ...]
    fitted_on: FittedOn

    def __post_init__(self) -> None:
        weights = {one.name: one.weight for one in self.features}
        require(len(weights) == len(self.features), "features", list(weights), "each feature once")
        require(weights.get("score", 0.0) >= 0, "features.score.weight", weights.get("score"), "0 or more")
        require(math.isfinite(self.intercept), "intercept", self.intercept, "a finite number")
        require(0 < self.base_rate < 1, "base_rate", self.base_rate, "a number between 0 and 1")

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M,) probabilities with six decimals, which libraries of all machines agree on.

        The sum runs over one feature after another, so that a cluster does not depend on the others.

        Args:
            values: (M,F) from `features`; NaN counts as the centre.
        """
        logit, outside = np.full(len(values), self.intercept), np.zeros(len(values))
        for one in self.features:
            column = values[:, FEATURES.index(one.name)]
            inside = np.where(np.isnan(column), one.center, np.clip(column, one.low, one.high))
            logit += (inside - one.center) / one.scale * one.weight
            if one.name not in DIRECTION:  # beyond a bad end, the base rate would be too good
                outside += np.abs(np.nan_to_num(column - inside)) / one.scale
        base = math.log(self.base_rate / (1 - self.base_rate))
        found: NDArray[np.float64] = np.round(expit(base + (logit - base) / (1 + outside)), 6)
        return found


VERSION = 1
BUNDLED = Path(__file__).parent / "data" / "probability.json"


@dataclass(frozen=True)
class StoredModel:
    """A probability with the digest of its file.

    Args:
        model: the probability.
        sha256: hex digest of the file.
    """

    model: ProbabilityModel
    sha256: str


def read_probability(path: Path = BUNDLED) -> StoredModel:
    """Read a file that `pointsam-label fit-probability` wrote.

    Args:
        path: the file; by default the one in the package.

    Raises:
        SchemaError: SCH005 on a file that is missing or is not of this kind, SCH003 on one of another version.
    """
    hint = "install pointsam again" if path == BUNDLED else "make one: pointsam-label fit-probability"

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
    return StoredModel(parse_document(content, ProbabilityModel, refuse, known), hashlib.sha256(content).hexdigest())


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
