"""The correction of a rig under which points of objects lie in their masks and others do not.

A point costs nothing on the right side of its mask's edge, and log(1 + (d / s)^2) / 2 at distance d beyond it: the few
that are wrong for other reasons cost little, and where one side of an object shows nothing, nothing is claimed. (A loss
that also draws points away from the edge centres objects in their masks, which moves what has no sky to show.)
The sum, with a normal prior about "nothing is wrong", is lowered by damped Gauss-Newton steps; which component is which
object is found anew in rounds, while s falls from a coarse to a fine value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.calibration.correction import RigCorrection, Six, as_SE3
from pointsam.calibration.silhouettes import MARGIN_PX, Look, Silhouette, SilhouettePoints, evidence
from pointsam.types import CameraView

_Floats = NDArray[np.float64]
_Kind = TypeVar("_Kind", bound=np.generic)

ROUNDS = ((0.020, 0.3), (0.008, 0.4), (0.003, 0.5), (0.0015, 0.5), (0.001, 0.5))
"""s, radians, and share of a component in a mask that makes it the object."""
_EDGE_PX = 1.0
"""Edges are not better known."""
_STEPS = 8
"""Of Gauss-Newton a round."""
PRIOR_ROTATION_RAD, PRIOR_TRANSLATION_M, PRIOR_TIME_S = np.deg2rad(1.0), 0.1, 0.05
_LARGEST = np.array([np.deg2rad(0.5)] * 3 + [0.1] * 3 + [0.03])
"""Of a step."""
_PROBE = np.array([1e-3] * 3 + [1e-2] * 3 + [5e-3])
"""Half the distance over which derivatives are taken: small against what objects measure, large against a pixel."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """All evidence of one camera; P points, F cells of all fields one after the other."""

    view: CameraView
    xyz_ego_m: _Floats
    velocity: _Floats  # (P,6) of the vehicle: turn rate, speed
    inside: NDArray[np.bool_]
    weight: _Floats
    origin_px: _Floats
    size_px: NDArray[np.int64]
    start: NDArray[np.int64]
    field_px: NDArray[np.float16]
    objects: int

    def distance(self, six: Six, time_s: float) -> _Floats:
        """(P,) distance to the edge, pixels."""
        turn, speed = self.velocity[:, :3], self.velocity[:, 3:]
        xyz = self.xyz_ego_m - time_s * (np.cross(turn, self.xyz_ego_m) + speed)
        uv, _ = self.view.camera.project((self.view.ego_SE3_cam @ as_SE3(six)).inverse().apply(xyz))
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


def solve(looks: Sequence[Look], views: Mapping[str, CameraView], with_time: bool, min_objects: int) -> RigCorrection:
    """The correction of one rig.

    Args:
        looks: its images.
        views: of one of its frames, by camera.
        with_time: look for an offset of time too; needs a vehicle that moves.
        min_objects: cameras that show fewer stay as they are.
    """
    found, time_s = dict[str, Six](), 0.0
    for width, share in ROUNDS:
        batches = {name: _gathered(looks, view, found.get(name), time_s, share) for name, view in views.items()}
        batches = {name: batch for name, batch in batches.items() if batch.objects >= min_objects}
        found = {name: found.get(name, np.zeros(6)) for name in batches}
        for _ in range(_STEPS if batches else 0):
            time_s = _step(batches, found, time_s, width, with_time)
    return RigCorrection(found, time_s)


def evidence_of(looks: Sequence[Look], view: CameraView, correction: RigCorrection) -> tuple[_Floats, int]:
    """(P,3) points in the camera's frame that a finished correction rests on, and the number of their objects."""
    six = correction.cameras.get(view.name)
    batch = _gathered(looks, view, six, correction.time_s, ROUNDS[-1][1])
    return view.ego_SE3_cam.inverse().apply(batch.xyz_ego_m), batch.objects


