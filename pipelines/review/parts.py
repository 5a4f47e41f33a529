"""A frame of a finished run, read for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.opened import OpenedRun
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.types import Boxes, Frame, FrameLabels, TrackedLabels


@dataclass(frozen=True, eq=False)
class Parts:
    """A frame with everything that is drawn of it.

    Args:
        frame: the frame with the noise and calibration of the run.
        found: its labels.
        xyz_lidar_m: (N,3) its points in the LiDAR frame.
        images: camera -> (H,W,3) RGB.
        masks: camera -> (RLE, class_id) of each mask that built a cluster.
        boxes: ground-truth boxes, None without ground truth that can be read.
        tracked: the labels with their tracks, None for labels of single frames.
    """

    frame: Frame
    found: FrameLabels
    xyz_lidar_m: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]]
    masks: Mapping[str, Sequence[tuple[bytes, int]]]
    boxes: Boxes | None
    tracked: TrackedLabels | None = None


def read_parts(run: OpenedRun, frame_id: str) -> Parts:
    """Read a frame.

    Raises:
        DatasetError: DAT010 if it is quarantined, DAT013 if its files have changed since; what reading images
            and points raises.
        SchemaError, StoreError: as `OpenedRun.masks`.
    """
    tracked = run.labels.tracked(frame_id) if run.labels.stage == "tracks" else None
    found = run.labels.labels(frame_id) if tracked is None else tracked.found
    if found.frame.status != "ok":
        raise DatasetError(
            "DAT010",
            f"{run.labels.out}: frame {frame_id!r} is quarantined and has no labels to draw",
            "correct its files, then run with --retry-failed",
        )
    run.require_unchanged(frame_id, images=True)
    frame = run.dataset.frame(frame_id)
    images = {view.name: read_image(view.source) for view in frame.cameras}
    xyz = read_frame_points(frame).xyz_lidar_m
    return Parts(frame, found, xyz, images, run.masks_of(found), true_boxes(run.truth, frame_id), tracked)


def true_boxes(dataset: Dataset, frame_id: str) -> Boxes | None:
    """Ground-truth boxes for drawing; None if there are none, or if they cannot be read, which `eval` reports."""
    try:
        return dataset.boxes(frame_id)
    except PointSamError as error:
        if not error.of_frame:
            raise
        return None
