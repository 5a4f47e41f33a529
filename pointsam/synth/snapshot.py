"""The world at one time, for ray casting: all surfaces in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.synth.light import PointLight
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh
from pointsam.synth.raycast import AnyScene, RayScene
from pointsam.synth.texture import NAMES

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Palette:
    """Properties of M materials as columns.

    Args:
        rgb, rgb2, emit: (3,M) linear.
        gloss, scale_m: (M,).
        texture: (M,) index into `texture.NAMES`, -1 for none.
        mean_rgb: (3,M) mean colour, seen from a distance.
    """

    rgb: F32
    rgb2: F32
    emit: F32
    gloss: F32
    scale_m: F32
    texture: NDArray[np.int32]
    mean_rgb: F32

    @staticmethod
    def of(materials: Sequence[Material]) -> Palette:
        """Build from materials. An unknown texture raises when it is painted."""
        rgb = np.array([m.rgb for m in materials], np.float32).reshape(-1, 3)
        rgb2 = np.array([m.rgb2 for m in materials], np.float32).reshape(-1, 3)
        names = {name: i for i, name in enumerate(NAMES)}
        texture = np.array([names.get(m.texture, len(NAMES)) if m.texture else -1 for m in materials], np.int32)
        mean = np.where((texture >= 0)[:, None], 0.6 * rgb + 0.4 * rgb2, rgb)
        emit = np.array([m.emit for m in materials], np.float32).reshape(-1, 3)
        gloss, scale = (np.array(v, np.float32) for v in zip(*((m.gloss, m.scale_m) for m in materials), strict=True))
        first, second, light, afar = (np.ascontiguousarray(c.T, dtype=np.float32) for c in (rgb, rgb2, emit, mean))
        return Palette(first, second, light, gloss, scale, texture, afar)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All surfaces at one time. The ego vehicle is near the origin of the frame, so that float32 is exact to 0.1 mm.

    Args:
        scene: the triangles, for ray casting.
        vertices_m: (V,3) float32.
        triangles: (T,3) int32.
        normals: (T,3,3) float32 unit normal at each corner.
        face_normals: (T,3) float32 unit normal of the flat triangle.
        texture_m: (T,3,3) float32 texture coordinate at each corner.
        material_id: (T,) int32 into `materials`.
        object_id: (T,) int32.
        materials: materials of the triangles.
        lights: lamps that are on at night and in rain.
        palette: `materials` as columns.
    """

    scene: AnyScene
    vertices_m: F32
    triangles: NDArray[np.int32]
    normals: F32
    face_normals: F32
    texture_m: F32
    material_id: NDArray[np.int32]
    object_id: NDArray[np.int32]
    materials: tuple[Material, ...]
    lights: tuple[PointLight, ...] = ()
    palette: Palette = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "palette", Palette.of(self.materials or (Material((0, 0, 0)),)))


def snapshot(placed: Sequence[tuple[Mesh, SE3, int]], lights: Sequence[PointLight] = (), threads: int = 1) -> Snapshot:
    """Join meshes.

    Args:
        placed: mesh, pose `world_SE3_mesh` (world: the frame of the snapshot) and object id >= 0 of each object.
        lights: lamps in the frame of the snapshot.
        threads: threads of the ray caster.
    """
    v_starts = np.cumsum([0, *(len(mesh.vertices_m) for mesh, _, _ in placed)])
    t_starts = np.cumsum([0, *(len(mesh.triangles) for mesh, _, _ in placed)])
    vertices = np.empty((v_starts[-1], 3), np.float32)
    triangles = np.empty((t_starts[-1], 3), np.int32)
    normals, texture = (np.empty((t_starts[-1], 3, 3), np.float32) for _ in range(2))
    material_id, object_id = (np.empty(t_starts[-1], np.int32) for _ in range(2))
    index: dict[Material, int] = {}
    known: dict[int, NDArray[np.int32]] = {}  # look up a palette that meshes share once
    for k, (mesh, pose, thing) in enumerate(placed):
        v, t = slice(v_starts[k], v_starts[k + 1]), slice(t_starts[k], t_starts[k + 1])
        turn = pose.rotation.T.astype(np.float32)
        np.matmul(mesh.vertices_m, turn, out=vertices[v])
        vertices[v] += pose.translation_m.astype(np.float32)
        np.matmul(mesh.normals.reshape(-1, 3), turn, out=normals[t].reshape(-1, 3))
        np.take(mesh.texture_m, mesh.triangles, axis=0, out=texture[t], mode="clip")
        np.add(mesh.triangles, v.start, out=triangles[t], casting="unsafe")
        if id(mesh.materials) not in known:
            ids = [index.setdefault(m, len(index)) for m in mesh.materials]
            known[id(mesh.materials)] = np.array(ids, dtype=np.int32)
        material_id[t] = known[id(mesh.materials)][mesh.material_id]
        object_id[t] = thing
    return Snapshot(
        RayScene(vertices, triangles, threads),
        vertices,
        triangles,
        normals,
        _face_normals(vertices, triangles),
        texture,
        material_id,
        object_id,
        tuple(index),
        tuple(lights),
    )


def _face_normals(vertices_m: F32, triangles: NDArray[np.int32]) -> F32:
    """(T,3) unit normals, computed by columns because `np.cross` on rows is several times slower."""
    columns = [np.ascontiguousarray(vertices_m[:, k]) for k in range(3)]
    corners = [np.ascontiguousarray(triangles[:, k]) for k in range(3)]
    a = [c[corners[0]] for c in columns]
    x1, y1, z1 = (c[corners[1]] - s for c, s in zip(columns, a, strict=True))
    x2, y2, z2 = (c[corners[2]] - s for c, s in zip(columns, a, strict=True))
    cross = np.stack([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2])
    cross /= np.maximum(np.sqrt(np.einsum("kn,kn->n", cross, cross)), np.float32(1e-20))
    return np.ascontiguousarray(cross.T)
