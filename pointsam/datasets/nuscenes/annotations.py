"""The ground truth in nuScenes' tables: boxes, categories, label files."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes import schema
from pointsam.datasets.nuscenes.columns import BoxColumns, Categories, Link, Rows, numbers, ranges, rows_of
from pointsam.datasets.nuscenes.tables import read_rows
from pointsam.datasets.nuscenes.versions import table_path
from pointsam.geometry.tracks import velocities

VISIBILITY = ("0-40 %", "40-60 %", "60-80 %", "80-100 %")
"""Fraction of an object that all cameras together see, in the order of VISIBILITY_TOKENS."""
VISIBILITY_TOKENS = "1234"


def read_categories(folder: DataPath) -> tuple[Categories, dict[str, int]]:
    """The categories, and the row of each token.

    Only the label packs' category.json numbers the categories; the plain one has no `index`.
    """
    if not table_path(folder, "category").is_file():
        return {"name": [], "index": np.zeros(0, dtype=np.int64)}, {}
    try:
        rows = list(read_rows(folder, "category", schema.NumberedCategory))
    except DatasetError:
        plain = read_rows(folder, "category", schema.Category)
        rows = [schema.NumberedCategory(token, name, -1) for token, name in plain]
    index = np.array([row.index for row in rows], dtype=np.int64)
    return {"name": [row.name for row in rows], "index": index}, rows_of(row.token for row in rows)


def read_boxes(
    folder: DataPath, sample_row: Mapping[str, int], t_us: NDArray[np.int64], category_row: Mapping[str, int]
) -> tuple[BoxColumns, tuple[Rows, Rows]]:
    """The boxes, grouped by sample, otherwise in the order of the table.

    Args:
        folder: the version folder.
        sample_row: row of each sample's token.
        t_us: (N,) time of each sample.
        category_row: row of each category's token.

    Returns:
        The boxes, and the range of each sample (`columns.ranges`).
    """
    tokens: list[str] = []
    links, floats, visibility = array("i"), array("d"), array("b")
    if table_path(folder, "sample_annotation").is_file():
        to_category = Link(folder, "instance", "category_token", "category", category_row)
        instances = {
            token: (row, to_category(token, category))
            for row, (token, category) in enumerate(read_rows(folder, "instance", schema.Instance))
        }
        to_instance = Link(folder, "sample_annotation", "instance_token", "instance", instances)
        to_sample = Link(folder, "sample_annotation", "sample_token", "sample", sample_row)
        for box in read_rows(folder, "sample_annotation", schema.SampleAnnotation):
            tokens.append(box.token)
            level = box.visibility_token
            visibility.append(VISIBILITY_TOKENS.find(level) if len(level) == 1 else -1)
            links.extend((to_sample(box.token, box.sample_token), *to_instance(box.token, box.instance_token)))
            for value, count in ((box.translation, 3), (box.size, 3), (box.rotation, 4)):
                floats.extend(numbers(value, count))
    rows = np.array(links, dtype=np.int32).reshape(-1, 3)
    order = np.argsort(rows[:, 0], kind="stable")
    sample, instance, category = rows[order].T
    values = np.array(floats).reshape(-1, 10)[order]
    boxes: BoxColumns = {
        "token": [tokens[row] for row in order],
        "translation": values[:, :3],
        "size_wlh": values[:, 3:6],
        "rotation": values[:, 6:],
        "category": category,
        "visibility": np.array(visibility, dtype=np.int8)[order],
        "velocity": velocities(values[:, :3], instance, t_us[sample]),
    }
    return boxes, ranges(sample, len(t_us))


def read_label_files(folder: DataPath, table: str, row_of: Mapping[str, int | None], count: int) -> list[str]:
    """Label files of one label pack, "" for sweeps without one.

    Args:
        folder: the version folder.
        table: one of `LABEL_TABLES`.
        row_of: row of each key sweep's token; None for key frames of sensors that are not read.
        count: number of sweeps.
    """
    files = [""] * count
    if table_path(folder, table).is_file():
        link = Link(folder, table, "sample_data_token", "sample_data", row_of)
        for token, sweep, file in read_rows(folder, table, schema.LabelFile):
            row = link(token, sweep)
            if row is not None:
                files[row] = file
    return files
