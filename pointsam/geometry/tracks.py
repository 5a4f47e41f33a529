"""Velocities of annotated objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import IntArray

_LONGEST_GAP_S = 1.5


def velocities(position_m: NDArray[np.float64], instance: IntArray, t_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,3) metres per second, from the previous to the next annotation of an object, as the devkit's `box_velocity`.

    Args:
        position_m: (N,3) world frame.
        instance: (N,) the object of each annotation.
        t_us: (N,) time of each annotation.

    Returns:
        NaN for an object with one annotation, and across gaps of more than 1.5 s (3 s between two neighbours).
    """
    order = np.lexsort((t_us, instance))
    at = np.arange(len(order))
    same = np.append(instance[order][1:] == instance[order][:-1], False) if len(order) else np.zeros(0, dtype=bool)
    has_next, has_prev = same, np.append(False, same[:-1])[: len(order)]
    first, last = order[at - has_prev], order[at + has_next]
    seconds = (t_us[last] - t_us[first]) * 1e-6
    limit = _LONGEST_GAP_S * np.where(has_next & has_prev, 2, 1)
    known = (has_next | has_prev) & (seconds > 0) & (seconds <= limit)
    out = np.full((len(order), 3), np.nan)
    out[order[known]] = (position_m[last] - position_m[first])[known] / seconds[known, None]
    return out
