"""Images are undistorted."""

from __future__ import annotations

from pointsam.checks.base import Rule, in_tables

_ID = "camera-distortion"

RULE = Rule(
    id=_ID,
    severity="error",
    title="The calibration has no distortion coefficients.",
    remedy="Undistort the images and write the new camera_intrinsic, with coefficients of 0; projection with "
    "distortion is not supported yet. If the images are undistorted already, accept the rule.",
    of_dataset=in_tables(_ID),
)
