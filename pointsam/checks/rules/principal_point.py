"""Images have the size that their camera matrix was made for."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule

_CENTRE = (0.3, 0.7)
"""Part of the width and of the height in which principal points of lenses lie."""


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        camera = view.camera
        x, y = camera.K[0, 2] / camera.width_px, camera.K[1, 2] / camera.height_px
        if not all(_CENTRE[0] <= part <= _CENTRE[1] for part in (x, y)):
            where = f"at {x:.0%} of the width and {y:.0%} of the height"
            yield Problem(
                view.name, f"the principal point is {where} of the image of {camera.width_px} x {camera.height_px} px"
            )


RULE = Rule(
    id="principal-point",
    severity="warning",
    title="The principal point is near the centre of the image.",
    remedy="If the images were resized or cropped, scale or shift the camera matrix with them: points are projected to "
    "wrong pixels otherwise.",
    of_frame=_check,
)
