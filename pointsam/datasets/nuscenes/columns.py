"""Columns that frames need, and the links between the rows of nuScenes' tables."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import IntArray
from pointsam.base.errors import BrokenRuleError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes.versions import table_path

V = TypeVar("V")

Rows = NDArray[np.int32]
"""(N,) row numbers in another group, -1 = none."""

ColumnGroup = Mapping[str, object]
"""One of the groups below: columns by name, each a list of strings or an (N,) or (N,k) array."""


class Samples(TypedDict):
    """Samples by (scene, time).

    `by_token` lists rows in the order of their tokens. `lidar` (N,L) are rows of the key sweeps of each LiDAR. Pairs of
    `_first` and `_last` are ranges of rows in `images` and `boxes`.
    """

    token: list[str]
    by_token: Rows
    scene: list[str]
    t_us: NDArray[np.int64]
    lidar: Rows
    camera_first: Rows
    camera_last: Rows
    box_first: Rows
    box_last: Rows


class Sweeps(TypedDict):
    """The exposures of the LiDARs by (sample, LiDAR, time); `prev` and `next` are -1 at the ends of a scene.

    Two further columns of strings, `panoptic` and `lidarseg`, are label files, "" = none.
    """

    t_us: NDArray[np.int64]
    token: list[str]
    file: list[str]
    calibration: NDArray[np.int64]
    pose: Rows
    prev: Rows
    next: Rows


class Images(TypedDict):
    """Key frames of the cameras, by sample and camera."""

    token: list[str]
    file: list[str]
    t_us: NDArray[np.int64]
    calibration: NDArray[np.int64]
    pose: Rows
    width_px: NDArray[np.int64]
    height_px: NDArray[np.int64]


class Calibrations(TypedDict):
    """Mountings of the sensors: (N,3) metres, (N,4) quaternions w x y z, (N,9) camera matrices, NaN = none.

    The last three columns are text (`lenses.as_text`).
    """

    token: list[str]
    channel: list[str]
    translation: NDArray[np.float64]
    rotation: NDArray[np.float64]
    intrinsic: NDArray[np.float64]
    distortion: list[str]
    lens: list[str]
    readout: list[str]


class Poses(TypedDict):
    """Ego poses in the world frame: (N,3) metres, (N,4) quaternions w x y z."""

    token: list[str]
    translation: NDArray[np.float64]
    rotation: NDArray[np.float64]


class BoxColumns(TypedDict):
    """Annotations in the world frame by sample: metres, quaternions w x y z, metres per second.

    `visibility` is a level from 0, -1 = unknown. Unknown velocities are NaN.
    """

    token: list[str]
    translation: NDArray[np.float64]
    size_wlh: NDArray[np.float64]
    rotation: NDArray[np.float64]
    category: Rows
    visibility: NDArray[np.int8]
    velocity: NDArray[np.float64]


class Categories(TypedDict):
    """Names, and the numbers that label files use; -1 = the table gives none."""

    name: list[str]
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Link(Generic[V]):
    """A field whose tokens name rows of another table.

    Args:
        folder, table, field: place of the tokens.
        target: table that they point to.
        rows: value for each token of `target`.
    """

    folder: DataPath
    table: str
    field: str
    target: str
    rows: Mapping[str, V]

    def __call__(self, owner: str, token: str) -> V:
        """The value for `token`, which the row `owner` holds.

        Raises:
            BrokenRuleError: DAT003 if no row of `target` has the token.
        """
        try:
            return self.rows[token]
        except KeyError:
            raise BrokenRuleError(
                "DAT003",
                f"{table_path(self.folder, self.table)}: row {owner!r}, field {self.field!r} points to {token!r}, "
                f"which is not in {self.target}.json",
                "the tables are truncated or from different releases: unpack them again, all from one archive",
            ) from None


def numbers(value: Sequence[float], count: int) -> Sequence[float]:
    """`count` floats, or NaNs if the value is something else: the check of the frame then names the row."""
    try:
        floats = array("d", value)
    except TypeError:  # the values of lists were not checked
        return [np.nan] * count
    return floats if len(floats) == count else [np.nan] * count


class _HasToken(Protocol):
    @property
    def token(self) -> str: ...


T = TypeVar("T", bound=_HasToken)


def by_token(folder: DataPath, table: str, rows: Iterable[T]) -> dict[str, T]:
    """The rows of a table by token. Equal rows count once.

    Raises:
        BrokenRuleError: DAT012 if two different rows have the same token.
    """
    known: dict[str, T] = {}
    for row in rows:
        if known.setdefault(row.token, row) != row:
            raise same_token(folder, table, row.token)
    return known


def same_token(folder: DataPath, table: str, token: str) -> BrokenRuleError:
    """The error of two different rows with the same token."""
    return BrokenRuleError(
        "DAT012",
        f"{table_path(folder, table)}: two different rows have the token {token!r}",
        "keep the right row, or unpack the tables again, all from one archive",
    )


def rows_of(tokens: Iterable[str]) -> dict[str, int]:
    """Token -> row."""
    return {token: row for row, token in enumerate(tokens)}


def matrix(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    """(N, width) float64, also when there are no rows."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def ranges(owner: IntArray, count: int) -> tuple[Rows, Rows]:
    """First rows, and those after the last, of each of `count` owners in a table sorted by owner.

    Args:
        owner: (N,) rising.
        count: how many owners there are.
    """
    row = np.arange(count)
    first, last = (np.searchsorted(owner, row, side=side).astype(np.int32) for side in ("left", "right"))
    return first, last
