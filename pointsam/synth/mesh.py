"""Triangle meshes and the primitives that all objects are made of; metres, z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.geometry.se3 import SE3
from pointsam.synth.material import Material

CREASE_DEG = 40.0
"""Faces that meet at a smaller angle are shaded as one curved surface."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with materials.

    Args:
        vertices_m: (V,3) float32.
        triangles: (T,3) int32 vertex indices.
        normals: (T,3,3) float32 unit normal at each corner.
        material_id: (T,) int32 index into `materials`.
        materials: materials of the triangles.
        texture_m: (V,3) float32 texture coordinates, metres; those of a primitive are its vertices.
    """

    vertices_m: NDArray[np.float32]
    triangles: NDArray[np.int32]
    normals: NDArray[np.float32]
    material_id: NDArray[np.int32]
    materials: tuple[Material, ...]
    texture_m: NDArray[np.float32]

    def moved(self, shift_m: ArrayLike, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Mesh:
        """Rotated about the origin (roll about x, pitch about y, nose down positive, yaw about z), then moved."""
        turn = rotation(yaw, pitch, roll)
        vertices = self.vertices_m @ turn.T + np.asarray(shift_m, dtype=np.float32)
        return replace(self, vertices_m=vertices.astype(np.float32), normals=(self.normals @ turn.T).astype(np.float32))

    def mirrored(self) -> Mesh:
        """The mirror image: y becomes -y."""
        flip = np.array([1, -1, 1], dtype=np.float32)
        return replace(
            self,
            vertices_m=self.vertices_m * flip,
            triangles=self.triangles[:, [0, 2, 1]],
            normals=self.normals[:, [0, 2, 1]] * flip,
        )

    def extent_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner of the axis-aligned box, (3,) each."""
        v = self.vertices_m.astype(np.float64)
        return v.min(axis=0), v.max(axis=0)


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float64]:
    """(3,3) Rz(yaw) Ry(pitch) Rx(roll), radians."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    turn: NDArray[np.float64] = z @ y @ x
    return turn


def placed(mesh: Mesh, frame_SE3_mesh: SE3) -> Mesh:
    """A mesh in another frame, with unchanged texture coordinates."""
    turn = frame_SE3_mesh.rotation
    vertices = mesh.vertices_m @ turn.T + frame_SE3_mesh.translation_m
    return replace(mesh, vertices_m=vertices.astype(np.float32), normals=(mesh.normals @ turn.T).astype(np.float32))


def join(*meshes: Mesh) -> Mesh:
    """Join meshes; equal materials are merged."""
    materials = tuple(dict.fromkeys(m for mesh in meshes for m in mesh.materials))
    index = {material: i for i, material in enumerate(materials)}
    starts = np.cumsum([0, *(len(mesh.vertices_m) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices_m for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]).astype(np.int32),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([np.array([index[m] for m in k.materials], dtype=np.int32)[k.material_id] for k in meshes]),
        materials,
        np.concatenate([mesh.texture_m for mesh in meshes]),
    )


def surface(
    vertices_m: ArrayLike,
    triangles: ArrayLike,
    material: Material,
    texture_m: ArrayLike | None = None,
    crease_deg: float = CREASE_DEG,
) -> Mesh:
    """A mesh of one material from vertices and triangles; triangles without area are dropped."""
    vertices = np.asarray(vertices_m, dtype=np.float32).reshape(-1, 3)
    faces = np.asarray(triangles, dtype=np.int32).reshape(-1, 3)
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    cross = np.cross(b - a, c - a)
    solid = np.linalg.norm(cross, axis=1) > 1e-12
    faces, cross = faces[solid], cross[solid]
    return Mesh(
        vertices,
        faces,
        _corner_normals(vertices, faces, cross, np.cos(np.radians(crease_deg))),
        np.zeros(len(faces), dtype=np.int32),
        (material,),
        vertices if texture_m is None else np.asarray(texture_m, dtype=np.float32).reshape(-1, 3),
    )


def _corner_normals(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], cross: NDArray[np.float64], cos_crease: float
) -> NDArray[np.float32]:
    """(T,3,3) corner normals: the area-weighted mean over adjacent faces within the crease angle of this one."""
    unit = cross / np.linalg.norm(cross, axis=1, keepdims=True)
    places = np.unique(np.round(vertices, 4), axis=0, return_inverse=True)[1].reshape(-1)[faces].ravel()
    order = np.argsort(places, kind="stable")
    place, face = places[order], order // 3
    total = cross[face].copy()
    for step in range(1, int(np.bincount(places).max(initial=1))):
        here = np.flatnonzero(place[step:] == place[:-step])
        one, other = face[here], face[here + step]
        smooth = np.einsum("ij,ij->i", unit[one], unit[other]) > cos_crease
        np.add.at(total, here[smooth], cross[other[smooth]])
        np.add.at(total, here[smooth] + step, cross[one[smooth]])
    normals = np.empty_like(total)
    normals[order] = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    corners: NDArray[np.float32] = normals.reshape(-1, 3, 3).astype(np.float32)
    return corners


def loft(
    rings_m: ArrayLike, material: Material, caps: bool = True, closed: bool = True, *, crease_deg: float = CREASE_DEG
) -> Mesh:
    """A skin over rings, for bodies, roofs and tubes.

    Args:
        rings_m: (S,P,3) S rings of P points each, in order.
        material: material of the skin.
        caps: close the first and the last ring by a fan around its centre.
        closed: whether each ring returns to its first point; False for an open strip.
        crease_deg: as for `surface`.
    """
    rings = np.asarray(rings_m, dtype=np.float64)
    s, p = rings.shape[:2]
    i, j = np.meshgrid(np.arange(s - 1), np.arange(p if closed else p - 1), indexing="ij")
    a, b = (i * p + j).ravel(), (i * p + (j + 1) % p).ravel()
    faces = [np.column_stack([a, b, b + p]), np.column_stack([a, b + p, a + p])]
    points = [rings.reshape(-1, 3)]
    if caps and closed:
        for ring, turn in ((0, -1), (s - 1, 1)):
            center = s * p + len(points) - 1
            points.append(rings[ring].mean(axis=0)[None])
            rim = ring * p + np.arange(p)
            nxt = ring * p + (np.arange(p) + 1) % p
            around = (rim, nxt) if turn > 0 else (nxt, rim)
            faces.append(np.column_stack([np.full(p, center), *around]))
    return surface(np.concatenate(points), np.concatenate(faces), material, crease_deg=crease_deg)


def box(size_lwh_m: Sequence[float], center_m: Sequence[float], material: Material) -> Mesh:
    """An axis-aligned box."""
    length, width, height = (s / 2 for s in size_lwh_m)
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length, width)
    rings = [np.column_stack([ring, np.full(4, z)]) for z in (-height, height)]
    return loft(np.array(rings) + np.asarray(center_m), material)


def extrude(
    outline_xz_m: ArrayLike,
    half_width_m: float | Sequence[float],
    material: Material,
    *,
    crease_deg: float = CREASE_DEG,
) -> Mesh:
    """A side profile, extruded from y = -half_width to +half_width. It must be star-shaped around its centre.

    Args:
        outline_xz_m: (P,2) points of the profile, in order.
        half_width_m: one value, or (P,) one per point (a body that leans inwards to its roof).
        material: material of all faces.
        crease_deg: as for `surface`.
    """
    outline = np.asarray(outline_xz_m, dtype=np.float64)
    half = np.broadcast_to(np.asarray(half_width_m, dtype=np.float64), len(outline))
    rings = [np.column_stack([outline[:, 0], side * half, outline[:, 1]]) for side in (1, -1)]
    return loft(rings, material, crease_deg=crease_deg)


def revolve(
    profile_rz_m: ArrayLike, material: Material, segments: int = 16, axis: str = "z", *, crease_deg: float = CREASE_DEG
) -> Mesh:
    """A profile of (radius, height) pairs revolved about the z axis, or with axis="y" about the y axis (wheels)."""
    profile = np.asarray(profile_rz_m, dtype=np.float64)
    angle = np.arange(segments) * 2 * np.pi / segments
    rings = np.stack(
        [
            profile[:, :1] * np.cos(angle),
            profile[:, :1] * np.sin(angle),
            np.broadcast_to(profile[:, 1:], (len(profile), segments)),
        ],
        axis=2,
    )
    if axis == "y":
        rings = rings[:, :, [0, 2, 1]] * (1, 1, -1)  # a rotation, not a reflection: faces still point outwards
    return loft(rings, material, crease_deg=crease_deg)


def limb(
    from_m: Sequence[float],
    to_m: Sequence[float],
    radius_m: float,
    end_radius_m: float | None,
    material: Material,
    segments: int = 10,
) -> Mesh:
    """A round bar between two points with rounded ends: arms, legs, tubes, booms.

    Args:
        from_m: (3,) first end of the axis.
        to_m: (3,) second end of the axis.
        radius_m: radius at the first end.
        end_radius_m: radius at the second end, None for the same.
        material: material of the bar.
        segments: number of segments around the axis.
    """
    start, end = np.asarray(from_m, dtype=np.float64), np.asarray(to_m, dtype=np.float64)
    r0, r1 = radius_m, radius_m if end_radius_m is None else end_radius_m
    along = end - start
    length = float(np.linalg.norm(along))
    turn = np.linspace(0, np.pi / 2, 4)
    foot = np.column_stack([r0 * np.sin(turn + 1e-3), -r0 * np.cos(turn)])
    head = np.column_stack([r1 * np.cos(turn - 1e-3), length + r1 * np.sin(turn)])
    bar = revolve(np.concatenate([foot, head]), material, segments, crease_deg=80)
    z = along / max(length, 1e-9)
    x = np.cross((0, 1, 0) if abs(z[1]) < 0.9 else (1, 0, 0), z)
    x /= np.linalg.norm(x)
    basis = np.column_stack([x, np.cross(z, x), z])
    return surface(bar.vertices_m @ basis.T + start, bar.triangles, material, texture_m=bar.vertices_m, crease_deg=80)
