"""Corrections of a rig with their uncertainties, and the decision which of them are applied.

Each rig is solved three times: with all of its frames, and with each half. If the halves disagree, the error is
unknown. A correction below the accuracy of the method is not applied, unless the whole rig is off.

The variance of a correction is the sum of three: that of the solution (the inverse of its Hessian, which in a direction
that the objects do not constrain is the prior's), that of half the difference between the halves, and a floor for
errors that both halves share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.calibration.correction import CorrectionVector, as_SE3
from pointsam.calibration.file import CameraResult, RigResult, Status
from pointsam.calibration.silhouettes import CameraObservations
from pointsam.calibration.solve import Solution, solve, supporting_points
from pointsam.geometry.motion import has_motion
from pointsam.types import CameraView, Frame

_Floats = NDArray[np.float64]

FLOOR_DEG = 0.25
"""Corrections that move the objects by less are not applied, unless the whole rig is off: with true calibrations, the
estimates are almost as large."""
BIAS_DEG, BIAS_M, BIAS_MS = 0.12, 0.04, 2.5
"""Errors about and along one axis, and of the time, that both halves share, as one standard deviation. Chosen on known
errors, so that uncertainties cover as many of the remaining errors as they should (docs/robustness.md)."""
AT_M = 20.0
"""Distance of the points whose displacement is the uncertainty of a camera, metres."""
MOST_APART_DEG = 0.15
"""Largest half difference between halves that agree, unless the shift is at least four times as large."""
TESTED_DEG = 1.0
"""The known errors on which uncertainties were tested move the objects by about as much at most. Of larger errors, the
estimate may be that of other objects and its uncertainty far too small (docs/robustness.md)."""
FLOOR_MS, MIN_SPEED_MPS = 5.0, 1.0
"""As FLOOR_DEG, for the time offset; and the lowest median speed at which a time offset is estimated."""
MIN_OBJECTS = 12
"""Fewest objects of a camera, in all frames and in each half."""
MIN_CAMERAS = 3
"""Fewest cameras whose median decides whether the whole rig is off."""


def rig_result(frames: Sequence[Frame], observations: Sequence[Sequence[CameraObservations]]) -> RigResult:
    """The result for one rig.

    Args:
        frames: frames of the rig, at least one.
        observations: the observations of each frame, at least one each.
    """
    views = {view.name: view for view in frames[0].cameras}
    speeds = [
        np.linalg.norm(of[0].rate[:3, 3]) for frame, of in zip(frames, observations, strict=True) if has_motion(frame)
    ]
    speed = float(np.median(speeds)) if speeds else None
    parts = [[one for of in some for one in of] for some in (observations, observations[::2], observations[1::2])]
    with_time = speed is not None and speed > MIN_SPEED_MPS
    whole, *halves = _solved(parts, views, with_time)
    time_s, first_s, second_s = (one.correction.time_s for one in (whole, *halves))
    apart_ms = abs(first_s - second_s) * 500
    shown = with_time and all(one.correction.cameras for one in (whole, *halves))
    time_status: Status = time_status_of(time_s * 1e3, apart_ms) if shown else "unknown"
    time_ms = round(time_s * 1e3, 3) if time_status == "mended" else 0.0
    uncertainty_ms = round(math.hypot(whole.time_s * 1e3, apart_ms, BIAS_MS), 3) if shown else None
    if with_time and time_status != "mended":
        whole, *halves = _solved(parts, views, False)
    estimates = {name: _estimate(parts[0], view, whole, halves) for name, view in views.items()}
    return RigResult(len(frames), speed, time_status, time_ms, uncertainty_ms, camera_results(estimates))


def unseen_rig(frame: Frame) -> RigResult:
    """The result for a rig none of whose frames can be read: its calibration stays as it is.

    Args:
        frame: a frame of the rig.
    """
    return RigResult(0, None, "unknown", 0.0, None, camera_results({view.name: _unsolved(0) for view in frame.cameras}))


def time_status_of(time_ms: float, apart_ms: float) -> Status:
    """The status of a time offset, by the rules for a camera.

    Args:
        time_ms: the offset.
        apart_ms: half the difference between the halves.
    """
    if apart_ms >= 2 * FLOOR_MS:
        return "unknown"
    if abs(time_ms) <= FLOOR_MS:
        return "right"
    return "mended" if abs(time_ms) > 2 * apart_ms else "unknown"


def _solved(
    parts: Sequence[Sequence[CameraObservations]], views: Mapping[str, CameraView], with_time: bool
) -> list[Solution]:
    return [solve(some, views, with_time, MIN_OBJECTS) for some in parts]


@dataclass(frozen=True, eq=False)
class CameraEstimate:
    """The estimated error of a camera.

    Args:
        objects: number of objects that it is estimated from.
        vector: the correction: rotation in radians, then translation in metres, in the camera frame.
        covariance: (6,6) covariance of `vector`; zero without a solution.
        shift_deg: root mean square angle by which `vector` moves the objects, as the camera sees them.
        apart_deg: the same for half the difference between the halves.
        doubt_deg: standard deviation of the angle of points at AT_M in the lower two thirds of the image.
        edge_px: distance by which the edges of the masks lie inside those of the objects.
        solved: whether all three solutions exist.
    """

    objects: int
    vector: CorrectionVector
    covariance: _Floats
    shift_deg: float = 0.0
    apart_deg: float = 0.0
    doubt_deg: float = 0.0
    edge_px: float = 0.0
    solved: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the halves agree well enough for a correction."""
        return self.solved and (self.apart_deg <= MOST_APART_DEG or self.shift_deg >= 4 * self.apart_deg)


