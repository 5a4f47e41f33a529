"""KITTI: object detection, tracking, raw drives, and SemanticKITTI on the odometry sequences."""

from __future__ import annotations

import re

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.datasets.kitti.suffixes import OF_FRAMES
from pointsam.taxonomy import KITTI, SEMANTICKITTI


def folders_in(folder: DataPath) -> list[str]:
    """Names of the folders in a folder that are not hidden, sorted; none if there is no such folder."""
    # A folder may hold thousands of files of frames, so that not all names are tested with is_dir.
    names = [name for name in names_in(folder) if not name.startswith(".") and not name.lower().endswith(OF_FRAMES)]
    return [name for name in names if (folder / name).is_dir()]


def _has_objects(root: DataPath) -> bool:
    """Whether there are folders of sweeps. Those that hold nothing but sequences are KITTI tracking's."""
    places = [root / folder / "velodyne" for folder in ("training", "testing")]
    return any(place.is_dir() and (_has_files(place) or not folders_in(place)) for place in places)


def _has_files(folder: DataPath) -> bool:
    return any(name.lower().endswith(OF_FRAMES) and not name.startswith(".") for name in names_in(folder))


def _open_objects(root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None) -> Dataset:
    from pointsam.datasets.kitti.objects import Kitti

    return Kitti(root, columns)


def tracking_parts(root: DataPath) -> list[DataPath]:
    """Folders of a KITTI tracking root that hold sequences of sweeps: training and testing, or the root itself."""
    parts = [root / name for name in ("training", "testing") if folders_in(root / name / "velodyne")]
    beside = ("calib", "image_2", "image_02", "label_2", "label_02", "oxts")
    alone = not parts and folders_in(root / "velodyne") and any((root / name).is_dir() for name in beside)
    return [root] if alone else parts


def _open_tracking(root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None) -> Dataset:
    from pointsam.datasets.kitti.tracking import KittiTracking

    return KittiTracking(root, columns)


def sequences_of(root: DataPath) -> list[str]:
    """Numbers of the sequences of a SemanticKITTI root that have sweeps, sorted."""
    folder = root / "sequences"
    return [name for name in folders_in(folder) if (folder / name / "velodyne").is_dir()]


def _open_sequences(root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None) -> Dataset:
    from pointsam.datasets.kitti.semantic import SemanticKitti

    return SemanticKitti(root, columns)


def drives_of(root: DataPath) -> tuple[list[DataPath], list[DataPath]]:
    """Folders of the drives of a KITTI raw root: the synchronised ones, and those that are not (_extract).

    The root holds folders of dates, or is one. A drive is DATE_drive_NNNN_sync, in the folder of its date.
    """
    found: dict[str, list[DataPath]] = {"_sync": [], "_extract": []}
    for date in (root, *(root / name for name in folders_in(root) if _DATE.fullmatch(name))):
        for name in folders_in(date):
            drive = _DRIVE.fullmatch(name)
            if drive and _is_raw(date, date / name):
                found[drive[1]].append(date / name)
    return found["_sync"], found["_extract"]


def _is_raw(date: DataPath, drive: DataPath) -> bool:
    """Whether a folder is a drive of KITTI raw; KITTI-360 names folders of sweeps alike and has only these there."""
    beside = (date / "calib_velo_to_cam.txt", drive / "oxts", drive / "image_02", drive / "image_03")
    return (drive / "velodyne_points").is_dir() and any(path.exists() for path in beside)


def _open_raw(root: DataPath, _version: str | None, columns: tuple[str, ...] | None = None) -> Dataset:
    from pointsam.datasets.kitti.raw import KittiRaw

    return KittiRaw(root, columns)


_OPTIONS = ("columns",)
_DATE = re.compile(r"\d{4}_\d{2}_\d{2}")
_DRIVE = re.compile(_DATE.pattern + r"_drive_\d+(_sync|_extract)")

OBJECTS = DatasetPlugin(KITTI, "training/velodyne or testing/velodyne", _has_objects, _open_objects, options=_OPTIONS)
TRACKING = DatasetPlugin(
    KITTI,
    "training/velodyne/SEQUENCE",
    lambda root: bool(tracking_parts(root)),
    _open_tracking,
    options=_OPTIONS,
)
RAW = DatasetPlugin(
    KITTI,
    "DATE/DATE_drive_0001_sync/velodyne_points",
    lambda root: any(drives_of(root)),
    _open_raw,
    options=_OPTIONS,
)
SEQUENCES = DatasetPlugin(
    SEMANTICKITTI,
    "sequences/*/velodyne",
    lambda root: bool(sequences_of(root)),
    _open_sequences,
    options=_OPTIONS,
)
