"""Sensors, poses and boxes as a plain folder states them."""

from __future__ import annotations

import math

from pointsam.convert.nuscenes_tables import quaternion
from pointsam.convert.source import SourceBox
from pointsam.datasets.folder.calibration import CameraEntry, Distortion, LidarEntry
from pointsam.geometry.motion import is_moved
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep


def rig_texts(frame: Frame) -> dict[str, str]:
    """The calibration of each sensor as a text."""
    cameras = {view.name: repr((camera_entry(view), tum_values(view.ego_SE3_cam))) for view in frame.cameras}
    return cameras | {
        sweep.sensor: repr((lidar_entry(frame, sweep), tum_values(sweep.ego_SE3_lidar))) for sweep in frame.sweeps
    }


def camera_entry(view: CameraView) -> CameraEntry:
    """A camera of the calibration file."""
    camera, shutter = view.camera, view.shutter
    lens = Distortion(camera.lens, tuple(camera.distortion)) if camera.model is not None else Distortion()
    return CameraEntry(
        (camera.width_px, camera.height_px),
        K=tuple(tuple(row) for row in camera.K.tolist()),
        distortion=lens,
        readout_s=None if shutter is None else (shutter.first_s, shutter.last_s),
        readout_axis="rows" if shutter is None else shutter.axis,
    )


def lidar_entry(frame: Frame, sweep: Sweep) -> LidarEntry:
    """A LiDAR of the calibration file."""
    return LidarEntry(
        columns_of(frame, sweep),
        motion_compensated=sweep.motion_compensated,
        ring_gap_deg=math.degrees(sweep.ring_gap_rad),
    )


def columns_of(frame: Frame, sweep: Sweep) -> tuple[str, ...]:
    """All columns of the source; those of a position first.

    Times that follow from the turn of the LiDAR become a column where they are used. Elsewhere the folder could not be
    read with them: it must have poses then.
    """
    first = ("x", "y", "z", "intensity")
    names = (*sweep.source.columns, *(("time_s",) if sweep.implies_times and is_moved(frame, sweep) else ()))
    return (*(n for n in first if n in names), *(n for n in names if n not in first and n != "_"))


def tum_values(pose: SE3) -> tuple[float, ...]:
    """x, y, z, qx, qy, qz, qw of a pose, as TUM files have them."""
    w, x, y, z = quaternion(pose.rotation)
    return (*pose.translation_m.tolist(), x, y, z, w)


def box_entry(box: SourceBox) -> dict[str, object]:
    """A box in the frame of the reference LiDAR."""
    return {
        "name": box.category or box.kind or "void",
        "translation": box.lidar_SE3_box.translation_m.tolist(),
        "size": box.size_lwh_m[[1, 0, 2]].tolist(),
        "rotation": quaternion(box.lidar_SE3_box.rotation),
        **({} if box.track is None else {"track": box.track}),
    }