def _unsolved(objects: int) -> CameraEstimate:
    return CameraEstimate(objects, np.zeros(6), np.zeros((6, 6)))


def _estimate(
    observations: Sequence[CameraObservations], view: CameraView, whole: Solution, halves: Sequence[Solution]
) -> CameraEstimate:
    xyz, objects = supporting_points(observations, view, whole.correction)
    if not all(view.name in one.correction.cameras for one in (whole, *halves)):
        return _unsolved(objects)
    vector, a, b = (one.correction.cameras[view.name] for one in (whole, *halves))
    floor = np.array([math.radians(BIAS_DEG)] * 3 + [BIAS_M] * 3)
    half = (a - b) / 2
    covariance = whole.covariance[view.name] + half[:, None] * half + np.diag(floor**2)
    angles = _shift_deg(xyz, vector), _shift_deg(xyz, half), doubt_deg(view, covariance)
    return CameraEstimate(objects, vector, covariance, *angles, whole.edge_px[view.name], solved=True)


def doubt_deg(view: CameraView, covariance: _Floats) -> float:
    """Standard deviation of the angle at which a camera sees points at AT_M, in the lower two thirds of its image.

    Args:
        view: the camera.
        covariance: (6,6) covariance of a small correction of its mounting, radians and metres.
    """
    xyz = points_at_20_m(view)
    return float(np.linalg.norm([_shift_deg(xyz, one) for one in np.linalg.cholesky(covariance).T]))


def points_at_20_m(view: CameraView) -> _Floats:
    """(P,3) points at AT_M in the lower two thirds of a camera's image, in its frame, metres.

    Of a grid of 45 pixels; those that the lens does not reach are left out.
    """
    camera = view.camera
    u, v = np.meshgrid(np.linspace(0, camera.width_px, 9), np.linspace(camera.height_px / 3, camera.height_px, 5))
    rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
    xyz: _Floats = AT_M * rays[np.isfinite(rays[:, 0])]
    return xyz


def camera_results(estimates: Mapping[str, CameraEstimate]) -> dict[str, CameraResult]:
    """The result for each camera: "right", "mended" (the correction is applied) or "unknown".

    The whole rig is off if the median shift of the cameras whose halves agree exceeds FLOOR_DEG and there are at least
    MIN_CAMERAS of them. Then every correction is applied that exceeds half the difference between its halves.
    Otherwise a camera is right if its shift is at most FLOOR_DEG, and it is corrected if its shift exceeds the
    difference between its halves.
    """
    shifts = [estimate.shift_deg for estimate in estimates.values() if estimate.agrees]
    all_off = len(shifts) >= MIN_CAMERAS and float(np.median(shifts)) > FLOOR_DEG
    return {name: _camera_result(estimate, all_off) for name, estimate in estimates.items()}


def _camera_result(estimate: CameraEstimate, all_off: bool) -> CameraResult:
    status: Status
    if all_off:
        status = "mended" if estimate.solved and estimate.shift_deg > estimate.apart_deg else "unknown"
    elif not estimate.agrees:
        status = "unknown"
    elif estimate.shift_deg <= FLOOR_DEG:
        status = "right"
    else:
        status = "mended" if estimate.shift_deg > 2 * estimate.apart_deg else "unknown"
    kept = estimate.vector if status == "mended" else np.zeros(6)
    deviation = np.sqrt(np.diag(estimate.covariance))
    return CameraResult(
        status,
        estimate.objects,
        round(estimate.shift_deg, 4),
        round(estimate.apart_deg, 4),
        round(estimate.doubt_deg, 4) if estimate.solved else None,
        _rounded(np.rad2deg(kept[:3])),
        _rounded(kept[3:]),
        _rounded(np.rad2deg(deviation[:3])) if estimate.solved else None,
        _rounded(deviation[3:]) if estimate.solved else None,
        round(estimate.edge_px, 2) if estimate.solved else None,
    )


def _shift_deg(xyz_cam_m: _Floats, vector: CorrectionVector) -> float:
    """Angle by which a correction moves points, as the camera sees them, degrees, root mean square."""
    before, after = (
        xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
        for xyz in (xyz_cam_m, as_SE3(vector).inverse().apply(xyz_cam_m))
    )
    return float(np.rad2deg(np.sqrt(np.mean(np.sum((after - before) ** 2, axis=1)))))


def _rounded(values: _Floats) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 5) for value in values)
    return x, y, z
