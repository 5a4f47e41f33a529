"""Shots: where the rays of the pixels of an image start and lead to, and at what time.

The rays of a rolling shutter are exact for the vehicle: each starts where the camera is at the time of its row.
Objects that move stand still within a band of rows, where they are in the middle of its time. With `BANDS` bands, they
are up to half a band's time from where they are at the time of a row: 1.25 ms, or 2 cm at 15 m/s, for 30 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.synth.mesh import rotation
from pointsam.synth.motion import Track, turns
from pointsam.synth.rig import MountedCamera

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

BANDS = 12
"""Bands of rows of an image with a rolling shutter."""
_TABLES_KEPT = 8
"""Tables of rays that are kept: those of the cameras of one rig."""


@dataclass(frozen=True, eq=False)
class Band:
    """Rows of an image in which objects do not move.

    Args:
        first: its first row.
        end: the row after its last.
        t_s: time at which objects are shown, seconds from the start of the scene.
    """

    first: int
    end: int
    t_s: float


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure of a camera of a vehicle.

    Args:
        mounted: the camera.
        ego: track of the vehicle.
        t_s: time stamp, seconds from the start of the scene.
    """

    mounted: MountedCamera
    ego: Track
    t_s: float

    @property
    def camera(self) -> Camera:
        """The intrinsics."""
        return self.mounted.camera

    def row_time_s(self, row: ArrayLike) -> Floats:
        """(N,) exposure time of (N,) rows, which may lie between two."""
        rows = np.atleast_1d(np.asarray(row, dtype=np.float64))
        if self.mounted.shutter is None:
            return np.full(len(rows), self.t_s)
        return self.t_s + self.mounted.shutter.time_s(np.column_stack([rows, rows]), self.camera)

    def bands(self) -> list[Band]:
        """The bands from top to bottom; one if all rows are exposed at once."""
        if self.mounted.shutter is None:
            return [Band(0, self.camera.height_px, self.t_s)]
        edges = np.unique(np.linspace(0, self.camera.height_px, BANDS + 1).round().astype(int)).tolist()
        return [Band(a, b, float(self.row_time_s((a + b - 1) / 2)[0])) for a, b in pairwise(edges)]

    def world_SE3_cam(self, t_s: float) -> SE3:
        """Pose of the camera at a time."""
        xyz, yaw = self.ego.pose(t_s)
        return SE3(rotation(float(yaw[0])), xyz[0]) @ self.mounted.ego_SE3_cam

    def passes(self, band: Band, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], SE3]]:
        """Rows of a band that the camera exposes from one pose, with this pose."""
        if self.mounted.shutter is None:
            yield rows, self.world_SE3_cam(self.t_s)
            return
        for k, t_s in enumerate(self.row_time_s(rows).tolist()):
            yield rows[k : k + 1], self.world_SE3_cam(t_s)

    def rays(self, u_px: F32, v_px: F32) -> F32:
        """(N,3) directions of rays through pixels, in the world.

        Their lengths make hit distances depths if the lens does not distort; else they are unit vectors. A place
        between pixels gets the ray between theirs.
        """
        if self.mounted.shutter is None and self.camera.model is None:
            m = self._whole
            ray = np.empty((len(u_px), 3), np.float32)
            for k in range(3):
                ray[:, k] = m[k, 0] * u_px + m[k, 1] * v_px + m[k, 2]
            return ray
        ray_cam = rays_cam(self.camera, u_px, v_px)
        if self.mounted.shutter is None:
            return (ray_cam @ self._still.rotation.T).astype(np.float32)
        ray_ego = ray_cam @ self.mounted.ego_SE3_cam.rotation.T
        _, yaw = self.ego.pose(self.row_time_s(v_px))
        c, s = np.cos(yaw), np.sin(yaw)
        x, y, z = ray_ego.T
        return np.column_stack([c * x - s * y, s * x + c * y, z]).astype(np.float32)

    def eyes_m(self, v_px: F32) -> F32:
        """Position of the camera in the world: (3,), or (N,3) by (N,) rows if these are exposed one by one."""
        if self.mounted.shutter is None:
            return self.eye_m
        xyz, yaw = self.ego.pose(self.row_time_s(v_px))
        eyes: Floats = xyz + turns(yaw) @ self.mounted.ego_SE3_cam.translation_m
        return eyes.astype(np.float32)

    @cached_property
    def eye_m(self) -> F32:
        """(3,) position of the camera in the world at the time stamp."""
        return self._still.translation_m.astype(np.float32)

    @cached_property
    def _still(self) -> SE3:
        return self.world_SE3_cam(self.t_s)

    @cached_property
    def _whole(self) -> F32:
        return (self._still.rotation @ np.linalg.inv(self.camera.K)).astype(np.float32)


def rays_cam(camera: Camera, u_px: NDArray[np.generic], v_px: NDArray[np.generic]) -> Floats:
    """(N,3) directions of the rays through (N,) columns and rows, in the camera frame.

    They have z = 1 if the lens does not distort. Otherwise they are unit vectors, exact for whole pixels and linear
    between these, and NaN for pixels that no ray reaches.
    """
    if camera.model is None:
        places: Floats = np.column_stack([u_px, v_px, np.ones(len(u_px))])
        return places @ np.linalg.inv(camera.K).T
    table = _table(camera)
    u, v = np.asarray(u_px, dtype=np.float64) + 1, np.asarray(v_px, dtype=np.float64) + 1
    left, top = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = (u - left)[:, None], (v - top)[:, None]
    ray: Floats = table[top, left].astype(np.float64)
    if fu.any() or fv.any():
        right, below = np.minimum(left + 1, table.shape[1] - 1), np.minimum(top + 1, table.shape[0] - 1)
        above = ray * (1 - fu) + table[top, right] * fu
        ray = above * (1 - fv) + (table[below, left] * (1 - fu) + table[below, right] * fu) * fv
        lost = np.isnan(ray[:, 0])  # beside a pixel that no ray reaches: the ray of the nearest pixel
        ray[lost] = table[np.rint(v[lost]).astype(np.int64), np.rint(u[lost]).astype(np.int64)]
    return ray


@lru_cache(maxsize=_TABLES_KEPT)
def _table(camera: Camera) -> F32:
    """(H+2,W+2,3) rays of all pixels and of one pixel more on each side. Inverting a lens takes seconds per image."""
    v, u = np.mgrid[-1 : camera.height_px + 1, -1 : camera.width_px + 1]
    rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
    return rays.reshape(*u.shape, 3).astype(np.float32)
