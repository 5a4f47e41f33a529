"""The rules, one module each."""

from __future__ import annotations

from pointsam.checks.base import Rule
from pointsam.checks.rules import (
    cloud_axes,
    cloud_columns,
    cloud_extent,
    cloud_files,
    gaps,
    image_size,
    intensity,
    intrinsics,
    label_packs,
    mounting,
    past_sweeps,
    points_in_view,
    poses,
    readable,
    times,
)

RULES: tuple[Rule, ...] = tuple(
    module.RULE
    for module in (
        readable,
        cloud_columns,
        cloud_extent,
        cloud_axes,
        cloud_files,
        intensity,
        image_size,
        intrinsics,
        mounting,
        points_in_view,
        times,
        gaps,
        poses,
        past_sweeps,
        label_packs,
    )
)
"""All rules, in the order in which they are reported."""
