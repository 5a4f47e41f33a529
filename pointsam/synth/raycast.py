"""Open3D's ray-casting scene (Embree), loaded when rays are cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.open3d_loader import load_open3d

MISS = -1
"""Triangle of a ray without a hit."""

SCENES_KEPT = 300
"""Size of a cache of scenes. Each is an Embree device, and Open3D crashes with about 1,000 of them in one process."""


@dataclass(frozen=True, eq=False)
class Hits:
    """First hits of rays.

    Args:
        distance: (N,) float32 in lengths of the ray's direction, infinite for a miss.
        triangle: (N,) int64 index of the triangle, MISS for none.
        uv: (N,2) float32 barycentric coordinates: the point is (1 - u - v) a + u b + v c.
    """

    distance: NDArray[np.float32]
    triangle: NDArray[np.int64]
    uv: NDArray[np.float32]


class RayScene:
    """Triangles for ray casting.

    Args:
        vertices_m: (V,3).
        triangles: (T,3).
        threads: threads of Embree.
    """

    def __init__(self, vertices_m: NDArray[np.float32], triangles: NDArray[np.int32], threads: int = 1) -> None:
        self._empty = len(triangles) == 0
        if not self._empty:
            tensor = load_open3d().core.Tensor.from_numpy
            self._scene = load_open3d().t.geometry.RaycastingScene(nthreads=threads)
            vertices = np.ascontiguousarray(vertices_m, dtype=np.float32)
            self._scene.add_triangles(tensor(vertices), tensor(np.ascontiguousarray(triangles, dtype=np.uint32)))

    def cast(self, origin_m: FloatArray, direction: FloatArray) -> Hits:
        """First hits of rays with (N,3) directions; the origin is (N,3), or (3,) for all."""
        if self._empty or len(direction) == 0:
            n = len(direction)
            return Hits(np.full(n, np.inf, np.float32), np.full(n, MISS, np.int64), np.zeros((n, 2), np.float32))
        found = self._scene.cast_rays(self._rays(origin_m, direction))
        triangle = found["primitive_ids"].numpy().astype(np.int64)
        distance = found["t_hit"].numpy()
        triangle[~np.isfinite(distance)] = MISS
        return Hits(distance, triangle, found["primitive_uvs"].numpy())

    def blocked(self, origin_m: FloatArray, direction: FloatArray, near_m: float, far_m: float) -> NDArray[np.bool_]:
        """(N,) whether a surface lies on the ray between two distances."""
        if self._empty or len(direction) == 0:
            return np.zeros(len(direction), dtype=np.bool_)
        hit: NDArray[np.bool_] = self._scene.test_occlusions(self._rays(origin_m, direction), near_m, far_m).numpy()
        return hit

    @staticmethod
    def _rays(origin_m: FloatArray, direction: FloatArray) -> object:
        """(N,6) origins and directions as a tensor of Open3D."""
        rays = np.empty((len(direction), 6), dtype=np.float32)
        rays[:, :3] = origin_m
        rays[:, 3:] = direction
        return load_open3d().core.Tensor.from_numpy(rays)


class RaySceneUnion:
    """Several scenes as one, so that static objects are built once.

    Args:
        scenes: (scene, index of its first triangle in the whole).
    """

    def __init__(self, scenes: Sequence[tuple[AnyScene, int]]) -> None:
        self._scenes = [scene for scene, _ in scenes]
        self._starts = [start for _, start in scenes]

    def cast(self, origin_m: FloatArray, direction: FloatArray) -> Hits:
        """As RayScene.cast."""
        first, *others = (scene.cast(origin_m, direction) for scene in self._scenes)
        distance, triangle, uv = first.distance.copy(), first.triangle.copy(), first.uv.copy()
        for start, hits in zip(self._starts[1:], others, strict=False):
            nearer = np.flatnonzero(hits.distance < distance)
            distance[nearer], uv[nearer] = hits.distance[nearer], hits.uv[nearer]
            triangle[nearer] = hits.triangle[nearer] + start
        return Hits(distance, triangle, uv)

    def blocked(self, origin_m: FloatArray, direction: FloatArray, near_m: float, far_m: float) -> NDArray[np.bool_]:
        """As RayScene.blocked."""
        hit = np.zeros(len(direction), dtype=np.bool_)
        for scene in self._scenes:
            hit |= scene.blocked(origin_m, direction, near_m, far_m)
        return hit


AnyScene: TypeAlias = RayScene | RaySceneUnion
"""A scene or several."""
