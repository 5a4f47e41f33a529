"""What a format of another tool must offer, and how it is plugged in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pointsam.export.frame import ExportFrame, Files

Row = TypeVar("Row")

GUESSED = "boxes are fitted to clusters: sizes are guessed from the class, and which end is the front nobody knows"
"""`Format.note` of formats with boxes."""


@dataclass(frozen=True)
class Exported(Generic[Row]):
    """What is known when all frames are written.

    Args:
        split: its name.
        names: of the frames.
        rows: what `Format.row` gave for each; none if the format has no `row`.
        class_names: of the taxonomy.
    """

    split: str
    names: Sequence[str]
    rows: Sequence[Row]
    class_names: Sequence[str]


class Stream(Protocol):
    """A single file that grows frame by frame."""

    def add(self, item: ExportFrame) -> None:
        """Write one frame."""


@dataclass(frozen=True)
class Format(Generic[Row]):
    """A format, as an entry point of the group `pointsam.exporters` names it.

    Args:
        frame: files of a frame, given the split's name.
        row: what a frame adds to the files of the split; kept until the end.
        close: files of the split.
        stream: opens a file that takes frame after frame, given its path; for formats that are one large file.
        suffix: of that file: SPLIT + suffix.
        lidar_tokens: whether frames are named by nuScenes' own tokens (pointsam.datasets.base.HasLidarTokens).
        masks: whether it holds masks; the others need no folder of masks.
        note: a warning worth saying.
    """

    frame: Callable[[ExportFrame, str], Files] = lambda _item, _split: {}
    row: Callable[[ExportFrame], Row] | None = None
    close: Callable[[Exported[Row]], Files] | None = None
    stream: Callable[[Path], AbstractContextManager[Stream]] | None = None
    suffix: str = ""
    lidar_tokens: bool = False
    masks: bool = False
    note: str = ""
