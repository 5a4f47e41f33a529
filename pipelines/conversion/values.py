"""What is converted, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.data import AS_FOUND, Reading
from pointsam.base.remote import DataPath
from pointsam.base.words import counted


@dataclass(frozen=True)
class Conversion:
    """What is converted, and how.

    Args:
        root: root of the source.
        reading: how it is read.
        target: folder, kitti or nuscenes.
        frames: ids of the frames; () for all of `split`.
        split: split or scene of the source; None for all its frames.
        camera: the camera that KITTI's layout gets; None for the first of each frame.
        accept_loss: whether to write although labels of the result can differ.
    """

    root: DataPath
    target: str
    reading: Reading = AS_FOUND
    frames: tuple[str, ...] = ()
    split: str | None = None
    camera: str | None = None
    accept_loss: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        dest: the new root.
        target: its layout.
        frames: number of its frames.
        changing: losses that change labels.
        notes: other losses.
        left_out: why frames were left out, by id.
        wall_seconds: duration.
        megabytes: size of the files.
        options: options of commands that read the result.
    """

    dest: Path
    target: str
    frames: int
    changing: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, str]
    wall_seconds: float
    megabytes: float
    options: str

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {**vars(self), "dest": str(self.dest), "left_out": dict(self.left_out)}

    def text(self) -> str:
        """For the terminal."""
        return (
            f"{self.dest}: {counted(self.frames, 'frame')} as {self.target} in {self.wall_seconds:.1f} s, "
            f"{self.megabytes:.0f} MB"
        )
