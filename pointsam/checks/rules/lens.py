"""Lens models are those of a lens that could have taken the image."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule, in_tables
from pointsam.geometry.camera import Camera

_ID = "camera-distortion"
_LEAST_SEEN = {"brown": 0.9, "fisheye": 0.3}
"""Fraction of an image that a lens must cover; the corners of a fisheye image are black, and its edge is at 90 degrees
or more."""
_BENT = (0.25, 2.0)
"""Factors by which coefficients may change the distance of a pixel from the principal point."""
_TANGENTIAL = 0.05
_TINY, _TINY_PX = 1e-5, 0.05
"""Coefficients that are all this small, and move no pixel by more than this, are those of another unit."""


def problems_of(camera: Camera) -> Iterator[str]:
    """What is implausible about the lens of a camera."""
    if camera.model is None:
        return
    u, v = np.meshgrid(np.linspace(0, camera.width_px - 1, 33), np.linspace(0, camera.height_px - 1, 21))
    uv = np.column_stack([u.ravel(), v.ravel()])
    rays = camera.rays(uv)
    seen = np.isfinite(rays[:, 0])
    stated = f"camera_distortion {list(camera.distortion)} of a {camera.lens} lens"
    if seen.mean() < _LEAST_SEEN[camera.lens]:
        end_deg = math.degrees(math.atan(camera.model.limit))
        yield (
            f"{stated} leaves {1 - seen.mean():.0%} of the image without a ray: the model folds {end_deg:.3g} degrees "
            "from the axis"
        )
        return
    if camera.lens == "brown" and max(map(abs, camera.distortion[2:4])) > _TANGENTIAL:
        yield f"{stated}: p1 and p2, the third and the fourth, are larger than those of a lens"
    at = np.linalg.solve(camera.K[:2, :2], (uv[seen] - camera.K[:2, 2]).T)
    slope = np.hypot(*rays[seen].T[:2]) / rays[seen, 2]
    radius, plain = np.hypot(*at), np.arctan(slope) if camera.lens == "fisheye" else slope
    bent = radius[radius > 0.05] / plain[radius > 0.05]
    if len(bent) and not _BENT[0] < bent.min() <= bent.max() < _BENT[1]:
        factor = bent.min() if bent.min() < _BENT[0] else bent.max()
        yield f"{stated} moves pixels to {factor:.3g} times their distance from the principal point"
    moved_px = np.abs(radius - plain).max() * camera.K[0, 0]
    if any(camera.distortion) and max(map(abs, camera.distortion)) < _TINY and moved_px < _TINY_PX:
        yield f"{stated} moves no pixel by more than {moved_px:.2g} px: it may be meant for coordinates in pixels"


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        for what in problems_of(view.camera):
            yield Problem(view.name, what)


RULE = Rule(
    id=_ID,
    severity="error",
    title="Lenses are stated where they are read, and their coefficients fit the image.",
    remedy="Write k1, k2, p1, p2[, k3[, k4, k5, k6]] of a brown lens, or k1, k2, k3, k4 of a fisheye lens, in OpenCV's "
    "order and for coordinates in focal lengths; nuScenes tables have them in camera_distortion and camera_lens "
    "(docs/cameras.md). If the images are undistorted already, write [] or accept the rule.",
    of_frame=_check,
    of_dataset=in_tables(_ID),
)
