"""LiDAR components of an object's size, and those of them without a cluster: what masks may have missed.

Specification
    Component   of the points above the ground that `pointsam.stages.grow` links at its shorter distance.
    Counted     if it has `MIN_POINTS` points or more, cameras see half of them, it begins at most `FOOT_M` above the
                ground, and for some class its longest side is from `LEAST` to `MOST` times the typical one, its height
                likewise, and its shortest side at most `MOST` times. Bushes and posts count too, so that the share
                without a cluster is never 0: it says something as a difference only.
    Bare        if clusters have less than a tenth of its points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.extent import extents_m
from pointsam.geometry.ground import OWN_M, height_above_ground_m, level_m
from pointsam.stages.contraction import components
from pointsam.stages.grow import GrowConfig
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, Frame, FrameLabels, FramePoints

MIN_POINTS, FOOT_M = 15, 0.6
LEAST, MOST = 0.5, 1.5
_COVERED = 0.1


def bare_components(frame: Frame, points: FramePoints, found: FrameLabels, taxonomy: Taxonomy) -> tuple[int, int]:
    """Number of components of an object's size, and of those without a cluster.

    Args:
        frame: the frame, for the mounting of its LiDAR.
        points: its points.
        found: its labels.
        taxonomy: the classes.
    """
    rules, mount = GrowConfig(), frame.sweep.ego_SE3_lidar
    height_m = height_above_ground_m(mount.apply(points.xyz_lidar_m.astype(np.float64)))
    xyz = level_m(points.xyz_lidar_m, mount)
    range_m = np.hypot(xyz[:, 0], xyz[:, 1])
    standing = np.flatnonzero(
        (height_m >= rules.clearance_m) & (height_m <= rules.highest_m) & (range_m > OWN_M) & points.present
    )
    if not len(standing):
        return 0, 0
    place = np.column_stack([xyz[standing, :2], rules.vertical * height_m[standing]])
    component = components(place, np.maximum(rules.fine.floor_m, rules.fine.range_coef * range_m[standing]))
    size = np.bincount(component)
    seen, held = (
        np.bincount(component, of[standing], len(size))
        for of in (found.views > 0, found.labels.instance_id != NO_INSTANCE)
    )
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, component, height_m[standing])
    np.maximum.at(high, component, height_m[standing])
    likely = (size >= MIN_POINTS) & (seen >= size / 2) & (low <= FOOT_M)
    typical = np.array([spec.typical_lwh_m for spec in taxonomy.classes if spec.typical_lwh_m is not None])
    order = np.argsort(component, kind="stable")
    ends = np.cumsum(size)
    every = bare = 0
    for k in np.flatnonzero(likely).tolist():
        its = standing[order[ends[k] - size[k] : ends[k]]]
        if _fits_some(xyz[its, :2], float(high[k]), typical):
            every += 1
            bare += bool(held[k] < _COVERED * size[k])
    return every, bare


def _fits_some(xy_m: NDArray[np.float64], height_m: float, typical_lwh_m: NDArray[np.float64]) -> bool:
    """Whether an extent is that of some class."""
    if not len(typical_lwh_m):
        return False
    longest, shortest = extents_m(xy_m)
    sides = np.sort(typical_lwh_m[:, :2], axis=1)
    fitting = (LEAST * sides[:, 1] <= longest) & (longest <= MOST * sides[:, 1]) & (shortest <= MOST * sides[:, 0])
    tall = typical_lwh_m[:, 2]
    return bool((fitting & (LEAST * tall <= height_m) & (height_m <= MOST * tall)).any())
