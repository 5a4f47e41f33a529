"""An image has the size that its calibration states."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.io import image_size


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        height, width = image_size(view.source)
        stated = (view.camera.height_px, view.camera.width_px)
        if (height, width) != stated:
            yield Problem(
                view.source.name,
                f"{width} x {height} px; the tables state {stated[1]} x {stated[0]} px",
            )


RULE = Rule(
    id="image-size",
    severity="error",
    title="Images have the size that the tables state.",
    remedy="Use the images that the calibration was made for, or scale the camera matrix and the stated size.",
    of_frame=_check,
)
