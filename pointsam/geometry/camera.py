"""Cameras: a camera matrix, and a lens that may distort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import CalibrationError
from pointsam.geometry.lens import Brown, Fisheye, Lens

LensModel = Literal["brown", "fisheye"]

COEFFICIENTS: Mapping[str, tuple[int, ...]] = MappingProxyType({"brown": (0, 4, 5, 8), "fisheye": (4,)})
"""Numbers of coefficients that each lens model may have; () is a lens that does not distort."""
_NAMES = {"brown": "k1, k2, p1, p2[, k3[, k4, k5, k6]]", "fisheye": "k1, k2, k3, k4"}


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one camera: x right, y down, z forward; pixel (0,0) is the centre of the top left pixel.

    Args:
        K: (3,3) float64 camera matrix in pixels, K[2] = (0, 0, 1).
        width_px: image width.
        height_px: image height.
        distortion: () for none, else coefficients as in OpenCV: k1, k2, p1, p2[, k3[, k4, k5, k6]] of "brown", k1, k2,
            k3, k4 of "fisheye".
        lens: "brown" (Brown-Conrady; a pinhole without coefficients) or "fisheye" (Kannala-Brandt, equidistant with
            coefficients of 0).

    Raises:
        CalibrationError: CAL002 on a focal length that is not positive, an empty image, a malformed matrix, or
            coefficients that the lens model does not have.
    """

    K: NDArray[np.float64]
    width_px: int
    height_px: int
    distortion: tuple[float, ...] = ()
    lens: LensModel = "brown"

    def __post_init__(self) -> None:
        try:
            K = np.array(self.K, dtype=np.float64)
        except (TypeError, ValueError):
            K = np.zeros(0)
        if K.shape != (3, 3) or not np.isfinite(K).all() or not np.allclose(K[2], (0, 0, 1)):
            raise CalibrationError(
                "CAL002", f"not a 3x3 camera matrix: {self.K!r}", "write K as [[fx, s, cx], [0, fy, cy], [0, 0, 1]]"
            )
        if not (K[0, 0] > 0 and K[1, 1] > 0):
            raise CalibrationError(
                "CAL002",
                f"focal length must be positive, got fx = {K[0, 0]}, fy = {K[1, 1]} px",
                "correct camera_intrinsic of this camera; a zero matrix usually means that it was never calibrated",
            )
        if self.width_px <= 0 or self.height_px <= 0:
            raise CalibrationError(
                "CAL002", f"image of {self.width_px} x {self.height_px} px", "give width and height in pixels"
            )
        self._check_lens()
        K.setflags(write=False)
        object.__setattr__(self, "K", K)

    def _check_lens(self) -> None:
        if self.lens not in COEFFICIENTS:
            raise CalibrationError("CAL002", f"no lens model {self.lens!r}", "write brown or fisheye")
        if len(self.distortion) not in COEFFICIENTS[self.lens] or not np.isfinite(self.distortion).all():
            raise CalibrationError(
                "CAL002",
                f"a {self.lens} lens has the coefficients {_NAMES[self.lens]}, got {self.distortion}",
                "write them in OpenCV's order, without the zeros at the end of 12 or 14; rectify images of other lens "
                "models first",
            )

    @cached_property
    def model(self) -> Lens | None:
        """The lens model; None for a pinhole."""
        if self.lens == "fisheye":
            return Fisheye(self.distortion)
        return Brown(self.distortion) if self.distortion else None

    def as_bytes(self) -> bytes:
        """The bytes that enter the digest of a calibration; the usual lens model adds none."""
        numbers = np.append(self.K.ravel(), self.distortion).astype("<f8").tobytes()
        return numbers + (b"" if self.lens == "brown" else self.lens.encode())

    def project(self, xyz_cam_m: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels and depths of points.

        Args:
            xyz_cam_m: (N,3) points in the camera frame, metres.

        Returns:
            uv_px: (N,2) float64, NaN where the depth is not positive or the lens model ends; depth_m: (N,) float64, z
            of the camera frame.

        Source: docs/method.md A.5, docs/cameras.md.
        """
        xyz = np.asarray(xyz_cam_m, dtype=np.float64)
        depth = xyz[:, 2]
        xy = np.full((len(xyz), 2), np.nan)
        np.divide(xyz[:, :2], depth[:, None], out=xy, where=depth[:, None] > 0)
        if self.model is not None:
            xy = self.model.distorted(xy)
        uv = xy @ self.K[:2, :2].T + self.K[:2, 2]
        return uv, depth

    def places(self, slopes: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,2) places in the image plane, in focal lengths, of (N,2) slopes x/z and y/z.

        Slopes that the lens model does not cover are at its end, in their direction.
        """
        return slopes if self.model is None else self.model.distorted(self.model.inside(slopes))

    def rays(self, uv_px: FloatArray) -> NDArray[np.float64]:
        """Directions that pixels see: the inverse of `project`.

        Args:
            uv_px: (N,2) column and row of any places, inside the image or not.

        Returns:
            (N,3) float64 unit vectors in the camera frame, NaN for a place that no ray reaches.
        """
        uv = np.asarray(uv_px, dtype=np.float64)
        xy = np.linalg.solve(self.K[:2, :2], np.subtract(uv, self.K[:2, 2]).T).T
        if self.model is not None:
            xy = self.model.undistorted(xy)
        rays = np.column_stack([xy, np.ones(len(xy))])
        rays[np.isnan(xy).any(axis=1)] = np.nan
        unit: NDArray[np.float64] = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return unit
