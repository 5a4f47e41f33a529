"""A labelled frame as exporters get it; its parts are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.geometry.fit import fit_boxes
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import Taxonomy
from pointsam.types import Boxes, Frame, FrameLabels, ImageMasks

Files = Mapping[str, bytes]
"""Contents by file name below the destination."""


@dataclass(frozen=True, eq=False)
class ExportFrame:
    """A labelled frame.

    Args:
        number: position in the export, from 0.
        name: name of its files: the name of the key sweep in the data set.
        found: the labels.
        taxonomy: classes of the labels.
        read_frame: returns cameras and poses.
        read_points: returns (N,4) points: x, y, z in metres, LiDAR frame, and intensity.
        read_masks: returns the masks of the images by camera.
        detected: boxes of a detector, with their texts as tokens; None without a detector.
        place: sequence and number of the frame in SemanticKITTI's tree, None for other data.
        rect_SE3_lidar: from the LiDAR frame to KITTI's frame of labels, None for other data.
        read_true_boxes: returns ground-truth boxes in the LiDAR frame, None if there are none.
    """

    number: int
    name: str
    found: FrameLabels
    taxonomy: Taxonomy
    read_frame: Callable[[], Frame]
    read_points: Callable[[], NDArray[np.float32]]
    read_masks: Callable[[], Mapping[str, ImageMasks]]
    rect_SE3_lidar: SE3 | None = None
    read_true_boxes: Callable[[], Boxes | None] = lambda: None
    place: tuple[str, str] | None = None
    detected: Boxes | None = None

    @cached_property
    def frame(self) -> Frame:
        """Cameras and poses."""
        return self.read_frame()

    @cached_property
    def points(self) -> NDArray[np.float32]:
        """(N,4) points: x, y, z, intensity."""
        return self.read_points()

    @cached_property
    def boxes(self) -> Boxes:
        """Boxes fitted to the clusters, in the order of their ids."""
        return fit_boxes(self.points[:, :3], self.found.labels, self.taxonomy)

    @cached_property
    def true_boxes(self) -> Boxes | None:
        """Ground-truth boxes, None if the frame has none."""
        return self.read_true_boxes()

    @cached_property
    def masks(self) -> Mapping[str, ImageMasks]:
        """Masks of the images by camera."""
        return self.read_masks()


def require_known(taxonomy: Taxonomy, classes: Collection[str], what: str) -> None:
    """Reject a taxonomy with classes that a format does not have.

    Args:
        taxonomy: classes of the labels.
        classes: classes of the format.
        what: name of the format.

    Raises:
        SchemaError: SCH004 naming the classes.
    """
    foreign = [name for name in taxonomy.names if name not in classes]
    if foreign:
        raise SchemaError(
            "SCH004",
            f"{what} has no class for {', '.join(foreign)} of taxonomy {taxonomy.name!r}",
            f"label with classes out of: {', '.join(classes)}",
        )
