"""The points of all sweeps of a frame, in one coordinate frame.

Points of sweeps other than the reference sweep are transformed lidar_k -> ego at t_k -> world -> ego at t_0 -> lidar_0.
This accounts for the motion of the vehicle, not for that of objects.

If a sweep is not motion-compensated and its points have times, each point is first transformed with the pose of the
vehicle at its own time. The vehicle is assumed to move at a constant rate to the pose of the sweep, and at another one
from there on. The rates are those between the two known poses (of the reference sweep and its neighbours) around the
middle of the times of the points before the pose, and of those after it. Times that follow from the turn of the LiDAR
(`Sweep.revolution`) have no effect where no motion is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.datasets.io import XYZ, read_columns
from pointsam.geometry.motion import at_stamp, is_moved
from pointsam.geometry.projection import key_SE3_sweep
from pointsam.types import Frame, FramePoints, Sweep


def read_frame_points(frame: Frame, intensity: bool = False, ring: bool = False) -> FramePoints:
    """The points of all sweeps of a frame, one sweep after another, in the frame of the reference LiDAR.

    If the reference sweep needs no compensation, its positions are bit-identical to those of its source. Rows without a
    position are kept, with NaN (`FramePoints.present`): labels have one value per row.

    Args:
        frame: the frame.
        intensity: whether to read the intensity too; 0 for sensors without one.
        ring: whether to read the numbers of rings too; -1 for sensors without them.

    Raises:
        DatasetError: as `pointsam.datasets.io.read_columns`.
        UnfitChangeError: CAL004 if the source states times of points that need compensation, and the frame has too few
            poses for it.
    """
    more = (("intensity",) if intensity else ()) + (("ring",) if ring else ())
    parts = [_read(frame, sweep, index, more) for index, sweep in enumerate(frame.sweeps)]
    if len(parts) == 1:
        return parts[0]
    strength = [part.intensity for part in parts if part.intensity is not None]
    rings = [part.ring for part in parts if part.ring is not None]
    return FramePoints(
        np.concatenate([part.xyz_lidar_m for part in parts]),
        np.concatenate([part.sweep_index for part in parts]),
        np.concatenate([part.time_s for part in parts]),
        np.concatenate(strength) if intensity else None,
        np.concatenate(rings) if ring else None,
    )


def read_sweep_points(frame: Frame, sweep: Sweep, intensity: bool = False) -> NDArray[np.float32]:
    """The points of a sweep of a frame, or of one before or after it, in the frame of its own LiDAR at its own time.

    Rows without a position are left out.

    Args:
        frame: the frame, whose poses give the motion of the vehicle.
        sweep: the sweep.
        intensity: whether to read the intensity too.

    Returns:
        (N,3) float32 metres, or (N,4) with the intensity.

    Raises:
        DatasetError, CalibrationError: as `read_frame_points`.
    """
    values, _ = _compensated(frame, sweep, ("intensity",) if intensity else ())
    present = np.isfinite(values[:, 0])
    return values if present.all() else np.compress(present, values, axis=0)


def _read(frame: Frame, sweep: Sweep, index: int, more: tuple[str, ...]) -> FramePoints:
    values, time_s = _compensated(frame, sweep, more)
    xyz = values[:, :3]
    if index > 0:
        xyz = key_SE3_sweep(frame.sweep, sweep).apply(xyz).astype(np.float32)
    time_s = time_s + (sweep.t_us - frame.sweep.t_us) * 1e-6
    which = np.full(len(xyz), index, dtype=np.uint8)
    others = {name: values[:, 3 + k].copy() for k, name in enumerate(more)}
    return FramePoints(np.ascontiguousarray(xyz), which, time_s, **others)


def _compensated(frame: Frame, sweep: Sweep, more: tuple[str, ...]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(N,3+M) positions in the LiDAR's frame at `t_us` and other columns, and (N,) seconds from `t_us`, NaN if unknown.

    Args:
        frame: the frame.
        sweep: a sweep of it, or one before or after it.
        more: names of the other columns.
    """
    wanted = (*XYZ, *more)
    if not sweep.implies_times and "time_s" not in sweep.source.columns:
        values = read_columns(sweep, wanted)
        return values, np.broadcast_to(np.nan, len(values))
    values = read_columns(sweep, (*wanted, "time_s"))
    values, time_s = np.ascontiguousarray(values[:, :-1]), values[:, -1].astype(np.float64)
    if is_moved(frame, sweep):
        xyz_ego_m = at_stamp(frame, sweep, sweep.ego_SE3_lidar.apply(values[:, :3]), time_s)
        values[:, :3] = sweep.ego_SE3_lidar.inverse().apply(xyz_ego_m)
    return values, time_s
