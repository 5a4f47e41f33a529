"""Coarse labels: groups of points with a class but without a box.

One type covers all sources: PointSAM's tables, clusters simulated from boxes as published, three clicks by a human, and
centres without points. A cluster has a class, a centre, a radius and its points.

Source: docs/method.md B.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.base.document import OPTIONAL
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.geometry.boxes import box_members
from pointsam.geometry.ground import OWN_M
from pointsam.geometry.height import above_lowest_m
from pointsam.types import NO_INSTANCE, Boxes, Cluster, FrameLabels

CoarseKind = Literal["tables", "simulated", "clicks", "centers", "none"]
KINDS: tuple[CoarseKind, ...] = get_args(CoarseKind)
_NEAR_M, _NEAR_BIN_M, _BIN_M = 12.0, 1.6, 6.4
_AT_ORIGIN = np.zeros((1, 2))


@dataclass(frozen=True)
class CoarseConfig:
    """The source of coarse labels.

    Args:
        kind: "tables" of a labelling run; "simulated" from boxes, each axis enlarged; "clicks" of a human in
            bird's-eye view; "centers" without points; "none".
        enlarge: smallest and largest factor of each axis of a simulated cluster.
        redraw: whether random draws are repeated at every access, as published, or made once from the seed.
        click_noise_m: standard deviation of a click along each axis.
        center_noise_m: standard deviation of a centre label along x and y.
        min_probability: clusters of the tables with a lower probability are dropped, and their points are unknown.
        min_points: clusters of the tables with fewer points are dropped in the same way.
        min_confidence: as min_probability, for `confidence`; it goes away with that column.
        unknown_unseen: whether points that no camera sees are unknown.
        unknown_dropped: whether points that a mask covered but refinement removed are unknown.
        own_m: points at a smaller horizontal distance from a LiDAR of the vehicle belong to the vehicle: background,
            never unknown.
        ground_m: points less than this above the lowest point around are ground, never unknown.
        tallest_m: points more than this above the lowest point within 1.6 to 3.2 m are never unknown: few objects are
            as tall.
        as_boxes: whether the extent of every cluster is used as a box, as a trainer without mixed supervision would.
        seed: seed of all random draws.
        grown: whether points that growth added belong to their cluster; otherwise they are unknown. With them, centre
            and radius are those of the whole object, as of a simulated cluster.

    Raises:
        SchemaError: SCH005 on an unknown kind, a factor below 1, or a threshold that is no fraction.
    """

    kind: CoarseKind = "tables"
    enlarge: tuple[float, float] = (1.0, 1.1)
    redraw: bool = False
    click_noise_m: float = 0.15
    center_noise_m: float = 0.25
    min_probability: float = field(default=0.0, metadata=OPTIONAL)
    min_points: int = 1
    unknown_unseen: bool = True
    unknown_dropped: bool = True
    own_m: float = OWN_M
    ground_m: float = 0.3
    tallest_m: float = 4.5
    as_boxes: bool = False
    seed: int = 0
    grown: bool = field(default=True, metadata=OPTIONAL)
    min_confidence: float = field(default=0.0, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        for name in ("min_probability", "min_confidence"):
            require(0 <= getattr(self, name) <= 1, f"data.coarse.{name}", getattr(self, name), "a number from 0 to 1")
        require(self.kind in KINDS, "data.coarse.kind", self.kind, f"one of: {', '.join(KINDS)}")
        require(0 <= self.seed < 2**63, "data.coarse.seed", self.seed, "0 to 2**63 - 1")
        rising = 1.0 <= self.enlarge[0] <= self.enlarge[1]
        require(rising, "data.coarse.enlarge", self.enlarge, "two increasing numbers from 1")


@dataclass(frozen=True, eq=False)
class CoarseLabels:
    """M clusters of one sweep of N points.

    Args:
        cluster_id: (N,) int32 cluster of every point, NO_INSTANCE for none.
        class_id: (M,) uint8 class of each cluster.
        center_m: (M,3) float64 mid-point of the extent, map frame (docs/method.md B.1).
        radius_m: (M,) float64 largest distance of a point from the centre in the ground plane.
        num_points: (M,) int64 number of points of each cluster.
        unknown: (N,) bool, points that may belong to an unlabelled object.
    """

    cluster_id: NDArray[np.int32]
    class_id: NDArray[np.uint8]
    center_m: NDArray[np.float64]
    radius_m: NDArray[np.float64]
    num_points: NDArray[np.int64]
    unknown: NDArray[np.bool_]
    BY_CLUSTER: ClassVar = ("class_id", "center_m", "radius_m", "num_points")

    def __len__(self) -> int:
        return len(self.class_id)

    def keep(self, kept: NDArray[np.bool_]) -> CoarseLabels:
        """The labels with some of the clusters; the points of the others belong to no cluster."""
        dense = np.full(len(kept) + 1, NO_INSTANCE, dtype=np.int32)
        dense[np.flatnonzero(kept)] = np.arange(kept.sum())
        some = {name: getattr(self, name)[kept] for name in self.BY_CLUSTER}
        return replace(self, cluster_id=dense[self.cluster_id], **some)

    @staticmethod
    def empty(num_points: int) -> CoarseLabels:
        """Labels without clusters."""
        return of_points(
            np.zeros((num_points, 3)), np.full(num_points, NO_INSTANCE, np.int32), np.zeros(0, dtype=np.uint8)
        )


def of_points(
    xyz_m: FloatArray,
    cluster_id: IntArray,
    class_id: NDArray[np.uint8],
    unknown: NDArray[np.bool_] | None = None,
) -> CoarseLabels:
    """Clusters from the id of each point; ids without a point are removed, and the others are renumbered.

    Args:
        xyz_m: (N,3).
        cluster_id: (N,) index into `class_id`, NO_INSTANCE for none; not checked, because `FrameLabels` checks tables.
        class_id: (M,).
        unknown: (N,) as in `CoarseLabels`; None = all False.
    """
    member = np.flatnonzero(cluster_id != NO_INSTANCE)
    count = np.bincount(cluster_id[member], minlength=len(class_id))
    present = np.flatnonzero(count)
    dense = (np.cumsum(count > 0) - 1)[cluster_id[member]]
    xyz = np.asarray(xyz_m)[member]
    low, high = extents(xyz, dense, len(present))
    center = (low + high) / 2
    radius = np.zeros(len(present))
    np.maximum.at(radius, dense, np.linalg.norm(xyz[:, :2] - center[dense, :2], axis=1))
    ids = np.full(len(cluster_id), NO_INSTANCE, dtype=np.int32)
    ids[member] = dense
    none = np.zeros(len(ids), dtype=bool)
    return CoarseLabels(ids, class_id[present], center, radius, count[present], none if unknown is None else unknown)


def extents(xyz: FloatArray, group: IntArray, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(G,3) minimum and maximum of the points of each group, infinite for a group without points; -1 means no group."""
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    member = np.flatnonzero(group >= 0)
    member = member[np.argsort(group[member], kind="stable")]
    ordered = group[member]
    start = np.flatnonzero(np.diff(ordered, prepend=-1))
    if len(start):
        values = xyz[member].astype(np.float64)
        low[ordered[start]] = np.minimum.reduceat(values, start)
        high[ordered[start]] = np.maximum.reduceat(values, start)
    return low, high


