"""Find the correction of a rig under which points of objects lie inside their masks and background points outside.

A point on the correct side of its mask's edge has no cost; at distance d beyond the edge it costs
log(1 + (d / s)^2) / 2. Outliers therefore have little influence, and an object without points at one side does not
constrain that side. (A loss that also pushes points away from the edge would centre objects in their masks, which is
wrong for objects whose upper edge has no points above it.)

Masks of a network are wider or narrower than the objects, all alike. A camera that stands too far back makes objects
look smaller, so without a remedy that error becomes a shift along the optical axis. Each camera therefore has one more
unknown: the distance by which the edges of all of its masks are off.

All objects count alike. The errors of one mask are common to its points, so that an object with a thousand points says
no more about the calibration than one with fifty.

The sum, with a normal prior around zero correction, is minimised by damped Gauss-Newton steps. Components are matched
to masks again in every round, while the scale s decreases. The inverse of the Hessian is the covariance of the
solution; in a direction that the objects do not constrain, it is that of the prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

ROUNDS = ((0.020, 0.3), (0.008, 0.4), (0.003, 0.7), (0.0015, 0.7), (0.001, 0.7))
"""Of each round: the scale s in radians, and the fraction of a component in a mask that makes it the object."""
_STEPS = 8
"""Gauss-Newton steps per round."""
PRIOR_ROTATION_RAD, PRIOR_TRANSLATION_M, PRIOR_TIME_S, PRIOR_EDGE_PX = np.deg2rad(1.0), 0.1, 0.05, 1.0
"""Standard deviations of the prior."""
_LARGEST = np.array([np.deg2rad(0.5)] * 3 + [0.1] * 3 + [2.0, 0.03])
"""Largest change in one step: rotation, translation, edge, time."""
_PROBE = np.array([1e-3] * 3 + [1e-2] * 3)
"""Half the step of the numerical derivatives: small compared with objects, large compared with a pixel."""
_PROBE_S = 5e-3
"""The same for the time."""


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

    def rows(self, which: NDArray[np.bool_]) -> _Batch:
        """The batch of some of its points."""
        return replace(
            self,
            xyz_ego_m=self.xyz_ego_m[which],
            velocity=self.velocity[which],
            inside=self.inside[which],
            weight=self.weight[which],
            origin_px=self.origin_px[which],
            size_px=self.size_px[which],
            start=self.start[which],
        )

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


@dataclass(frozen=True, eq=False)
class Solution:
    """The correction of one rig, and how far the objects determine it.

    Args:
        correction: the correction.
        covariance: (6,6) covariance of each camera's correction vector, by its name.
        edge_px: distance by which the edges of each camera's masks lie inside the edges of the objects.
        time_s: standard deviation of the correction's time.
    """

    correction: RigCorrection
    covariance: Mapping[str, _Floats]
    edge_px: Mapping[str, float]
    time_s: float


@dataclass(frozen=True, eq=False)
class _State:
    """(7,) correction and edge of each camera, by name, and the time."""

    cameras: Mapping[str, _Floats]
    time_s: float


def solve(
    observations: Sequence[CameraObservations], views: Mapping[str, CameraView], with_time: bool, min_objects: int
) -> Solution:
    """The correction of one rig.

    Args:
        observations: its images.
        views: cameras of one of its frames, by name.
        with_time: whether to solve for a time offset, too; the vehicle must move.
        min_objects: cameras that show fewer objects in the last round are not corrected.
    """
    state = _State({}, 0.0)
    batches = dict[str, _Batch]()
    for width_rad, share in ROUNDS:
        batches = {
            name: _gathered(observations, view, state.cameras.get(name), state.time_s, share)
            for name, view in views.items()
        }
        fewest = min_objects if (width_rad, share) == ROUNDS[-1] else 1
        batches = {name: batch for name, batch in batches.items() if batch.objects >= fewest}
        state = _State({name: state.cameras.get(name, np.zeros(7)) for name in batches}, state.time_s)
        for _ in range(_STEPS if batches else 0):
            state = _stepped(batches, state, width_rad, with_time)
    correction = RigCorrection({name: values[:6] for name, values in state.cameras.items()}, state.time_s)
    hessian, _ = _normal_equations(batches, state, ROUNDS[-1][0], with_time)
    covariance = np.linalg.inv(hessian)
    own = {name: slice(7 * k, 7 * k + 6) for k, name in enumerate(batches)}
    return Solution(
        correction,
        {name: covariance[rows, rows] for name, rows in own.items()},
        {name: float(values[6]) for name, values in state.cameras.items()},
        float(covariance[-1, -1] ** 0.5),
    )


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
    vector: _Floats | None,
    time_s: float,
    share: float,
) -> _Batch:
    to_camera = (view.ego_SE3_cam @ as_SE3(np.zeros(6) if vector is None else vector[:6])).inverse()
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


def _stepped(batches: Mapping[str, _Batch], state: _State, width_rad: float, with_time: bool) -> _State:
    """The state after one Gauss-Newton step of all cameras and the time."""
    hessian, gradient = _normal_equations(batches, state, width_rad, with_time)
    step = -np.linalg.solve(hessian + 0.02 * np.diag(np.diag(hessian)), gradient)
    limit = np.append(np.tile(_LARGEST[:7], len(batches)), _LARGEST[7])
    step = np.clip(step, -limit, limit)
    cameras = {name: state.cameras[name] + step[7 * k : 7 * k + 7] for k, name in enumerate(batches)}
    return _State(cameras, state.time_s + float(step[-1]))


def _normal_equations(
    batches: Mapping[str, _Batch], state: _State, width_rad: float, with_time: bool
) -> tuple[_Floats, _Floats]:
    """Hessian and gradient of the cost by the seven values of each camera, in their order, and by the time."""
    count = 7 * len(batches) + 1
    hessian, gradient = np.zeros((count, count)), np.zeros(count)
    prior = np.array([PRIOR_ROTATION_RAD] * 3 + [PRIOR_TRANSLATION_M] * 3 + [PRIOR_EDGE_PX]) ** -2.0
    for k, (name, batch) in enumerate(batches.items()):
        own = np.arange(7 * k, 7 * k + 7)
        all_of = np.append(own, count - 1)
        slope, bend, jacobian = _derivatives(batch, state.cameras[name], state.time_s, width_rad)
        hessian[np.ix_(all_of, all_of)] += jacobian.T @ (jacobian * bend[:, None])
        gradient[all_of] += slope @ jacobian
        hessian[own, own] += prior
        gradient[own] += prior * state.cameras[name]
    time_prior = PRIOR_TIME_S**-2.0 if with_time else 1e12
    hessian[-1, -1] += time_prior
    gradient[-1] += time_prior * state.time_s
    return hessian, gradient


def _derivatives(batch: _Batch, values: _Floats, time_s: float, width_rad: float) -> tuple[_Floats, _Floats, _Floats]:
    """Weighted first and second derivative of the loss by the distance, and the Jacobian of the distance.

    Args:
        batch: the points.
        values: (7,) correction and edge of the camera.
        time_s: time of the correction.
        width_rad: the scale s.

    Returns:
        (W,), (W,) and (W,8) of the W points on the wrong side of an edge: the others have no cost.
    """
    vector, edge_px = values[:6], values[6]
    width_px = width_rad * batch.view.camera.K[0, 0]
    sign = np.where(batch.inside, 1.0, -1.0)
    wrong_px = -sign * (batch.distance(vector, time_s) + edge_px)
    wrong = wrong_px > 0
    batch, sign, wrong_px = batch.rows(wrong), sign[wrong], wrong_px[wrong]
    bend = batch.weight / (width_px**2 + wrong_px**2)
    jacobian = np.ones((len(sign), 8))
    for k, probe in enumerate(_PROBE):
        off = probe * np.eye(6)[k]
        jacobian[:, k] = (batch.distance(vector + off, time_s) - batch.distance(vector - off, time_s)) / (2 * probe)
    later, earlier = (batch.distance(vector, time_s + off) for off in (_PROBE_S, -_PROBE_S))
    jacobian[:, 7] = (later - earlier) / (2 * _PROBE_S)
    return -sign * wrong_px * bend, bend, jacobian
