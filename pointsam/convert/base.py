"""What writers of data sets share: a frame to write, what a layout cannot hold, and the interface of a writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pointsam.base.words import counted
from pointsam.convert.source import SourceFrame
from pointsam.types import Frame

Files = Mapping[str, bytes]
"""Content of files by path, relative to the root and with slashes."""


@dataclass(frozen=True)
class Loss:
    """Something that a layout cannot hold.

    Args:
        what: what is lost, and what takes its place.
        changes_labels: whether labels of the written data can differ for it.
        unit: what is counted.
        of_some: whether it is none if it holds for all frames.
    """

    what: str
    changes_labels: bool = False
    unit: str = "frame"
    of_some: bool = False


RENAMED = Loss("images get other names: folders of precomputed masks (--masks-dir) go by names and do not fit")


@dataclass
class Losses:
    """Losses of many frames.

    Args:
        counts: number of frames, or of other units, by loss.
        largest: largest of some measure by loss, with its unit.
    """

    counts: dict[Loss, int] = field(default_factory=dict)
    largest: dict[Loss, tuple[float, str]] = field(default_factory=dict)

    def add(self, loss: Loss, count: int = 1, size: float | None = None, unit: str = "") -> None:
        """Count a loss, of some size."""
        if count:
            self.counts[loss] = self.counts.get(loss, 0) + count
        if size is not None and size >= self.largest.get(loss, (0.0, ""))[0]:
            self.largest[loss] = (size, unit)

    def lines(self, changing: bool, frames: int) -> list[str]:
        """A line for each of the losses that change labels, or for each of the others.

        Args:
            changing: whether they change labels.
            frames: number of all frames.
        """
        lines = []
        for loss, count in self.counts.items():
            if loss.changes_labels == changing and not (loss.of_some and count == frames):
                size, unit = self.largest.get(loss, (0.0, ""))
                most = f", up to {size:.3g} {unit}" if unit else ""
                lines.append(f"{loss.what} ({counted(count, loss.unit)}{most})")
        return lines


@dataclass(frozen=True)
class FramePlan:
    """A frame to write. It is sent to the process that writes it.

    Args:
        number: its position among all frames, from 0.
        frame_id: its id in the source.
        scene: its scene in the source.
        after_us: time of the frame before it by sensor: sweeps after it are written with this frame. None at the start
            of a scene.
        last: whether it is the last frame of its scene.
        drive: the drive that it is written to, in layouts with drives.
        images: name of the file of each image without suffix, by camera.
        truth2d: folder of its drive below truth2d/, with a slash; "" where names of images are unique without it.
    """

    number: int
    frame_id: str
    scene: str
    after_us: Mapping[str, int] | None
    last: bool
    drive: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    truth2d: str = ""


class Writer(Protocol):
    """A layout that frames are written in. It is sent to the processes that write."""

    @property
    def next_options(self) -> str:
        """Options of the commands that read the result."""

    def survey(self, frame: Frame, losses: Losses) -> None:
        """Count what the layout cannot hold of a frame, from what is known before points and pixels are read."""

    def survey_truth(self, source: SourceFrame, losses: Losses) -> None:
        """Count what the layout cannot hold of the ground truth of a frame."""

    def plans(self, plans: Sequence[FramePlan], frames: Sequence[Frame]) -> list[FramePlan]:
        """The plans with the names that the layout gives."""

    def files(self, plan: FramePlan, source: SourceFrame) -> tuple[Files, object]:
        """The files of a frame, and what `close` needs of it.

        Raises:
            DatasetError: if points or pixels cannot be read.
        """

    def close(self, rows: Sequence[object], splits: Mapping[str, Sequence[int]]) -> Files:
        """The files of the whole data set.

        Args:
            rows: what `files` gave for each frame, in order.
            splits: positions in `rows` of the frames of each split.
        """


def tilt_deg(frame: Frame) -> float:
    """Angle between the vertical axes of the reference LiDAR and the vehicle."""
    up = np.clip(frame.sweep.ego_SE3_lidar.rotation[2, 2], -1.0, 1.0)
    return float(np.degrees(np.arccos(up)))


def is_timed(frames: Sequence[Frame]) -> bool:
    """Whether frames have times."""
    return any(frame.sweep.t_us for frame in frames)
