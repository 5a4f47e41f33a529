"""Data sets on disk. A module is a data set: its name is what the user types."""

from __future__ import annotations

from pathlib import Path

from pointsam.base.errors import DatasetError
from pointsam.datasets.base import Dataset

__all__ = ["DATASETS", "Dataset", "open_dataset"]

DATASETS: tuple[str, ...] = ("nuscenes", "kitti", "semantickitti")
"""Names that `open_dataset` takes."""


def open_dataset(root: Path, name: str | None = None, version: str | None = None) -> Dataset:
    """Open a data set, by name or by what its root holds.

    Args:
        root: the folder.
        name: one of DATASETS; None looks at the folder.
        version: the nuScenes table folder ("v1.0-mini"), where there are several.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if it is no data set known here or not the one named,
            DAT010 on a version of a data set that has none; and what opening the data set raises.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(
            "DAT001", f"{root}: no such folder", "check the path; it must be the folder that holds the data set"
        )
    name = name or _guess(root)
    if name == "nuscenes":
        from pointsam.datasets.nuscenes.dataset import NuScenes

        return NuScenes(root, version)
    if name in DATASETS and version is not None:
        raise DatasetError("DAT010", f"{root}: {name} has no version {version!r}", "leave the version out")
    if name == "kitti":
        from pointsam.datasets.kitti.objects import Kitti

        return Kitti(root)
    if name == "semantickitti":
        from pointsam.datasets.kitti.semantic import SemanticKitti

        return SemanticKitti(root)
    raise DatasetError("DAT002", f"no data set is called {name!r}", f"use one of: {', '.join(DATASETS)}")


def _guess(root: Path) -> str:
    if next(root.glob("*/sample_data.json"), None) is not None:
        return "nuscenes"
    if any((root / folder / "velodyne").is_dir() for folder in ("training", "testing")):
        return "kitti"
    if next(root.glob("sequences/*/velodyne"), None) is not None:
        return "semantickitti"
    raise DatasetError(
        "DAT002",
        f"{root}: no data set recognised; looked for */sample_data.json (nuscenes), training/velodyne or "
        "testing/velodyne (kitti) and sequences/*/velodyne (semantickitti)",
        f"give the folder that directly holds these, or name the data set: {', '.join(DATASETS)}",
    )
