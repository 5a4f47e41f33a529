"""A plain folder: images/CAMERA, clouds/LIDAR and one calibration file (docs/folder.md)."""

from __future__ import annotations

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import NUSCENES

PARTS = ("images", "clouds")
"""Folders that a drive has."""
_MOST = 10_000
"""Names in a root among which drives are looked for."""


def is_drive(folder: DataPath) -> bool:
    """Whether a folder holds the sensors of a drive."""
    return all((folder / part).is_dir() for part in PARTS)


def drives_in(root: DataPath) -> list[str]:
    """Names of the drives in a root, sorted; "" if the root is a drive itself."""
    if is_drive(root):
        return [""]
    names = [name for name in names_in(root)[:_MOST] if not name.startswith(".") and "." not in name[-5:]]
    return [name for name in names if is_drive(root / name)]


def _open(
    root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None, lidar: str | None = None
) -> Dataset:
    from pointsam.datasets.folder.dataset import Folder

    return Folder(root, columns, lidar)


DATASET = DatasetPlugin(
    NUSCENES,
    "images/CAMERA and clouds/LIDAR, in the root or in its folders",
    lambda root: bool(drives_in(root)),
    _open,
    options=("lidar", "columns"),
)
