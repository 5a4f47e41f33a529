"""Bodies in several poses at once: joints, and the skins over them; metres, x forward, y left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.base.arrays import IntArray
from pointsam.synth.assets.parts import Floats, unit, vertex_normals
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Joints:
    """Joints of one body in K poses.

    Args:
        pelvis_m: (K,3) mid-point between the hips.
        neck_m: (K,3) base of the neck.
        across_hips, across_shoulders: (K,3) unit vectors to the left.
        face: (K,3) unit vectors of the viewing direction.
        hips_m, knees_m, ankles_m: (K,2,3) left and right.
        soles: (K,2,3) unit vectors from heel to toe.
        shoulders_m, elbows_m, wrists_m: (K,2,3) left and right.
        spine_bow_m: curvature of the back.
    """

    pelvis_m: Floats
    neck_m: Floats
    across_hips: Floats
    across_shoulders: Floats
    face: Floats
    hips_m: Floats
    knees_m: Floats
    ankles_m: Floats
    soles: Floats
    shoulders_m: Floats
    elbows_m: Floats
    wrists_m: Floats
    spine_bow_m: float = 0.0


def bend(root_m: ArrayLike, tip_m: ArrayLike, lengths_m: tuple[float, float], pole: ArrayLike) -> tuple[Floats, Floats]:
    """Knee or elbow of a two-bone limb from root to tip (...,3), bent towards `pole`, and the tip that it reaches."""
    root, tip = (np.asarray(p, dtype=np.float64) for p in (root_m, tip_m))
    upper, lower = lengths_m
    reach = tip - root
    axis = unit(reach)
    span = np.clip(np.linalg.norm(reach, axis=-1, keepdims=True), abs(upper - lower) + 0.01, (upper + lower) * 0.999)
    along = (upper**2 - lower**2 + span**2) / (2 * span)
    towards = np.asarray(pole, dtype=np.float64)
    aside = towards - axis * np.sum(axis * towards, axis=-1, keepdims=True)
    bend = root + axis * along + unit(aside) * np.sqrt(np.maximum(upper**2 - along**2, 0))
    return bend, root + axis * span


def frames(front: Floats, up: Floats) -> Floats:
    """(...,3,3) rotations whose x axis is `front` and whose z axis leans towards `up`."""
    x = unit(front)
    y = unit(np.cross(np.broadcast_to(up, x.shape), x))
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def rings_along(
    path_m: Floats, left: Floats, half_m: ArrayLike, points: int, square: float = 2.0, ahead_m: ArrayLike = 0.0
) -> Floats:
    """Rings (K,S,points,3) around paths (K,S,3). The first point of a ring is in front; the others follow to the left.

    Args:
        path_m: centres of the rings, from bottom to top.
        left: (K,3) direction to the left.
        half_m: (S,2) half depth and half width of the rings.
        points: number of points per ring.
        square: exponent of the superellipse, 2 for an ellipse.
        ahead_m: (S,) shift of the rings forwards.
    """
    half = np.broadcast_to(np.asarray(half_m, dtype=np.float64), (path_m.shape[1], 2))
    tangent = unit(np.gradient(path_m, axis=1))
    y = np.broadcast_to(left[:, None], tangent.shape)
    y = unit(y - tangent * np.sum(y * tangent, axis=-1, keepdims=True))
    x = np.cross(y, tangent)
    angle = np.arange(points) * 2 * np.pi / points
    cos, sin = (np.sign(t) * np.abs(t) ** (2 / square) for t in (np.cos(angle), np.sin(angle)))
    depth = half[:, :1] * cos + np.broadcast_to(np.asarray(ahead_m, dtype=np.float64).reshape(-1, 1), (len(half), 1))
    width = half[:, 1:] * sin
    rings: Floats = path_m[:, :, None] + x[:, :, None] * depth[..., None] + y[:, :, None] * width[..., None]
    return rings


def along(points_m: Sequence[Floats], steps: ArrayLike) -> Floats:
    """(K,S,3) positions on polylines through points (K,3): step 1.25 is a quarter of the way from point 1 to 2."""
    nodes = np.stack(points_m, axis=1)
    at = np.asarray(steps, dtype=np.float64)
    low = np.clip(np.floor(at).astype(int), 0, nodes.shape[1] - 2)
    share = (at - low)[:, None]
    places: Floats = nodes[:, low] * (1 - share) + nodes[:, low + 1] * share
    return places


class Skin:
    """Collects the parts of a body in K poses; all poses have the same triangles and materials."""

    def __init__(self, poses: int) -> None:
        self.poses = poses
        self._vertices: list[Floats] = []
        self._faces: list[NDArray[np.int32]] = []
        self._material: list[NDArray[np.int32]] = []
        self._palette: dict[Material, int] = {}
        self._count = 0

    def tube(
        self, rings_m: ArrayLike, *materials: Material, which: NDArray[np.int64] | None = None, caps: bool = True
    ) -> None:
        """Add a closed skin over rings (K,S,P,3); `which` (S-1,P) is the index of each quad's material, 0 if None."""
        rings = np.asarray(rings_m, dtype=np.float64)
        _, s, p, _ = rings.shape
        i, j = (g.ravel() for g in np.meshgrid(np.arange(s - 1), np.arange(p), indexing="ij"))
        a, b = i * p + j, i * p + (j + 1) % p
        faces = [np.stack([a, b, b + p], 1), np.stack([a, b + p, a + p], 1)]
        of_quad = np.zeros((s - 1, p), dtype=np.int64) if which is None else which
        picked = [of_quad.ravel(), of_quad.ravel()]
        vertices = [rings.reshape(self.poses, -1, 3)]
        if caps:
            here, nxt = np.arange(p), (np.arange(p) + 1) % p
            vertices += [rings[:, 0].mean(axis=1)[:, None], rings[:, -1].mean(axis=1)[:, None]]
            faces += [np.stack([np.full(p, s * p), nxt, here], 1)]
            faces += [np.stack([np.full(p, s * p + 1), (s - 1) * p + here, (s - 1) * p + nxt], 1)]
            picked += [of_quad[0], of_quad[-1]]
        self._add(np.concatenate(vertices, axis=1), np.concatenate(faces), materials, np.concatenate(picked))

    def rigid(
        self,
        rings_m: ArrayLike,
        at_m: Floats,
        turn: Floats,
        *materials: Material,
        which: NDArray[np.int64] | None = None,
        caps: bool = True,
    ) -> None:
        """Add a tube (S,P,3) in a frame that moves with the body: origins (K,3), rotations (K,3,3)."""
        rings = np.asarray(rings_m, dtype=np.float64)
        placed = np.einsum("kij,spj->kspi", turn, rings) + at_m[:, None, None]
        self.tube(placed, *materials, which=which, caps=caps)

    def _add(self, vertices: Floats, faces: IntArray, materials: Sequence[Material], picked: NDArray[np.int64]) -> None:
        index = np.array([self._palette.setdefault(m, len(self._palette)) for m in materials])
        self._faces.append((faces + self._count).astype(np.int32))
        self._material.append(index[picked].astype(np.int32))
        self._vertices.append(vertices)
        self._count += vertices.shape[1]

    def meshes(self, on_ground: bool = True) -> tuple[Mesh, ...]:
        """One mesh per pose; if `on_ground`, each is moved so that its lowest point is at z = 0."""
        vertices = np.concatenate(self._vertices, axis=1)
        faces = np.concatenate(self._faces)
        if on_ground:
            vertices = vertices - [0, 0, 1] * vertices[:, :, 2].min(axis=1)[:, None, None]
        normals = vertex_normals(vertices, faces)[:, faces].astype(np.float32)
        material, texture = np.concatenate(self._material), vertices[0].astype(np.float32)
        placed = vertices.astype(np.float32)
        return tuple(
            Mesh(placed[k], faces, normals[k], material, tuple(self._palette), texture) for k in range(self.poses)
        )


