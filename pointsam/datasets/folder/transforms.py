"""Transforms between named frames, and the pose of each frame in that of the vehicle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pointsam.base.errors import CalibrationError
from pointsam.base.words import did_you_mean
from pointsam.geometry.se3 import SE3

_SAME_M, _SAME = 0.01, 2e-3
"""Two chains between two frames may differ so much, in metres and in entries of the rotation: both are rounded."""

_SHAPES = {(4, 4): (4, 4), (16,): (4, 4), (3, 4): (3, 4), (12,): (3, 4), (3, 3): (3, 3), (9,): (3, 3)}
"""Shape of a matrix by that of its numbers."""

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class RosHeader:
    """Header of a ROS message.

    Args:
        frame_id: the frame that points are transformed to.
        stamp: not used.
        seq: not used.
    """

    frame_id: str
    stamp: object = None
    seq: object = None


@dataclass(frozen=True)
class RosVector:
    """A translation, metres."""

    x: float
    y: float
    z: float


@dataclass(frozen=True)
class RosQuaternion:
    """A rotation."""

    x: float
    y: float
    z: float
    w: float


@dataclass(frozen=True)
class RosTransform:
    """`transform` of a ROS TransformStamped."""

    translation: RosVector
    rotation: RosQuaternion


@dataclass(frozen=True)
class Transform:
    """A transform that takes points of one frame to another, in one of three forms.

    Args:
        source: `from`, the frame of the points.
        target: `to`, the frame that they are taken to.
        matrix: in rows: lists of numbers, or all numbers, one row after another. 4x4, or its first three rows [R | t];
            3x3 with `translation`. Metres.
        translation: x, y, z in metres; with one of the quaternions, or with a 3x3 `matrix`.
        quaternion_wxyz: unit quaternion, scalar first.
        quaternion_xyzw: unit quaternion, scalar last.
        header: with `child_frame_id` and `transform`: a ROS TransformStamped, which takes points of `child_frame_id` to
            `header.frame_id`.
        child_frame_id: see `header`.
        transform: see `header`.
    """

    source: Annotated[str | None, Field(alias="from")] = None
    target: Annotated[str | None, Field(alias="to")] = None
    matrix: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None
    translation: Vector | None = None
    quaternion_wxyz: Quaternion | None = None
    quaternion_xyzw: Quaternion | None = None
    header: RosHeader | None = None
    child_frame_id: str | None = None
    transform: RosTransform | None = None

    @staticmethod
    def of(source: str, target: str, target_SE3_source: SE3) -> Transform:
        """The entry of a transform, as a matrix."""
        rows = np.column_stack([target_SE3_source.rotation, target_SE3_source.translation_m]).tolist()
        return Transform(source, target, (*(tuple(row) for row in rows), (0.0, 0.0, 0.0, 1.0)))

    def as_dict(self) -> dict[str, object]:
        """JSON values of what is stated."""
        names = {"source": "from", "target": "to"}
        return {names.get(key, key): value for key, value in vars(self).items() if value is not None}

    def resolved(self, where: str) -> tuple[str, str, SE3]:
        """Source, target, and target_SE3_source.

        Args:
            where: file and field, for errors.

        Raises:
            CalibrationError: CAL003 on a missing or repeated field, CAL001 on a matrix or quaternion that is no
                rotation.
        """
        ros = [self.header, self.child_frame_id, self.transform]
        if any(part is not None for part in ros):
            return self._from_ros(where)
        if not self.source or not self.target:
            name = "to" if self.source else "from"
            raise _malformed(f"{where}.{name} is missing", "name the two frames: points of `from` are taken to `to`")
        forms = (self.matrix, self.quaternion_wxyz, self.quaternion_xyzw)
        place = f"{where} ({self.source} to {self.target})"
        if sum(form is not None for form in forms) != 1 or (self.matrix is None and self.translation is None):
            raise _malformed(
                f"{place} must have one rotation",
                "give a `matrix`, or `translation` with `quaternion_wxyz` or `quaternion_xyzw`",
            )
        if self.matrix is not None:
            return self.source, self.target, _of_matrix(self.matrix, self.translation, f"{place}, matrix")
        w, x, y, z = self.quaternion_wxyz or _scalar_first(self.quaternion_xyzw)
        return self.source, self.target, _of_quaternion((w, x, y, z), self.translation, f"{place}, quaternion")

    def _from_ros(self, where: str) -> tuple[str, str, SE3]:
        if self.header is None or self.child_frame_id is None or self.transform is None:
            missing = [name for name in ("header", "child_frame_id", "transform") if getattr(self, name) is None]
            raise _malformed(f"{where}.{missing[0]} is missing", "a ROS TransformStamped has all three fields")
        if self.source or self.target:
            raise _malformed(f"{where} has both `from` or `to` and a ROS header", "keep one of them")
        shift, turn = self.transform.translation, self.transform.rotation
        source, target = self.child_frame_id.lstrip("/"), self.header.frame_id.lstrip("/")
        place = f"{where} ({source} to {target}), transform.rotation"
        pose = _of_quaternion((turn.w, turn.x, turn.y, turn.z), (shift.x, shift.y, shift.z), place)
        return source, target, pose


@dataclass(frozen=True)
class FrameTree:
    """Frames that transforms connect to the vehicle.

    Args:
        vehicle: name of the vehicle's frame.
        file: the calibration file, for errors.
        poses: vehicle_SE3_frame by name of the frame.
        known: names of all frames of the transforms.
    """

    vehicle: str
    file: str
    poses: Mapping[str, SE3]
    known: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of(transforms: Sequence[Transform], vehicle: str, file: str) -> FrameTree:
        """The frames that can be reached from the vehicle, along any chain in either direction.

        Raises:
            CalibrationError: CAL001 or CAL003 as `Transform.resolved`; CAL003 if two chains contradict each other.
        """
        edges = [one.resolved(f"{file}: transforms.{k}") for k, one in enumerate(transforms)]
        poses = {vehicle: SE3.identity()}
        used = set[int]()
        while True:
            step = next(_steps(edges, poses, used), None)
            if step is None:
                break
            k, name, pose = step
            used.add(k)
            if name in poses:
                _require_same(poses[name], pose, f"{file}: transforms.{k} ({edges[k][0]} to {edges[k][1]})", name)
            poses[name] = poses.get(name, pose)
        return FrameTree(vehicle, file, poses, frozenset(name for edge in edges for name in edge[:2]))

    def pose(self, frame: str, of: str) -> SE3:
        """vehicle_SE3_frame.

        Args:
            frame: name of the frame.
            of: the field that names it ("cameras.front.frame"), for the error.

        Raises:
            CalibrationError: CAL003 naming the frame and what it is connected to.
        """
        if frame in self.poses:
            return self.poses[frame]
        if frame in self.known:
            problem = f"transforms connect it only to frames that do not lead to {self.vehicle!r}"
        else:
            problem = f"no transform names it{did_you_mean(frame, self.known)}"
        way = f"add a transform; those that lead to {self.vehicle!r} are of: {', '.join(sorted(self.poses))}"
        if len(self.poses) == 1:
            way = (
                f"add a transform to {self.vehicle!r}, or let `vehicle` name the frame that transforms lead to: it has "
                "x forward, y left, z up, and may be that of a LiDAR"
            )
        raise _malformed(
            f"{self.file}: {of}: no chain of transforms from the frame {frame!r} to {self.vehicle!r}: {problem}", way
        )


def _steps(
    edges: Sequence[tuple[str, str, SE3]], poses: Mapping[str, SE3], used: set[int]
) -> Iterator[tuple[int, str, SE3]]:
    """Transforms not used yet of which one end is known: their number, the other end, and its pose."""
    for k, (source, target, target_SE3_source) in enumerate(edges):
        if k in used:
            continue
        if target in poses:
            yield k, source, poses[target] @ target_SE3_source
        elif source in poses:
            yield k, target, poses[source] @ target_SE3_source.inverse()


def _require_same(one: SE3, other: SE3, where: str, name: str) -> None:
    apart_m = float(np.linalg.norm(one.translation_m - other.translation_m))
    turned = float(np.abs(one.rotation - other.rotation).max())
    if apart_m > _SAME_M or turned > _SAME:
        angle_deg = float(np.degrees(np.arccos(np.clip((np.trace(one.rotation.T @ other.rotation) - 1) / 2, -1, 1))))
        raise _malformed(
            f"{where} contradicts the other transforms: the frame {name!r} would be in two places, {apart_m:.4g} m and "
            f"{angle_deg:.3g} degrees apart",
            "keep one chain of transforms between two frames, or correct the one that is wrong",
        )


def _of_matrix(
    matrix: tuple[tuple[float, ...], ...] | tuple[float, ...], translation: Vector | None, where: str
) -> SE3:
    try:
        values = np.array(matrix, dtype=np.float64)
    except ValueError:
        values = np.zeros(0)
    side = _SHAPES.get(values.shape)
    if side is None or not np.isfinite(values).all():
        raise _malformed(
            f"{where} is not 4x4, 3x4 or 3x3 finite numbers",
            "write its rows: four of four numbers, the last of which is 0, 0, 0, 1 and may be left out",
        )
    values = values.reshape(side)
    if (side == (3, 3)) != (translation is not None):
        raise _malformed(
            f"{where} is 3x3, a rotation, and the translation is missing"
            if translation is None
            else f"{where} holds a translation, and `translation` states another one",
            "write [R | t], or a 3x3 rotation and `translation` (0, 0, 0 if there is none)",
        )
    if side[0] == 3:
        return _rigid(values[:, :3], np.array(translation or values[:, 3]), where)
    if not np.allclose(values[3], (0, 0, 0, 1)):
        by_columns = np.allclose(values[:, 3], (0, 0, 0, 1))
        cause = ": it seems to be written column by column" if by_columns else ""
        raise _malformed(
            f"{where}: the last row is {_numbers(values[3])}, not 0, 0, 0, 1{cause}",
            "write the matrix row by row: transpose it" if by_columns else "write a rigid transform, row by row",
        )
    return _rigid(values[:3, :3], values[:3, 3], where)


def _rigid(rotation: NDArray[np.float64], translation_m: NDArray[np.float64], where: str) -> SE3:
    if np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) < 0:
        raise CalibrationError(
            "CAL001",
            f"{where}: its determinant is -1: one of the two frames has left-handed axes",
            "state both frames in right-handed axes: negate one axis of the rotation (and of the points, if they are "
            "mirrored)",
        )
    try:
        return SE3(rotation, translation_m)
    except CalibrationError as error:
        raise type(error)(error.code, f"{where}: {error.message}", error.hint) from error


def _of_quaternion(wxyz: Quaternion, translation: Vector | None, where: str) -> SE3:
    try:
        return SE3.from_quaternion(wxyz, translation or (0.0, 0.0, 0.0))
    except CalibrationError as error:
        hint = error.hint if error.code != "CAL001" else "write a unit quaternion; angles are no quaternion"
        raise type(error)(error.code, f"{where}: {error.message}", hint) from error


def _scalar_first(xyzw: Quaternion | None) -> Quaternion:
    x, y, z, w = xyzw or (0.0, 0.0, 0.0, 1.0)
    return w, x, y, z


def _numbers(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _malformed(message: str, hint: str) -> CalibrationError:
    return CalibrationError("CAL003", message, hint)
