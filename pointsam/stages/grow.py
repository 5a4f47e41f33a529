"""Growth: a cluster takes the rest of the LiDAR component that it belongs to.

Masks are tight: points at mask edges, behind occluders in the image, or moved by parallax and rolling time stay
unlabelled. Without the ground, an object is often one connected component of points.

1. Points above the ground are linked if they are closer than a distance that grows with range. Heights count as a
   fraction of their length, because neighbouring rings are far apart vertically and windows return nothing.
2. A component belongs to the cluster that holds enough of its points, if other clusters hold almost none.
3. The cluster takes the unlabelled points of its components, unless the result is larger than its class can be.

This is done at two link distances. The longer one bridges gaps in an object, but also those between two objects:
small classes do without it, and a cluster must hold half of a component. A wrong component can then at most double a
cluster. At the shorter distance, a fifth of the component is enough if half of the cluster lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pointsam.base.arrays import FloatArray
from pointsam.base.ranges import require
from pointsam.geometry.extent import fits
from pointsam.geometry.ground import OWN_M, height_above_ground_m, level_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.contraction import components
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]

_CELL_M, _FARTHEST_M = 2.0, 250.0
"""Side of the cells in which points near clusters are found; farther points count as if on the border."""


@dataclass(frozen=True)
class GrowLink:
    """A link distance, and what a cluster must hold of a component to take it.

    Args:
        floor_m: smallest link distance, metres.
        range_coef: link distance per metre of range.
        share: fraction of the component's points that the cluster must hold.
        inside: fraction of the cluster's points above the ground that must lie in the component.
        small_classes: whether classes that are not large use this distance.
    """

    floor_m: float
    range_coef: float
    share: float
    inside: float
    small_classes: bool


@dataclass(frozen=True)
class GrowConfig:
    """Which points a cluster takes.

    Args:
        enabled: grow; the published method does not.
        clearance_m: points below this height above the ground are not linked and not taken.
        highest_m: points above this height are not linked and not taken: trees and bridges.
        vertical: factor of heights in distances.
        others: largest fraction of a component that other clusters may hold.
        largest: largest size of the result, relative to the typical size of its class.
        coarse, fine: the two link distances.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = False
    clearance_m: float = 0.2
    highest_m: float = 5.0
    vertical: float = 0.3
    others: float = 0.1
    largest: float = 1.5
    coarse: GrowLink = GrowLink(0.8, 0.03, share=0.5, inside=0.0, small_classes=False)
    fine: GrowLink = GrowLink(0.3, 0.01, share=0.2, inside=0.5, small_classes=True)

    def __post_init__(self) -> None:
        for name in ("clearance_m", "highest_m"):
            require(0 <= getattr(self, name) <= 1e3, f"grow.{name}", getattr(self, name), "metres from 0 to 1000")
        for name in ("vertical", "others"):
            require(0 <= getattr(self, name) <= 1, f"grow.{name}", getattr(self, name), "a fraction from 0 to 1")
        require(0 < self.largest <= 1e3, "grow.largest", self.largest, "a factor above 0, up to 1000")
        require(self.clearance_m < self.highest_m, "grow.clearance_m", self.clearance_m, "less than grow.highest_m")
        for place, link in (("grow.coarse", self.coarse), ("grow.fine", self.fine)):
            for name in ("floor_m", "range_coef"):
                require(0 <= getattr(link, name) <= 1e3, f"{place}.{name}", getattr(link, name), "from 0 to 1000")
            for name in ("share", "inside"):
                require(0 <= getattr(link, name) <= 1, f"{place}.{name}", getattr(link, name), "a fraction, 0 to 1")


def grow(
    xyz_lidar_m: FloatArray,
    ego_SE3_lidar: SE3,
    labels: PointLabels,
    taxonomy: Taxonomy,
    config: GrowConfig,
    origin_lidar_m: FloatArray | None = None,
) -> tuple[PointLabels, NDArray[np.bool_]]:
    """Add points of the same object to the clusters.

    A labelled point keeps its label, and no component is taken by two clusters. The result does not depend on the order
    of the clusters or of the points.

    Args:
        xyz_lidar_m: (N,3) points, metres; rows without a position are NaN.
        ego_SE3_lidar: mounting of the sensor; the vehicle's z axis points up.
        labels: (N,) refined labels.
        taxonomy: the run's classes with their typical sizes; clusters of a class without one at most double.
        config: the rules.
        origin_lidar_m: (N,3) position of the LiDAR that measured each point, from which its range is measured in the
            ground plane; None for the origin.

    Returns:
        (N,) labels with the same ids, and (N,) bool, the points that were added.

    Source: ours (docs/growth.md).
    """
    owner, class_id = labels.instance_id.copy(), labels.class_id.copy()
    held = np.flatnonzero(owner != NO_INSTANCE)
    if config.enabled and len(held):
        class_of = np.zeros(int(owner.max()) + 1, dtype=np.uint8)
        class_of[owner[held]] = class_id[held]
        masked = np.bincount(owner[held])
        height_m = height_above_ground_m(ego_SE3_lidar.apply(np.asarray(xyz_lidar_m, dtype=np.float64)))
        xyz = level_m(xyz_lidar_m, ego_SE3_lidar)
        away = xyz if origin_lidar_m is None else level_m(xyz_lidar_m - origin_lidar_m, ego_SE3_lidar)
        range_m = np.hypot(away[:, 0], away[:, 1])
        apart_m = 0.0 if origin_lidar_m is None else float(np.ptp(origin_lidar_m, axis=0).sum())
        standing = _standing(xyz, height_m, range_m, apart_m, labels, taxonomy, config)
        range_m = range_m[standing]
        place = np.column_stack([xyz[standing, :2], config.vertical * height_m[standing]])
        for link in (config.coarse, config.fine):
            component = components(place, np.maximum(link.floor_m, link.range_coef * range_m))
            belongs_to = _owners(component, owner[standing], class_of, taxonomy, link, config.others)
            taken = np.flatnonzero((owner[standing] == NO_INSTANCE) & (belongs_to[component] != NO_INSTANCE))
            for cluster in np.unique(belongs_to[component[taken]]):
                its = taken[belongs_to[component[taken]] == cluster]
                own, spec = np.flatnonzero(owner == cluster), taxonomy.classes[class_of[cluster]]
                fitting = _Fitting(xyz, own, 2 * int(masked[cluster]), spec.typical_lwh_m, config.largest)
                new = _what_fits(fitting, standing[its], component[its])
                owner[new], class_id[new] = cluster, class_of[cluster]
    return PointLabels(owner, class_id), owner != labels.instance_id


