"""nuScenes and all data sets in its table format."""

from __future__ import annotations

from pointsam.base.remote import DataPath, names_in
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.taxonomy import NUSCENES


def versions_of(root: DataPath) -> list[str]:
    """Names of the version folders of a root, sorted."""
    return [name for name in names_in(root) if (root / name / "sample_data.json").is_file()]


def _open(root: DataPath, version: str | None) -> Dataset:
    from pointsam.datasets.nuscenes.dataset import NuScenes

    return NuScenes(root, version)


DATASET = DatasetPlugin(NUSCENES, "*/sample_data.json", lambda root: bool(versions_of(root)), _open, versions=True)
