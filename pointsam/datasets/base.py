"""What a data set must offer to be labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam.taxonomy import Taxonomy
from pointsam.types import Boxes, Frame, PointTruth, Sweep


class Dataset(Protocol):
    """A data set on disk. A worker opens its own; opening must be cheap.

    Attributes:
        name: the module's name ("nuscenes").
        root: the folder the user gave.
        taxonomy: the classes of its truth, and the default classes of its labels.
        visibility_levels: how much of an object may be seen, from the least; empty if its boxes do not tell.
    """

    name: str
    root: Path
    taxonomy: Taxonomy
    visibility_levels: tuple[str, ...]

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
