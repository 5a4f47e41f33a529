"""What an exporter may ask for of one labelled frame; read when it is asked for."""

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
"""Names below the destination, and contents."""


@dataclass(frozen=True, eq=False)
class ExportFrame:
    """One frame.

    Args:
        number: its position in the export, from 0.
        name: of its files: the key sweep's own name in its data set.
        found: its labels.
        taxonomy: their classes.
        read_frame: gives cameras and poses.
        read_points: gives the (N,4) rows of the frame's points, x, y, z, intensity.
        read_masks: gives the images by camera.
        rect_SE3_lidar: KITTI's frame of labels, None for other data.
        read_true_boxes: gives true boxes in the LiDAR frame, None where there are none.
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

    @cached_property
    def frame(self) -> Frame:
        """Cameras and poses."""
        return self.read_frame()

    @cached_property
    def points(self) -> NDArray[np.float32]:
        """(N,4) rows of the points."""
        return self.read_points()

    @cached_property
    def boxes(self) -> Boxes:
        """Fitted to the clusters, in the order of their ids."""
        return fit_boxes(self.points[:, :3], self.found.labels, self.taxonomy)

    @cached_property
    def true_boxes(self) -> Boxes | None:
        """Of the data set, None where it has none for the frame."""
        return self.read_true_boxes()

    @cached_property
    def masks(self) -> Mapping[str, ImageMasks]:
        """The images."""
        return self.read_masks()


def require_known(taxonomy: Taxonomy, classes: Collection[str], what: str) -> None:
    """Every class of a taxonomy must be one of a format's.

    Raises:
        SchemaError: SCH004 naming those that are not.
    """
    foreign = [name for name in taxonomy.names if name not in classes]
    if foreign:
        raise SchemaError(
            "SCH004",
            f"{what} has no class for {', '.join(foreign)} of taxonomy {taxonomy.name!r}",
            f"label with classes out of: {', '.join(classes)}",
        )
