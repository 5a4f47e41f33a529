"""Poses between the known poses of a drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3

_LONGEST_GAP_US, _OVERHANG_US = 1_000_000, 200_000
"""Longest time between two poses that is bridged, and longest time beyond an end for which the motion goes on."""
_BASE_US, _SHORTEST_US = 100_000, 10_000
"""Time over which motion at an end is measured, and the shortest that shows it: noise of poses grows beyond the end."""


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
        time. Beyond an end, the motion goes on that led from the pose at the end to the nearest one at least 0.1 s from
        it, or to the farthest one before a gap; None if poses of less than 10 ms are known there.
        """
        times, count = self.t_us, len(self.t_us)
        if count == 0 or not times[0] - _OVERHANG_US <= t_us <= times[-1] + _OVERHANG_US:
            return None
        k = int(np.searchsorted(times, t_us))
        if count == 1 or (k < count and times[k] == t_us):
            known = min(k, count - 1)
            return SE3(self.rotation[known], self.position_m[known])
        if 0 < k < count:
            first, second, shortest = k - 1, k, 0
        else:
            first, second = self._start() if k == 0 else self._end()
            shortest = _SHORTEST_US
        step_us = int(times[second] - times[first])
        if not shortest <= step_us <= _LONGEST_GAP_US:
            return None
        return self._between(first, second, (t_us - int(times[first])) / step_us)

    def _start(self) -> tuple[int, int]:
        """The first pose, and the one that shows the motion there."""
        times = self.t_us
        far = min(int(np.searchsorted(times, times[0] + _BASE_US)), len(times) - 1)
        return 0, far - 1 if times[far] - times[far - 1] > _LONGEST_GAP_US else far

    def _end(self) -> tuple[int, int]:
        """The pose that shows the motion at the last one, and that."""
        times = self.t_us
        far = max(int(np.searchsorted(times, times[-1] - _BASE_US, side="right")) - 1, 0)
        return far + 1 if times[far + 1] - times[far] > _LONGEST_GAP_US else far, len(times) - 1

    def _between(self, first: int, second: int, fraction: float) -> SE3:
        """The pose at a fraction of the way from one pose to another; below 0 and above 1 the motion goes on."""
        from scipy.spatial.transform import Rotation

        here, there = self.rotation[first], self.rotation[second]
        turn = Rotation.from_matrix(here.T @ there).as_rotvec() * fraction
        position_m = (1 - fraction) * self.position_m[first] + fraction * self.position_m[second]
        return SE3(here @ Rotation.from_rotvec(turn).as_matrix(), position_m)
