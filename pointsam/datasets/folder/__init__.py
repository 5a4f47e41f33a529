"""A plain folder: images/CAMERA, clouds/LIDAR and one calibration file (docs/folder.md)."""

from __future__ import annotations

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import NUSCENES

PARTS = ("images", "clouds")
"""Folders that a drive has."""
_MOST = 10_000
"""Names in a root among which drives are looked for."""
_TEXTS = (".json", ".yaml", ".yml", ".txt", ".csv", ".md", ".html", ".pdf", ".py", ".label")
_IMAGES = (".png", ".jpg", ".jpeg", ".mp4")
_CLOUDS = (".bin", ".npy", ".pcd", ".ply", ".parquet", ".las", ".laz")
_ARCHIVES = (".bag", ".mcap", ".db3", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z")
_FILES = (*_TEXTS, *_IMAGES, *_CLOUDS, *_ARCHIVES)
"""Suffixes of names that are files; every other name may be that of a folder, with dots in it."""


def is_drive(folder: DataPath) -> bool:
    """Whether a folder holds the sensors of a drive."""
    return all((folder / part).is_dir() for part in PARTS)


def drives_in(root: DataPath) -> list[str]:
    """Names of the drives in a root, sorted; "" if the root is a drive itself."""
    return [""] if is_drive(root) else [name for name in _folders(root) if is_drive(root / name)]


def names_passed_over(root: DataPath) -> int:
    """Number of names in a root that may be folders of drives, and are too many to be looked at."""
    return 0 if is_drive(root) else max(len(_candidates(root)) - _MOST, 0)


def _folders(root: DataPath) -> list[str]:
    """Names in a root that may be folders of drives."""
    return _candidates(root)[:_MOST]


def _candidates(root: DataPath) -> list[str]:
    return [name for name in names_in(root) if not (name.startswith(".") or name.lower().endswith(_FILES))]


def _recognises(root: DataPath) -> bool:
    """Whether a root is a drive, or holds drives and little else: a folder of many data sets may hold one of them."""
    found = drives_in(root)
    return found == [""] or 0 < len(_folders(root)) <= 2 * len(found)


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
