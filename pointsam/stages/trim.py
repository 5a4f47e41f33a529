"""Trimming: removes points on the road, which masks include between and behind a person's legs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointsam.base.ranges import require
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

_LOWEST_SHARE = 0.02
"""Quantile of the heights that is taken as the ground. The minimum would follow single stray points below it."""


@dataclass(frozen=True)
class TrimConfig:
    """Which points of a cluster are road.

    Args:
        enabled: trim; the published method does not.
        layer_m: height above the ground below which a point may be road.
        reach_m: such a point is kept if a higher point of the cluster is at most this far in the ground plane.
        min_body: clusters with fewer points above the layer are not trimmed.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = False
    layer_m: float = 0.25
    reach_m: float = 0.5
    min_body: int = 3

    def __post_init__(self) -> None:
        for name in ("layer_m", "reach_m"):
            require(0 <= getattr(self, name) <= 1e6, f"trim.{name}", getattr(self, name), "metres from 0 to a million")
        require(self.min_body >= 1, "trim.min_body", self.min_body, "a whole number of points from 1")


def trim(
    xyz_lidar_m: NDArray[np.float32], ego_SE3_lidar: SE3, labels: PointLabels, taxonomy: Taxonomy, config: TrimConfig
) -> PointLabels:
    """Remove road points from clusters of small classes: people, cycles, cones and barriers.

    Refinement cannot remove them: the road begins at the object's foot, and each ring of points is within link distance
    of the next. Large classes are not trimmed: the road under a vehicle is inside its box.

    Args:
        xyz_lidar_m: (N,3) points of the key sweep, metres.
        ego_SE3_lidar: mounting of the sensor; the vehicle's z axis points up.
        labels: (N,) refined labels.
        taxonomy: the run's classes.
        config: the rule.

    Returns:
        (N,) labels with fewer points and unchanged ids.

    Source: ours (docs/recipes.md).
    """
    if not config.enabled:
        return labels
    small = np.array([not spec.is_large for spec in taxonomy.classes])
    instance_id, class_id = labels.instance_id.copy(), labels.class_id.copy()
    held = np.flatnonzero(instance_id != NO_INSTANCE)
    held = held[small[class_id[held]]]
    order = held[np.argsort(instance_id[held], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(instance_id[order])) + 1):
        road = members[_is_road(ego_SE3_lidar.apply(xyz_lidar_m[members]), config)]
        instance_id[road], class_id[road] = NO_INSTANCE, BACKGROUND
    return PointLabels(instance_id, class_id)


def _is_road(xyz_ego_m: NDArray[np.float64], config: TrimConfig) -> NDArray[np.bool_]:
    """(M,) bool, whether each point of a cluster is on the road."""
    road = np.zeros(len(xyz_ego_m), dtype=np.bool_)
    if len(xyz_ego_m) <= config.min_body:
        return road
    low = xyz_ego_m[:, 2] < np.quantile(xyz_ego_m[:, 2], _LOWEST_SHARE) + config.layer_m
    if np.count_nonzero(~low) >= config.min_body:
        distance_m, _ = cKDTree(xyz_ego_m[~low, :2]).query(xyz_ego_m[low, :2])
        road[low] = distance_m > config.reach_m
    return road