def _gathered(looks: Sequence[Look], view: CameraView, six: Six | None, time_s: float, share: float) -> _Batch:
    to_camera = (view.ego_SE3_cam @ as_SE3(np.zeros(6) if six is None else six)).inverse()
    parts: list[tuple[Look, Silhouette, SilhouettePoints]] = []
    for one in looks:
        if one.camera == view.name:
            velocity = _velocity(one)
            moved = one.xyz_ego_m - time_s * (np.cross(velocity[:3], one.xyz_ego_m) + velocity[3:])
            uv, depth = view.camera.project(to_camera.apply(moved))
            rows = evidence(one, np.nan_to_num(uv, nan=-1e6), depth, share)
            parts += [(one, cut, row) for cut, row in zip(one.silhouettes, rows, strict=True) if row is not None]
    count = [len(row.point) for _, _, row in parts]
    fields = [cut.field_px.ravel() for _, cut, _ in parts]
    start = np.cumsum([0, *(len(field) for field in fields)])[:-1]
    sizes = np.array([cut.field_px.shape[::-1] for _, cut, _ in parts], dtype=np.int64).reshape(-1, 2)
    origins = np.array([cut.origin_px for _, cut, _ in parts], dtype=np.float64).reshape(-1, 2)
    velocities = np.array([_velocity(one) for one, _, _ in parts]).reshape(-1, 6)
    return _Batch(
        view,
        _joined([one.xyz_ego_m[row.point] for one, _, row in parts], np.zeros((0, 3))),
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


def _velocity(one: Look) -> _Floats:
    rate = one.rate
    return np.array([rate[2, 1], rate[0, 2], rate[1, 0], *rate[:3, 3]])


def _step(
    batches: Mapping[str, _Batch], found: dict[str, Six], time_s: float, width_rad: float, with_time: bool
) -> float:
    """One Gauss-Newton step of all cameras and the time; changes `found`, returns the new time."""
    count = 6 * len(batches) + 1
    hessian, gradient = np.zeros((count, count)), np.zeros(count)
    prior = np.array([PRIOR_ROTATION_RAD] * 3 + [PRIOR_TRANSLATION_M] * 3) ** -2.0
    for k, (name, batch) in enumerate(batches.items()):
        own = np.arange(6 * k, 6 * k + 6)
        all_of = np.append(own, count - 1)
        slope, bend, jacobian = _derivatives(batch, found[name], time_s, width_rad)
        hessian[np.ix_(all_of, all_of)] += jacobian.T @ (jacobian * bend[:, None])
        gradient[all_of] += slope @ jacobian
        hessian[own, own] += prior
        gradient[own] += prior * found[name]
    time_prior = PRIOR_TIME_S**-2.0 if with_time else 1e12
    hessian[-1, -1] += time_prior
    gradient[-1] += time_prior * time_s
    step = -np.linalg.solve(hessian + 0.02 * np.diag(np.diag(hessian)), gradient)
    for k, name in enumerate(batches):
        found[name] = found[name] + np.clip(step[6 * k : 6 * k + 6], -_LARGEST[:6], _LARGEST[:6])
    return time_s + float(np.clip(step[-1], -_LARGEST[6], _LARGEST[6]))


def _derivatives(batch: _Batch, six: Six, time_s: float, width_rad: float) -> tuple[_Floats, _Floats, _Floats]:
    """(P,) first and second derivative of the loss by the distance, weighted, and (P,7) that of the distance."""
    width_px = width_rad * batch.view.camera.K[0, 0]
    sign = np.where(batch.inside, 1.0, -1.0)
    wrong_px = np.maximum(-sign * batch.distance(six, time_s) - _EDGE_PX, 0)
    bend = (wrong_px > 0) / (width_px**2 + wrong_px**2)
    slope = -sign * wrong_px * bend
    jacobian = np.empty((len(sign), 7))
    for k, probe in enumerate(_PROBE):
        there, back = np.append(six, time_s), np.append(six, time_s)
        there[k] += probe
        back[k] -= probe
        difference = batch.distance(there[:6], there[6]) - batch.distance(back[:6], back[6])
        jacobian[:, k] = difference / (2 * probe)
    return batch.weight * slope, batch.weight * bend, jacobian
