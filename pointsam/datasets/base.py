"""The interface of a data set, its optional parts, and its plug-in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pointsam.base.remote import DataPath
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BringsTaxonomy, Taxonomy
from pointsam.types import Boxes, Frame, PointTruth, Sweep

OPTIONS = ("lidar", "columns")
"""Options of opening a data set: `lidar` (str), the channel of the LiDAR whose points are labelled, or several with
commas between them; and `columns` (tuple[str, ...]), the names of all values of a point in files that do not state
them."""


class Dataset(Protocol):
    """A data set, on this machine or in an object store. A worker opens its own; opening must be cheap.

    Attributes:
        name: name of its plug-in ("nuscenes"); a finished run opens its data by this name.
        taxonomy: classes of its ground truth, and default classes of its labels.
        visibility_levels: names of the levels of visibility, least visible first; empty if boxes have none.
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
            DatasetError: DAT010 on an unknown split, DAT009 if there are no frames.
        """

    def frame(self, frame_id: str) -> Frame:
        """Sources, times and calibration of a frame; reads no points and no pixels.

        A frame has at least one camera. Labelling quarantines a frame without one (DAT011).

        Raises:
            DatasetError: DAT010 on an unknown id, DAT003 on a dangling reference.
            CalibrationError: CAL001, CAL002 or CAL003 on an impossible pose or camera.
        """

    def scene(self, frame_id: str) -> str:
        """Name of the scene of a frame; does not build the frame."""

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the LiDAR frame, None if the frame has no box labels."""

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) index in `visibility_levels` of each of the `boxes`, -1 if unknown; None if there are no levels."""

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) velocities of the `boxes` over ground, x and y of the map frame, NaN if unknown; None if all are.

        The map frame (`pointsam.geometry.level.map_SE3_lidar`) is the LiDAR frame if the LiDAR is level.
        """

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps of each LiDAR before the frame; fewer at the start of a scene.

        They are listed LiDAR by LiDAR in the order of `Frame.sweeps`, each latest first. `Sweep.sensor` tells the
        LiDARs apart.
        """

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth of every point, in the order of `datasets.points.read_frame_points`; None if there is none.

        Args:
            frame_id: the frame.
            source: value of `PointTruth.source` to take; None takes the best source that exists.
        """

    def fingerprint(self) -> str:
        """Hex digest of tables and calibration: data sets with equal digests have equal frames."""


@runtime_checkable
class HasLidarTokens(Protocol):
    """A data set that names label files by tokens of sweeps instead of frame ids, as nuScenes does."""

    def lidar_token(self, frame_id: str, sweep: int = 0) -> str:
        """sample_data token of one of the frame's sweeps.

        Args:
            frame_id: the frame.
            sweep: index into its sweeps.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT011 if the token cannot name a file.
        """


@runtime_checkable
class HasLidarChannel(Protocol):
    """A data set of which some of several LiDARs are read.

    Attributes:
        lidar: their channels with commas between them; None for the usual one alone. A run records it.
    """

    lidar: str | None


@runtime_checkable
class HasSequences(Protocol):
    """A data set whose files are named by sequence and number, as SemanticKITTI's are."""

    def place(self, frame_id: str) -> tuple[str, str]:
        """Sequence and number of a frame.

        Raises:
            DatasetError: DAT010 on an unknown frame.
        """


@runtime_checkable
class HasClouds(Protocol):
    """A data set whose points can be read where images are missing."""

    def cloud(self, frame_id: str) -> Frame:
        """The frame without its cameras, for uses that need the points only.

        Raises:
            DatasetError: DAT010 on an unknown frame; what its poses raise.
        """


@runtime_checkable
class HasUnknownClasses(Protocol):
    """A data set whose ground truth may have classes that it does not know; their objects are void."""

    def unknown_classes(self, frame_ids: Sequence[str]) -> Mapping[str, int]:
        """Names of annotated classes that the data set does not know -> number of objects in some frames."""


@runtime_checkable
class HasCategories(Protocol):
    """A data set whose ground truth has finer names than its classes, as nuScenes has categories and KITTI types."""

    def with_categories(self, names: Sequence[str]) -> Dataset:
        """The data set with these names as further classes, after its own; names that it lacks are left out."""


