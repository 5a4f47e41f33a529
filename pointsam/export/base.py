"""The interface of an export format, and its plug-in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pointsam.export.frame import ExportFrame, Files

_Row = TypeVar("_Row")

GUESSED = "boxes are fitted to clusters: sizes are completed from the class, and the front is not known"
"""`Format.note` of formats with boxes."""


@dataclass(frozen=True)
class Exported(Generic[_Row]):
    """The frames of a split, after all are written.

    Args:
        split: name of the split.
        names: names of the frames.
        rows: result of `Format.row` for each frame; empty if the format has no `row`.
        class_names: classes of the taxonomy.
        tracked: whether the labels are those after tracking, so that objects keep their numbers through a scene.
    """

    split: str
    names: Sequence[str]
    rows: Sequence[_Row]
    class_names: Sequence[str]
    tracked: bool = False


class Stream(Protocol):
    """A single file that grows frame by frame."""

    def add(self, item: ExportFrame) -> None:
        """Write one frame."""


@dataclass(frozen=True)
class Format(Generic[_Row]):
    """An export format; entry points of the group `pointsam.exporters` name it.

    Args:
        frame: the files of a frame, given the name of the split.
        row: what a frame adds to the files of the split; kept until the end.
        close: the files of the split.
        stream: opens a file, given its path, that is written frame by frame; for formats that are one large file.
        suffix: suffix of the name of that file, SPLIT + suffix.
        lidar_tokens: whether frames are named by nuScenes' tokens (pointsam.datasets.base.HasLidarTokens).
        rectified: whether boxes are in the rectified frame of KITTI's camera (HasRectifiedCamera).
        classes: classes of the format, empty for any.
        every_frame: whether its readers need every frame of a split; quarantined frames are then written without
            objects.
        masks: whether the format has masks; other formats need no folder of masks.
        matrices: whether the format holds a matrix for each camera, and no lens or row times; an export of cameras
            that have some says so.
        note: warning that is printed after an export.
    """

    frame: Callable[[ExportFrame, str], Files] = lambda _item, _split: {}
    row: Callable[[ExportFrame], _Row] | None = None
    close: Callable[[Exported[_Row]], Files] | None = None
    stream: Callable[[Path], AbstractContextManager[Stream]] | None = None
    suffix: str = ""
    lidar_tokens: bool = False
    rectified: bool = False
    classes: Collection[str] = ()
    every_frame: bool = False
    masks: bool = False
    matrices: bool = False
    note: str = ""
