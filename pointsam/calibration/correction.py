"""Corrections of the calibration of a rig, and frames with the corrected calibration.

A rig is all frames with the same mountings of cameras and LiDAR, and the same lenses: one car between two calibrations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointsam.geometry.motion import moved, twist
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame

CorrectionVector = NDArray[np.float64]
"""(6,) rotation vector in radians and translation in metres, in the camera's frame, that correct its mounting."""

_Numbers = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class RigCorrection:
    """The correction of one rig.

    Args:
        cameras: correction by camera name; cameras that are not listed are correct.
        time_s: time by which images were exposed later than their time stamps, seconds.
    """

    cameras: Mapping[str, CorrectionVector]
    time_s: float = 0.0

    def stored(self) -> StoredCorrection:
        """The correction in the form that documents hold."""
        return StoredCorrection(self.time_s, {name: _numbers(value) for name, value in self.cameras.items()})


@dataclass(frozen=True)
class StoredCorrection:
    """A `RigCorrection` as run.json holds it."""

    time_s: float
    cameras: Mapping[str, _Numbers]

    def correction(self) -> RigCorrection:
        """The correction in the form that `corrected` takes."""
        return RigCorrection(
            {name: np.array(vector, dtype=np.float64) for name, vector in self.cameras.items()}, self.time_s
        )


def corrects(calibration: Mapping[str, StoredCorrection] | None) -> bool:
    """Whether the calibration of a document of a run, by rig, corrects anything."""
    return any(one.cameras or one.time_s for one in (calibration or {}).values())


def rig_of(frame: Frame) -> str:
    """The id of a frame's rig: 12 hex digits of a digest of mountings, intrinsics and shutters."""
    digest = hashlib.sha256(_bytes(frame.sweep.ego_SE3_lidar))
    for view in frame.cameras:
        digest.update(view.name.encode() + view.camera.as_bytes() + _bytes(view.ego_SE3_cam))
        if view.shutter is not None:
            digest.update(view.shutter.as_bytes())
    for sweep in frame.sweeps[1:]:
        digest.update(_bytes(sweep.ego_SE3_lidar))
    return digest.hexdigest()[:12]


def corrected(frame: Frame, correction: RigCorrection) -> Frame:
    """The frame with corrected mountings and poses of its cameras.

    Raises:
        UnfitChangeError: CAL004 if the correction has a time offset and the motion of the frame is unknown.
    """
    return replace(frame, cameras=tuple(_corrected(frame, view, correction) for view in frame.cameras))


def _corrected(frame: Frame, view: CameraView, correction: RigCorrection) -> CameraView:
    pose, seconds = view.world_SE3_ego, correction.time_s
    if seconds:
        pose = moved(pose, twist(frame, view.t_us + seconds * 5e5), seconds)
    mounting = view.ego_SE3_cam
    if view.name in correction.cameras:
        mounting = mounting @ as_SE3(correction.cameras[view.name])
    return replace(view, ego_SE3_cam=mounting, world_SE3_ego=pose)


def as_SE3(vector: CorrectionVector) -> SE3:
    """The transform of a rotation vector and a translation."""
    return SE3(Rotation.from_rotvec(vector[:3]).as_matrix(), vector[3:])


def _numbers(value: CorrectionVector) -> _Numbers:
    a, b, c, d, e, f = value.tolist()
    return a, b, c, d, e, f


def _bytes(pose: SE3) -> bytes:
    return pose.rotation.astype("<f8").tobytes() + pose.translation_m.astype("<f8").tobytes()
