"""The supervision budget: the frames that may be used in training, and the objects whose boxes may be used.

A budget is a file, drawn once: nothing outside it may reach a loss. The random draw of an object depends only on the
seed and the object's token, so a data set that grows keeps the boxes it has.

Source: docs/method.md B.2 (the published masks were never released with their generator) and B.11 (cost).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pointsam.base.document import LEFT_OUT
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require

CLUSTER_COST = 0.14
"""Annotation cost of a coarse label relative to an accurate box (docs/method.md B.1)."""

Velocity = tuple[float, float] | None
"""Metres per second along x and y of the map frame, None if unknown."""

BudgetRule = Literal["object", "class", "stratified", "frame", "cost"]
RULES: tuple[BudgetRule, ...] = get_args(BudgetRule)

_RANGE_M = (20.0, 40.0)
_POINTS = (5, 20, 100)
"""Edges of the strata, by range and by number of points; strata are also split by class."""


@dataclass(frozen=True, eq=False)
class Objects:
    """All N objects of a data set that could be labelled.

    Args:
        frame_ids: every frame, with objects or without, in the data set's order.
        frame: (N,) index into `frame_ids`, non-decreasing.
        token: (N) the data set's name of each box.
        class_id: (N,) class of each object.
        range_m: (N,) distance from the reference LiDAR in the ground plane.
        num_points: (N,) number of points of the key sweeps in the box.
        velocity_mps: (N,2) along x and y of the map frame, NaN where unknown.
        digest: (N) digest of each box (`digests.box_digests`), or empty.
        left_out: frame_id -> why its boxes or points could not be read; these frames are not in `frame_ids`.
    """

    frame_ids: tuple[str, ...]
    frame: NDArray[np.int64]
    token: tuple[str, ...]
    class_id: NDArray[np.uint8]
    range_m: NDArray[np.float64]
    num_points: NDArray[np.int64]
    velocity_mps: NDArray[np.float64]
    digest: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.token)


@dataclass(frozen=True)
class BudgetConfig:
    """The rule by which boxes are chosen.

    Args:
        fraction: fraction of the objects (rules "object", "class", "stratified"), of the frames ("frame"), or of the
            cost of boxes for all candidates ("cost").
        rule: "object" draws among all objects, as published. "class" draws the fraction of each class, at least one
            object. "stratified" draws in proportion from each stratum of class, range and number of points. "frame"
            takes all objects of some frames. "cost" adds frames until boxes and clusters together cost the fraction;
            `box_share` of their objects have boxes.
        box_share: fraction of boxes among the labels of rule "cost".
        min_points: objects with fewer points are not candidates and get no label.
        seed: seed of all random draws.

    Raises:
        SchemaError: SCH005 on a fraction outside (0, 1] or an unknown rule.
    """

    fraction: float = 0.1
    rule: BudgetRule = "object"
    box_share: float = 0.1
    min_points: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("fraction", "box_share"):
            value = getattr(self, name)
            require(0 < value <= 1, f"budget.{name}", value, "a fraction above 0 and up to 1")
        require(self.rule in RULES, "budget.rule", self.rule, f"one of: {', '.join(RULES)}")


@dataclass(frozen=True)
class ClassCounts:
    """Number of candidates of a class, and of those that have boxes."""

    objects: int
    boxes: int


@dataclass(frozen=True, kw_only=True)
class BudgetDescription(BudgetConfig):
    """The rule, the counts and the cost of a drawn budget.

    Args:
        frames, labelled_frames: number of frames of the split, and of those with labels.
        objects, boxes, clusters: number of candidates, of those with boxes, and of those with clusters only.
        cost_boxes_only, cost_with_clusters: cost as a fraction of the cost of boxes for all candidates.
        classes: counts by class name.
        dataset, split: source of the budget; None if it was not recorded.
        left_out: frames of the split whose boxes or points could not be read, with the reasons; None if there are none.
    """

    frames: int
    labelled_frames: int
    objects: int
    boxes: int
    clusters: int
    cost_boxes_only: float
    cost_with_clusters: float
    classes: Mapping[str, ClassCounts]
    dataset: str | None = field(default=None, metadata=LEFT_OUT)
    split: str | None = field(default=None, metadata=LEFT_OUT)
    left_out: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, eq=False)
class Budget:
    """The labels of a data set that training may use.

    Args:
        frames: by frame id, the velocity of each object with a box, by token (map frame, None = unknown). A frame
            that is not listed has no labels of any kind. Velocities are stored because they are part of a box but are
            derived from boxes of neighbouring frames, which are mostly outside the budget.
        description: how the budget was drawn and what it costs.
        name: name for error messages, such as the path of its file.
        digests: by frame id, the digest of each object with a box, by token: it tells whether the token still names
            the box that was drawn. Empty in budgets of version 0.1.0.
    """

    frames: Mapping[str, Mapping[str, Velocity]]
    description: BudgetDescription
    name: str = "the budget"
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def boxed(self, frame_id: str) -> Mapping[str, Velocity]:
        """Velocity of each box of a frame, by token.

        Raises:
            SchemaError: SCH003 if the budget does not include this frame.
        """
        velocities = self.frames.get(frame_id)
        if velocities is None:
            raise SchemaError(
                "SCH003",
                f"{self.name} has no frame {frame_id!r}",
                "draw a budget for this split: mixsup-train budget DATA --split NAME --dest FILE",
            )
        return velocities


def sample_budget(objects: Objects, names: Sequence[str], config: BudgetConfig) -> Budget:
    """Draw a budget.

    Args:
        objects: all objects of the split to train on.
        names: class names by class_id.
        config: the rule.

    Raises:
        SchemaError: SCH005 if there is no candidate.
    """
    candidate = objects.num_points >= config.min_points
    if not candidate.any():
        raise SchemaError(
            "SCH005",
            f"budget: none of {len(objects)} objects has {config.min_points} points or more",
            "choose another split, or lower min_points",
        )
    lot = np.array([_lot(config.seed, "object", token) for token in objects.token])
    frame_lot = np.array([_lot(config.seed, "frame", frame_id) for frame_id in objects.frame_ids])
    labelled = np.ones(len(objects.frame_ids), dtype=bool)
    if config.rule == "frame":
        boxed_frames = np.zeros_like(labelled)
        boxed_frames[np.argsort(frame_lot, kind="stable")[: _count(config.fraction, len(labelled))]] = True
        boxed = boxed_frames[objects.frame] & candidate
    elif config.rule == "cost":
        labelled = _affordable(objects, candidate, frame_lot, config)
        boxed = _lowest(lot, candidate & labelled[objects.frame], config.box_share)
    elif config.rule == "object":
        boxed = _lowest(lot, candidate, config.fraction)
    elif config.rule == "class":
        boxed = np.zeros(len(objects), dtype=bool)
        for class_id in np.unique(objects.class_id[candidate]):
            boxed |= _lowest(lot, candidate & (objects.class_id == class_id), config.fraction)
    else:
        boxed = _in_proportion(_stratum(objects), lot, candidate, config.fraction)
    by_frame: dict[str, dict[str, Velocity]] = {
        frame_id: {} for frame_id, some in zip(objects.frame_ids, labelled, strict=True) if some
    }
    digests: dict[str, dict[str, str]] = {frame_id: {} for frame_id in by_frame} if objects.digest else {}
    for index in np.flatnonzero(boxed):
        vx, vy = objects.velocity_mps[index].tolist()
        known = math.isfinite(vx) and math.isfinite(vy)
        frame_id, token = objects.frame_ids[objects.frame[index]], objects.token[index]
        by_frame[frame_id][token] = (vx, vy) if known else None
        if objects.digest:
            digests[frame_id][token] = objects.digest[index]
    description = _describe(objects, names, candidate, boxed, labelled, config)
    return Budget(by_frame, description, digests=digests)


def _lot(seed: int, *names: str) -> float:
    """A number in [0,1) that depends only on the seed and the names."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def _count(fraction: float, total: int) -> int:
    """A fraction of a total, at least one: a class without a box cannot be trained."""
    return min(total, max(1, round(fraction * total)))


