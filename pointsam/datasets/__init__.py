"""Data sets. Each is a plug-in (pointsam.base.plugins); the user selects it by its name."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

from pointsam.base import plugins
from pointsam.base.errors import DatasetError, PluginError
from pointsam.base.remote import DataPath, data_path, is_folder, names_in, unreadable
from pointsam.datasets.base import Dataset, DatasetPlugin, HasClouds
from pointsam.datasets.columns import require_columns
from pointsam.datasets.layouts import LIKE_KITTI, incomplete, packed, unread
from pointsam.types import Frame

__all__ = ["Dataset", "DatasetPlugin", "open_dataset", "read_frame"]

_OF_THE_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT)
"""Errors of memory, open files and disk space: they concern every frame."""

_LEVELS, _MOST_NAMES, _MOST_FOLDERS = 3, 300, 30
"""How far, and among how many names and folders, the data set is looked for that a wrong root belongs to."""


def open_dataset(
    root: DataPath | str,
    name: str | None = None,
    version: str | None = None,
    *,
    lidar: str | None = None,
    columns: Sequence[str] | None = None,
) -> Dataset:
    """Open a data set of a named type, or of the type that its root is recognised as.

    Args:
        root: the folder: a path, or a URL as fsspec reads them (needs the extra `remote`).
        name: name of a data set plug-in ("nuscenes"); None asks each plug-in whether it recognises the root.
        version: version folder of nuScenes tables ("v1.0-mini"), if there are several.
        lidar: channel of the LiDAR whose points are labelled, or several with commas between them; None for the
            usual one.
        columns: names of all values of a point in files that do not state them, in their order; None for those of the
            layout. x, y and z must be among them.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if no plug-in or several recognise it or none has the name,
            DAT004 if its object store cannot be reached, DAT010 on a version or an option that the type does not take,
            or on columns without x, y and z; and errors of opening the data set.
        BackendError: BCK005 if a package is missing that reads the URL.
        PluginError: PLG001 if the plug-in of that name cannot be loaded, PLG002 if there are two.
    """
    root = data_path(root)
    if not is_folder(root):
        raise DatasetError(
            "DAT001", f"{root}: no such folder", "check the path; it must be the folder that holds the data set"
        )
    known = plugins.names("datasets")
    if name is not None and name not in known:
        way = f"use one of: {', '.join(known)}" if known else plugins.NONE_INSTALLED
        raise DatasetError("DAT002", f"no data set is called {name!r}", way)
    name = name or _recognised(root)
    plugin = plugins.load("datasets", name, DatasetPlugin)
    if version is not None and not plugin.versions:
        raise DatasetError("DAT010", f"{root}: {name} has no version {version!r}", "leave the version out")
    given = {"lidar": lidar, "columns": None if columns is None else tuple(columns)}
    if columns is not None:
        require_columns(tuple(columns))
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in plugin.options:
            raise DatasetError("DAT010", f"{root}: data sets of type {name} take no --{option}", "leave the option out")
    try:
        dataset = plugin.open(root, version, **options)
    except DatasetError as error:
        readers, _ = _readers()
        others = [other for other in _names(readers, root, []) if other != name]
        if not others or name in _names({name: plugin}, root, []):
            raise
        raise DatasetError(
            "DAT002",
            f"{root} is recognised as {', '.join(others)}, not as {name}: {error.message}",
            f"give a data set of type {name}, which was asked for or is that of the labels, or name another type with "
            "--dataset",
        ) from error
    if dataset.name != name:
        raise PluginError(
            "PLG001",
            f"plug-in {name!r} opens a data set with the name {dataset.name!r}: a finished run could not open it again",
            "give the entry point and the `name` of the data set the same name",
        )
    return dataset


def read_frame(dataset: Dataset, frame_id: str) -> Frame:
    """A frame of a data set, which may be a plug-in that does not turn errors of its files or network into DAT004.

    Raises:
        DatasetError, CalibrationError: as `Dataset.frame`; DAT004 in place of an OSError.
        OSError: if memory, open files or disk space run out.
    """
    try:
        return dataset.frame(frame_id)
    except OSError as error:
        if error.errno in _OF_THE_MACHINE:
            raise
        raise unreadable("frame", f"{dataset.root}, {frame_id}", error) from error


def read_cloud_frame(dataset: Dataset, frame_id: str) -> Frame:
    """A frame for its points only: it has no cameras if the data set can do without images.

    Raises:
        DatasetError, CalibrationError: as `Dataset.frame`.
    """
    return dataset.cloud(frame_id) if isinstance(dataset, HasClouds) else dataset.frame(frame_id)


def _recognised(root: DataPath) -> str:
    """Name of the one plug-in that recognises a root. The error for an unknown root names broken plug-ins."""
    readers, broken = _readers()
    found = _names(readers, root, broken)
    if len(found) == 1:
        other = unread(root, LIKE_KITTI) if found == ["kitti"] else None
        if other is not None:
            raise other
        return found[0]
    if found:
        raise DatasetError(
            "DAT002", f"{root}: recognised by several data sets: {', '.join(found)}", "name one of them with --dataset"
        )
    error = unread(root, depth=0) or _elsewhere(readers, root) or unread(root) or incomplete(root) or packed(root)
    if error is None:
        layouts = ", ".join(f"{plugin.layout} ({name})" for name, plugin in readers.items()) or "nothing"
        way = "give the folder that directly holds these, or name the type of the data set with --dataset"
        error = DatasetError(
            "DAT002",
            f"{root}: no known data set; looked for {layouts}",
            f"{way}: {', '.join(plugins.names('datasets'))}" if readers else plugins.NONE_INSTALLED,
        )
    raise type(error)(error.code, "; ".join([error.message, *broken]), error.hint)


def _readers() -> tuple[dict[str, DatasetPlugin], list[str]]:
    """The plug-ins by name, and what is wrong with those that cannot be loaded."""
    readers, broken = dict[str, DatasetPlugin](), list[str]()
    for name in plugins.names("datasets"):
        try:
            readers[name] = plugins.load("datasets", name, DatasetPlugin)
        except PluginError as error:
            broken.append(error.message)
    return readers, broken


def _names(readers: Mapping[str, DatasetPlugin], root: DataPath, broken: list[str]) -> list[str]:
    """Names of the plug-ins that recognise a root. What fails is added to `broken`."""
    found = []
    for name, plugin in readers.items():
        try:
            if plugin.recognises(root):
                found.append(name)
        except Exception as error:  # in third-party code; the other plug-ins are still asked
            broken.append(f"{name} failed: {type(error).__name__}: {error}")
    return found


def _elsewhere(readers: Mapping[str, DatasetPlugin], root: DataPath) -> DatasetError | None:
    """The error for a root whose parents, or folders, are roots of data sets."""
    above = list(root.absolute().parents)[:_LEVELS] if isinstance(root, Path) else []
    below = _folders(root)
    for folder in (*above, *below, *(deeper for one in below for deeper in _folders(one))):
        found = _names(readers, folder, [])
        if found:
            where = "inside of a data set" if folder in above else "not a data set, but holds one"
            what = f"{root}: this folder is {where}: {folder} is recognised as {', '.join(found)}"
            return DatasetError("DAT002", what, f"give {folder}")
    return None


def _folders(root: DataPath) -> list[DataPath]:
    """Some folders in a folder; none if it cannot be listed."""
    try:
        names = [name for name in names_in(root) if not name.startswith(".")]
        return [root / name for name in names[:_MOST_NAMES] if (root / name).is_dir()][:_MOST_FOLDERS]
    except (DatasetError, OSError):
        return []
