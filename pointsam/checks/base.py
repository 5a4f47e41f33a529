"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_columns
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import Projection, project
from pointsam.types import CameraView, Frame, FramePoints, Sweep

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One finding of a rule.

    Args:
        where: the file, the table or the sensor.
        what: what is wrong there, with the figures that show it.
    """

    where: str
    what: str


class Probe:
    """A key frame under test. Points are read once, when a rule first asks for them.

    Args:
        frame: the frame.
        dataset: the data set that it belongs to.
    """

    def __init__(self, frame: Frame, dataset: Dataset) -> None:
        self.frame = frame
        self.dataset = dataset
        self._projections: dict[str, Projection] = {}

    @cached_property
    def points(self) -> FramePoints:
        """The points of all sweeps that have a position, with intensity.

        Raises:
            DatasetError, CalibrationError: as `read_frame_points`.
        """
        points = read_frame_points(self.frame, intensity=True)
        return points.keep(points.present)

    def projection(self, view: CameraView) -> Projection:
        """The points of the frame in one of its images."""
        if view.name not in self._projections:
            self._projections[view.name] = project(self.points.xyz_lidar_m, self.frame, view)
        return self._projections[view.name]

    def column(self, sweep: Sweep, name: str) -> NDArray[np.float32]:
        """(N,) one column of a sweep."""
        return read_columns(sweep, (name,))[:, 0]


OfFrame = Callable[[Probe], Iterator[Problem]]
OfScene = Callable[[Sequence[Frame]], Iterator[Problem]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        id: what `--accept` names, such as "points-in-view".
        severity: an "error" stops a run unless it is accepted; a "warning" is printed.
        title: one line: what must hold.
        remedy: what to do if it does not.
        of_frame: looks at a sampled frame, its points and the headers of its images.
        of_scene: looks at all frames of a scene in order of time, reading no points and no pixels.
    """

    id: str
    severity: Severity
    title: str
    remedy: str
    of_frame: OfFrame | None = field(default=None, compare=False)
    of_scene: OfScene | None = field(default=None, compare=False)
