"""The LiDAR that measured each point of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import IntArray
from pointsam.geometry.projection import key_SE3_sweep
from pointsam.types import Frame


def origins_m(frame: Frame) -> NDArray[np.float64]:
    """(S,3) position of each sweep's LiDAR at its time, in the frame of the reference LiDAR; zeros for the latter."""
    others = [key_SE3_sweep(frame.sweep, sweep).translation_m for sweep in frame.sweeps[1:]]
    return np.array([np.zeros(3), *others])


def origin_of_point_m(frame: Frame, sweep_index: IntArray) -> NDArray[np.float64] | None:
    """(N,3) position of the LiDAR that measured each point; None if the frame has one sweep: all are zero.

    Args:
        frame: the frame.
        sweep_index: (N,) sweep of each point.
    """
    return None if len(frame.sweeps) == 1 else origins_m(frame)[sweep_index]
