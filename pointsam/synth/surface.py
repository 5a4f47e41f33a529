"""Points where rays hit surfaces, as columns, (3,N) float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.synth.snapshot import Snapshot

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]


def dot(a: FloatArray, b: FloatArray) -> F32:
    """(N,) dot products of two (3,N) arrays, or of one and a vector."""
    product: F32 = a[0] * b[0]
    product += a[1] * b[1]
    product += a[2] * b[2]
    return product


def interpolated(table: F32, triangle: Ints, uv: F32) -> F32:
    """(3,N) values at points inside triangles, interpolated from (T,3,3) values at corners."""
    at = table.reshape(-1, 9).take(triangle, axis=0)
    u, v = uv[:, 0], uv[:, 1]
    w = 1 - u - v
    value = np.empty((3, len(triangle)), np.float32)
    for k in range(3):
        value[k] = at[:, k] * w + at[:, 3 + k] * u + at[:, 6 + k] * v
    return value


@dataclass(frozen=True, eq=False)
class Surface:
    """Points that rays hit.

    Args:
        triangle: (N,) triangle index.
        uv: (N,2) barycentric coordinates.
        depth: (N,) length of the ray, in lengths of its direction.
        view: (3,N) unit vectors from the eye.
        distance_m: (N,) distance from the eye.
        point_m: (3,N) positions.
        normal: (3,N) unit normals on the side of the eye.
        facing: (N,) cosine of the angle between the normal and the direction to the eye.
    """

    triangle: Ints
    uv: F32
    depth: F32
    view: F32
    distance_m: F32
    point_m: F32
    normal: F32
    facing: F32

    def origin_m(self, only: slice | Ints | NDArray[np.bool_] = slice(None)) -> F32:
        """(N,3) points slightly above their surface, so that rays from them do not hit it."""
        lift = 0.003 + 0.0004 * self.distance_m[only]
        return np.ascontiguousarray((self.point_m[:, only] + lift * self.normal[:, only]).T)


def surface_at(snapshot: Snapshot, eye_m: F32, direction: F32, depth: F32, triangle: Ints, uv: F32) -> Surface:
    """Surface points of N rays that hit something.

    Args:
        snapshot: the world.
        eye_m: (3,) origin of all rays, or (N,3) of each.
        direction: (N,3) of any length.
        depth: (N,) depth of the hits, in lengths of the direction.
        triangle: (N,) triangle of the hits.
        uv: (N,2) barycentric coordinates of the hits.
    """
    view = np.ascontiguousarray(direction.T)
    length = np.sqrt(dot(view, view))
    point = view * depth
    point += eye_m[:, None] if eye_m.ndim == 1 else eye_m.T
    view /= length
    normal = interpolated(snapshot.normals, triangle, uv)
    flat = np.ascontiguousarray(snapshot.face_normals.take(triangle, axis=0).T)
    side = np.where(dot(flat, view) > 0, np.float32(-1), np.float32(1))  # seen from behind
    normal *= side / np.maximum(np.sqrt(dot(normal, normal)), np.float32(1e-6))
    facing = -dot(normal, view)
    away = np.flatnonzero(facing < 0)  # mirror smooth normals that point away from the eye back to its side
    if len(away):
        normal[:, away] += 2 * facing[away] * view[:, away]
        facing[away] *= -1
    return Surface(triangle, uv, depth, view, depth * length, point, normal, facing)
