"""Positions over time: a road as a curve, and tracks along and across it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STEP_M = 0.25

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Road:
    """A gently winding centre line with coordinates (s, d): metres along it, and metres to its left.

    Args:
        bend_per_m: largest curvature, 1/m.
        wave_m: length after which the bends repeat.
        phase: phase of the bends at s = 0, radians.
        heading: direction at s = 0, radians.
        reach_m: the line is defined for s in [-reach, reach] and straight beyond.
    """

    bend_per_m: float
    wave_m: float
    phase: float
    heading: float
    reach_m: float = 600.0

    @cached_property
    def _line(self) -> tuple[Floats, Floats, Floats, Floats]:
        s = np.arange(-self.reach_m, self.reach_m + _STEP_M, _STEP_M)
        k = 2 * np.pi / self.wave_m
        heading = self.heading + self.bend_per_m / k * (np.sin(k * s + self.phase) - np.sin(self.phase))
        mid = (heading[1:] + heading[:-1]) / 2
        x, y = (np.concatenate([[0.0], np.cumsum(f(mid) * _STEP_M)]) for f in (np.cos, np.sin))
        origin = len(s) // 2
        return s, x - x[origin], y - y[origin], heading

    def place(self, s_m: ArrayLike, d_m: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """World x and y, metres, and heading of the road, radians, at (s, d); arrays of one shape."""
        s, x, y, heading = self._line
        at, off = np.asarray(s_m, dtype=np.float64), np.asarray(d_m, dtype=np.float64)
        h = np.interp(at, s, heading)
        beyond = at - np.clip(at, s[0], s[-1])
        cos, sin = np.cos(h), np.sin(h)
        return np.interp(at, s, x) + beyond * cos - off * sin, np.interp(at, s, y) + beyond * sin + off * cos, h


@dataclass(frozen=True)
class Speed:
    """A piecewise linear speed.

    Args:
        t_s: (K,) rising times.
        v_mps: (K,) speed at each time; constant before the first and after the last.
    """

    t_s: tuple[float, ...]
    v_mps: tuple[float, ...]

    @staticmethod
    def steady(v_mps: float) -> Speed:
        """A constant speed."""
        return Speed((0.0,), (v_mps,))

    @property
    def moves(self) -> bool:
        """Whether it is ever above zero."""
        return any(v != 0 for v in self.v_mps)

    def at(self, t_s: ArrayLike) -> Floats:
        """Speed at a time, m/s."""
        return np.interp(np.asarray(t_s, dtype=np.float64), self.t_s, self.v_mps)

    def travelled(self, t_s: ArrayLike) -> Floats:
        """Distance since t = 0, metres."""
        t = np.asarray(t_s, dtype=np.float64)
        return self._from_first(t) - self._from_first(np.zeros(1))

    def _from_first(self, t: Floats) -> Floats:
        """Distance since the first time, metres."""
        node, v = np.array(self.t_s), np.array(self.v_mps)
        area = np.concatenate([[0.0], np.cumsum(np.diff(node) * (v[1:] + v[:-1]) / 2)])
        k = np.clip(np.searchsorted(node, t, side="right") - 1, 0, len(node) - 1)
        metres: Floats = area[k] + (t - node[k]) * (v[k] + self.at(t)) / 2
        return metres


STILL = Speed.steady(0.0)


@dataclass(frozen=True)
class Track:
    """A straight track in the (s, d) plane of the road.

    Args:
        road: the road.
        s_m, d_m: position at t = 0.
        course: direction in the plane, radians from +s towards +d; the object faces it.
        speed: speed along the course.
        z_m: height of the ground.
        turn: angle from the course to the heading of the object, radians (a parked bicycle, a person who turns).
    """

    road: Road
    s_m: float
    d_m: float
    course: float = 0.0
    speed: Speed = STILL
    z_m: float = 0.0
    turn: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether it ever moves."""
        return self.speed.moves

    def pose(self, t_s: ArrayLike) -> tuple[Floats, Floats]:
        """(N,3) world position and (N,) yaw at (N,) seconds."""
        run = self.speed.travelled(np.atleast_1d(np.asarray(t_s, dtype=np.float64)))
        x, y, heading = self.road.place(self.s_m + np.cos(self.course) * run, self.d_m + np.sin(self.course) * run)
        return np.column_stack([x, y, np.full_like(x, self.z_m)]), heading + self.course + self.turn

    def velocity(self, t_s: float) -> Floats:
        """(2,) velocity in the world, m/s: the derivative of `pose`."""
        h = 1e-3
        (before, after), _ = self.pose([t_s - h, t_s + h])
        velocity: Floats = (after - before)[:2] / (2 * h)
        return velocity


def turns(yaw: Floats) -> Floats:
    """(N,3,3) rotations about z by (N,) radians."""
    c, s, zero, one = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw), np.ones_like(yaw)
    matrices: Floats = np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
    return matrices