def _lowest(lot: NDArray[np.float64], among: NDArray[np.bool_], fraction: float) -> NDArray[np.bool_]:
    index = np.flatnonzero(among)
    chosen = np.zeros(len(lot), dtype=bool)
    if len(index):
        chosen[index[np.argsort(lot[index], kind="stable")[: _count(fraction, len(index))]]] = True
    return chosen


def _stratum(objects: Objects) -> NDArray[np.int64]:
    bins = np.searchsorted(_RANGE_M, objects.range_m, "right"), np.searchsorted(_POINTS, objects.num_points, "right")
    stratum: NDArray[np.int64] = (objects.class_id.astype(np.int64) * 8 + bins[0]) * 8 + bins[1]
    return stratum


def _in_proportion(
    stratum: NDArray[np.int64], lot: NDArray[np.float64], among: NDArray[np.bool_], fraction: float
) -> NDArray[np.bool_]:
    """Evenly spaced objects in order of stratum and lot: the number of each stratum is in proportion to within one."""
    index = np.flatnonzero(among)
    order = index[np.lexsort((lot[index], stratum[index]))]
    count = _count(fraction, len(order))
    chosen = np.zeros(len(lot), dtype=bool)
    chosen[order[np.floor((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)]] = True
    return chosen


def _affordable(
    objects: Objects, candidate: NDArray[np.bool_], frame_lot: NDArray[np.float64], config: BudgetConfig
) -> NDArray[np.bool_]:
    """(F,) bool: the first frames in order of their lots whose labels cost at most the fraction."""
    each = config.box_share + CLUSTER_COST * (1 - config.box_share)
    cost = np.bincount(objects.frame[candidate], minlength=len(frame_lot)) * each
    order = np.argsort(frame_lot, kind="stable")
    count = int(np.searchsorted(np.cumsum(cost[order]), config.fraction * candidate.sum(), "right"))
    labelled = np.zeros(len(frame_lot), dtype=bool)
    labelled[order[: max(count, 1)]] = True
    return labelled


def _describe(
    objects: Objects,
    names: Sequence[str],
    candidate: NDArray[np.bool_],
    boxed: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    config: BudgetConfig,
) -> BudgetDescription:
    boxes, candidates = int(boxed.sum()), int(candidate.sum())
    clusters = int((candidate & labelled[objects.frame]).sum()) - boxes
    by_class = {
        name: ClassCounts(
            objects=int((candidate & (objects.class_id == k)).sum()),
            boxes=int((boxed & (objects.class_id == k)).sum()),
        )
        for k, name in enumerate(names)
    }
    return BudgetDescription(
        **vars(config),
        frames=len(objects.frame_ids),
        labelled_frames=int(labelled.sum()),
        objects=candidates,
        boxes=boxes,
        clusters=clusters,
        cost_boxes_only=boxes / candidates,
        cost_with_clusters=(boxes + CLUSTER_COST * clusters) / candidates,
        classes=by_class,
    )
