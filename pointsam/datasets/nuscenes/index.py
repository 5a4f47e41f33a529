"""The cached, memory-mapped index of a nuScenes version folder.

Reading the JSON tables of v1.0-trainval takes most of a minute, opening the index milliseconds. One Arrow file holds
every group of `join` as a list of structs. It lies in the user's cache, under a name made of the folder and of each
table's name, size and time of change, so that changed tables are read again. It is written to a temporary name, synced
and renamed: no worker ever sees half a file.
"""

from __future__ import annotations

import hashlib
import os
import time
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from pointsam.base.arrays import AnyArray
from pointsam.base.cache import cache_dir, cache_error
from pointsam.base.files import make_folder, replacing
from pointsam.base.locks import locked
from pointsam.base.remote import DataPath, version_of
from pointsam.datasets.nuscenes.columns import ColumnGroup
from pointsam.datasets.nuscenes.join import join
from pointsam.datasets.nuscenes.versions import BOX_TABLES, LABEL_TABLES, REQUIRED, table_path

_LAYOUT = "6"
"""Change it whenever the columns of the index change."""

_FRAME_GROUPS = ("samples", "sweeps", "images", "calibrations", "poses")
_TRUTH_COLUMNS = ("box_first", "box_last", *LABEL_TABLES)
_LENS_COLUMNS = ("distortion", "lens", "readout")
"""Of calibrations; where no camera has them, fingerprints are those of versions that did not read them."""


class Index:
    """An open index: columns by group, memory-mapped.

    Attributes:
        fingerprint: sha256 of everything that frames are made of (not boxes or label files), equal on all machines.
        lidars: channels of the LiDARs of the sweeps, the reference LiDAR first.
    """

    def __init__(self, groups: Mapping[str, pa.StructArray], fingerprint: str, lidars: tuple[str, ...]) -> None:
        self._groups = groups
        self._numbers: dict[tuple[str, str], AnyArray] = {}
        self.fingerprint = fingerprint
        self.lidars = lidars

    def num_rows(self, group: str) -> int:
        """Number of rows of a group."""
        return len(self._groups[group])

    def find_sample(self, token: str) -> int | None:
        """Row of a sample, by binary search; None if there is no such sample."""
        tokens, order = self.strings("samples", "token"), self.numbers("samples", "by_token")
        at = bisect_left(order, token, key=lambda row: tokens[row].as_py())
        row = int(order[at]) if at < len(order) else -1
        return row if row >= 0 and tokens[row].as_py() == token else None

    def strings(self, group: str, column: str) -> pa.StringArray:
        """A column of strings."""
        return self._groups[group].field(column)

    def numbers(self, group: str, column: str) -> AnyArray:
        """(N,) or (N,k) column of numbers."""
        if (group, column) not in self._numbers:
            values = self._groups[group].field(column)
            if pa.types.is_fixed_size_list(values.type):
                self._numbers[group, column] = values.values.to_numpy().reshape(len(values), values.type.list_size)
            else:
                self._numbers[group, column] = values.to_numpy()
        return self._numbers[group, column]


def open_index(folder: DataPath, lidar: str | None = None) -> Index:
    """The index of a version folder; built if the cache has none for the tables as they are.

    Args:
        folder: the version folder.
        lidar: channels of the LiDARs with commas between them, None for the usual one.

    Raises:
        DatasetError: as `join`.
        StoreError: OUT002 or OUT003 if the cache cannot be written.
    """
    path = index_path(folder, lidar)
    index = _load(path)
    if index is None:
        try:
            make_folder(path.parent)
            with locked(path.parent):  # one of many workers builds, the others wait and read its file
                index = _load(path) or _build(folder, lidar, path)
        except OSError as error:
            raise cache_error(path.parent, error) from error
    return index


def index_path(folder: DataPath, lidar: str | None = None) -> Path:
    """Path in the cache of the index of these tables, as they are now."""
    tables = [table_path(folder, name) for name in (*REQUIRED, *BOX_TABLES, *LABEL_TABLES)]
    state = [_LAYOUT, *(f"{path.name} {version_of(path)}" for path in tables if path.is_file())]
    place = str(folder.resolve()) + ("" if lidar is None else f"\n{lidar}")
    of_folder, of_tables = _short_hash(place), _short_hash("\n".join(state))
    return cache_dir("nuscenes") / of_folder / f"{of_tables}.arrow"


def _short_hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def _load(path: Path) -> Index | None:
    """None if there is no index, or if it is damaged and must be built again."""
    try:
        return _of_table(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    except (OSError, pa.ArrowInvalid):
        return None


def _of_table(table: pa.Table) -> Index:
    groups = {name: table[name].chunk(0).values for name in table.column_names}
    fingerprint, lidars = (table.schema.metadata[name.encode()].decode() for name in ("fingerprint", "lidars"))
    return Index(groups, fingerprint, tuple(lidars.split("\n")))


def _build(folder: DataPath, wanted: str | None, path: Path) -> Index:
    started = time.time()
    groups, lidars = join(folder, wanted)
    table = pa.table({name: _one_row(columns) for name, columns in groups.items()})
    table = table.replace_schema_metadata({"fingerprint": _fingerprint(groups), "lidars": "\n".join(lidars)})
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), table.schema) as writer:
        writer.write_table(table)
    _forget_older(path, started)
    return _load(path) or _of_table(table)  # memory-mapped, which frees the memory of the builder


def _forget_older(path: Path, started: float) -> None:
    """Removes indices of earlier states of the tables, and files of killed builders of version 0.1.0."""
    for other in path.parent.glob("*.arrow*"):
        with suppress(OSError):
            if other != path and other.stat().st_mtime < started:
                other.unlink()


def _one_row(columns: ColumnGroup) -> pa.ListArray:
    """A group as a list of one item, so that groups of different lengths fit into one file."""
    arrays = [_array(values) for values in columns.values()]
    rows = pa.StructArray.from_arrays(arrays, names=list(columns))
    return pa.ListArray.from_arrays(pa.array([0, len(rows)], type=pa.int32()), rows)


def _array(values: object) -> pa.Array:
    if isinstance(values, list):
        return pa.array(values, type=pa.string())
    numbers = np.ascontiguousarray(values)
    if numbers.ndim == 1:
        return pa.array(numbers)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), numbers.shape[1])


def _fingerprint(groups: Mapping[str, ColumnGroup]) -> str:
    digest = hashlib.sha256()
    for group in _FRAME_GROUPS:
        for name, values in groups[group].items():
            if name in _TRUTH_COLUMNS or (name in _LENS_COLUMNS and isinstance(values, list) and not any(values)):
                continue
            content = "\0".join(values).encode() if isinstance(values, list) else np.ascontiguousarray(values).tobytes()
            digest.update(f"{group}.{name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()
