"""Parts that vehicles share: wheels, wheel houses, seats, mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from pointsam.synth.assets.vehicle_grid import Paint, Patch, boxes, palette, skin
from pointsam.synth.material import DARK, RIM, Material
from pointsam.synth.mesh import Mesh, join

SEAT = Material((0.055, 0.053, 0.052), reflectance=0.12)
SEAT_LIGHT = Material((0.2, 0.17, 0.14), reflectance=0.3)
BLACK_RIM = Material((0.06, 0.06, 0.064), gloss=0.35)


@cache
def _unit_wheel(width_share: float, rim_share: float, spokes: int, dish: float, segments: int) -> Mesh:
    """A wheel of radius 1 about the y axis with its face to +y: tyre, rim and spokes as one painted grid."""
    half = width_share / 2
    per_spoke = segments // spokes if spokes else 1
    angle = np.arange(segments + 1) * 2 * np.pi / segments
    profile = np.array(
        [
            (0.9, -half),
            (1.0, -half * 0.7),
            (1.0, half * 0.7),
            (0.9, half),
            (rim_share, half * 0.92),
            (rim_share * 0.88, half * (0.86 - dish)),
            (rim_share * 0.32, half * (0.86 - dish * 0.3)),
            (0.0, half * 0.9),
        ]
    )
    radius, y = profile[:, :1], np.broadcast_to(profile[:, 1:], (len(profile), segments + 1))
    points = np.stack([radius * np.sin(angle), y, radius * np.cos(angle)], axis=2)
    paint = np.full((len(profile) - 1, segments), int(Paint.TYRE))
    paint[4:] = Paint.RIM
    if spokes:
        gap = np.arange(segments) % per_spoke >= max(1, per_spoke // 2)
        paint[5, gap] = Paint.DARK
    else:
        paint[5, np.arange(segments) % 4 == 0] = Paint.DARK
    return skin([Patch(points, paint)], palette(DARK), crease_deg=35)


def wheel(
    radius_m: float,
    width_m: float,
    rim_share: float = 0.66,
    spokes: int = 5,
    dish: float = 0.25,
    rim: Material = RIM,
) -> Mesh:
    """A wheel at the origin with its face to the left (+y).

    Args:
        radius_m: radius of the tyre.
        width_m: width of the tyre.
        rim_share: radius of the rim as a fraction of that of the tyre.
        spokes: number of spokes, 0 for a pressed steel wheel.
        dish: depth of the rim, in half widths; negative values bulge.
        rim: material of the rim.
    """
    unit = _unit_wheel(
        round(width_m / radius_m, 1),
        round(rim_share, 2),
        spokes,
        dish,
        {5: 25, 6: 24, 7: 21, 8: 24, 10: 20}.get(spokes, 24),
    )
    unit = replace(unit, materials=tuple(rim if m == RIM else m for m in unit.materials))
    return _scaled(unit, (radius_m, width_m / round(width_m / radius_m, 1), radius_m))


def _scaled(mesh: Mesh, scale: Sequence[float]) -> Mesh:
    factor = np.asarray(scale, dtype=np.float32)
    normals = mesh.normals / factor
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return Mesh(
        mesh.vertices_m * factor, mesh.triangles, normals, mesh.material_id, mesh.materials, mesh.texture_m * factor
    )


def axle_wheels(one: Mesh, x_m: Sequence[float], face_y_m: float, radius_m: float, width_m: float) -> Mesh:
    """A wheel at both ends of each axle, with its face at y = +-`face_y_m`."""
    placed = [one.moved((x, face_y_m - width_m / 2, radius_m)) for x in x_m]
    left = join(*placed)
    return join(left, left.mirrored())


def wheel_houses(
    axles: Sequence[tuple[float, float, float]], outer_y_m: Sequence[float], inner_y_m: float, bottom_m: float
) -> list[Patch]:
    """Dark linings of the left arches: a half tube inwards and its end wall.

    Args:
        axles: (x, height of the centre, radius of the arch) of each axle.
        outer_y_m: y of the lip of each arch.
        inner_y_m: y of the end wall.
        bottom_m: height of the lower edge.
    """
    patches = []
    for (x, height, radius), outer in zip(axles, outer_y_m, strict=True):
        angle = np.linspace(0, np.pi, 11)
        rim_x = np.concatenate([[x + radius], x + radius * np.cos(angle), [x - radius]])
        rim_z = np.concatenate([[bottom_m], height + radius * np.sin(angle), [bottom_m]])
        lip, foot, floor = (np.full(len(rim_x), y) for y in (outer, inner_y_m, inner_y_m))
        lip[[0, -1]] -= 0.07
        rows = [np.column_stack([rim_x, y, z]) for y, z in ((lip, rim_z), (foot, rim_z), (floor, rim_z * 0 + bottom_m))]
        patches.append(Patch(np.stack(rows)[::-1], Paint.DARK))
    return patches


def seats(rows: Sequence[tuple[float, float, float, int]], floor_m: float, light: bool = False) -> Mesh:
    """Seats with head-rests as simple boxes.

    Args:
        rows: (x of the back rest, half distance of the outer seats, height of the back above the floor, count).
        floor_m: height of the cabin's floor.
        light: whether the seats are pale.
    """
    blocks = []
    for x, reach, back, count in rows:
        for y in np.linspace(-reach, reach, count):
            blocks += [
                (Paint.BODY, 0.5, 0.46, 0.14, x + 0.24, y, floor_m + 0.27),
                (Paint.BODY, 0.12, 0.46, back * 0.72, x - 0.06, y, floor_m + 0.3 + back * 0.36, -0.2),
                (Paint.BODY, 0.08, 0.25, 0.17, x - 0.19, y, floor_m + 0.3 + back * 0.86, -0.2),
            ]
    return boxes(blocks, palette(SEAT_LIGHT if light else SEAT))


def mirrors(x_m: float, y_m: float, z_m: float, size_m: tuple[float, float, float], body: Material) -> Mesh:
    """Door mirrors on both sides; `y_m` is the y of the door, and of the mirror's foot."""
    length, width, height = size_m
    turn = np.linspace(0, 2 * np.pi, 9)
    rings = []
    for dx, grow in ((-0.5, 0.85), (-0.45, 1.0), (0.1, 0.95), (0.42, 0.6), (0.5, 0.15)):
        y, z = np.cos(turn), np.sin(turn)
        squeeze = (np.abs(y) ** 4 + np.abs(z) ** 4) ** 0.25
        x = np.full(9, x_m + dx * length)
        across, up = grow * width / 2 * y / squeeze, grow * height / 2 * z / squeeze
        rings.append(np.column_stack([x, y_m + 0.035 + width / 2 + across, z_m + up]))
    rings.insert(0, np.column_stack([rings[0][:, 0] + 0.01, *(rings[0][:, 1:] * 0 + rings[0][:, 1:].mean(axis=0)).T]))
    grid = np.stack(rings)
    paint = np.full((len(rings) - 1, 8), int(Paint.BODY))
    paint[0] = Paint.CHROME
    colours = palette(body)
    shell = skin([Patch(grid, paint)], colours)
    foot = boxes([(Paint.DARK, 0.08, 0.12, 0.04, x_m, y_m + 0.02, z_m - height * 0.3)], colours)
    left = join(shell, foot)
    return join(left, left.mirrored())
