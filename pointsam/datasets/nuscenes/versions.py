"""Version folders of a nuScenes root."""

from __future__ import annotations

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, is_folder, names_in
from pointsam.base.words import nearest

REQUIRED = ("sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose")
BOX_TABLES = ("sample_annotation", "instance", "category")
LABEL_TABLES = ("panoptic", "lidarseg")


def table_path(folder: DataPath, table: str) -> DataPath:
    """Where a version folder keeps a table."""
    return folder / f"{table}.json"


def versions_of(root: DataPath) -> list[str]:
    """Names of the version folders of a root, sorted."""
    return [name for name in names_in(root) if table_path(root / name, "sample_data").is_file()]


def find_version(root: DataPath, version: str | None) -> str:
    """Name of the version folder to read.

    Args:
        root: root of the data set.
        version: name of the folder; None if there is only one.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if there is no version folder, several and none was named,
            or a table is missing.
    """
    if not is_folder(root):
        raise DatasetError("DAT001", f"{root}: no such folder", "check the path")
    if version is None:
        found = versions_of(root)
        if len(found) != 1:
            if found:
                what, way = f"several version folders: {', '.join(found)}", f"name one of them: --version {found[-1]}"
            else:
                what = "no folder with sample_data.json in it"
                way = "give the folder that holds v1.0-mini, v1.0-trainval or the like"
            raise DatasetError("DAT002", f"{root}: {what}", way)
        version = found[0]
    needed = [*REQUIRED]
    if table_path(root / version, "sample_annotation").is_file():
        needed += BOX_TABLES
    missing = [f"{name}.json" for name in needed if not table_path(root / version, name).is_file()]
    if missing:
        found = versions_of(root)
        if found and version not in found:
            closest = nearest(version, found) or found[-1]
            raise DatasetError(
                "DAT002",
                f"{root / version}: no version folder; those of the root are {', '.join(found)}",
                f"name one of them: --version {closest}, or unpack the metadata archive of this version into the root",
            )
        raise DatasetError(
            "DAT002",
            f"{root / version}: not a nuScenes version folder, {', '.join(missing)} is missing",
            "unpack the metadata archive of this version into the root",
        )
    return version
