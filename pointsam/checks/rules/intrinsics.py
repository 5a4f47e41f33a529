"""Camera matrices describe a lens that exists."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.geometry.camera import Camera

_ASPECT = (0.5, 2.0)
_VIEW_DEG = (3.0, 175.0)


def problems_of(camera: Camera) -> Iterator[str]:
    """What is implausible about a camera matrix."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    if not (0 <= cx <= camera.width_px and 0 <= cy <= camera.height_px):
        yield (
            f"principal point at {cx:.5g}, {cy:.5g} px, outside of the image of {camera.width_px} x {camera.height_px}"
        )
    if not _ASPECT[0] <= fx / fy <= _ASPECT[1]:
        yield f"focal lengths of {fx:.5g} and {fy:.5g} px differ by more than a factor of 2"
    view_deg = _view_deg(camera)
    most = _VIEW_DEG[1] if camera.lens == "brown" else 180.0
    if not _VIEW_DEG[0] <= view_deg <= most:
        yield f"focal length of {fx:.5g} px: a horizontal field of view of {view_deg:.3g} degrees"


def _view_deg(camera: Camera) -> float:
    """Horizontal field of view; the part that the lens model covers."""
    if camera.model is None:
        return math.degrees(2 * math.atan(camera.width_px / (2 * camera.K[0, 0])))
    middle = camera.K[1, 2]
    sides = camera.rays(np.array([[0.0, middle], [camera.width_px - 1.0, middle]]))
    angles = np.arctan2(np.abs(sides[:, 0]), sides[:, 2])
    return math.degrees(np.where(np.isnan(angles), math.atan(camera.model.limit), angles).sum())


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        for what in problems_of(view.camera):
            yield Problem(view.name, what)


RULE = Rule(
    id="camera-intrinsics",
    severity="error",
    title="The principal point is in the image, and the focal lengths fit its size.",
    remedy="Correct the camera matrix. If the images were resized or cropped, change the matrix with them.",
    of_frame=_check,
)
