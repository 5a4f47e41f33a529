"""Points where rays meet the world, in columns, (3,N) float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.synth.snapshot import Snapshot

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]


def dot(a: FloatArray, b: FloatArray) -> F32:
    """(N,) of two (3,N) columns, or of one and a vector."""
    product: F32 = a[0] * b[0]
    product += a[1] * b[1]
    product += a[2] * b[2]
    return product


def corners(table: F32, triangle: Ints, uv: F32) -> F32:
    """(3,N) what a (T,3,3) table of corners holds at points inside triangles."""
    at = table.reshape(-1, 9).take(triangle, axis=0)
    u, v = uv[:, 0], uv[:, 1]
    w = 1 - u - v
    value = np.empty((3, len(triangle)), np.float32)
    for k in range(3):
        value[k] = at[:, k] * w + at[:, 3 + k] * u + at[:, 6 + k] * v
    return value


@dataclass(frozen=True, eq=False)
class Surface:
    """Points that rays met.

    Args:
        triangle: (N,) index.
        uv: (N,2) barycentric.
        depth: (N,) length of the ray, in lengths of its direction.
        view: (3,N) unit, from the eye.
        distance_m: (N,) from the eye.
        point_m: (3,N).
        normal: (3,N) unit, towards the eye.
        facing: (N,) cosine between the normal and the way to the eye.
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
        """(N,3) points lifted off their surface, so that rays from there do not meet it."""
        lift = 0.003 + 0.0004 * self.distance_m[only]
        return np.ascontiguousarray((self.point_m[:, only] + lift * self.normal[:, only]).T)


def surface(snapshot: Snapshot, eye_m: F32, direction: F32, depth: F32, triangle: Ints, uv: F32) -> Surface:
    """What N rays that met something found there.

    Args:
        snapshot: the world.
        eye_m: (3,) where the rays start.
        direction: (N,3) of any length.
        depth: (N,) of the hits, in lengths of the direction.
        triangle: (N,) of the hits.
        uv: (N,2) of the hits.
    """
    view = np.ascontiguousarray(direction.T)
    length = np.sqrt(dot(view, view))
    point = view * depth
    point += eye_m[:, None]
    view /= length
    normal = corners(snapshot.normals, triangle, uv)
    flat = np.ascontiguousarray(snapshot.face_normals.take(triangle, axis=0).T)
    side = np.where(dot(flat, view) > 0, np.float32(-1), np.float32(1))  # seen from behind
    normal *= side / np.maximum(np.sqrt(dot(normal, normal)), np.float32(1e-6))
    facing = -dot(normal, view)
    away = np.flatnonzero(facing < 0)  # a smooth normal beyond the silhouette: mirrored back to this side
    if len(away):
        normal[:, away] += 2 * facing[away] * view[:, away]
        facing[away] *= -1
    return Surface(triangle, uv, depth, view, depth * length, point, normal, facing)
