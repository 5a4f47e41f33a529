"""Poses between the known poses of a drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3


def interpolated(first: SE3, second: SE3, fraction: float) -> SE3:
    """A pose on the way from one pose to another: the position on a line, the rotation about a fixed axis.

    Args:
        first: world_SE3_body at fraction 0.
        second: world_SE3_body at fraction 1.
        fraction: share of the time between them; below 0 and above 1 the motion goes on.
    """
    from scipy.spatial.transform import Rotation

    if fraction in (0.0, 1.0):  # exactly the known pose
        return second if fraction else first
    turn = Rotation.from_matrix(first.rotation.T @ second.rotation).as_rotvec()
    rotation: NDArray[np.float64] = first.rotation @ Rotation.from_rotvec(fraction * turn).as_matrix()
    return SE3(rotation, (1 - fraction) * first.translation_m + fraction * second.translation_m)


class Trajectory:
    """Poses of a body over time.

    Args:
        t_us: (K,) int64 times, strictly rising, microseconds.
        poses: K poses, world_SE3_body.
        longest_gap_us: longest time between two poses that is bridged.
        overhang_us: longest time before the first and after the last pose for which the motion is taken to go on.
    """

    def __init__(
        self, t_us: NDArray[np.int64], poses: list[SE3], longest_gap_us: int = 1_000_000, overhang_us: int = 150_000
    ) -> None:
        self._t_us, self._poses = t_us, poses
        self._longest_gap_us, self._overhang_us = longest_gap_us, overhang_us

    def at(self, t_us: int) -> SE3 | None:
        """The pose at a time; None if no known poses are near enough."""
        times, count = self._t_us, len(self._t_us)
        if count == 0 or not times[0] - self._overhang_us <= t_us <= times[-1] + self._overhang_us:
            return None
        if count == 1:
            return self._poses[0]
        after = min(max(int(np.searchsorted(times, t_us)), 1), count - 1)
        before = after - 1
        step = int(times[after] - times[before])
        if t_us in (times[before], times[after]):
            return self._poses[before if t_us == times[before] else after]
        if step > self._longest_gap_us:
            return None
        return interpolated(self._poses[before], self._poses[after], (t_us - int(times[before])) / step)
