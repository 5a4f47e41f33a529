"""Find the correction of a rig under which points of objects lie inside their masks and background points outside.

A point on the correct side of its mask's edge has no cost; at distance d beyond the edge it costs
log(1 + (d / s)^2) / 2. Outliers therefore have little influence, and an object without points at one side does not
constrain that side. (A loss that also pushes points away from the edge would centre objects in their masks, which is
wrong for objects whose upper edge has no points above it.)
The sum, with a normal prior around zero correction, is minimised by damped Gauss-Newton steps. Components are matched
to masks again in every round, while the scale s decreases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.calibration.correction import CorrectionVector, RigCorrection, as_SE3
from pointsam.calibration.silhouettes import (
    MARGIN_PX,
    CameraObservations,
    Silhouette,
    SilhouettePoints,
    silhouette_points,
)
from pointsam.types import CameraView

_Floats = NDArray[np.float64]
_Kind = TypeVar("_Kind", bound=np.generic)

ROUNDS = ((0.020, 0.3), (0.008, 0.4), (0.003, 0.5), (0.0015, 0.5), (0.001, 0.5))
"""Of each round: the scale s in radians, and the fraction of a component in a mask that makes it the object."""
_EDGE_PX = 1.0
"""Mask edges are uncertain by about one pixel."""
_STEPS = 8
"""Gauss-Newton steps per round."""
PRIOR_ROTATION_RAD, PRIOR_TRANSLATION_M, PRIOR_TIME_S = np.deg2rad(1.0), 0.1, 0.05
"""Standard deviations of the prior."""
_LARGEST = np.array([np.deg2rad(0.5)] * 3 + [0.1] * 3 + [0.03])
"""Largest change in one step: rotation, translation, time."""
_PROBE = np.array([1e-3] * 3 + [1e-2] * 3 + [5e-3])
"""Half the step of the numerical derivatives: small compared with objects, large compared with a pixel."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """All P points around the silhouettes of one camera; the fields of all silhouettes are concatenated."""

    view: CameraView
    xyz_ego_m: _Floats
    velocity: _Floats  # (P,6) of the vehicle: angular and linear velocity
    inside: NDArray[np.bool_]
    weight: _Floats
    origin_px: _Floats
    size_px: NDArray[np.int64]
    start: NDArray[np.int64]
    field_px: NDArray[np.float16]
    objects: int

    def distance(self, vector: CorrectionVector, time_s: float) -> _Floats:
        """(P,) signed distance of each point to the edge under a correction, pixels; positive inside the mask."""
        turn, speed = self.velocity[:, :3], self.velocity[:, 3:]
        xyz = self.xyz_ego_m - time_s * (np.cross(turn, self.xyz_ego_m) + speed)
        uv, _ = self.view.camera.project((self.view.ego_SE3_cam @ as_SE3(vector)).inverse().apply(xyz))
        place = np.nan_to_num(uv - self.origin_px, nan=-1.0)
        edge = self.size_px - 1.001
        out = ((place < 0) | (place > edge)).any(axis=1)
        place = np.clip(place, 0, edge)
        column, row = place.T.astype(np.int64)
        x, y = place[:, 0] - column, place[:, 1] - row
        at = self.start + row * self.size_px[:, 0] + column
        below = at + self.size_px[:, 0]
        upper = self.field_px[at] * (1 - x) + self.field_px[at + 1] * x
        lower = self.field_px[below] * (1 - x) + self.field_px[below + 1] * x
        return np.where(out, -float(MARGIN_PX), upper * (1 - y) + lower * y)


def solve(
    observations: Sequence[CameraObservations], views: Mapping[str, CameraView], with_time: bool, min_objects: int
) -> RigCorrection:
    """The correction of one rig.

    Args:
        observations: its images.
        views: cameras of one of its frames, by name.
        with_time: whether to solve for a time offset, too; the vehicle must move.
        min_objects: cameras that show fewer objects are not corrected.
    """
    corrections, time_s = dict[str, CorrectionVector](), 0.0
    for width, share in ROUNDS:
        batches = {
            name: _gathered(observations, view, corrections.get(name), time_s, share) for name, view in views.items()
        }
        batches = {name: batch for name, batch in batches.items() if batch.objects >= min_objects}
        corrections = {name: corrections.get(name, np.zeros(6)) for name in batches}
        for _ in range(_STEPS if batches else 0):
            time_s = _step(batches, corrections, time_s, width, with_time)
    return RigCorrection(corrections, time_s)


def supporting_points(
    observations: Sequence[CameraObservations], view: CameraView, correction: RigCorrection
) -> tuple[_Floats, int]:
    """(P,3) points in the camera's frame that a correction is based on, and the number of their objects."""
    vector = correction.cameras.get(view.name)
    batch = _gathered(observations, view, vector, correction.time_s, ROUNDS[-1][1])
    return view.ego_SE3_cam.inverse().apply(batch.xyz_ego_m), batch.objects


