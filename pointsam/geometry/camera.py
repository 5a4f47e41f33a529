"""The pinhole camera with optional Brown-Conrady distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import CalibrationError


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """Intrinsics of one camera: x right, y down, z forward; pixel (0,0) is the centre of the top left pixel.

    Args:
        K: (3,3) float64 camera matrix in pixels, K[2] = (0, 0, 1).
        width_px: image width.
        height_px: image height.
        distortion: () for none, else OpenCV's (k1, k2, p1, p2[, k3]).

    Raises:
        CalibrationError: CAL002 on a focal length that is not positive, an empty image or a malformed matrix.
    """

    K: NDArray[np.float64]
    width_px: int
    height_px: int
    distortion: tuple[float, ...] = ()

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
        if len(self.distortion) not in (0, 4, 5) or not np.isfinite(self.distortion).all():
            raise CalibrationError(
                "CAL002",
                f"distortion must be () or (k1, k2, p1, p2[, k3]), got {self.distortion}",
                "rectify images of other lens models first",
            )
        K.setflags(write=False)
        object.__setattr__(self, "K", K)

    def project(self, xyz_cam_m: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels and depths of points.

        Args:
            xyz_cam_m: (N,3) points in the camera frame, metres.

        Returns:
            uv_px: (N,2) float64, NaN where the depth is not positive; depth_m: (N,) float64, z of the camera frame.

        Source: docs/method.md A.5; distortion as in OpenCV's calib3d.
        """
        xyz = np.asarray(xyz_cam_m, dtype=np.float64)
        depth = xyz[:, 2]
        xy = np.full((len(xyz), 2), np.nan)
        np.divide(xyz[:, :2], depth[:, None], out=xy, where=depth[:, None] > 0)
        if self.distortion:
            xy = self._distort(xy)
        uv = xy @ self.K[:2, :2].T + self.K[:2, 2]
        return uv, depth

    def _distort(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        k1, k2, p1, p2 = self.distortion[:4]
        k3 = self.distortion[4] if len(self.distortion) == 5 else 0.0
        x, y = xy[:, 0], xy[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        # Beyond its first extremum the radial polynomial maps rays outside the field of view back into the image.
        extrema = np.roots([7 * k3, 5 * k2, 3 * k1, 1])
        limit = min((t.real for t in extrema if t.real > 0 and abs(t.imag) < 1e-9 * abs(t)), default=np.inf)
        radial = np.where(r2 < limit, radial, np.nan)
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )
