"""Height of points above the lowest point around them.

Calibration and the unknown points of training use it, because their constants were chosen with it. New code should use
`pointsam.geometry.ground`, which slopes and stray returns disturb less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

_FARTHEST_M = 320.0
"""Farther points count as if on the border of the grid: a single stray return must not enlarge the grid."""


def above_lowest_m(xyz: NDArray[np.float64], bin_m: float, stray: float = 0.0) -> NDArray[np.float64]:
    """(N,) height above the lowest point in the same and the eight neighbouring bins of a horizontal grid.

    Args:
        xyz: (N,3) points, metres, z up. The height of a point at NaN is NaN.
        bin_m: side of a bin.
        stray: fraction of the points of a bin, rounded down, that are passed over as too low. They and points of
            neighbouring bins may have negative heights.
    """
    present = np.isfinite(xyz).all(axis=1)
    if not present.all():
        out = np.full(len(xyz), np.nan)
        out[present] = above_lowest_m(xyz[present], bin_m, stray)
        return out
    half = int(_FARTHEST_M / bin_m)
    bin_xy = np.clip(np.floor(xyz[:, :2] / bin_m), -half, half).astype(np.int64) + half
    lowest = np.full((2 * half + 1, 2 * half + 1), np.inf)
    if stray == 0:  # without sorting
        np.minimum.at(lowest.reshape(-1), bin_xy[:, 0] * len(lowest) + bin_xy[:, 1], xyz[:, 2])
        return _above(xyz, bin_xy, lowest)
    order = np.lexsort((xyz[:, 2], *bin_xy.T))
    first = np.flatnonzero(np.diff(bin_xy[order], axis=0, prepend=-1).any(axis=1))
    count = np.diff(first, append=len(order))
    lowest[tuple(bin_xy[order[first]].T)] = xyz[order[first + (stray * count).astype(np.int64)], 2]
    return _above(xyz, bin_xy, lowest)


def _above(xyz: NDArray[np.float64], bin_xy: NDArray[np.int64], lowest: NDArray[np.float64]) -> NDArray[np.float64]:
    lowest = minimum_filter(lowest, size=3, mode="constant", cval=np.inf)
    height: NDArray[np.float64] = xyz[:, 2] - lowest[tuple(bin_xy.T)]
    return height
