"""Every camera sees LiDAR points; if not, the usual mistakes of a calibration are tried on the sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.rules.mounting import problem_of
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame

_FEW = 0.001
_ENOUGH = 1000
"""Points below which a view without any says nothing."""
_PLENTY = 0.02
"""Fraction of the points from which on another transform is named as the likely one."""
_AXES = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""From a camera's axes (z forward) to those of a vehicle (x forward)."""


def _others(pose: SE3) -> Iterator[tuple[str, SE3]]:
    """Transforms that a mounting may have been meant to be, with the mistake."""
    rotation, position = pose.rotation, pose.translation_m
    yield "the inverse of the extrinsic", pose.inverse()
    yield "the rotation transposed", SE3(rotation.T, position)
    yield "the translation in millimetres", SE3(rotation, position / 1000)


def _likely(probe: Probe, view: CameraView, seen: int, of_lidar: bool) -> str:
    """The transform with which most points would be in the image; "" if none stands out.

    Args:
        probe: the frame.
        view: a camera without points.
        seen: number of points in its image.
        of_lidar: whether no camera sees points, so that the LiDAR may be wrong.
    """
    frame, xyz = probe.frame, probe.points.xyz_lidar_m
    counts = {}
    stated = view.ego_SE3_cam
    turned = SE3(stated.rotation @ _AXES, stated.translation_m)
    for what, pose in (*_others(stated), ("the axes of a camera (z forward)", turned)):
        if problem_of(pose) is not None:
            continue
        changed = replace(view, ego_SE3_cam=pose)
        counts[f"with {what}"] = int(project(xyz, frame, changed).valid.sum())
    for what, pose in _others(frame.sweep.ego_SE3_lidar) if of_lidar else ():
        moved = _with_lidar(frame, pose)
        counts[f"with {what} of the LiDAR"] = int(project(xyz, moved, view).valid.sum())
    best = max(counts, key=lambda what: counts[what], default="")
    if not counts or counts[best] < max(_PLENTY * len(xyz), 10 * seen):
        return ""
    return f"; {best}, {counts[best]} would be"


def _with_lidar(frame: Frame, pose: SE3) -> Frame:
    return replace(frame, sweeps=(replace(frame.sweep, ego_SE3_lidar=pose), *frame.sweeps[1:]))


def _check(probe: Probe) -> Iterator[Problem]:
    count = len(probe.points)
    if count < _ENOUGH:
        return
    seen = {view.name: int(probe.projection(view).valid.sum()) for view in probe.frame.cameras}
    all_blind = max(seen.values(), default=0) < _FEW * count
    for view in probe.frame.cameras:
        points = seen[view.name]
        if points < _FEW * count:
            likely = _likely(probe, view, points, all_blind)
            yield Problem(view.name, f"{points} of {count} points are in its image{likely}")


RULE = Rule(
    id="points-in-view",
    severity="warning",
    title="At least one point in a thousand is in the image of each camera.",
    remedy="Nothing, if the LiDAR does not look where the camera looks. Otherwise check the extrinsic calibration of "
    "the camera and of the LiDAR, and the camera matrix; `pointsam-label inspect` draws the points into the images.",
    of_frame=_check,
)
