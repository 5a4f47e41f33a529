"""nuScenes and all data sets in its table format."""

from __future__ import annotations

from pathlib import Path

from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import NUSCENES


def _has_tables(root: Path) -> bool:
    return next(root.glob("*/sample_data.json"), None) is not None


def _open(root: Path, version: str | None) -> Dataset:
    from pointsam.datasets.nuscenes.dataset import NuScenes

    return NuScenes(root, version)


DATASET = DatasetPlugin(NUSCENES, "*/sample_data.json", _has_tables, _open, versions=True)
