"""How large a set of points is, seen from above, and whether an object of a class can be that large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ANGLES = np.deg2rad(np.arange(0.0, 180.0, 3.0))
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])


def extents_m(xy_m: NDArray[np.float64]) -> tuple[float, float]:
    """The longest and the shortest extent of (K,2) points in the ground plane, K > 0, over directions 3 degrees apart.

    The longest extent is too small by at most 0.04 %.
    """
    along = np.ptp(xy_m @ _DIRECTIONS, axis=0)
    return float(along.max()), float(along.min())


def fits(xy_m: NDArray[np.float64], typical_lwh_m: tuple[float, float, float], factor: float) -> bool:
    """Whether points fit into a box of a typical size times a factor, seen from above.

    Args:
        xy_m: (K,2) points in the ground plane, at least one.
        typical_lwh_m: typical length, width and height.
        factor: the factor.
    """
    longest, shortest = extents_m(xy_m)
    length, width, _ = typical_lwh_m
    return longest <= factor * max(length, width) and shortest <= factor * min(length, width)
