"""What a data set must offer to be labelled, what it may offer besides, and how it is plugged in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pointsam.base.remote import DataPath
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BringsTaxonomy, Taxonomy
from pointsam.types import Boxes, Frame, PointTruth, Sweep

if TYPE_CHECKING:
    from pointsam.datasets.kitti.files import LabelRow


class Dataset(Protocol):
    """A data set, on this machine or in an object store. A worker opens its own; opening must be cheap.

    Attributes:
        name: the name of its plug-in ("nuscenes"); a finished run opens its data by this name.
        taxonomy: the classes of its truth, and the default classes of its labels.
        visibility_levels: how much of an object may be seen, from the least; empty if its boxes do not tell.
    """

    name: str
    taxonomy: Taxonomy
    visibility_levels: tuple[str, ...]

    @property
    def root(self) -> DataPath:
        """The folder that the user gave."""

    def frame_ids(self, split: str | None = None) -> list[str]:
        """All key frames, or those of a split, in (scene, time) order.

        Raises:
            DatasetError: DAT010 on an unknown split, DAT009 if there are none.
        """

    def frame(self, frame_id: str) -> Frame:
        """One frame's sources, times and calibration; reads no points and no pixels.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT003 on a dangling reference.
            CalibrationError: on a pose or camera that cannot be.
        """

    def scene(self, frame_id: str) -> str:
        """The scene of a frame, without building the frame."""

    def boxes(self, frame_id: str) -> Boxes | None:
        """True boxes in the LiDAR frame, None where the data set has no box labels for it."""

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) place in `visibility_levels` of each of the `boxes`, -1 where unknown. None if none is told."""

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) of the `boxes`, along x and y of the LiDAR frame, over ground; NaN where unknown. None if none is."""

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps of the reference sensor before the frame's, the latest first; fewer at the beginning."""

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """True labels of every point, in the order of `datasets.points.read_frame_points`; None if there are none.

        Args:
            frame_id: of the frame.
            source: one of `PointTruth.source`; the best that is there if None.
        """

    def fingerprint(self) -> str:
        """Hex digest of tables and calibration: equal digests give equal frames."""


@runtime_checkable
class HasLidarTokens(Protocol):
    """A data set in nuScenes' tables: label files are named by tokens of sweeps, not by frame ids."""

    def lidar_token(self, frame_id: str) -> str:
        """sample_data token of the key sweep.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT011 if the token cannot name a file.
        """


@runtime_checkable
class HasRectifiedCamera(Protocol):
    """A data set of KITTI's kind: its labels stand in the rectified frame of a camera."""

    def rect_SE3_lidar(self, frame_id: str) -> SE3:
        """Pose of the LiDAR in the frame of the labels.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT004 on a missing calibration.
        """


@runtime_checkable
class HasDevkitVersion(Protocol):
    """A data set that the nuScenes devkit can evaluate detections of."""

    @property
    def devkit_version(self) -> str:
        """Name of the version folder, as the devkit takes it."""


@runtime_checkable
class HasKittiLabels(Protocol):
    """A data set with KITTI's label files: detections are also evaluated by KITTI's average precision."""

    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """A frame's label file, line by line; None if there is none.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT011 on a line that cannot be read.
        """


@dataclass(frozen=True)
class DatasetPlugin(BringsTaxonomy):
    """A kind of data set, as an entry point of the group `pointsam.datasets` names it.

    The module that holds it should import what reads the data only when a data set is opened: every plug-in is asked
    whether it recognises a root.

    Args:
        taxonomy: the classes of its data sets, each with its traits, the COCO labels among them.
        layout: what `recognises` looks for, for the error where no plug-in recognises a root.
        recognises: whether a folder is such a data set; looks at few files and reads none of the data.
        open: opens a root; the second argument is the version that the user named, None where there was none.
        versions: whether a root may hold several versions; if not, `open` is never given one.
    """

    layout: str
    recognises: Callable[[DataPath], bool]
    open: Callable[[DataPath, str | None], Dataset]
    versions: bool = False
