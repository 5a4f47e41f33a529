"""Parts with known normals, built in bulk: flat panels, boxes, bars, wheels, lumps; metres."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh

Floats = NDArray[np.float64]

BOX_FACES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
"""Corners of the faces of a box whose corner k lies at (k >> 2, k >> 1 & 1, k & 1)."""


def unit(vectors: ArrayLike) -> Floats:
    """Vectors (...,3), normalised."""
    array = np.asarray(vectors, dtype=np.float64)
    length: Floats = np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-12)
    return array / length


def vec(x: float, y: float, z: float) -> Floats:
    """(3,) vector of x, y and z."""
    return np.array([x, y, z], dtype=np.float64)


def shaded(
    vertices_m: ArrayLike,
    triangles: ArrayLike,
    corner_normals: ArrayLike,
    material: Material,
    texture_m: ArrayLike | None = None,
) -> Mesh:
    """A mesh of one material with given normals, (T,3,3)."""
    vertices = np.asarray(vertices_m, dtype=np.float32).reshape(-1, 3)
    faces = np.asarray(triangles, dtype=np.int32).reshape(-1, 3)
    texture = vertices if texture_m is None else np.asarray(texture_m, dtype=np.float32).reshape(-1, 3)
    normals = np.asarray(corner_normals, dtype=np.float32).reshape(-1, 3, 3)
    return Mesh(vertices, faces, normals, np.zeros(len(faces), dtype=np.int32), (material,), texture)


def vertex_normals(vertices_m: Floats, triangles: NDArray[np.int32]) -> Floats:
    """(K,V,3): area-weighted mean normal around each vertex of K meshes (K,V,3) of the same triangles."""
    k, v = vertices_m.shape[:2]
    a, b, c = (vertices_m[:, triangles[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a).reshape(-1, 3)
    index = (np.arange(k)[:, None, None] * v + triangles[None]).reshape(-1)
    total = [np.bincount(index, np.repeat(cross[:, i], 3), k * v) for i in range(3)]
    return unit(np.stack(total, axis=1).reshape(k, v, 3))


def panels(corners_m: ArrayLike, material: Material, texture_m: ArrayLike | None = None) -> Mesh:
    """Flat quadrilaterals (N,4,3), corners counter-clockwise as seen from outside."""
    corners = np.asarray(corners_m, dtype=np.float64).reshape(-1, 4, 3)
    normal = unit(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]))
    start = np.arange(len(corners))[:, None] * 4
    faces = np.concatenate([start + np.array((0, 1, 2)), start + np.array((0, 2, 3))])
    corner_normals = np.broadcast_to(np.tile(normal, (2, 1))[:, None], (len(faces), 3, 3))
    return shaded(corners, faces, corner_normals, material, texture_m)


def boxes(centers_m: ArrayLike, sizes_lwh_m: ArrayLike, material: Material) -> Mesh:
    """Axis-aligned boxes: centres (N,3), sizes (N,3) or one for all."""
    centers = np.asarray(centers_m, dtype=np.float64).reshape(-1, 1, 3)
    sizes = np.asarray(sizes_lwh_m, dtype=np.float64).reshape(-1, 1, 3)
    corner = np.array([(k >> 2, k >> 1 & 1, k & 1) for k in range(8)]) - 0.5
    return panels((centers + corner * sizes)[:, BOX_FACES], material)


def bars(
    from_m: ArrayLike, to_m: ArrayLike, radius_m: ArrayLike, material: Material, segments: int = 6, ends: bool = True
) -> Mesh:
    """Round bars: axes from (N,3) to (N,3); the radius is one value, (N,), or (N,2) for both ends."""
    start, end = (np.asarray(p, dtype=np.float64).reshape(-1, 3) for p in (from_m, to_m))
    n = len(start)
    radius = np.asarray(radius_m, dtype=np.float64)
    radius = np.broadcast_to(radius if radius.ndim == 2 else radius.reshape(-1, 1), (n, 2))
    axis = unit(end - start)
    aside = unit(np.cross(np.where(np.abs(axis[:, 1:2]) < 0.9, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)), axis))
    other = np.cross(axis, aside)
    angle = np.arange(segments) * 2 * np.pi / segments
    around = aside[:, None] * np.cos(angle)[:, None] + other[:, None] * np.sin(angle)[:, None]
    rim = np.stack([start, end], axis=1)[:, :, None] + radius[:, :, None, None] * around[:, None]
    vertices = np.concatenate([rim.reshape(n, -1, 3), start[:, None], end[:, None]], axis=1)
    j, nxt = np.arange(segments), (np.arange(segments) + 1) % segments
    zero = np.zeros_like(j)
    side = np.concatenate([np.stack([j, nxt, nxt + segments], 1), np.stack([j, nxt + segments, j + segments], 1)])
    caps = np.concatenate(
        [
            np.stack([zero + 2 * segments, nxt, j], 1),
            np.stack([zero + 2 * segments + 1, j + segments, nxt + segments], 1),
        ]
    )
    normals = [around[:, side % segments]]
    if ends:
        lid = np.concatenate([np.repeat(-axis[:, None], segments, 1), np.repeat(axis[:, None], segments, 1)], axis=1)
        normals.append(np.broadcast_to(lid[:, :, None], (n, 2 * segments, 3, 3)))
        side = np.concatenate([side, caps])
    faces = np.arange(n)[:, None, None] * vertices.shape[1] + side
    return shaded(vertices, faces, np.concatenate(normals, axis=1), material)


def path_bar(points_m: ArrayLike, radius_m: float, material: Material, segments: int = 6) -> Mesh:
    """A bent round bar through points (N,3): handlebars, bows."""
    points = np.asarray(points_m, dtype=np.float64)
    return bars(points[:-1], points[1:], radius_m, material, segments)


def torus(
    center_m: Sequence[float], radius_m: float, tube_m: float, material: Material, segments: int = 24, around: int = 6
) -> Mesh:
    """A ring about the y axis: a tyre or a rim."""
    a, b = np.meshgrid(
        np.arange(segments) * 2 * np.pi / segments, np.arange(around) * 2 * np.pi / around, indexing="ij"
    )
    normal = np.stack([np.cos(a) * np.cos(b), np.sin(b), np.sin(a) * np.cos(b)], axis=2).reshape(-1, 3)
    ring = np.stack([np.cos(a), np.zeros_like(a), np.sin(a)], axis=2).reshape(-1, 3)
    i, j = (g.ravel() for g in np.meshgrid(np.arange(segments), np.arange(around), indexing="ij"))
    up, right = (i + 1) % segments, (j + 1) % around
    p, q, r, s = i * around + j, i * around + right, up * around + right, up * around + j
    faces = np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)])
    return shaded(ring * radius_m + normal * tube_m + np.asarray(center_m), faces, normal[faces], material)


@cache
def icosphere(levels: int) -> tuple[Floats, NDArray[np.int32]]:
    """Unit sphere of 20 * 4**levels triangles: vertices (V,3) and triangles (T,3)."""
    g = (1 + 5**0.5) / 2
    points: list[tuple[float, float, float]] = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0)]
    points += [(0, -1, g), (0, 1, g), (0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11)]
    faces += [(6, 2, 10)]
    vertices, triangles = unit(points), np.array([*faces, (8, 6, 7), (9, 8, 1)], dtype=np.int32)
    for _ in range(levels):
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        edge, which = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = which.reshape(3, -1) + len(vertices)
        vertices = np.concatenate([vertices, unit(vertices[edge].sum(axis=1))])
        a, b, c = triangles.T
        corners = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(t, axis=1) for t in corners]).astype(np.int32)
    return vertices, triangles


def blobs(
    rng: np.random.Generator, centers_m: ArrayLike, radii_m: ArrayLike, material: Material, levels: int, rough: float
) -> Mesh:
    """Lumpy balls at (N,3) with radii (N,3), which vary by the fraction `rough`."""
    centers = np.asarray(centers_m, dtype=np.float64).reshape(-1, 1, 3)
    radii = np.asarray(radii_m, dtype=np.float64).reshape(-1, 1, 3)
    sphere, faces = icosphere(levels)
    n = len(centers)
    waves = rng.normal(0, 3.2, (n, 3, 9)) * np.repeat((0.5, 1.0, 2.0), 3)
    swell = np.sin(sphere @ waves + rng.uniform(0, 6.3, (n, 1, 9))) @ np.repeat((0.3, 0.22, 0.16), 3)
    vertices = centers + sphere * radii * (1 + rough * swell[:, :, None])
    normals = vertex_normals(vertices, faces)[:, faces]
    return shaded(vertices, np.arange(n)[:, None, None] * len(sphere) + faces, normals, material)
