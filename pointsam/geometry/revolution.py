"""Times of points that follow from the turn of a LiDAR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray


@dataclass(frozen=True)
class Revolution:
    """One turn of a LiDAR that spins about its z axis at a constant rate, clockwise seen from above.

    The turn begins and ends behind, where x is negative and y is 0. It passes the left side (positive y), the front and
    the right side. Azimuths of points are those of the beam: each point is in the frame of the LiDAR at its own time.

    Args:
        first_s: time at which the turn begins, seconds from the `t_us` of the sweep.
        last_s: time at which it ends, likewise.
    """

    first_s: float
    last_s: float

    def time_s(self, x_m: FloatArray, y_m: FloatArray) -> NDArray[np.float64]:
        """(N,) seconds from `t_us` of (N,) points in the frame of the LiDAR; NaN without a position."""
        azimuth = np.arctan2(np.asarray(y_m, dtype=np.float64), np.asarray(x_m, dtype=np.float64))
        fraction = 0.5 - azimuth / (2 * np.pi)
        out: NDArray[np.float64] = self.first_s + fraction * (self.last_s - self.first_s)
        return out

    def as_bytes(self) -> bytes:
        """The bytes that enter the digest of a calibration."""
        return np.array([self.first_s, self.last_s], dtype="<f8").tobytes()
