"""Painted grids: skins of vehicles whose quads have their own paint and are smoothed as one surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointsam.synth.material import CHROME, DARK, GLASS, HEAD_LAMP, INDICATOR, PLATE, RIM, TAIL_LAMP, TYRE, Material
from pointsam.synth.mesh import Mesh, join, surface

DISPLAY = Material((0.55, 0.3, 0.03), gloss=0.6, emit=(2.0, 1.1, 0.1))
"""A lit destination sign."""
WHITE = Material((0.72, 0.72, 0.71), gloss=0.1)
PointGrid = NDArray[np.float64]
Paints = NDArray[np.int64]


class Paint(IntEnum):
    """Index into a vehicle's palette; NONE leaves a hole."""

    NONE = -1
    BODY = 0
    GLASS = 1
    DARK = 2
    TRIM = 3
    CHROME = 4
    HEAD = 5
    TAIL = 6
    SIGNAL = 7
    PLATE = 8
    TYRE = 9
    RIM = 10
    SECOND = 11
    SIGN = 12
    PLAIN = 13


def palette(body: Material, trim: Material = DARK, second: Material = DARK) -> tuple[Material, ...]:
    """Materials in the order of `Paint`."""
    return (body, GLASS, DARK, trim, CHROME, HEAD_LAMP, TAIL_LAMP, INDICATOR, PLATE, TYRE, RIM, second, DISPLAY, WHITE)


@dataclass(frozen=True, eq=False)
class Patch:
    """A grid of points and the paint of its quads.

    Args:
        points_m: (R,C,3) points; seen from outside, columns run to the right if rows run upwards.
        paint: (R-1,C-1) of `Paint`, or one for all.
    """

    points_m: PointGrid
    paint: Paints | int = Paint.BODY


