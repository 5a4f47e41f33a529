"""How far a figure can be trusted: it is taken again over scenes drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.seeding import generator

FEWEST_SCENES = 5
"""With fewer, frames are drawn in their place; those of a scene are alike, which makes intervals too narrow."""


def times_drawn(units: int, draws: int, purpose: str) -> NDArray[np.int64]:
    """(D,U) how often each unit is in each draw; the same for equal arguments.

    Args:
        units: U.
        draws: D.
        purpose: name of the draw.
    """
    times: NDArray[np.int64] = generator(0, purpose, "bootstrap").multinomial(units, np.full(units, 1 / units), draws)
    return times


def interval(draws: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Bounds of 95 % of draws, NaN without one."""
    known = np.array(draws, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
