"""The rules, one module each."""

from __future__ import annotations

from pointsam.checks.base import Rule
from pointsam.checks.rules import (
    boxes_in_cloud,
    calibration_values,
    cloud_axes,
    cloud_columns,
    cloud_extent,
    cloud_files,
    cloud_gaps,
    gaps,
    ground_truth,
    identity_poses,
    image_size,
    intensity,
    intrinsics,
    lens,
    missing_cameras,
    missing_files,
    mounting,
    past_sweeps,
    points_in_view,
    pose_direction,
    poses,
    principal_point,
    projection_edges,
    readable,
    row_times,
    scene_names,
    time_units,
    times,
    unknown_channels,
    unknown_classes,
)

RULES: tuple[Rule, ...] = tuple(
    module.RULE
    for module in (
        missing_files,
        readable,
        scene_names,
        unknown_channels,
        missing_cameras,
        cloud_columns,
        cloud_extent,
        cloud_axes,
        cloud_files,
        cloud_gaps,
        intensity,
        image_size,
        calibration_values,
        intrinsics,
        principal_point,
        lens,
        row_times,
        mounting,
        points_in_view,
        projection_edges,
        time_units,
        times,
        gaps,
        poses,
        pose_direction,
        identity_poses,
        past_sweeps,
        unknown_classes,
        ground_truth,
        boxes_in_cloud,
    )
)
"""All rules, in the order in which they are reported."""
