"""Every camera sees LiDAR points."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule

_FEW = 0.001
_ENOUGH = 1000
"""Points below which a view without any says nothing."""


def _check(probe: Probe) -> Iterator[Problem]:
    count = len(probe.points)
    if count < _ENOUGH:
        return
    for view in probe.frame.cameras:
        seen = int(probe.projection(view).valid.sum())
        if seen < _FEW * count:
            yield Problem(view.name, f"{seen} of {count} points are in its image")


RULE = Rule(
    id="points-in-view",
    severity="warning",
    title="At least one point in a thousand is in the image of each camera.",
    remedy="Nothing, if the LiDAR does not look where the camera looks. Otherwise check the extrinsic calibration of "
    "the camera and of the LiDAR, and the camera matrix; `pointsam-label inspect` draws the points into the images.",
    of_frame=_check,
)
