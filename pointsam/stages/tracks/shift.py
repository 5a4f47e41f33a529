"""How far an object moved between two frames, from extents that occlusion changes.

An occluded object shows a part of its extent. If the extent of one frame, moved, contains that of the other along an
axis, both may be the same object. Every shift between the differences of the lower and of the upper ends does so. The
shift of an object is the one in this interval that is nearest to the expected one: a parked car that comes into view
does not move, although its centre does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


def shift_bounds_m(low_a: _Floats, high_a: _Floats, low_b: _Floats, high_b: _Floats) -> tuple[_Floats, _Floats]:
    """Smallest and largest shift along each axis from extents a to extents b, metres; shapes broadcast."""
    lower, upper = low_b - low_a, high_b - high_a
    return np.minimum(lower, upper), np.maximum(lower, upper)


def nearest_shift_m(expected: _Floats, bounds: tuple[_Floats, _Floats]) -> _Floats:
    """The shift within the bounds that is nearest to the expected one, metres."""
    out: _Floats = np.clip(expected, *bounds)
    return out


def residual_m(expected: _Floats, bounds: tuple[_Floats, _Floats]) -> _Floats:
    """Length in the ground plane by which the expected shift of (...,3) misses the bounds, metres."""
    miss = expected - nearest_shift_m(expected, bounds)
    out: _Floats = np.hypot(miss[..., 0], miss[..., 1])
    return out