def slab(size_lwh_m: ArrayLike, square: float = 5.0, points: int = 12, shrink: float = 0.6, levels: int = 2) -> Floats:
    """Rings (S,points,3) of a rounded block around the origin: bags, phones, saddles."""
    length, width, height = np.asarray(size_lwh_m, dtype=np.float64) / 2
    angle = (np.arange(points) + 0.5) * 2 * np.pi / points
    rim = np.stack([np.sign(t) * np.abs(t) ** (2 / square) for t in (np.cos(angle), np.sin(angle))], axis=1)
    z = np.concatenate([[-1.0], np.linspace(-0.86, 0.86, levels), [1.0]])
    scale = np.concatenate([[shrink], np.ones(levels), [shrink]])
    ring = rim * (length, width)
    return np.stack([np.column_stack([ring * k, np.full(points, h * height)]) for k, h in zip(scale, z, strict=True)])


def lathe(
    profile_rz_m: ArrayLike, *materials: Material, which: Sequence[int] | None = None, segments: int = 12
) -> Mesh:
    """A round body about the z axis through rows (S,2) of radius and height; `which` (S-1,) gives their materials."""
    profile = np.asarray(profile_rz_m, dtype=np.float64)
    angle = np.arange(segments) * 2 * np.pi / segments
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    height = np.broadcast_to(profile[:, 1, None, None], (len(profile), segments, 1))
    rings = np.concatenate([profile[:, :1, None] * turn, height], axis=2)
    rows = np.zeros(len(profile) - 1, dtype=np.int64) if which is None else np.asarray(which, dtype=np.int64)
    skin = Skin(1)
    skin.tube(rings[None], *materials, which=np.repeat(rows[:, None], segments, axis=1))
    return skin.meshes(on_ground=False)[0]
