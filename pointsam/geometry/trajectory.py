"""Poses between the known poses of a drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3

_LONGEST_GAP_US, _OVERHANG_US = 1_000_000, 200_000
"""Longest time between two poses that is bridged, and longest time beyond an end for which the motion goes on."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of a body over time.

    Args:
        t_us: (K,) int64 times, strictly rising, microseconds.
        position_m: (K,3) float64 in the world.
        rotation: (K,3,3) float64 world_R_body.
    """

    t_us: NDArray[np.int64]
    position_m: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def at(self, t_us: int) -> SE3 | None:
        """world_SE3_body at a time: positions on lines, rotations at a constant rate about one axis (SLERP).

        None if no poses are near enough, or two poses around the time are too far apart. A single pose holds near its
        time.
        """
        times, count = self.t_us, len(self.t_us)
        if count == 0 or not times[0] - _OVERHANG_US <= t_us <= times[-1] + _OVERHANG_US:
            return None
        k = int(np.searchsorted(times, t_us))
        if count == 1 or (k < count and times[k] == t_us):
            known = min(k, count - 1)
            return SE3(self.rotation[known], self.position_m[known])
        first = min(max(k - 1, 0), count - 2)
        step_us = int(times[first + 1] - times[first])
        return None if step_us > _LONGEST_GAP_US else self._between(first, (t_us - int(times[first])) / step_us)

    def _between(self, first: int, fraction: float) -> SE3:
        """The pose at a fraction of the way from a pose to the next; below 0 and above 1 the motion goes on."""
        from scipy.spatial.transform import Rotation

        here, there = self.rotation[first], self.rotation[first + 1]
        turn = Rotation.from_matrix(here.T @ there).as_rotvec() * fraction
        position_m = (1 - fraction) * self.position_m[first] + fraction * self.position_m[first + 1]
        return SE3(here @ Rotation.from_rotvec(turn).as_matrix(), position_m)
