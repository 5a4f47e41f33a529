"""Rigid transforms. `a_SE3_b` transforms points from frame b to frame a, so that frames cancel when composed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import CalibrationError, RotationError

# Published calibrations are rounded to 6-7 digits; anything farther from a rotation is a mistake, not rounding.
_ROTATION_TOLERANCE = 1e-3


def _floats(values: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            "CAL003", f"not an array of numbers: {values!r}", "correct this rotation or translation"
        ) from error


@dataclass(frozen=True, eq=False)
class SE3:
    """A rotation followed by a translation.

    Args:
        rotation: (3,3) float64, orthonormal with determinant +1.
        translation_m: (3,) float64, metres.

    Raises:
        CalibrationError: CAL001 if `rotation` is not a rotation, CAL003 on a wrong shape or a value that is not finite.
    """

    rotation: NDArray[np.float64]
    translation_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        rotation, translation = _floats(self.rotation), _floats(self.translation_m)
        self._require_numbers(rotation, translation)
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        if error > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise RotationError(
                "CAL001",
                f"not a rotation: |R R^T - I| = {error:.2e}, det = {np.linalg.det(rotation):.3f}",
                "check for a scaled, partly transposed or mirrored matrix, or a quaternion not in w, x, y, z order",
            )
        self._set(rotation, translation)

    @staticmethod
    def _require_numbers(rotation: NDArray[np.float64], translation: NDArray[np.float64]) -> None:
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise CalibrationError(
                "CAL003",
                f"expected a (3,3) rotation and a (3,) translation, got {rotation.shape} and {translation.shape}",
                "give the rotation as a 3x3 matrix and the translation as x, y, z in metres",
            )
        if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
            raise CalibrationError("CAL003", "a pose holds NaN or infinity", "correct the calibration or pose table")

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing, to the last bit: the placeholder where a pose is not known."""
        return not self.translation_m.any() and bool(np.array_equal(self.rotation, np.eye(3)))

    def _set(self, rotation: NDArray[np.float64], translation_m: NDArray[np.float64]) -> None:
        for name, values in (("rotation", rotation), ("translation_m", translation_m)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @staticmethod
    def _of(rotation: NDArray[np.float64], translation_m: NDArray[np.float64]) -> SE3:
        """From new arrays that follow from checked ones: what is made of rotations is one."""
        pose = object.__new__(SE3)
        pose._set(rotation, translation_m)
        return pose

    @staticmethod
    def identity() -> SE3:
        """The identity transform."""
        return SE3(np.eye(3), np.zeros(3))

    @staticmethod
    def from_quaternion(wxyz: Sequence[float] | NDArray[np.float64], translation_m: ArrayLike) -> SE3:
        """From a unit quaternion.

        Args:
            wxyz: (4,) scalar first, as nuScenes writes it; normalised here.
            translation_m: (3,) metres.

        Raises:
            CalibrationError: CAL001 if the quaternion's length is not 1 (within 1e-3), CAL003 on a wrong shape.
        """
        q = _floats(wxyz)
        if q.shape != (4,):
            raise CalibrationError(
                "CAL003", f"a quaternion has 4 numbers, got {wxyz!r}", "write rotations as w, x, y, z"
            )
        length = math.sqrt(q.dot(q))
        if not abs(length - 1.0) <= _ROTATION_TOLERANCE:
            raise RotationError(
                "CAL001",
                f"quaternion {q.tolist()} is not a rotation: length {length:.4f}, expected 1",
                "write rotations as unit quaternions in w, x, y, z order",
            )
        w, x, y, z = (q / length).tolist()
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        translation = _floats(translation_m)
        SE3._require_numbers(rotation, translation)
        return SE3._of(rotation, translation)

    def apply(self, xyz_m: FloatArray) -> NDArray[np.float64]:
        """(N,3) points of the source frame in the target frame, metres."""
        return np.asarray(xyz_m, dtype=np.float64) @ self.rotation.T + self.translation_m

    def inverse(self) -> SE3:
        """The inverse, b_SE3_a of a_SE3_b."""
        # Not the transpose: published rotations are rounded, and a transform times its inverse must be the identity.
        back = np.linalg.inv(self.rotation)
        return SE3._of(back, -back @ self.translation_m)

    def __matmul__(self, other: SE3) -> SE3:
        """The composition, a_SE3_c = a_SE3_b @ b_SE3_c."""
        translation_m = self.rotation @ other.translation_m + self.translation_m
        return SE3._of(self.rotation @ other.rotation, translation_m)
