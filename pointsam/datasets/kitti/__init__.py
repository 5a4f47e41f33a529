"""KITTI: object detection, and SemanticKITTI on the odometry sequences."""

from __future__ import annotations

from pathlib import Path

from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import KITTI, SEMANTICKITTI


def _has_objects(root: Path) -> bool:
    return any((root / folder / "velodyne").is_dir() for folder in ("training", "testing"))


def _open_objects(root: Path, _version: str | None) -> Dataset:
    from pointsam.datasets.kitti.objects import Kitti

    return Kitti(root)


def _has_sequences(root: Path) -> bool:
    return next(root.glob("sequences/*/velodyne"), None) is not None


def _open_sequences(root: Path, _version: str | None) -> Dataset:
    from pointsam.datasets.kitti.semantic import SemanticKitti

    return SemanticKitti(root)


OBJECTS = DatasetPlugin(KITTI, "training/velodyne or testing/velodyne", _has_objects, _open_objects)
SEQUENCES = DatasetPlugin(SEMANTICKITTI, "sequences/*/velodyne", _has_sequences, _open_sequences)