def from_tables(
    labels: FrameLabels, xyz_m: FloatArray, config: CoarseConfig, places_m: FloatArray = _AT_ORIGIN
) -> CoarseLabels:
    """Coarse labels from the tables of a labelling run.

    Args:
        labels: labels of a frame.
        xyz_m: (N,3) points of the frame, map frame.
        config: which clusters are used and which points are unknown.
        places_m: (L,2) horizontal places of the LiDARs.

    Raises:
        SchemaError: SCH003 if the numbers of labels and points differ, and as `trusted`.
    """
    if len(labels.labels) != len(xyz_m):
        raise SchemaError(
            "SCH003",
            f"frame {labels.frame.frame_id}: {len(labels.labels)} labels for {len(xyz_m)} points",
            "the labels were made from other data: label this data set",
        )
    kept = trusted(labels.frame.frame_id, labels.clusters, config)
    class_id = np.array([cluster.class_id for cluster in labels.clusters], dtype=np.uint8)
    left_out = np.zeros(len(labels.grown), dtype=bool) if config.grown else labels.grown
    ids = np.where(left_out, NO_INSTANCE, labels.labels.instance_id)
    doubtful = left_out | ((ids != NO_INSTANCE) & ~np.append(kept, True)[ids])
    unlabelled = ids == NO_INSTANCE
    unknown = np.zeros(len(ids), dtype=bool)
    if config.unknown_unseen:
        unknown |= unlabelled & (labels.views == 0)
    if config.unknown_dropped:
        unknown |= unlabelled & (labels.covered > 0)
    if unknown.any():
        xyz = np.asarray(xyz_m, dtype=np.float64)
        for place_m in places_m:
            unknown &= ((xyz[:, :2] - place_m) ** 2).sum(axis=1) >= config.own_m**2
        above_m = above_lowest_m(xyz, _NEAR_BIN_M)
        unknown &= (height_m(xyz, above_m) >= config.ground_m) & (above_m <= config.tallest_m)
    return of_points(xyz_m, np.where(doubtful, NO_INSTANCE, ids), class_id, unknown | doubtful)


