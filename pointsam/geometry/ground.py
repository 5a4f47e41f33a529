"""Height of points above the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.height import above_lowest_m

_BIN_M = 1.0


def height_above_ground_m(xyz_up_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) height of points above the ground, metres; NaN for rows without a position.

    Args:
        xyz_up_m: (N,3) points in a frame whose z axis points up, metres.
    """
    return above_lowest_m(xyz_up_m, _BIN_M)