def _standing(
    xyz: _Floats,
    height_m: _Floats,
    range_m: _Floats,
    apart_m: float,
    labels: PointLabels,
    taxonomy: Taxonomy,
    config: GrowConfig,
) -> NDArray[np.intp]:
    """Indices of points above the ground that may be in a component that some cluster takes.

    Points so far from all clusters that the result would be too large are left out, which changes no label: a component
    that reaches them is too large with the points that remain. Ranges of two points at one place differ by at most
    `apart_m`, the distance between their LiDARs.
    """
    above = (height_m >= config.clearance_m) & (height_m <= config.highest_m) & (range_m > OWN_M)
    standing = np.flatnonzero(above)
    range_m, class_id = range_m[standing], labels.class_id[standing]
    floor_m = max(config.coarse.floor_m, config.fine.floor_m)
    coef = max(config.coarse.range_coef, config.fine.range_coef)
    half = int(_FARTHEST_M / _CELL_M)
    cell = np.clip(np.floor(xyz[standing, :2] / _CELL_M), -half, half - 1).astype(np.int64) + half
    near = np.zeros((2 * half, 2 * half), dtype=np.bool_)
    for one in np.unique(class_id[class_id != BACKGROUND]):
        size, its = taxonomy.classes[one].typical_lwh_m, class_id == one
        if size is None or coef >= 0.5:
            return standing
        longest_m = config.largest * max(size[:2])
        link_m = max(floor_m, coef * (range_m[its].max() + apart_m + longest_m + floor_m) / (1 - coef))
        empty = np.ones_like(near)
        empty[tuple(cell[its].T)] = False
        near |= distance_transform_edt(empty) * _CELL_M <= longest_m + link_m + 2 * _CELL_M
    return np.asarray(standing[near[tuple(cell.T)]])


@dataclass(frozen=True, eq=False)
class _Fitting:
    """Whether a cluster with further points is as small as its class can be.

    Args:
        xyz: (N,3) all points.
        own: indices of the cluster's points.
        most: largest number of points of a cluster whose class has no typical size.
        typical_lwh_m: typical size of the class, or None.
        largest: largest size relative to it.
    """

    xyz: _Floats
    own: NDArray[np.intp]
    most: int
    typical_lwh_m: tuple[float, float, float] | None
    largest: float

    def with_points(self, added: NDArray[np.intp]) -> bool:
        if self.typical_lwh_m is None:
            return len(self.own) + len(added) <= self.most
        return fits(self.xyz[np.concatenate([self.own, added]), :2], self.typical_lwh_m, self.largest)


def _what_fits(fitting: _Fitting, new: NDArray[np.intp], component: _Ints) -> NDArray[np.intp]:
    """Points of those components that fit the cluster one by one, if they all fit together."""
    parts = [part for part in (new[component == one] for one in np.unique(component)) if fitting.with_points(part)]
    together: NDArray[np.intp] = np.concatenate([new[:0], *parts])
    return together if len(parts) < 2 or fitting.with_points(together) else new[:0]


def _owners(
    component: _Ints,
    owner: NDArray[np.int32],
    class_of: NDArray[np.uint8],
    taxonomy: Taxonomy,
    link: GrowLink,
    others: float,
) -> NDArray[np.int32]:
    """(K,) cluster that each component belongs to, or NO_INSTANCE."""
    labelled = owner != NO_INSTANCE
    size = np.bincount(component)
    num_labelled = np.bincount(component[labelled], minlength=len(size))
    standing = np.bincount(owner[labelled], minlength=len(class_of))
    pair, count = np.unique(component[labelled] * len(class_of) + owner[labelled], return_counts=True)
    at, cluster = pair // len(class_of), pair % len(class_of)
    large = np.array([spec.is_large for spec in taxonomy.classes])[class_of[cluster]]
    rest = num_labelled[at] - count
    belongs = (
        (count >= link.share * size[at])
        & (count >= link.inside * standing[cluster])
        & (rest <= others * size[at])
        & (rest < count)
        & (large | link.small_classes)
    )
    out = np.full(len(size), NO_INSTANCE, dtype=np.int32)
    out[at[belongs]] = cluster[belongs]
    return out
