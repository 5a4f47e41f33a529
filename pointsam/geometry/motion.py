"""Motion of the vehicle around the time of a frame: at a constant rate between the poses of two sweeps."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import UnfitChangeError
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, Sweep

_STILL_RAD_S = 1e-12

SweepMotion = Literal["removed", "kept: no poses", "kept: no times", "removed by the data set"]
"""What becomes of the motion of the vehicle within the sweeps of a frame."""


def has_motion(frame: Frame) -> bool:
    """Whether the motion of the vehicle follows from the poses of a frame."""
    return len(_known(frame)) > 1


def is_moved(frame: Frame, sweep: Sweep) -> bool:
    """Whether reading moves the points of a sweep of the frame, or of one before or after it, to the sweep's `t_us`.

    If the turn of the LiDAR is known, points stay where the motion of the vehicle is not known. Otherwise the source
    states times, and the motion must be known: reading such points without it is CAL004.
    """
    return sweep.needs_compensation and (has_motion(frame) or sweep.revolution is None)


def motion_within(frame: Frame) -> SweepMotion:
    """What becomes of the motion of the vehicle within the sweeps of a frame; the worst case of several sweeps."""
    if all(sweep.motion_compensated for sweep in frame.sweeps):
        return "removed by the data set"
    if not all(sweep.motion_compensated or sweep.needs_compensation for sweep in frame.sweeps):
        return "kept: no times"
    return "removed" if all(s.motion_compensated or is_moved(frame, s) for s in frame.sweeps) else "kept: no poses"


def at_stamp(frame: Frame, sweep: Sweep, xyz_ego_m: FloatArray, seconds: FloatArray) -> NDArray[np.float64]:
    """Points of a static world, each moved from the ego frame at its own time to that at the `t_us` of a sweep.

    The vehicle moves at a constant rate up to `t_us` and at another one from there on: those between the two known
    poses around the middle of the times before, and after.

    Args:
        frame: the frame, whose poses give the motion.
        sweep: the sweep.
        xyz_ego_m: (N,3) metres, each in the ego frame at its own time.
        seconds: (N,) time of each point from `t_us`; points without one, NaN, stay.

    Returns:
        (N,3) float64.

    Raises:
        UnfitChangeError: CAL004 as `twist`.
    """
    _require_motion(frame)
    out = np.array(xyz_ego_m, dtype=np.float64)
    for part in (seconds < 0, seconds > 0):
        if part.any():
            its = seconds[part].astype(np.float64)
            middle_us = sweep.t_us + 5e5 * float(its.min() + its.max())
            out[part] = carried(out[part], twist(frame, middle_us), its)
    return out


def twist(frame: Frame, t_us: float) -> NDArray[np.float64]:
    """(4,4) rate of the vehicle's pose per second, in its own frame.

    The motion in s seconds is the exponential of s times the rate.

    The poses are those of the reference sweep and its neighbours; in a frame without neighbours, those of its sweeps.

    Args:
        frame: frame with sweeps at two times or more.
        t_us: time at which the rate is wanted; between two sweeps it is constant.

    Raises:
        UnfitChangeError: CAL004 if all sweeps of the frame have the same time, so that the motion is unknown.
    """
    from scipy.linalg import logm

    by_time = _require_motion(frame)
    first, second = _around([by_time[t] for t in sorted(by_time)], t_us)
    a_SE3_b = first.world_SE3_ego.inverse() @ second.world_SE3_ego
    step = np.eye(4)
    step[:3, :3], step[:3, 3] = a_SE3_b.rotation, a_SE3_b.translation_m
    rate: NDArray[np.float64] = logm(step).real / ((second.t_us - first.t_us) * 1e-6)
    return rate


def moved(world_SE3_ego: SE3, rate: NDArray[np.float64], seconds: float) -> SE3:
    """A pose after some time at a constant rate.

    Args:
        world_SE3_ego: the pose.
        rate: (4,4) rate of the vehicle, from `twist`.
        seconds: time after which the new pose is taken; negative for earlier.
    """
    from scipy.linalg import expm

    step = expm(rate * seconds)
    return world_SE3_ego @ SE3(step[:3, :3], step[:3, 3])


def carried(xyz_ego_m: FloatArray, rate: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of a static world, each moved from the ego frame at its own time to the ego frame now.

    Args:
        xyz_ego_m: (N,3) metres, each in the ego frame `seconds` from now.
        rate: (4,4) rate of the vehicle, from `twist`.
        seconds: (N,) time of each point relative to now; negative for points from the past. The negative times move
            points from the ego frame now to the ego frame at those times.

    Returns:
        (N,3) float64 exp(rate seconds) xyz: the exponential of SE(3) in closed form (Rodrigues).
    """
    xyz = np.asarray(xyz_ego_m, dtype=np.float64)
    turn, speed = np.array([rate[2, 1], rate[0, 2], rate[1, 0]]), rate[:3, 3]
    turn_rate = float(np.linalg.norm(turn))
    if turn_rate < _STILL_RAD_S:
        return xyz + seconds[:, None] * speed
    axis = turn / turn_rate
    angle = (seconds * turn_rate)[:, None]
    sine, rest = np.sin(angle), 2 * np.sin(angle / 2) ** 2  # rest = 1 - cosine, exact at small angles
    across = np.cross(axis, xyz)
    turned = xyz + sine * across + rest * np.cross(axis, across)
    beside = np.cross(axis, speed)
    shift = (angle * speed + rest * beside + (angle - sine) * np.cross(axis, beside)) / turn_rate
    out: NDArray[np.float64] = turned + shift
    return out


def _known(frame: Frame) -> dict[int, Sweep]:
    """Sweeps by time. Neighbours are preferred: the time stamps of two sensors may differ by only microseconds."""
    by_time = {sweep.t_us: sweep for sweep in (frame.sweep, *frame.neighbours.values())}
    return by_time if len(by_time) > 1 else {sweep.t_us: sweep for sweep in frame.sweeps}


def _require_motion(frame: Frame) -> dict[int, Sweep]:
    """As `_known`; CAL004 if all sweeps of the frame have the same time."""
    by_time = _known(frame)
    if len(by_time) < 2:
        raise UnfitChangeError(
            "CAL004",
            f"frame {frame.frame_id} has a single sweep, so the vehicle's motion is unknown",
            "use recordings with sweeps before and after, or leave out time offsets, rolling shutters and point times",
        )
    return by_time


def _around(sweeps: list[Sweep], t_us: float) -> tuple[Sweep, Sweep]:
    """The two successive sweeps around a time, or the nearest two."""
    later = min(max(int(np.searchsorted([sweep.t_us for sweep in sweeps], t_us)), 1), len(sweeps) - 1)
    return sweeps[later - 1], sweeps[later]
