"""Pixels give their object and class to the LiDAR points behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.geometry.projection import project
from pointsam.geometry.visibility import occluded
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, CameraView, Frame, FramePoints, InstanceMap, PointLabels


@dataclass(frozen=True)
class LiftConfig:
    """Which points a camera labels.

    Args:
        min_depth_m: nearest depth in front of the camera that counts.
        occlusion: leave out points that others hide from the camera.

    Raises:
        SchemaError: SCH005 on a depth that is not above 0.
    """

    min_depth_m: float = 1.0  # method.md A.0 projection
    occlusion: bool = False  # A.5: no occlusion test

    def __post_init__(self) -> None:
        require(0 < self.min_depth_m < math.inf, "lift.min_depth_m", self.min_depth_m, "metres above 0")


@dataclass(frozen=True, eq=False)
class Lifted:
    """What one camera says about the points of a frame.

    Args:
        labels: (N,) instance_id is the index of the image's instance.
        seen: (N,) bool, the camera sees the point; only such points carry labels.
    """

    labels: PointLabels
    seen: NDArray[np.bool_]


def lift(points: FramePoints, frame: Frame, view: CameraView, instances: InstanceMap, config: LiftConfig) -> Lifted:
    """Label the points of a frame from one image.

    Args:
        points: of the frame.
        frame: the key frame.
        view: the camera.
        instances: the partition of its image.
        config: which points.

    Raises:
        SchemaError: SCH003 if the partition is not of the camera's size.
        UnfitChangeError: CAL004 as `project`.

    Source: method.md A.5; pixels are truncated, not rounded.
    """
    size = (view.camera.height_px, view.camera.width_px)
    if instances.instance_id.shape != size:
        raise SchemaError(
            "SCH003",
            f"{frame.frame_id} {view.name}: masks of {instances.instance_id.shape} for a camera of {size} pixels",
            "make the masks again from the images of this calibration",
        )
    projection = project(points.xyz_lidar_m, frame, view, config.min_depth_m)
    u, v = projection.pixels().T
    instance_id = np.full(len(points), NO_INSTANCE, dtype=np.int32)
    instance_id[projection.valid] = instances.instance_id[v, u]
    seen = projection.valid
    if config.occlusion:
        seen = seen & ~occluded(points, projection, frame, view)
        instance_id[~seen] = NO_INSTANCE
    class_id = np.append(instances.class_id, np.uint8(BACKGROUND))[instance_id]
    return Lifted(PointLabels(instance_id, class_id), seen)
