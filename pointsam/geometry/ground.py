"""Height of points above the local ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.height import above_lowest_m

_BIN_M = 2.0


def height_above_ground_m(xyz_up_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) metres above the lowest point around, as a stand-in for the ground.

    Args:
        xyz_up_m: (N,3) points, metres, z up. The height of a row that is not finite is NaN.
    """
    return above_lowest_m(xyz_up_m, _BIN_M)
