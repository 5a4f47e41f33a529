"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.datasets.base import Dataset, HasTableProblems
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
OfDataset = Callable[[Dataset, Sequence[str]], Iterator[Problem]]


class Survey:
    """Looks at all frames in turn, keeps what it counts, and reports once."""

    def see(self, frame: Frame) -> None:
        """Count a frame; reads no points and no pixels."""

    def open(self, probe: Probe) -> None:
        """Count a sampled frame, whose files may be read."""

    def problems(self) -> Iterator[Problem]:
        """The findings, after the last frame."""
        yield from ()


def in_tables(rule: str) -> OfDataset:
    """A check that passes on what the data set itself finds in its tables for a rule."""

    def check(dataset: Dataset, _frame_ids: Sequence[str]) -> Iterator[Problem]:
        if isinstance(dataset, HasTableProblems):
            for found in dataset.table_problems():
                if found.rule == rule:
                    yield Problem(found.where, found.what)

    return check


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
        of_dataset: looks at the data set and the ids of the frames.
        survey: makes a survey of all frames.
        quarantined: whether a run quarantines the frames that break the rule, and labels the others.
    """

    id: str
    severity: Severity
    title: str
    remedy: str
    of_frame: OfFrame | None = field(default=None, compare=False)
    of_scene: OfScene | None = field(default=None, compare=False)
    of_dataset: OfDataset | None = field(default=None, compare=False)
    survey: Callable[[], Survey] | None = field(default=None, compare=False)
    quarantined: bool = False
