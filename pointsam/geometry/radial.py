"""The radial function of a lens, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

WIDEST = 1e6
"""Limit of a lens that never folds: rays at 0.00006 degrees from the image plane."""
SAFE = 1 - 1e-12
"""Part of the limit that is used: at the limit itself the model has no inverse."""
ROUNDS = 80
"""Most steps of an inversion; about six are usual, and bisection needs 60 for the last bit."""
EXACT = 4e-15
"""Relative error at which an inversion stops: a few units in the last place."""


@dataclass(frozen=True)
class Radial:
    """The odd function r N(r r) / D(r r), which rises from 0 up to its limit.

    Args:
        numerator: coefficients of N by falling power; the last is 1.
        denominator: coefficients of D, likewise.
        largest: the limit of a function that rises beyond it.
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...] = (1.0,)
    largest: float = WIDEST

    @cached_property
    def limit(self) -> float:
        """The first r > 0 at which the function turns or has a pole, at most `largest`."""
        n, d = np.poly1d(self.numerator), np.poly1d(self.denominator)
        falls = n * d + np.poly1d([2.0, 0.0]) * (n.deriv() * d - n * d.deriv())  # its derivative by r, times D D
        roots = np.concatenate([falls.roots, d.roots]).astype(np.complex128)
        squares = roots.real[(roots.real > 0) & (np.abs(roots.imag) < 1e-9 * np.abs(roots))]
        return min(float(np.sqrt(squares.min(initial=np.inf))), self.largest) * SAFE

    def scale(self, r2: _Floats) -> _Floats:
        """N/D at squares of r."""
        scale: _Floats = np.polyval(self.numerator, r2)
        return scale / np.polyval(self.denominator, r2) if len(self.denominator) > 1 else scale

    def bend(self, r2: _Floats) -> _Floats:
        """The derivative of N/D by the square of r."""
        bend: _Floats = np.polyval(np.polyder(self.numerator), r2)
        if len(self.denominator) > 1:
            d = np.polyval(self.denominator, r2)
            bend = (bend - self.scale(r2) * np.polyval(np.polyder(self.denominator), r2)) / d
        return bend

    def slope(self, r2: _Floats) -> _Floats:
        """The derivative of the function by r, at squares of r."""
        return self.scale(r2) + 2 * r2 * self.bend(r2)

    def inverse(self, value: _Floats) -> _Floats:
        """The r in [0, limit) of each of (N,) values from 0, NaN where there is none.

        Newton's method, and bisection where it would leave the interval that holds the solution.
        """
        top = self.limit * self.scale(np.array(self.limit**2))
        found = np.full(len(value), np.nan)
        left = np.flatnonzero(value < top)
        value = value[left]
        r, low, high = np.minimum(value, self.limit), np.zeros(len(left)), np.full(len(left), self.limit)
        for _ in range(ROUNDS):
            r2 = r * r
            error = r * self.scale(r2) - value
            found[left] = r
            low, high = np.where(error < 0, r, low), np.where(error < 0, high, r)
            going = (np.abs(error) > EXACT * value) & (high - low > EXACT * high)
            if not going.any():
                break
            step = r - error / self.slope(r2)
            r = np.where((step > low) & (step < high), step, (low + high) / 2)
            left, value, r, low, high = (array[going] for array in (left, value, r, low, high))
        return found
