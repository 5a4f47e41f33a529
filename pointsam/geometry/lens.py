"""Lens models: from the slopes x/z and y/z of a ray to the image plane at focal length 1, and back.

A lens model is a polynomial that fits a camera inside its field of view. Outside it folds: the radius in the image
falls again, so that rays from far outside land inside the image. A lens therefore has a limit: the largest circle of
slopes in which the model does not fold. Rays beyond it have no place in the image, and places beyond its border have no
ray. Inside, `distorted` and `undistorted` are exact inverses of each other.

Source: OpenCV's calib3d (Brown-Conrady, with up to eight coefficients) and its fisheye model (Kannala and Brandt 2006).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.radial import EXACT, ROUNDS, SAFE, Radial

_Floats = NDArray[np.float64]

_CLOSE = 1e-11
"""Largest error of an inverse, in focal lengths: 1e-8 pixels at a focal length of 1000 pixels."""


class Lens(ABC):
    """A lens of focal length 1."""

    @property
    @abstractmethod
    def limit(self) -> float:
        """Slopes below this radius have a place in the image."""

    @abstractmethod
    def distorted(self, xy: _Floats) -> _Floats:
        """(N,2) places in the image plane of (N,2) slopes, NaN beyond the limit."""

    @abstractmethod
    def undistorted(self, xy: _Floats) -> _Floats:
        """(N,2) slopes that are seen at (N,2) places in the image plane, NaN where there are none."""

    def inside(self, xy: _Floats) -> _Floats:
        """(N,2) slopes; those beyond the limit are moved to it."""
        limit = self.limit * SAFE
        factor: _Floats = limit / np.maximum(np.hypot(xy[:, 0], xy[:, 1]), limit)
        return xy * factor[:, None]


@dataclass(frozen=True)
class Brown(Lens):
    """Brown-Conrady: a radial factor, and the tangential terms of a lens that is not parallel to the sensor.

    Args:
        coefficients: k1, k2, p1, p2[, k3[, k4, k5, k6]] as in OpenCV; k4, k5 and k6 are those of the denominator.
    """

    coefficients: tuple[float, ...]

    @cached_property
    def _radial(self) -> Radial:
        k1, k2, _, _, k3, k4, k5, k6 = (*self.coefficients, *[0.0] * (8 - len(self.coefficients)))
        return Radial((k3, k2, k1, 1.0), (k6, k5, k4, 1.0) if k4 or k5 or k6 else (1.0,))

    @cached_property
    def limit(self) -> float:
        """The largest radius within which the derivative of the map is positive definite.

        The map is the gradient of a function, so its derivative is symmetric. Where that is positive definite on a
        disc, the function is convex, and no two slopes share a place.
        """
        limit = self._radial.limit
        tilt = math.hypot(*self.coefficients[2:4])
        if tilt == 0:
            return limit
        cosine = np.linspace(-1, 1, 129)[:, None]
        steps = np.append(0.0, np.geomspace(1e-4, max(limit, 1e-3), 2001))
        for _ in range(4):
            r2, m = np.square(steps), np.multiply(tilt, steps)
            # Along the slope and across it, for tangential terms at an angle to the slope.
            along, across = self._radial.slope(r2) + 6 * m * cosine, self._radial.scale(r2) + 2 * m * cosine
            folds = (along <= 0) | (along * across <= 4 * m * m * (1 - cosine**2))
            bad = np.flatnonzero(folds.any(axis=0))
            if len(bad) == 0:
                return limit
            low, high = steps[max(bad[0] - 1, 0)], steps[bad[0]]
            steps = np.linspace(low, high, 2001)
        return min(float(low), limit)

    def distorted(self, xy: _Floats) -> _Floats:
        """(N,2) places in the image plane of (N,2) slopes, NaN beyond the limit."""
        places = self._mapped(xy)
        places[~((xy**2).sum(axis=1) < self.limit**2)] = np.nan
        return places

    def undistorted(self, xy: _Floats) -> _Floats:
        """(N,2) slopes that are seen at (N,2) places in the image plane, NaN where there are none.

        Newton's method, from the solution without the tangential terms, with shorter steps where they do not help.
        """
        radius = np.hypot(xy[:, 0], xy[:, 1])
        slopes = _scaled(xy, radius, self._radial.inverse(radius))
        if not any(self.coefficients[2:4]):
            return slopes
        start = np.isfinite(radius) & np.isnan(slopes[:, 0])
        slopes[start] = xy[start] * (0.99 * self.limit / radius[start, None])
        slopes = self.inside(slopes)
        left = np.flatnonzero(np.isfinite(radius))
        found = np.full(xy.shape, np.nan)
        place, at = xy[left], slopes[left]
        miss, length = self._mapped(at) - place, np.ones(len(left))
        for _ in range(ROUNDS):
            error = np.abs(miss).max(axis=1, initial=0.0)
            size = np.maximum(np.abs(place).max(axis=1, initial=0.0), 1.0)
            found[left] = np.where((error < _CLOSE * size)[:, None], at, np.nan)
            going = (error > EXACT * size) & (length > 1e-9)
            if not going.any():
                break
            left, place, at, miss, length, error = (a[going] for a in (left, place, at, miss, length, error))
            there = self.inside(at - length[:, None] * self._step(at, miss))
            other = self._mapped(there) - place
            better = np.abs(other).max(axis=1) < error
            at, miss = np.where(better[:, None], there, at), np.where(better[:, None], other, miss)
            length = np.where(better, np.minimum(2 * length, 1.0), length / 2)
        return found

    def _mapped(self, xy: _Floats) -> _Floats:
        """`distorted` without the limit."""
        p1, p2 = self.coefficients[2:4]
        x, y = xy[:, 0], xy[:, 1]
        r2 = np.square(x) + np.square(y)
        radial = self._radial.scale(r2)
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )

    def _step(self, xy: _Floats, miss: _Floats) -> _Floats:
        """(N,2) change of slopes that moves their places by `miss`, by the derivative of the map."""
        p1, p2 = self.coefficients[2:4]
        x, y = xy[:, 0], xy[:, 1]
        r2 = np.square(x) + np.square(y)
        scale, bend = self._radial.scale(r2), 2 * self._radial.bend(r2)
        xx = scale + bend * x * x + 2 * p1 * y + 6 * p2 * x
        yy = scale + bend * y * y + 6 * p1 * y + 2 * p2 * x
        cross = bend * x * y + 2 * p1 * x + 2 * p2 * y
        u, v = miss[:, 0], miss[:, 1]
        step: _Floats = np.stack([yy * u - cross * v, xx * v - cross * u], axis=1) / (xx * yy - cross * cross)[:, None]
        return step


@dataclass(frozen=True)
class Fisheye(Lens):
    """Kannala-Brandt: the radius in the image is a polynomial of the angle to the axis.

    Args:
        coefficients: k1, k2, k3, k4 as in OpenCV: radius = a (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8) at the angle a.

    A ray at 90 degrees or more has no slope, and no place.
    """

    coefficients: tuple[float, ...]

    @cached_property
    def _radial(self) -> Radial:
        return Radial((*self.coefficients[::-1], 1.0), largest=np.pi / 2)

    @cached_property
    def limit(self) -> float:
        """Tangent of the first angle at which the radius in the image turns."""
        return float(np.tan(self._radial.limit))

    def distorted(self, xy: _Floats) -> _Floats:
        """(N,2) places in the image plane of (N,2) slopes, NaN beyond the limit."""
        slope = np.hypot(xy[:, 0], xy[:, 1])
        angle = np.arctan(slope)
        radius = np.where(slope < self.limit, angle * self._radial.scale(angle * angle), np.nan)
        return _scaled(xy, slope, radius)

    def undistorted(self, xy: _Floats) -> _Floats:
        """(N,2) slopes that are seen at (N,2) places in the image plane, NaN where there are none."""
        radius = np.hypot(xy[:, 0], xy[:, 1])
        return _scaled(xy, radius, np.tan(self._radial.inverse(radius)))


def _scaled(xy: _Floats, old: _Floats, new: _Floats) -> _Floats:
    """Vectors of lengths `old` with lengths `new`; those of length 0 stay."""
    factor = np.divide(new, old, out=np.ones_like(old), where=~(old == 0))
    scaled: _Floats = xy * factor[:, None]
    return scaled
