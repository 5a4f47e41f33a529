"""The truth side of nuScenes' tables: boxes, categories, label files."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes.columns import Columns, Link, add_ranges, numbers, rows_of
from pointsam.datasets.nuscenes.tables import read_rows, table_path

BOX_TABLES = ("sample_annotation", "instance", "category")
LABEL_TABLES = ("panoptic", "lidarseg")

VISIBILITY = ("0-40 %", "40-60 %", "60-80 %", "80-100 %")
"""How much of an object all cameras see, by the position of its visibility_token in VISIBILITY_TOKENS."""
VISIBILITY_TOKENS = "1234"

_LONGEST_GAP_S = 1.5


def read_categories(folder: DataPath) -> tuple[Columns, dict[str, int]]:
    """Only the label packs' category.json numbers the categories; the plain one has no `index`."""
    if not table_path(folder, "category").is_file():
        return {"name": [], "index": np.zeros(0, dtype=np.int64)}, {}
    try:
        rows = list(read_rows(folder, "category", {"token": str, "name": str, "index": int}))
    except DatasetError:
        rows = [(*row, -1) for row in read_rows(folder, "category", {"token": str, "name": str})]
    columns = {"name": [row[1] for row in rows], "index": np.array([row[2] for row in rows], dtype=np.int64)}
    return columns, rows_of(row[0] for row in rows)


def read_boxes(folder: DataPath, samples: Columns, sample_row: dict[str, int], category_row: dict[str, int]) -> Columns:
    """The boxes, grouped by sample in the table's own order; adds each sample's range to `samples`."""
    tokens: list[str] = []
    ints, floats, seen = array("i"), array("d"), array("b")
    if table_path(folder, "sample_annotation").is_file():
        to_category = Link(folder, "instance", "category_token", "category", category_row)
        instances = {
            token: (row, to_category(token, category))
            for row, (token, category) in enumerate(
                read_rows(folder, "instance", {"token": str, "category_token": str})
            )
        }
        to_instance = Link(folder, "sample_annotation", "instance_token", "instance", instances)
        to_sample = Link(folder, "sample_annotation", "sample_token", "sample", sample_row)
        strings = ("token", "sample_token", "instance_token", "visibility_token")
        fields = dict.fromkeys(strings, str) | dict.fromkeys(("translation", "size", "rotation"), list)
        rows = read_rows(folder, "sample_annotation", fields, {"visibility_token": ""})
        for token, sample, instance, visibility, translation, size, rotation in rows:
            tokens.append(token)
            seen.append(VISIBILITY_TOKENS.find(visibility) if len(visibility) == 1 else -1)
            ints.extend((to_sample(token, sample), *to_instance(token, instance)))
            for value, count in ((translation, 3), (size, 3), (rotation, 4)):
                floats.extend(numbers(value, count))
    links = np.array(ints, dtype=np.int32).reshape(-1, 3)
    order = np.argsort(links[:, 0], kind="stable")
    links = links[order]
    values = np.array(floats).reshape(-1, 10)[order]
    add_ranges(samples, "box", links[:, 0].astype(np.int64))
    return {
        "token": [tokens[row] for row in order],
        "translation": values[:, :3],
        "size_wlh": values[:, 3:6],
        "rotation": values[:, 6:],
        "category": links[:, 2],
        "visibility": np.array(seen, dtype=np.int8)[order],
        "velocity": velocities(values[:, :3], links[:, 1], samples["t_us"][links[:, 0]]),
    }


def velocities(
    position_m: NDArray[np.float64], instance: NDArray[np.integer[Any]], t_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N,3) metres a second: from an object's annotation before to the one after, as the devkit's `box_velocity`.

    Args:
        position_m: (N,3) world frame.
        instance: (N,) the object of each annotation.
        t_us: (N,) its time.

    Returns:
        NaN for an object seen once, and across gaps of more than 1.5 s (of 3 s, where there are two neighbours).
    """
    order = np.lexsort((t_us, instance))
    at = np.arange(len(order))
    same = np.append(instance[order][1:] == instance[order][:-1], False) if len(order) else np.zeros(0, dtype=bool)
    has_next, has_prev = same, np.append(False, same[:-1])[: len(order)]
    first, last = order[at - has_prev], order[at + has_next]
    seconds = (t_us[last] - t_us[first]) * 1e-6
    limit = _LONGEST_GAP_S * np.where(has_next & has_prev, 2, 1)
    known = (has_next | has_prev) & (seconds > 0) & (seconds <= limit)
    out = np.full((len(order), 3), np.nan)
    out[order[known]] = (position_m[last] - position_m[first])[known] / seconds[known, None]
    return out


def read_label_files(folder: DataPath, table: str, samples: Columns, sweeps: Columns) -> list[str]:
    """Each sample's label file of one label pack, "" where it has none."""
    files = [""] * len(samples["token"])
    if table_path(folder, table).is_file():
        sample_of = {sweeps["token"][row]: sample for sample, row in enumerate(samples["lidar"]) if row >= 0}
        link = Link(folder, table, "sample_data_token", "sample_data", sample_of)
        for token, sweep, file in read_rows(folder, table, {"token": str, "sample_data_token": str, "filename": str}):
            files[link(token, sweep)] = file
    return files
