"""Growth: a cluster takes the rest of the LiDAR component that it belongs to.

Masks are tight: points at mask edges, behind occluders in the image, or moved by parallax and rolling time stay
unlabelled. Without the ground, an object is often one connected component of points.

1. Points above the ground are linked if they are closer than a distance that grows with range. Heights count as a
   fraction of their length, because neighbouring rings are far apart vertically and windows return nothing.
2. A component belongs to the cluster that holds enough of its points, if other clusters hold almost none.
3. The cluster takes the unlabelled points of its components, unless the result is larger than its class can be.

This is done at two link distances. The longer one bridges gaps in an object, but also those between two objects:
small classes do without it, and a cluster must hold half of a component. A wrong component can then at most double a
cluster. At the shorter distance, a quarter of the component is enough if half of the cluster lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.ranges import require
from pointsam.geometry.extent import fits
from pointsam.geometry.ground import height_above_ground_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.contraction import components
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]

_OWN_M = 2.5
"""Nearer points are returns of the ego vehicle itself."""


@dataclass(frozen=True)
class GrowLink:
    """A link distance, and what a cluster must hold of a component to take it.

    Args:
        floor_m: smallest link distance, metres.
        range_coef: link distance per metre of range.
        share: fraction of the component's points that the cluster must hold.
        inside: fraction of the cluster's points above the ground that must lie in the component.
        small_classes: whether classes that are not large use this distance.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    floor_m: float
    range_coef: float
    share: float
    inside: float
    small_classes: bool

    def __post_init__(self) -> None:
        for name in ("floor_m", "range_coef"):
            require(0 <= getattr(self, name) <= 1e3, f"grow.*.{name}", getattr(self, name), "a number up to 1000")
        for name in ("share", "inside"):
            require(0 <= getattr(self, name) <= 1, f"grow.*.{name}", getattr(self, name), "a fraction from 0 to 1")


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
    coarse: GrowLink = GrowLink(0.6, 0.02, share=0.5, inside=0.0, small_classes=False)
    fine: GrowLink = GrowLink(0.25, 0.008, share=0.25, inside=0.5, small_classes=True)

    def __post_init__(self) -> None:
        for name in ("clearance_m", "highest_m"):
            require(0 <= getattr(self, name) <= 1e3, f"grow.{name}", getattr(self, name), "metres from 0 to 1000")
        for name in ("vertical", "others"):
            require(0 <= getattr(self, name) <= 1, f"grow.{name}", getattr(self, name), "a fraction from 0 to 1")
        require(0 < self.largest <= 1e3, "grow.largest", self.largest, "a factor above 0, up to 1000")


def grow(
    xyz_lidar_m: FloatArray, ego_SE3_lidar: SE3, labels: PointLabels, taxonomy: Taxonomy, config: GrowConfig
) -> tuple[PointLabels, NDArray[np.bool_]]:
    """Add points of the same object to the clusters.

    A labelled point keeps its label, and no component is taken by two clusters. The result does not depend on the order
    of the clusters or of the points.

    Args:
        xyz_lidar_m: (N,3) points, metres; rows without a position are NaN. Ranges are horizontal distances from the
            origin.
        ego_SE3_lidar: mounting of the sensor; the vehicle's z axis points up.
        labels: (N,) refined labels.
        taxonomy: the run's classes with their typical sizes; the size of classes without one is not limited.
        config: the rules.

    Returns:
        (N,) labels with the same ids, and (N,) bool, the points that were added.

    Source: ours (docs/growth.md).
    """
    owner, class_id = labels.instance_id.copy(), labels.class_id.copy()
    held = np.flatnonzero(owner != NO_INSTANCE)
    if config.enabled and len(held):
        class_of = np.zeros(int(owner.max()) + 1, dtype=np.uint8)
        class_of[owner[held]] = class_id[held]
        xyz = np.asarray(xyz_lidar_m, dtype=np.float64)
        range_m, height_m = np.hypot(xyz[:, 0], xyz[:, 1]), height_above_ground_m(ego_SE3_lidar.apply(xyz))
        standing = np.flatnonzero(
            (height_m >= config.clearance_m) & (height_m <= config.highest_m) & (range_m > _OWN_M)
        )
        place = np.column_stack([xyz[standing, :2], config.vertical * height_m[standing]])
        for link in (config.coarse, config.fine):
            component = components(place, np.maximum(link.floor_m, link.range_coef * range_m[standing]))
            belongs_to = _owners(component, owner[standing], class_of, taxonomy, link, config.others)
            taker = np.where(owner[standing] == NO_INSTANCE, belongs_to[component], NO_INSTANCE)
            for cluster in np.unique(taker[taker != NO_INSTANCE]):
                new = standing[taker == cluster]
                whole = np.concatenate([np.flatnonzero(owner == cluster), new])
                if fits(xyz[whole, :2], taxonomy.classes[class_of[cluster]].typical_lwh_m, config.largest):
                    owner[new], class_id[new] = cluster, class_of[cluster]
    return PointLabels(owner, class_id), owner != labels.instance_id


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
