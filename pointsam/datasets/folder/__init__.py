"""A plain folder: images/CAMERA, clouds/LIDAR and one calibration file (docs/folder.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import NUSCENES

PARTS = ("images", "clouds")
"""Folders that a drive has."""
_BESIDE = ("ImageSets", "truth2d")
"""Folders beside drives: lists of splits, and ground truth of images."""
_MOST = 10_000
"""Names in a root among which drives are looked for."""
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,4}$")


def is_drive(folder: DataPath) -> bool:
    """Whether a folder holds the sensors of a drive."""
    return all((folder / part).is_dir() for part in PARTS)


def drives_in(root: DataPath) -> list[str]:
    """Names of the drives in a root, sorted; "" if the root is a drive itself."""
    return [""] if is_drive(root) else [name for name in _folders(root) if is_drive(root / name)]


def names_passed_over(root: DataPath) -> int:
    """Number of names in a root that may be folders of drives, and are too many to be looked at."""
    return 0 if is_drive(root) else max(len(_candidates(root)) - _MOST, 0)


def left_out(root: DataPath) -> Iterator[tuple[str, str]]:
    """Names of the folders of a root that look like drives and are none, and why."""
    found = drives_in(root)
    for name in _folders(root):
        there = [part for part in PARTS if (root / name / part).is_dir()]
        if found == [""] and len(there) == len(PARTS):
            yield name, "the root has images/ and clouds/ of its own, so that it is the only drive"
        elif found != [""] and len(there) == 1:
            lacks = next(part for part in PARTS if part not in there)
            yield name, f"it has {there[0]}/ and no {lacks}/"


def _folders(root: DataPath) -> list[str]:
    """Names in a root that may be folders of drives."""
    return _candidates(root)[:_MOST]


def _candidates(root: DataPath) -> list[str]:
    names = [name for name in names_in(root) if not name.startswith(".")]
    if isinstance(root, Path):
        return [name for name in names if (root / name).is_dir()]
    return [name for name in names if not _SUFFIX.search(name)]  # an object store is not asked for every file


def _recognises(root: DataPath) -> bool:
    """Whether a root is a drive, or holds drives and little else: a folder of many data sets may hold one of them."""
    found = drives_in(root)
    others = set(_folders(root)) - {*found, *_BESIDE}
    return found == [""] or 0 < len(found) >= len(others)


def _open(
    root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None, lidar: str | None = None
) -> Dataset:
    from pointsam.datasets.folder.dataset import Folder

    return Folder(root, columns, lidar)


DATASET = DatasetPlugin(
    NUSCENES,
    "images/CAMERA and clouds/LIDAR, in the root or in its folders",
    _recognises,
    _open,
    options=("lidar", "columns"),
)
