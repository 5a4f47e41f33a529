"""Candidates: LiDAR components above the ground that no cluster explains and that may be an object of some class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.extent import extents_m
from pointsam.stages.contraction import components
from pointsam.stages.looks.config import ComponentsConfig
from pointsam.stages.looks.standing import Cloud
from pointsam.taxonomy import Taxonomy

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A component that may be an object.

    Args:
        members: (P,) indices of its points, rising.
        fit: how well its size fits the class that it fits best, in (0,1].
    """

    members: _Ints
    fit: float


def candidates(cloud: Cloud, taken: NDArray[np.bool_], taxonomy: Taxonomy, config: ComponentsConfig) -> list[Candidate]:
    """The candidates of a frame, the likeliest first.

    The order is that of the fit times the logarithm of the number of points, then of their lowest coordinates.

    Args:
        cloud: the points.
        taken: (N,) bool, points that are explained otherwise: tracks expect an object there.
        taxonomy: the classes; those without a typical size have no candidates.
        config: the rules.
    """
    standing = cloud.standing(config.clearance_m, config.highest_m)
    if len(standing) == 0:
        return []
    place = np.column_stack([cloud.level_m[standing, :2], config.vertical * cloud.height_m[standing]])
    part = components(place, np.maximum(config.floor_m, config.range_coef * cloud.range_m[standing]))
    explained = (cloud.held | taken)[standing]
    count = np.bincount(part)
    top = np.zeros(len(count))
    np.maximum.at(top, part, cloud.height_m[standing])
    wanted = (count >= config.least_points) & (top >= config.least_height_m)
    wanted &= np.bincount(part, weights=explained, minlength=len(count)) <= config.explained * count
    order = np.argsort(part, kind="stable")
    stops = np.cumsum(count)
    found = []
    for one in np.flatnonzero(wanted):
        members = standing[order[stops[one] - count[one] : stops[one]]]
        fit = size_fit(cloud.level_m[members, :2], float(top[one]), taxonomy, config.largest)
        if fit > 0:
            found.append(Candidate(members, fit))
    low = cloud.level_m
    return sorted(found, key=lambda c: (-c.fit * np.log(len(c.members)), *low[c.members].min(axis=0).tolist()))


def size_fit(xy_m: NDArray[np.float64], height_m: float, taxonomy: Taxonomy, largest: float) -> float:
    """How well a component fits the class that it fits best: 1 for its typical height and any part of its length.

    An object shows a part of its length and width, so that small extents count half as much as a wrong height.

    Args:
        xy_m: (P,2) its points in the ground plane.
        height_m: height of its highest point.
        taxonomy: the classes.
        largest: largest size relative to the typical one.

    Returns:
        the fit; 0 if it is too large for all classes.
    """
    longest, shortest = extents_m(xy_m)
    best = 0.0
    for spec in taxonomy.classes:
        if spec.typical_lwh_m is None:
            continue
        length, width, tall = max(spec.typical_lwh_m[:2]), min(spec.typical_lwh_m[:2]), spec.typical_lwh_m[2]
        if longest > largest * length or shortest > largest * width or height_m > largest * tall:
            continue
        short = min(longest / width, 1.0)
        low = min(height_m / tall, 1.0)
        best = max(best, low * (0.5 + 0.5 * short))
    return best
