"""Motion of a track: whether it moves, its path and velocities, and its points at another time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.scene import Observations
from pointsam.stages.tracks.shift import nearest_shift_m, residual_m, shift_bounds_m

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_MOST = 60
"""Observations of a long track that are compared with each other."""


def is_static(seen: Observations, members: _Ints, gates: Gates, quantile: float) -> bool:
    """Whether extents of a track agree with an object at one place, in a fraction of all pairs of frames.

    Args:
        seen: the observations.
        members: (K,) those of the track.
        gates: traits of the classes.
        quantile: the fraction.
    """
    if len(members) > _MOST:
        members = members[np.linspace(0, len(members) - 1, _MOST).astype(np.int64)]
    a, b = np.triu_indices(len(members), 1)
    if len(a) == 0:
        return True
    first, second = members[a], members[b]
    bounds = shift_bounds_m(seen.low_m[first], seen.high_m[first], seen.low_m[second], seen.high_m[second])
    shift = residual_m(np.zeros((len(a), 3)), bounds) / gates.still_m[seen.class_id[first]]
    return bool(np.quantile(shift, quantile) <= 1)


@dataclass(frozen=True, eq=False)
class Path:
    """Positions of an object over time; only their differences matter.

    Args:
        t_s: (K,) times, rising, seconds.
        position_m: (K,3) in the world.
        velocity_mps: (K,3) at these times.
    """

    t_s: _Floats
    position_m: _Floats
    velocity_mps: _Floats

    def at(self, t_s: float) -> _Floats:
        """(3,) position at a time: on lines between positions, at constant velocity beyond the ends."""
        within = np.clip(t_s, self.t_s[0], self.t_s[-1])
        known = np.array([np.interp(within, self.t_s, axis) for axis in self.position_m.T])
        out: _Floats = known + (t_s - within) * self.velocity_mps[0 if t_s < self.t_s[0] else -1]
        return out

    def velocity_at(self, t_s: float) -> _Floats:
        """(3,) velocity at a time, linear between the known ones and constant beyond them."""
        return np.array([np.interp(t_s, self.t_s, axis) for axis in self.velocity_mps.T])


def static_path(seen: Observations, members: _Ints) -> Path:
    """The path of an object that stands."""
    center = (seen.low_m[members].min(axis=0) + seen.high_m[members].max(axis=0)) / 2
    t_s = seen.t_s[members]
    return Path(t_s, np.tile(center, (len(members), 1)), np.zeros((len(members), 3)))


def moving_path(seen: Observations, members: _Ints, window_s: float) -> Path:
    """The path of a moving object.

    The centres of a window of time around each observation give its velocity. Each step is the shift within the bounds
    of the extents that is nearest to what this velocity expects, and the velocities are those of these steps.

    Args:
        seen: the observations.
        members: (K,) those of the track, at different times.
        window_s: the window.
    """
    t_s = seen.t_s[members]
    rough = slopes(t_s, seen.center_m[members], window_s)
    a, b = members[:-1], members[1:]
    step_s = np.diff(t_s)[:, None]
    bounds = shift_bounds_m(seen.low_m[a], seen.high_m[a], seen.low_m[b], seen.high_m[b])
    steps = nearest_shift_m((rough[:-1] + rough[1:]) / 2 * step_s, bounds)
    position = seen.center_m[members[0]] + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    return Path(t_s, position, slopes(t_s, position, window_s))


def slopes(t_s: _Floats, position_m: _Floats, window_s: float) -> _Floats:
    """(K,3) velocities between the first and the last position of the window about each time, and its neighbours."""
    k = np.arange(len(t_s))
    first = np.minimum(np.searchsorted(t_s, t_s - window_s / 2, side="left"), np.maximum(k - 1, 0))
    last = np.maximum(np.searchsorted(t_s, t_s + window_s / 2, side="right") - 1, np.minimum(k + 1, len(t_s) - 1))
    step_s = t_s[last] - t_s[first]
    out: _Floats = (position_m[last] - position_m[first]) / np.where(step_s > 0, step_s, 1)[:, None]
    return out


def at_frame_time(xyz_m: FloatArray, time_s: FloatArray, velocity_mps: _Floats) -> _Floats:
    """(N,3) points of a moving object as they were at the time of the frame.

    The points of a sweep are measured one after another: at 15 m/s, an object moves by 1.5 m in a sweep of 0.1 s.

    Args:
        xyz_m: (N,3) points, without the motion of the vehicle; in the frame of the velocity up to a translation.
        time_s: (N,) time of each point from that of the frame; points of unknown time (NaN) stay.
        velocity_mps: (3,) velocity of the object.
    """
    late_s = np.nan_to_num(np.asarray(time_s, dtype=np.float64), nan=0.0)
    return np.asarray(xyz_m, dtype=np.float64) - late_s[:, None] * velocity_mps
