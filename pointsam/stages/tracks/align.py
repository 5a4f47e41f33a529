"""Alignment: where a moving object is that no mask found, if it is not quite where its track leads.

At 2 Hz, the prediction of a car may be off by a metre. Free points near it form components. Each gives a shift, the
smallest after which the extents of the track contain its own or lie within them. The shift after which the extents of
the track hold the most free points is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.contraction import components
from pointsam.stages.tracks.claim import Models
from pointsam.stages.tracks.config import ClaimConfig
from pointsam.stages.tracks.shift import nearest_shift_m, shift_bounds_m

_Floats = NDArray[np.float64]
_SLACK_M = 0.1
"""Points so far outside of extents count as inside."""


def align(at: Models, lost: Sequence[int], free_m: _Floats, range_m: _Floats, config: ClaimConfig) -> Models:
    """The points of tracks, those of some tracks shifted in the ground plane.

    Args:
        at: points of the tracks.
        lost: the tracks to shift.
        free_m: (N,3) points above the ground without a label, LiDAR frame.
        range_m: (N,) their range.
        config: how far, and how far apart linked points may be.
    """
    moved = at.xyz_lidar_m.copy()
    for track in lost:
        its = at.track == track
        if its.any() and config.align_m > 0:
            moved[its] += best_shift(at.xyz_lidar_m[its], free_m, range_m, config)[0]
    return Models(moved, at.track)


def best_shift(model_m: _Floats, free_m: _Floats, range_m: _Floats, config: ClaimConfig) -> tuple[_Floats, int]:
    """(3,) shift of (P,3) points of a track to the free points around them, and the number of points that it holds.

    Zero if no shift is better. Arguments as of `align`; any frame whose z points up will do.
    """
    low, high = model_m.min(axis=0), model_m.max(axis=0)
    near = ((free_m >= low - config.align_m) & (free_m <= high + config.align_m)).all(axis=1)
    xyz = free_m[near]
    stay = np.zeros(3)
    if len(xyz) == 0:
        return stay, 0
    link = config.grow.fine
    part = components(
        xyz * np.array([1.0, 1.0, config.grow.vertical]), np.maximum(link.floor_m, link.range_coef * range_m[near])
    )
    lows, highs = np.full((part.max() + 1, 3), np.inf), np.full((part.max() + 1, 3), -np.inf)
    np.minimum.at(lows, part, xyz)
    np.maximum.at(highs, part, xyz)
    shifts = nearest_shift_m(stay, shift_bounds_m(low, high, lows, highs)) * np.array([1.0, 1.0, 0.0])
    shifts = np.concatenate([stay[None], shifts])
    length = np.hypot(shifts[:, 0], shifts[:, 1])
    inside = ((xyz >= low + shifts[:, None] - _SLACK_M) & (xyz <= high + shifts[:, None] + _SLACK_M)).all(axis=2)
    held = np.where(length <= config.align_m, inside.sum(axis=1), -1)
    best = np.lexsort((shifts[:, 1], shifts[:, 0], length, -held))[0]
    return shifts[best], int(held[best])
