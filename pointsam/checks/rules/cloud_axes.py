"""The vertical axis of the vehicle is the one along which points spread least."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.io import read_points

_THIN = 3.0
_MOST_M = 15.0
_ENOUGH = 1000


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        xyz = read_points(sweep)
        xyz = xyz[np.isfinite(xyz[:, 0]) & xyz.any(axis=1)]
        if len(xyz) < _ENOUGH:
            continue
        low, high = np.quantile(sweep.ego_SE3_lidar.apply(xyz), (0.05, 0.95), axis=0)
        spread = high - low
        thin = int(np.argmin(spread))
        if thin != 2 and spread[thin] < _MOST_M and spread[thin] * _THIN < np.delete(spread, thin).min():
            yield Problem(
                sweep.source.name,
                f"in the axes of the vehicle, points spread {spread[thin]:.1f} m along {'xyz'[thin]} and "
                f"{spread[2]:.1f} m along z, which is not upright",
            )


RULE = Rule(
    id="cloud-axes",
    severity="warning",
    title="Points spread least along the vehicle's z axis, which points up.",
    remedy="Clouds in the axes of a camera (z forward) or of graphics (y up) must be turned to z up, or the mounting "
    "of the LiDAR must state the rotation.",
    of_frame=_check,
)
