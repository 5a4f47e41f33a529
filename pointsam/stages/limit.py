"""Limit: a cluster that is longer than its class can be keeps its largest connected part.

A mask that covers some background far behind or beside its object, or a neighbour of the same class, gives a cluster
longer than any object of the class: at 50 m, refinement links points that are 2 m apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.ranges import require
from pointsam.geometry.extent import extents_m
from pointsam.geometry.ground import level_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.contraction import components
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels


@dataclass(frozen=True)
class LimitConfig:
    """When a cluster is too long, and which of its points are connected.

    Args:
        enabled: limit; the published method does not.
        longest: largest length, relative to the typical length of the class.
        floor_m: smallest link distance, metres.
        range_coef: link distance per metre of range.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = False
    longest: float = 1.5
    floor_m: float = 0.6
    range_coef: float = 0.02

    def __post_init__(self) -> None:
        require(0 < self.longest <= 1e3, "limit.longest", self.longest, "a factor above 0, up to 1000")
        for name in ("floor_m", "range_coef"):
            require(0 <= getattr(self, name) <= 1e3, f"limit.{name}", getattr(self, name), "a number from 0 to 1000")


def limit(
    xyz_lidar_m: FloatArray,
    ego_SE3_lidar: SE3,
    labels: PointLabels,
    taxonomy: Taxonomy,
    config: LimitConfig,
    origin_lidar_m: FloatArray | None = None,
) -> PointLabels:
    """Remove all parts but the largest from clusters that are too long, seen from above.

    Args:
        xyz_lidar_m: (N,3) points, metres; labelled points are finite.
        ego_SE3_lidar: mounting of the sensor; the vehicle's z axis points up.
        labels: (N,) refined labels.
        taxonomy: the run's classes with their typical sizes; classes without one are not limited.
        config: the rule.
        origin_lidar_m: (N,3) position of the LiDAR that measured each point, from which its range is measured in the
            ground plane; None for the origin.

    Returns:
        (N,) labels with fewer points and unchanged ids. Of two parts with equally many points, the one that is nearer
        to its sensor stays, then the one that reaches farther back and to the right.

    Source: ours (docs/growth.md).
    """
    if not config.enabled:
        return labels
    instance_id, class_id = labels.instance_id.copy(), labels.class_id.copy()
    held = np.flatnonzero(instance_id != NO_INSTANCE)
    order = held[np.argsort(instance_id[held], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(instance_id[order])) + 1):
        size = taxonomy.classes[class_id[members[0]]].typical_lwh_m if len(members) else None
        xy_m = level_m(xyz_lidar_m[members], ego_SE3_lidar)[:, :2]
        if size is not None and extents_m(xy_m)[0] > config.longest * max(size[:2]):
            away_m = xy_m
            if origin_lidar_m is not None:
                away_m = level_m(xyz_lidar_m[members] - origin_lidar_m[members], ego_SE3_lidar)[:, :2]
            gone = members[~_largest_part(xy_m, np.hypot(away_m[:, 0], away_m[:, 1]), config)]
            instance_id[gone], class_id[gone] = NO_INSTANCE, BACKGROUND
    return PointLabels(instance_id, class_id)


def _largest_part(xy_m: NDArray[np.float64], range_m: NDArray[np.float64], config: LimitConfig) -> NDArray[np.bool_]:
    """(K,) whether each point is in the largest component."""
    part = components(xy_m, np.maximum(config.floor_m, config.range_coef * range_m))
    count = np.bincount(part)
    nearest_m, x_m, y_m = np.full((3, len(count)), np.inf)
    for least, values in ((nearest_m, range_m), (x_m, xy_m[:, 0]), (y_m, xy_m[:, 1])):
        np.minimum.at(least, part, values)
    return np.asarray(part == np.lexsort((y_m, x_m, nearest_m, -count))[0])
