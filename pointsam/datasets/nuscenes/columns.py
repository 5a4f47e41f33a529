"""Columns, and the links between the rows of nuScenes' tables."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes.tables import table_path

Columns = dict[str, Any]
"""Column name -> (N,) or (N,k) array, or N strings."""


@dataclass(frozen=True)
class Link:
    """A field whose tokens name rows of another table.

    Args:
        folder, table, field: where the tokens stand.
        target: the table that they point to.
        rows: what to give for each of its tokens.
    """

    folder: DataPath
    table: str
    field: str
    target: str
    rows: Mapping[str, Any]

    def __call__(self, owner: str, token: str) -> Any:
        """What `token`, read in the row named `owner`, points to; DAT003 if it points nowhere."""
        try:
            return self.rows[token]
        except KeyError:
            raise DatasetError(
                "DAT003",
                f"{table_path(self.folder, self.table)}: row {owner!r}, field {self.field!r} points to {token!r}, "
                f"which is not in {self.target}.json",
                "the tables are cut or from different releases: unpack them again, all from one archive",
            ) from None


def numbers(value: list[Any], count: int) -> Any:
    """`count` floats; NaN where the table holds something else, so that the frame's own check names the row."""
    try:
        floats = array("d", value)
    except TypeError:
        return [np.nan] * count
    return floats if len(floats) == count else [np.nan] * count


def rows_of(tokens: Iterable[str]) -> dict[str, int]:
    """Token -> row."""
    return {token: row for row, token in enumerate(tokens)}


def matrix(rows: list[Any], width: int) -> NDArray[np.float64]:
    """(N, width) float64, also when there are no rows."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def add_ranges(samples: Columns, name: str, sample_of_row: NDArray[np.int64]) -> None:
    """Where each sample's rows begin and end in a table sorted by sample."""
    row = np.arange(len(samples["token"]))
    samples[f"{name}_first"] = np.searchsorted(sample_of_row, row, side="left").astype(np.int32)
    samples[f"{name}_last"] = np.searchsorted(sample_of_row, row, side="right").astype(np.int32)