def trusted(frame_id: str, clusters: Sequence[Cluster], config: CoarseConfig) -> NDArray[np.bool_]:
    """(M,) whether each cluster of the tables is used.

    Raises:
        SchemaError: SCH003 on a threshold of a probability that the labels do not have.
    """
    if config.min_probability > 0 and any(np.isnan(cluster.probability) for cluster in clusters):
        raise SchemaError(
            "SCH003",
            f"frame {frame_id}: its clusters have no probability, because an older version made them, but "
            f"data.coarse.min_probability is {config.min_probability}",
            "make the clusters again (pointsam-label clusters DATA --out NEW --masks-from OUT), or set "
            "data.coarse.min_probability=0",
        )
    names = ("confidence", "probability", "num_points", "num_points_grown")
    values = np.array([[getattr(cluster, name) for name in names] for cluster in clusters]).reshape(-1, 4).T
    confidence, probability, num_points, num_grown = values
    doubted = (confidence < config.min_confidence) | (probability < config.min_probability)
    kept: NDArray[np.bool_] = ~doubted & (num_points - (not config.grown) * num_grown >= config.min_points)
    return kept


def height_m(xyz_m: NDArray[np.float64], above_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) height of points above the lowest point around them.

    Near the sensor the neighbourhood is 1.6 to 3.2 m, so that ground with a slope of up to 9 % stays below 0.3 m.
    Beyond 12 m, where points are sparse, it is 6.4 to 12.8 m: ground on a slope may then exceed 0.3 m and stay unknown.

    Args:
        xyz_m: (N,3) points, map frame.
        above_m: (N,) their heights in the neighbourhood of points near the sensor.
    """
    near: NDArray[np.bool_] = (xyz_m[:, :2] ** 2).sum(axis=1) < _NEAR_M**2
    return np.where(near, above_m, above_lowest_m(xyz_m, _BIN_M))


def without_boxed(labels: CoarseLabels, xyz_m: FloatArray, boxes: Boxes, share: float = 0.5) -> CoarseLabels:
    """Remove the clusters of objects that have a box: the box already represents them (docs/method.md B.3).

    The class does not matter: a cluster in a box of another class is that object (docs/training.md, row 22).

    Args:
        labels: clusters.
        xyz_m: (N,3) points of the frame.
        boxes: the budget's boxes of the frame.
        share: a cluster with more than this fraction of its points in one box is the object of that box.
    """
    point, box = box_members(xyz_m, boxes)
    owner = labels.cluster_id[point]
    held = owner != NO_INSTANCE
    shared = np.zeros((len(labels), max(len(boxes), 1)), dtype=np.int64)
    np.add.at(shared, (owner[held], box[held]), 1)
    gone = shared.max(axis=1) > share * labels.num_points
    return labels.keep(~gone) if gone.any() else labels
