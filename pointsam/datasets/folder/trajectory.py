"""The poses of a vehicle over time, interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError
from pointsam.geometry.se3 import SE3

_LONGEST_S, _BEYOND_S = 1.0, 0.2
"""Poses that are farther apart are not interpolated; and how far beyond an end the motion is continued."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of the vehicle.

    Args:
        source: name of the file, for errors.
        t_us: (N,) int64, rising; N > 0.
        position_m: (N,3) float64 in the world.
        rotation: (N,3,3) float64 world_R_vehicle.
    """

    source: str
    t_us: NDArray[np.int64]
    position_m: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def at(self, t_us: int) -> SE3:
        """world_SE3_vehicle at a time: linear positions, and rotations at a constant rate about one axis (SLERP).

        Raises:
            CalibrationError: CAL003 if the time is outside of the poses, or in a gap of them.
        """
        k = int(np.searchsorted(self.t_us, t_us))
        if k < len(self.t_us) and self.t_us[k] == t_us:
            return SE3(self.rotation[k], self.position_m[k])
        if len(self.t_us) == 1:
            raise self._missing(t_us, abs(int(self.t_us[0]) - t_us) * 1e-6)
        first = min(max(k - 1, 0), len(self.t_us) - 2)
        start, end = int(self.t_us[first]), int(self.t_us[first + 1])
        beyond_s = max(start - t_us, t_us - end, 0) * 1e-6
        if beyond_s > _BEYOND_S:
            raise self._missing(t_us, beyond_s)
        if end - start > _LONGEST_S * 1e6:
            raise self._missing(t_us, min(abs(t_us - start), abs(end - t_us)) * 1e-6)
        fraction = (t_us - start) / (end - start)
        here, there = self.rotation[first], self.rotation[first + 1]
        turn = Rotation.from_matrix(here.T @ there).as_rotvec() * fraction
        position = (1 - fraction) * self.position_m[first] + fraction * self.position_m[first + 1]
        return SE3(here @ Rotation.from_rotvec(turn).as_matrix(), position)

    def _missing(self, t_us: int, apart_s: float) -> CalibrationError:
        first, last = (int(self.t_us[end]) * 1e-6 for end in (0, -1))
        return CalibrationError(
            "CAL003",
            f"{self.source}: no pose at {t_us * 1e-6:.6f} s; the nearest is {apart_s:.3g} s away, and poses are from "
            f"{first:.6f} to {last:.6f} s",
            "add poses, or state poses.time_offset_s or poses.unit if their clock is another one",
        )
