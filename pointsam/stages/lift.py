"""Lifting: LiDAR points get the object and class of the pixels that they project to."""

from __future__ import annotations

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
        min_depth_m: smallest depth in front of the camera; nearer points are not labelled.
        occlusion: leave out points that other points hide from the camera (not published).

    Raises:
        SchemaError: SCH005 on a depth that is not above 0.
    """

    min_depth_m: float = 1.0
    occlusion: bool = False

    def __post_init__(self) -> None:
        require(0 < self.min_depth_m <= 1e6, "lift.min_depth_m", self.min_depth_m, "metres above 0")


@dataclass(frozen=True, eq=False)
class Lifted:
    """Labels of the points of a frame from one camera.

    Args:
        labels: (N,) labels; instance_id is an index into the instances of the image.
        seen: (N,) bool, whether the camera sees the point; other points have no label.
    """

    labels: PointLabels
    seen: NDArray[np.bool_]


def lift(points: FramePoints, frame: Frame, view: CameraView, instances: InstanceMap, config: LiftConfig) -> Lifted:
    """Label the points of a frame from one image.

    Args:
        points: points of the frame.
        frame: the key frame.
        view: the camera.
        instances: instances of its image.
        config: which points to label.

    Raises:
        SchemaError: SCH003 if the instance map does not have the camera's size.
        UnfitChangeError: CAL004 as `project`.

    Source: PointSAM (arXiv 2401.16305); pixel coordinates are truncated, not rounded.
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
