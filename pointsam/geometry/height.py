"""How high points are above what is around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

_FARTHEST_M = 320.0
"""Points beyond count as if at the rim: one stray return must not decide how large the grid is."""


def above_lowest_m(xyz: NDArray[np.float64], cell_m: float) -> NDArray[np.float64]:
    """(N,) height above the lowest point in the same and the eight neighbouring cells, seen from above.

    Args:
        xyz: (N,3) finite, metres, z up.
        cell_m: edge of a cell.
    """
    half = int(_FARTHEST_M / cell_m)
    cell = np.clip(np.floor(xyz[:, :2] / cell_m), -half, half).astype(np.int64) + half
    lowest = np.full((2 * half + 1, 2 * half + 1), np.inf)
    np.minimum.at(lowest, tuple(cell.T), xyz[:, 2])
    lowest = minimum_filter(lowest, size=3, mode="constant", cval=np.inf)
    height: NDArray[np.float64] = xyz[:, 2] - lowest[tuple(cell.T)]
    return height