def skin(patches: Sequence[Patch], materials: tuple[Material, ...], crease_deg: float = 40.0) -> Mesh:
    """One smooth mesh of all patches, with the used materials only."""
    points, faces, paints, start = [], [], [], 0
    for patch in patches:
        rows, columns = patch.points_m.shape[:2]
        a = start + (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        faces.append(np.stack([a, a + 1, a + columns + 1, a, a + columns + 1, a + columns], axis=1).reshape(-1, 3))
        paints.append(np.broadcast_to(np.asarray(patch.paint), (rows - 1, columns - 1)).ravel().repeat(2))
        points.append(patch.points_m.reshape(-1, 3))
        start += rows * columns
    vertices = np.concatenate(points).astype(np.float32)
    return painted(vertices, np.concatenate(faces), np.concatenate(paints), materials, crease_deg)


def painted(
    vertices_m: ArrayLike,
    triangles: NDArray[np.int64],
    paint: Paints,
    materials: tuple[Material, ...],
    crease_deg: float = 40.0,
) -> Mesh:
    """`surface` with a paint for each triangle."""
    vertices = np.asarray(vertices_m, dtype=np.float32)
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    keep = (np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-9) & (paint != Paint.NONE)
    used, inverse = np.unique(paint[keep], return_inverse=True)
    return replace(
        surface(vertices, triangles[keep], materials[0], crease_deg=crease_deg),
        material_id=inverse.reshape(-1).astype(np.int32),
        materials=tuple(materials[k] for k in used),
    )


def both_sides(left: Mesh) -> Mesh:
    """A left half and its mirror image, smooth across the plane y = 0."""
    seam = np.abs(left.vertices_m[left.triangles][:, :, 1]) < 1e-5
    normals = left.normals.copy()
    flat = seam & (np.hypot(normals[..., 0], normals[..., 2]) > 0.3)
    normals[flat, 1] = 0
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    half = replace(left, normals=normals.astype(np.float32))
    return join(half, half.mirrored())


_CORNERS = np.array([(i, j, k) for k in (-1, 1) for j in (-1, 1) for i in (-1, 1)]) / 2
_SIDES = np.array(
    [0, 2, 3, 0, 3, 1, 4, 5, 7, 4, 7, 6, 0, 1, 5, 0, 5, 4, 2, 6, 7, 2, 7, 3, 0, 4, 6, 0, 6, 2, 1, 3, 7, 1, 7, 5]
)
_SIDES = _SIDES.reshape(12, 3)


def boxes(blocks: Sequence[tuple[float, ...]], materials: tuple[Material, ...], mirror: bool = False) -> Mesh:
    """Many boxes at once.

    Args:
        blocks: (paint, length, width, height, x, y, z) with the centre at (x, y, z), metres; optionally followed by a
            pitch about the centre (nose down positive, radians).
        materials: the palette.
        mirror: add the mirror image of each box at -y.
    """
    table = np.array([(*b, 0.0) if len(b) == 7 else b for b in blocks], dtype=np.float64)
    if mirror:
        other = table.copy()
        other[:, 5] *= -1
        table = np.concatenate([table, other])
    corners = _CORNERS * table[:, None, 1:4]
    cos, sin = np.cos(table[:, 7:8]), np.sin(table[:, 7:8])
    x, z = corners[..., 0], corners[..., 2]
    turned = np.stack([x * cos + z * sin, corners[..., 1], z * cos - x * sin], axis=2) + table[:, None, 4:7]
    faces = (np.arange(len(table))[:, None, None] * 8 + _SIDES).reshape(-1, 3)
    a, b, c = (turned.reshape(-1, 3)[faces[:, k]] for k in range(3))
    unit = np.cross(b - a, c - a)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    used, inverse = np.unique(table[:, 0].astype(int).repeat(12), return_inverse=True)
    vertices = turned.reshape(-1, 3).astype(np.float32)
    return Mesh(
        vertices,
        faces.astype(np.int32),
        np.repeat(unit[:, None], 3, axis=1).astype(np.float32),
        inverse.reshape(-1).astype(np.int32),
        tuple(materials[k] for k in used),
        vertices,
    )


def outline_normals(outline_xy_m: PointGrid) -> PointGrid:
    """(C,2) outward normals of a left half outline that runs from the centre of the front to that of the rear."""
    flip = np.array([1, -1])
    around = np.concatenate([outline_xy_m[1:2] * flip, outline_xy_m, outline_xy_m[-2:-1] * flip])
    tangent = around[2:] - around[:-2]
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def side_wall(outline_xy_m: PointGrid, z_m: PointGrid, inset_m: PointGrid) -> PointGrid:
    """(R,C,3) rows over a left half outline, from heights (R,C) and inward offsets (R,C)."""
    inwards = outline_xy_m[None] - outline_normals(outline_xy_m)[None] * inset_m[..., None]
    inwards[..., 1] = np.maximum(inwards[..., 1], 0)
    return np.concatenate([inwards, z_m[..., None]], axis=2)


def deck(edge_m: PointGrid, crown_m: float, steps: Sequence[float] = (0, 0.12, 0.5, 1)) -> PointGrid:
    """(R,C,3) a lid from a left edge (C,3) to the plane y = 0, where it is higher by `crown_m`."""
    share = np.asarray(steps, dtype=np.float64)[:, None]
    rows = np.repeat(edge_m[None], len(steps), axis=0)
    rows[..., 1] *= 1 - share
    rows[..., 2] += crown_m * (1 - (1 - share) ** 2) * edge_m[:, 1] / max(float(edge_m[:, 1].max()), 1e-6)
    return rows


def rounded_outline(
    half_width_m: float,
    ends_x_m: tuple[float, float],
    depth_m: tuple[float, float],
    front_y_m: ArrayLike,
    side_x_m: ArrayLike,
    rear_y_m: ArrayLike,
    power: float = 2.8,
) -> PointGrid:
    """(C,2) a left half outline whose ends are quarters of a superellipse.

    Args:
        half_width_m: half width of the straight sides.
        ends_x_m: x of front and rear.
        depth_m: length over which front and rear curve.
        front_y_m: y of columns across the front, 0 included, all on the flat part of the curve.
        side_x_m: x of columns along the side.
        rear_y_m: y of columns across the rear.
        power: exponent of the superellipse; higher is squarer.
    """
    (front, rear), (nose, tail) = ends_x_m, depth_m
    sides = np.sort(np.asarray(side_x_m, dtype=np.float64))[::-1]
    into = np.maximum((sides - front + nose) / nose, (rear + tail - sides) / tail).clip(0, 1)
    side = np.column_stack([sides, half_width_m * (1 - into**power) ** (1 / power)])

    def across(y: ArrayLike, x: float, depth: float) -> PointGrid:
        ys = np.sort(np.asarray(y, dtype=np.float64))
        return np.column_stack([x + depth * (1 - (1 - (ys / half_width_m) ** power) ** (1 / power)), ys])

    return np.concatenate([across(front_y_m, front, -nose), side, across(rear_y_m, rear, tail)[::-1]])


def arch_z_m(x_m: PointGrid, bottom_m: float, axles: Sequence[tuple[float, float, float]]) -> PointGrid:
    """Lower edge of a side with wheel arches; an axle is (x, height of the centre, radius of the arch)."""
    z = np.full(len(x_m), bottom_m)
    for x, height, radius in axles:
        inside = np.abs(x_m - x) < radius + 1e-6
        z[inside] = np.maximum(z[inside], height + np.sqrt(np.maximum(radius**2 - (x_m[inside] - x) ** 2, 0)))
    return z


def arch_columns_m(axles: Sequence[tuple[float, float, float]], steps: int = 10) -> PointGrid:
    """Positions along x of the columns that a side needs for round arches."""
    angle = np.linspace(0, np.pi, steps + 1)
    return np.concatenate(
        [np.concatenate([x + r * np.cos(angle), (x + r + 0.008, x - r - 0.008)]) for x, _, r in axles]
    )


def distinct_m(columns_m: PointGrid, front_m: float, rear_m: float) -> PointGrid:
    """Positions along x of columns strictly between two ends, at least 5 mm apart."""
    inside = np.unique(np.round(columns_m[(columns_m < front_m) & (columns_m > rear_m)], 4))
    return np.asarray(inside[np.concatenate([[True], np.diff(inside) > 0.005])])
