"""nuScenes and all data sets in its table format."""

from __future__ import annotations

from pointsam.base.remote import DataPath
from pointsam.datasets.base import Dataset, DatasetPlugin
from pointsam.datasets.nuscenes.versions import versions_of
from pointsam.taxonomy import NUSCENES


def _open(
    root: DataPath, version: str | None, columns: tuple[str, ...] | None = None, lidar: str | None = None
) -> Dataset:
    from pointsam.datasets.nuscenes.dataset import NuScenes

    return NuScenes(root, version, columns, lidar)


DATASET = DatasetPlugin(
    NUSCENES,
    "*/sample_data.json",
    lambda root: bool(versions_of(root)),
    _open,
    versions=True,
    options=("lidar", "columns"),
)
