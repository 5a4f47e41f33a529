"""The poses of a file, and the error where it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.base.errors import CalibrationError
from pointsam.geometry.se3 import SE3
from pointsam.geometry.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class PoseFile:
    """Poses of the vehicle.

    Args:
        source: name of the file, for errors.
        path: the poses, one or more.
    """

    source: str
    path: Trajectory

    def at(self, t_us: int) -> SE3:
        """world_SE3_vehicle at a time.

        Raises:
            CalibrationError: CAL003 if the time is outside of the poses, or in a gap of them.
        """
        pose = self.path.at(t_us)
        if pose is None:
            known = self.path.t_us
            apart_s = float(np.abs(known - t_us).min()) * 1e-6
            raise CalibrationError(
                "CAL003",
                f"{self.source}: no pose at {t_us * 1e-6:.6f} s; the nearest is {apart_s:.3g} s away, and poses are "
                f"from {known[0] * 1e-6:.6f} to {known[-1] * 1e-6:.6f} s",
                "add poses, or state poses.time_offset_s or poses.unit if their clock is another one",
            )
        return pose
