"""Height of points above the local ground, from the points of one sweep alone.

The ground is the part of the lowest points that stands hardly above a lower envelope of cones, as in slope-based
filtering (Vosselman 2000, "Slope based filtering of laser altimetry data"). It is found twice. A coarse pass with steep
cones follows the terrain. A fine pass with flat cones, on the heights above the terrain, tells pavements from objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from pointsam.base.arrays import FloatArray
from pointsam.geometry.se3 import SE3

OWN_M = 2.5
"""Points nearer to the sensor are returns of the vehicle that carries it."""

_FARTHEST_M = 250.0
"""Farther points count as if on the border of the grid: a single stray return must not enlarge the grid."""

_CELL_M = 1.0
_COARSE = 4
"""Side of a coarse cell, in cells."""

_TERRAIN_SLOPE, _TERRAIN_STEP_M = 0.2, 0.3
"""Slope of the cones of the coarse pass, and how far above them a coarse cell may stand."""

_SLOPE, _STEP_M = 0.05, 0.05
"""The same of the fine pass."""

_KERB_M, _FLAT_M = 0.22, 0.12
"""A cell whose points lie within `_FLAT_M` may stand `_KERB_M` above: a pavement is flat, a car is not."""

_STRAY_M = 0.4
"""Points farther below the terrain are stray returns."""

_GAP_M = 0.25
"""The lowest point of a cell has another within this height above it, or is a stray return."""

_AGREE_M = 0.15
"""The lowest points of two cells agree within this height, and the slope of the pass."""

_Floats = NDArray[np.float64]


def level_m(xyz_lidar_m: FloatArray, ego_SE3_lidar: SE3) -> _Floats:
    """(N,3) points about the sensor with axes parallel to those of the vehicle, so that z points up, metres.

    Args:
        xyz_lidar_m: (N,3) points in the sensor's frame, metres.
        ego_SE3_lidar: mounting of the sensor.
    """
    return np.asarray(xyz_lidar_m, dtype=np.float64) @ ego_SE3_lidar.rotation.T


def height_above_ground_m(xyz_up_m: _Floats) -> _Floats:
    """(N,) metres above the local ground. The order of the points has no effect.

    Stray returns below the ground have negative heights. Between visible parts the ground is interpolated. Points far
    from any visible ground may count as ground themselves.

    Args:
        xyz_up_m: (N,3) points of one sweep, metres, z up, the vehicle within 250 m of the origin. The height of a row
            that is not finite is NaN.
    """
    present = np.isfinite(xyz_up_m).all(axis=1)
    out = np.full(len(xyz_up_m), np.nan)
    if present.any():
        out[present] = _heights(xyz_up_m[present])
    return out


def _heights(xyz: _Floats) -> _Floats:
    at = np.clip(xyz[:, :2], -_FARTHEST_M, _FARTHEST_M) / _CELL_M
    first = (np.floor(at.min(axis=0) / _COARSE) - 2) * _COARSE  # a rim of two empty coarse cells lies around all points
    shape = (np.floor((at.max(axis=0) - first) / _COARSE).astype(np.int64) + 3) * _COARSE
    at -= first
    cell = at.astype(np.int64) @ np.array([shape[1], 1])

    low = _supported(_lowest(cell, xyz[:, 2], shape), _TERRAIN_SLOPE)
    terrain = _surface(_coarse(low), _TERRAIN_SLOPE * _COARSE, _TERRAIN_STEP_M)
    height = xyz[:, 2] - _between(uniform_filter(terrain, 3), at / _COARSE)

    kept = height > -_STRAY_M
    low = _supported(_lowest(cell[kept], height[kept], shape), _SLOPE)
    high = np.full(low.size, -np.inf)
    np.maximum.at(high, cell[kept], height[kept])
    is_flat = high.reshape(low.shape) <= low + _FLAT_M
    return height - _between(_surface(low, _SLOPE, np.where(is_flat, _KERB_M, _STEP_M)), at)


def _lowest(cell: NDArray[np.int64], z: _Floats, shape: NDArray[np.int64]) -> _Floats:
    """Lowest point of each cell, infinity in empty cells; the second if the first is a stray return."""
    low = np.full(shape[0] * shape[1], np.inf)
    np.minimum.at(low, cell, z)
    near = z <= low[cell] + _GAP_M
    rest = ~near & (np.bincount(cell[near], minlength=low.size) == 1)[cell]
    second = np.full(low.size, np.inf)
    np.minimum.at(second, cell[rest], z[rest])
    return np.where(np.isfinite(second), second, low).reshape(shape)


def _supported(low: _Floats, slope: float) -> _Floats:
    """Infinity in place of pits: fewer than two of the 24 cells around agree with them, and two are higher."""
    wide = np.pad(low, 2, constant_values=np.inf)
    filled = np.flatnonzero(np.isfinite(wide))
    here = wide.ravel()[filled]
    agreeing, higher = np.zeros(len(filled), dtype=np.int64), np.zeros(len(filled), dtype=np.int64)
    for row in range(-2, 3):
        for column in range(-2, 3):
            there = wide.ravel()[filled + row * wide.shape[1] + column]
            within = _AGREE_M + slope * _CELL_M * max(abs(row), abs(column))
            agreeing += np.abs(there - here) <= within
            higher += np.isfinite(there) & (there > here + within)
    out = np.full(wide.size, np.inf)
    good = (agreeing > 2) | (higher < 2)  # a cell agrees with itself
    out[filled[good]] = here[good]
    return out.reshape(wide.shape)[2:-2, 2:-2]


def _coarse(low: _Floats) -> _Floats:
    """Second lowest cell of each coarse cell, infinity where fewer than four are filled: these may show no ground."""
    rows, columns = low.shape[0] // _COARSE, low.shape[1] // _COARSE
    cells = np.sort(low.reshape(rows, _COARSE, columns, _COARSE).swapaxes(1, 2).reshape(rows, columns, -1), axis=2)
    coarse = np.where(np.isfinite(cells[:, :, 3]), cells[:, :, 1], np.inf)
    return coarse if np.isfinite(coarse).any() else cells[:, :, 0]


def _surface(low: _Floats, slope_per_cell: float, step_m: _Floats | float) -> _Floats:
    """Ground at every cell.

    A cell is ground if it stands at most `step_m` above the envelope of all cells. Elsewhere the ground is the middle
    between the highest and the lowest surface through the ground cells that keep to the slope.
    """
    slope = slope_per_cell * _CELL_M
    ground = np.where(low <= _envelope(low, slope) + step_m, low, np.inf)
    is_ground = np.isfinite(ground)
    lowest = -_envelope(np.where(is_ground, -ground, np.inf), slope)
    return np.where(is_ground, ground, (_envelope(ground, slope) + lowest) / 2)


def _envelope(z: _Floats, slope: float) -> _Floats:
    """Minimum over all cells k of z[k] + slope * |i - k|, with the L1 norm: exact in two running minima an axis."""
    for axis in (0, 1):
        z = np.swapaxes(z, 0, axis)
        ramp = slope * np.arange(len(z))[:, None]
        rising = np.minimum.accumulate(z - ramp, axis=0) + ramp
        falling = np.minimum.accumulate((z + ramp)[::-1], axis=0)[::-1] - ramp
        z = np.swapaxes(np.minimum(rising, falling), 0, axis)
    return z


def _between(grid: _Floats, at: _Floats) -> _Floats:
    """Bilinear interpolation between the centres of cells, at (N,2) positions in cells."""
    at = np.clip(at - 0.5, 0.0, np.array(grid.shape) - 1.001)
    corner = at.astype(np.int64)
    part = at - corner
    index, value = corner @ np.array([grid.shape[1], 1]), grid.ravel()
    near = value[index] * (1 - part[:, 1]) + value[index + 1] * part[:, 1]
    far = value[index + grid.shape[1]] * (1 - part[:, 1]) + value[index + grid.shape[1] + 1] * part[:, 1]
    between: _Floats = near * (1 - part[:, 0]) + far * part[:, 0]
    return between