def _gathered(
    observations: Sequence[CameraObservations],
    view: CameraView,
    vector: CorrectionVector | None,
    time_s: float,
    share: float,
) -> _Batch:
    to_camera = (view.ego_SE3_cam @ as_SE3(np.zeros(6) if vector is None else vector)).inverse()
    parts: list[tuple[CameraObservations, Silhouette, SilhouettePoints]] = []
    for image in observations:
        if image.camera == view.name:
            velocity = _velocity(image)
            moved = image.xyz_ego_m - time_s * (np.cross(velocity[:3], image.xyz_ego_m) + velocity[3:])
            uv, depth = view.camera.project(to_camera.apply(moved))
            rows = silhouette_points(image, np.nan_to_num(uv, nan=-1e6), depth, share)
            parts += [
                (image, silhouette, row)
                for silhouette, row in zip(image.silhouettes, rows, strict=True)
                if row is not None
            ]
    count = [len(row.point) for _, _, row in parts]
    fields = [silhouette.field_px.ravel() for _, silhouette, _ in parts]
    start = np.cumsum([0, *(len(field) for field in fields)])[:-1]
    sizes = np.array([silhouette.field_px.shape[::-1] for _, silhouette, _ in parts], dtype=np.int64).reshape(-1, 2)
    origins = np.array([silhouette.origin_px for _, silhouette, _ in parts], dtype=np.float64).reshape(-1, 2)
    velocities = np.array([_velocity(image) for image, _, _ in parts]).reshape(-1, 6)
    return _Batch(
        view,
        _joined([image.xyz_ego_m[row.point] for image, _, row in parts], np.zeros((0, 3))),
        np.repeat(velocities, count, axis=0),
        _joined([row.inside for _, _, row in parts], np.zeros(0, dtype=np.bool_)),
        _joined([row.weight for _, _, row in parts], np.zeros(0)),
        np.repeat(origins, count, axis=0),
        np.repeat(sizes, count, axis=0),
        np.repeat(start, count),
        _joined(fields, np.zeros(0, dtype=np.float16)),
        len(parts),
    )


def _joined(parts: Sequence[NDArray[_Kind]], none: NDArray[_Kind]) -> NDArray[_Kind]:
    return np.concatenate(parts) if parts else none


def _velocity(image: CameraObservations) -> _Floats:
    rate = image.rate
    return np.array([rate[2, 1], rate[0, 2], rate[1, 0], *rate[:3, 3]])


def _step(
    batches: Mapping[str, _Batch],
    corrections: dict[str, CorrectionVector],
    time_s: float,
    width_rad: float,
    with_time: bool,
) -> float:
    """One Gauss-Newton step of all cameras and the time; changes `corrections` and returns the new time."""
    count = 6 * len(batches) + 1
    hessian, gradient = np.zeros((count, count)), np.zeros(count)
    prior = np.array([PRIOR_ROTATION_RAD] * 3 + [PRIOR_TRANSLATION_M] * 3) ** -2.0
    for k, (name, batch) in enumerate(batches.items()):
        own = np.arange(6 * k, 6 * k + 6)
        all_of = np.append(own, count - 1)
        slope, bend, jacobian = _derivatives(batch, corrections[name], time_s, width_rad)
        hessian[np.ix_(all_of, all_of)] += jacobian.T @ (jacobian * bend[:, None])
        gradient[all_of] += slope @ jacobian
        hessian[own, own] += prior
        gradient[own] += prior * corrections[name]
    time_prior = PRIOR_TIME_S**-2.0 if with_time else 1e12
    hessian[-1, -1] += time_prior
    gradient[-1] += time_prior * time_s
    step = -np.linalg.solve(hessian + 0.02 * np.diag(np.diag(hessian)), gradient)
    for k, name in enumerate(batches):
        corrections[name] = corrections[name] + np.clip(step[6 * k : 6 * k + 6], -_LARGEST[:6], _LARGEST[:6])
    return time_s + float(np.clip(step[-1], -_LARGEST[6], _LARGEST[6]))


def _derivatives(
    batch: _Batch, vector: CorrectionVector, time_s: float, width_rad: float
) -> tuple[_Floats, _Floats, _Floats]:
    """(P,) weighted first and second derivative of the loss by the distance, and (P,7) Jacobian of the distance."""
    width_px = width_rad * batch.view.camera.K[0, 0]
    sign = np.where(batch.inside, 1.0, -1.0)
    wrong_px = np.maximum(-sign * batch.distance(vector, time_s) - _EDGE_PX, 0)
    bend = (wrong_px > 0) / (width_px**2 + wrong_px**2)
    slope = -sign * wrong_px * bend
    jacobian = np.empty((len(sign), 7))
    for k, probe in enumerate(_PROBE):
        plus, minus = np.append(vector, time_s), np.append(vector, time_s)
        plus[k] += probe
        minus[k] -= probe
        difference = batch.distance(plus[:6], plus[6]) - batch.distance(minus[:6], minus[6])
        jacobian[:, k] = difference / (2 * probe)
    return batch.weight * slope, batch.weight * bend, jacobian
