"""Confidence intervals by bootstrap: a metric is computed again for scenes drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.seeding import generator

FEWEST_SCENES = 5
"""With fewer scenes, frames are drawn instead. Frames of one scene are similar, so these intervals are too narrow."""


def times_drawn(units: int, draws: int, purpose: str) -> NDArray[np.int64]:
    """(D,U) how often each draw contains each unit; equal for equal arguments.

    Args:
        units: number of units U, scenes or frames.
        draws: number of draws D.
        purpose: name of the draws, which seeds them.
    """
    times: NDArray[np.int64] = generator(0, purpose, "bootstrap").multinomial(units, np.full(units, 1 / units), draws)
    return times


def interval(draws: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """2.5 and 97.5 % quantiles of the finite draws, NaN without any."""
    known = np.array(draws, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
