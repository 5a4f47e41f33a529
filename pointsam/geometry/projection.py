"""From the LiDAR to the pixels of a camera, through both ego poses.

All points of a frame are in the reference LiDAR's frame at its time (`pointsam.datasets.points` moves the points of
other sweeps), so one chain applies to all: lidar -> ego -> world -> ego at the exposure -> camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.motion import carried, twist
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

_MOST_ROUNDS = 50
"""Of the iteration for the rows of a rolling shutter. The error shrinks in each round by the rows that a point moves
while one row is read, which is a few hundredths for points more than a metre away: about eight rounds are usual."""
_SAME_S = 1e-12
"""Change of a point's time at which its row is found."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The projection of the N points of a frame into one image.

    Args:
        uv_px: (N,2) float64 column and row; NaN for a point behind the camera or beyond its lens.
        depth_m: (N,) float64, z of the camera frame; NaN as in `in_camera`.
        valid: (N,) bool, far enough in front of the camera and strictly inside the image.
    """

    uv_px: NDArray[np.float64]
    depth_m: NDArray[np.float64]
    valid: NDArray[np.bool_]

    def pixels(self) -> NDArray[np.int32]:
        """(V,2) int32 column and row, truncated, of the valid points in their order; all are inside the image."""
        return self.uv_px[self.valid].astype(np.int32)


def cam_SE3_lidar(sweep: Sweep, view: CameraView) -> SE3:
    """The transform from a sweep's LiDAR frame to the camera frame at its `t_us`, through both ego poses.

    Source: docs/method.md A.5.
    """
    ego_cam_SE3_ego_lidar = _between(view.world_SE3_ego, sweep.world_SE3_ego)
    return view.ego_SE3_cam.inverse() @ ego_cam_SE3_ego_lidar @ sweep.ego_SE3_lidar


def key_SE3_sweep(key: Sweep, other: Sweep) -> SE3:
    """The transform from another sweep's LiDAR frame to the key sweep's, for static points.

    Source: docs/method.md A.2, step 3.
    """
    return key.ego_SE3_lidar.inverse() @ _between(key.world_SE3_ego, other.world_SE3_ego) @ other.ego_SE3_lidar


def in_camera(xyz_lidar_m: FloatArray, frame: Frame, view: CameraView) -> NDArray[np.float64]:
    """Points of a frame in the camera frame at the time of their exposure.

    With a rolling shutter, each point is in the camera frame at the exposure of the row that it falls on. The row
    depends on the time and the time on the row, so both are found by iteration: the point is projected, moved to the
    time of its row, and projected again, until the time no longer changes. A point above or below the image counts as
    in its first or last row. A point without a pixel, behind the camera or beyond its lens, is in the frame at `t_us`.
    A point that passes more rows than the shutter reads in the same time may be seen in no row or in several: where
    the iteration does not converge, it is NaN.

    Args:
        xyz_lidar_m: (N,3) points in the reference LiDAR's frame, metres.
        frame: frame of the points.
        view: one of its images.

    Returns:
        (N,3) float64 metres; NaN for points whose row is not defined.

    Raises:
        UnfitChangeError: CAL004 if the view has a rolling shutter and the motion of the frame is unknown.
    """
    return exposed(xyz_lidar_m, frame, view)[0]


def exposed(
    xyz_lidar_m: FloatArray, frame: Frame, view: CameraView
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Points as `in_camera` returns them, and (N,) the time of the row of each, seconds from the `t_us` of the view.

    The times are None without a rolling shutter. Arguments and errors as of `in_camera`.
    """
    xyz_cam_m = cam_SE3_lidar(frame.sweep, view).apply(xyz_lidar_m)
    if view.shutter is None:
        return xyz_cam_m, None
    rate, cam_SE3_ego = twist(frame, view.t_us), view.ego_SE3_cam.inverse()
    xyz_ego_m, left = view.ego_SE3_cam.apply(xyz_cam_m), np.arange(len(xyz_cam_m))
    seconds, found, times = np.zeros(len(left)), np.full(xyz_cam_m.shape, np.nan), np.zeros(len(left))
    for _ in range(_MOST_ROUNDS):
        seen = cam_SE3_ego.apply(carried(xyz_ego_m[left], rate, -seconds))
        uv, _ = view.camera.project(seen)
        later = np.nan_to_num(view.shutter.time_s(uv, view.camera))
        done = np.abs(later - seconds) <= _SAME_S
        found[left[done]], times[left[done]] = seen[done], seconds[done]
        left, seconds = left[~done], later[~done]
        if len(left) == 0:
            break
    return found, times


def project(xyz_lidar_m: FloatArray, frame: Frame, view: CameraView, min_depth_m: float = 1.0) -> Projection:
    """Project points of a frame into an image.

    Args:
        xyz_lidar_m: (N,3) points in the reference LiDAR's frame, metres.
        frame: frame of the points.
        view: the image.
        min_depth_m: valid points have a larger depth; nearer ones are mostly the vehicle itself.

    Raises:
        CalibrationError: as `in_camera`.

    Source: docs/method.md A.5 (depth > 1, 1 < u < W-1, 1 < v < H-1).
    """
    uv, depth = view.camera.project(in_camera(xyz_lidar_m, frame, view))
    u, v = uv[:, 0], uv[:, 1]
    # NaN compares false, so points behind the camera or outside its lens model are not valid.
    valid = (depth > min_depth_m) & (u > 1) & (u < view.camera.width_px - 1)
    valid &= (v > 1) & (v < view.camera.height_px - 1)
    return Projection(uv, depth, valid)


def _between(world_SE3_a: SE3, world_SE3_b: SE3) -> SE3:
    """a_SE3_b; positions are subtracted first, so that large world coordinates cost no precision."""
    to_a = world_SE3_a.inverse().rotation
    return SE3(to_a @ world_SE3_b.rotation, to_a @ (world_SE3_b.translation_m - world_SE3_a.translation_m))
