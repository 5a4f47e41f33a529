"""How the vehicle moves about the time of a frame, by the poses of its sweeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, logm

from pointsam.base.errors import UnfitChangeError
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, Sweep


def twist(frame: Frame, t_us: float) -> NDArray[np.float64]:
    """(4,4) rate of the vehicle's pose in its own frame, a second; the exponential of a part of it is the motion.

    Args:
        frame: with a sweep before or after.
        t_us: when; between two sweeps the rate is constant.

    Raises:
        UnfitChangeError: CAL004 if the frame has a single sweep, which tells no motion.
    """
    by_time = {sweep.t_us: sweep for sweep in (frame.sweep, *frame.neighbours.values())}
    if len(by_time) < 2:
        raise UnfitChangeError(
            "CAL004",
            f"frame {frame.frame_id} has a single sweep, which tells no motion for an offset of time",
            "use recordings with sweeps before and after, or leave the time alone",
        )
    first, second = _around([by_time[t] for t in sorted(by_time)], t_us)
    a_SE3_b = first.world_SE3_ego.inverse() @ second.world_SE3_ego
    step = np.eye(4)
    step[:3, :3], step[:3, 3] = a_SE3_b.rotation, a_SE3_b.translation_m
    rate: NDArray[np.float64] = logm(step).real / ((second.t_us - first.t_us) * 1e-6)
    return rate


def moved(world_SE3_ego: SE3, rate: NDArray[np.float64], seconds: float) -> SE3:
    """A pose some time later, at a `twist`."""
    step = expm(rate * seconds)
    return world_SE3_ego @ SE3(step[:3, :3], step[:3, 3])


def _around(sweeps: list[Sweep], t_us: float) -> tuple[Sweep, Sweep]:
    """The two successive sweeps that a time lies between, or the nearest two."""
    later = min(max(int(np.searchsorted([sweep.t_us for sweep in sweeps], t_us)), 1), len(sweeps) - 1)
    return sweeps[later - 1], sweeps[later]