@runtime_checkable
class HasTracks(Protocol):
    """A data set that knows which boxes of a scene are one object."""

    def tracks(self, frame_id: str) -> tuple[str | None, ...] | None:
        """Name of the object of each of the `boxes`, the same in all frames of a scene, None where it is not known.

        None if the frame has no box labels.

        Raises:
            DatasetError: DAT010 on an unknown frame; what reading the boxes raises.
        """


@runtime_checkable
class HasBoxFrame(Protocol):
    """A data set whose user states the frame of the boxes."""

    def box_frame(self, frame_id: str) -> tuple[str, SE3] | None:
        """Name of the frame that the boxes of a frame are stated in, and lidar_SE3_frame; None without a single one.

        Raises:
            DatasetError: DAT010 on an unknown frame; what reading the boxes raises.
        """


@runtime_checkable
class HasKnownClasses(Protocol):
    """A data set that names the classes of its ground truth otherwise than its taxonomy."""

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The names that it maps to classes of its taxonomy."""


@dataclass(frozen=True)
class TableProblem:
    """Something wrong in the tables of a data set.

    Args:
        rule: id of the rule of `pointsam-label check` that it breaks, such as "camera-distortion".
        where: file and row.
        what: what is wrong there.
    """

    rule: str
    where: str
    what: str


@runtime_checkable
class HasTableProblems(Protocol):
    """A data set that checks what frames do not show: columns and rows of its tables that nothing reads."""

    def table_problems(self) -> Iterator[TableProblem]:
        """What is wrong in its tables."""


@runtime_checkable
class HasRectifiedCamera(Protocol):
    """A data set whose labels are in the rectified frame of a camera, as KITTI's are. Frames have this camera only."""

    def rect_SE3_lidar(self, frame_id: str) -> SE3:
        """Transform from the LiDAR frame to the frame of the labels.

        Raises:
            DatasetError: DAT010 on an unknown frame, DAT004 on a missing calibration.
        """


@runtime_checkable
class HasRatedBoxes(Protocol):
    """A data set whose benchmark leaves out objects that are hardly visible, as KITTI's does."""

    def rated(self, frame_id: str) -> NDArray[np.bool_] | None:
        """(M,) whether each of the `boxes` belongs to a level of difficulty; None if the frame has no labels."""


@runtime_checkable
class HasRoadPlanes(Protocol):
    """A data set with a plane of the road for each frame."""

    def road_z_m(self, frame_id: str, xyz_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) z of the road beneath or above (N,3) points, LiDAR frame.

        Raises:
            DatasetError: DAT004 if the plane is missing, DAT011 if it cannot be read, DAT010 on an unknown frame.
        """


@runtime_checkable
class HasDevkitVersion(Protocol):
    """A data set whose predictions the nuScenes devkit can evaluate, if the root is a local folder."""

    @property
    def devkit_version(self) -> str:
        """Name of the version folder, as the devkit takes it."""


@runtime_checkable
class HasWaymoLabels(Protocol):
    """A data set whose ground truth states what Waymo's does: levels of difficulty, and zones without labels."""

    def difficulty_levels(self, frame_id: str) -> NDArray[np.int64]:
        """(M,) level of each of the `boxes`: 1 or 2, 0 where the annotation states none."""

    def in_unlabelled_zone(self, frame_id: str, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether boxes overlap a zone without labels.

        Args:
            frame_id: the frame.
            boxes: (N,7) x, y, z of the centre, length, width, height, yaw in the LiDAR frame; metres and radians.
        """


@dataclass(frozen=True)
class DatasetPlugin(BringsTaxonomy):
    """A type of data set; entry points of the group `pointsam.datasets` name it.

    Every plug-in is asked whether it recognises a root. Its module should therefore import the code that reads data
    only in `open`.

    Args:
        taxonomy: classes of its data sets, with their traits, COCO labels among them.
        layout: the files that `recognises` looks for, for the error if no plug-in recognises a root.
        recognises: whether a root is such a data set; looks at few files and reads none of the data.
        open: opens a root; the second argument is the version that the user named, None if none was named. Its
            `options` follow as keyword arguments.
        versions: whether a root may hold several versions; if not, `open` never gets one.
        options: names of further options that `open` takes, of OPTIONS. It gets those that the user gave.
    """

    layout: str
    recognises: Callable[[DataPath], bool]
    open: Callable[..., Dataset]
    versions: bool = False
    options: tuple[str, ...] = ()
