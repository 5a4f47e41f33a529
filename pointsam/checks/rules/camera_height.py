"""Cameras are above the road, as high as on a vehicle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.rules.mounting import problem_of

_NEAR_M, _ENOUGH = 15.0, 200
_LOWEST = 0.02
"""Quantile of the heights of near points that is taken for the road."""
_LOW_M, _HIGH_M = 0.05, 4.5


def _check(probe: Probe) -> Iterator[Problem]:
    sweep = probe.frame.sweep
    xyz = sweep.ego_SE3_lidar.apply(probe.points.xyz_lidar_m)
    near = xyz[np.linalg.norm(xyz[:, :2], axis=1) < _NEAR_M]
    if len(near) < _ENOUGH:
        return
    road_m = float(np.quantile(near[:, 2], _LOWEST))
    heights = {
        view.name: float(view.ego_SE3_cam.translation_m[2]) - road_m
        for view in probe.frame.cameras
        if problem_of(view.ego_SE3_cam) is None
    }
    wrong = {name: height for name, height in heights.items() if not _LOW_M < height < _HIGH_M}
    if not wrong:
        return
    all_are = len(wrong) == len(heights) > 1
    cause = f"; all cameras are too high or too low: the transform of {sweep.sensor} may be inverted" if all_are else ""
    name, height = next(iter(wrong.items()))
    yield Problem(name, f"it is {height:.1f} m above the lowest points near the vehicle{cause}")


RULE = Rule(
    id="camera-height",
    severity="warning",
    title="Cameras are between 5 cm and 4.5 m above the road.",
    remedy="Nothing for a camera on a mast. Otherwise check the translations of the camera and of the LiDAR, and that "
    "both transforms take points of the sensor to the vehicle.",
    of_frame=_check,
)
