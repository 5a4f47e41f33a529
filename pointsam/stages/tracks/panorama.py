"""How far a LiDAR saw in each direction, and where cameras look: whether an object at a place should have been seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray

_STEP_DEG, _LOWEST_DEG, _HIGHEST_DEG = 2.0, -40.0, 40.0
_COLUMNS, _ROWS = round(360 / _STEP_DEG), round((_HIGHEST_DEG - _LOWEST_DEG) / _STEP_DEG)
_MARGIN_M = 1.0
"""A return that is nearer than a place by more than this hides it."""


@dataclass(frozen=True, eq=False)
class Panorama:
    """Directions about the LiDAR in cells of 2 degrees, of azimuth and elevation.

    Args:
        farthest_m: (A,E) float32 range of the farthest return, 0 without any.
        in_camera: (A,E) bool, whether a camera sees a return there.
    """

    farthest_m: NDArray[np.float32]
    in_camera: NDArray[np.bool_]

    def visible(self, xyz_lidar_m: FloatArray) -> NDArray[np.bool_]:
        """(N,) whether the LiDAR sees as far as points, or farther, in a direction in which a camera looks."""
        column, row, range_m, inside = _place(xyz_lidar_m)
        out: NDArray[np.bool_] = inside & self.in_camera[column, row]
        return out & (self.farthest_m[column, row] >= range_m - _MARGIN_M)


def panorama(xyz_lidar_m: FloatArray, in_camera: NDArray[np.bool_]) -> Panorama:
    """The panorama of (N,3) points, some of them without a position, and (N,) whether a camera sees each."""
    farthest, camera = np.zeros((_COLUMNS, _ROWS), dtype=np.float32), np.zeros((_COLUMNS, _ROWS), dtype=np.bool_)
    present = np.isfinite(xyz_lidar_m).all(axis=1)
    column, row, range_m, inside = _place(xyz_lidar_m[present])
    np.maximum.at(farthest, (column[inside], row[inside]), range_m[inside].astype(np.float32))
    seen = inside & in_camera[present]
    camera[column[seen], row[seen]] = True
    return Panorama(farthest, camera)


def _place(
    xyz_m: FloatArray,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Cell and range of (N,3) points, and whether their elevation is that of a cell."""
    x, y, z = np.asarray(xyz_m, dtype=np.float64).T
    column = np.floor(np.degrees(np.arctan2(y, x)) / _STEP_DEG).astype(np.int64) % _COLUMNS
    row = np.floor((np.degrees(np.arctan2(z, np.hypot(x, y))) - _LOWEST_DEG) / _STEP_DEG).astype(np.int64)
    inside = (row >= 0) & (row < _ROWS)
    return column, np.clip(row, 0, _ROWS - 1), np.sqrt(x * x + y * y + z * z), inside
