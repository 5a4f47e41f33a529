"""KITTI: object detection, and SemanticKITTI on the odometry sequences."""

from __future__ import annotations

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import KITTI, SEMANTICKITTI


def _has_objects(root: DataPath) -> bool:
    return any((root / folder / "velodyne").is_dir() for folder in ("training", "testing"))


def _open_objects(root: DataPath, _version: str | None) -> Dataset:
    from pointsam.datasets.kitti.objects import Kitti

    return Kitti(root)


def sequences_of(root: DataPath) -> list[str]:
    """Numbers of the sequences of a SemanticKITTI root that have sweeps, sorted."""
    folder = root / "sequences"
    return [name for name in names_in(folder) if (folder / name / "velodyne").is_dir()]


def _open_sequences(root: DataPath, _version: str | None) -> Dataset:
    from pointsam.datasets.kitti.semantic import SemanticKitti

    return SemanticKitti(root)


OBJECTS = DatasetPlugin(KITTI, "training/velodyne or testing/velodyne", _has_objects, _open_objects)
SEQUENCES = DatasetPlugin(SEMANTICKITTI, "sequences/*/velodyne", lambda root: bool(sequences_of(root)), _open_sequences)
