"""City buses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.truck_parts import heavy_axles
from pointsam.synth.assets.vehicle_grid import (
    Paint,
    Patch,
    arch_columns_m,
    both_sides,
    boxes,
    deck,
    distinct_m,
    palette,
    rounded_outline,
    skin,
)
from pointsam.synth.assets.vehicle_hull import HullRow, Painter, hull
from pointsam.synth.assets.vehicle_parts import seats, wheel_houses
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join

LIVERIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((0.75, 0.75, 0.74), (0.42, 0.02, 0.02)),
    ((0.45, 0.02, 0.03), (0.7, 0.7, 0.69)),
    ((0.06, 0.26, 0.06), (0.7, 0.7, 0.69)),
    ((0.7, 0.7, 0.7), (0.03, 0.1, 0.36)),
    ((0.62, 0.4, 0.02), (0.05, 0.05, 0.06)),
    ((0.45, 0.46, 0.47), (0.62, 0.42, 0.02)),
    ((0.7, 0.7, 0.69), (0.16, 0.04, 0.2)),
    ((0.72, 0.72, 0.71), (0.05, 0.25, 0.1)),
)
"""Linear albedo of the body and of its stripe."""
SILL_M, BELT_M, HEAD_M = 0.34, 1.02, 2.36
FLOOR_M = 0.42
WHEEL_M = 0.49
_ARCH_M = 0.57


@dataclass(frozen=True)
class _Layout:
    """Positions along x: doors as (front, rear), posts between windows, axles."""

    length_m: float
    half_m: float
    roof_m: float
    doors_m: tuple[tuple[float, float], ...]
    posts_m: tuple[float, ...]
    axles_m: tuple[tuple[float, float, float], ...]

    @property
    def nose_m(self) -> float:
        """Front end."""
        return self.length_m / 2


def _layout(rng: np.random.Generator) -> _Layout:
    length = rng.uniform(10.9, 12.3)
    nose = length / 2
    axles = tuple((x, WHEEL_M, _ARCH_M) for x in (nose - 2.75, -nose + 3.3))
    doors = [(nose - 0.5, nose - 1.75), (0.62, -0.62)]
    if rng.random() < 0.4:
        doors.append((-nose + 2.3, -nose + 1.15))
    posts = np.linspace(nose - 1.85, -nose + 0.7, int(rng.integers(6, 9)))
    return _Layout(length, rng.uniform(1.26, 1.29), rng.uniform(3.05, 3.4), tuple(doors), tuple(posts.tolist()), axles)


def bus(rng: np.random.Generator) -> Asset:
    """A single-decker with a low floor; doors on the right."""
    layout = _layout(rng)
    body, stripe = (Material(rgb, gloss=0.4) for rgb in LIVERIES[rng.integers(len(LIVERIES))])
    colours = palette(body, Material((0.05, 0.05, 0.055), gloss=0.1), stripe)
    style = int(rng.integers(3))
    shell = _shell(layout, colours, style)
    parts = [shell, *_inside(layout, colours), _outside(layout, colours, rng)]
    axles = [x for x, _, _ in layout.axles_m]
    parts.append(heavy_axles(axles[:1], WHEEL_M, layout.half_m - 0.03, twin=False))
    parts.append(heavy_axles(axles[1:], WHEEL_M, layout.half_m - 0.03, twin=True))
    return Asset.of("vehicle.bus.rigid", join(*parts))


def _shell(layout: _Layout, colours: tuple[Material, ...], style: int) -> Mesh:
    nose, half = layout.nose_m, layout.half_m
    posts = np.array([[p + 0.045, p - 0.045] for p in layout.posts_m]).ravel()
    doors = np.array([[a, a - 0.05, (a + b) / 2 + 0.03, (a + b) / 2 - 0.03, b + 0.05, b] for a, b in layout.doors_m])
    corner = [nose - 0.14, nose - 0.22, nose - 0.33, nose - 0.43, -nose + 0.06, -nose + 0.1, -nose + 0.17, -nose + 0.3]
    columns = np.concatenate([posts, doors.ravel(), corner, arch_columns_m(layout.axles_m, 8)])
    ends = [0, half * 0.2, half * 0.5, half * 0.72, half * 0.93]
    back = [0, half * 0.2, half * 0.5, half * 0.8, half * 0.93]
    side = distinct_m(columns, nose - 0.13, -nose + 0.05)
    plan = rounded_outline(half, (nose, -nose), (0.4, 0.18), ends, side, back, 3.6)
    edge = layout.roof_m - 0.25
    rows = [
        HullRow(SILL_M - 0.05, 0.03, 0.06, 0.05),
        HullRow(SILL_M + 0.04),
        HullRow(0.62),
        HullRow(0.8, 0, 0.01),
        HullRow(BELT_M, 0, 0.02),
        HullRow(1.3, 0.004, 0.03),
        HullRow(1.85, 0.012, 0.07, 0.01),
        HullRow(HEAD_M, 0.025, 0.12, 0.02),
        HullRow(HEAD_M + 0.07, 0.03, 0.13, 0.02),
        HullRow(HEAD_M + 0.24, 0.032, 0.15, 0.03),
        HullRow(HEAD_M + 0.3, 0.035, 0.16, 0.03),
        HullRow(max(edge, HEAD_M + 0.36), 0.06, 0.19, 0.05),
        HullRow(layout.roof_m - 0.09, 0.14, 0.26, 0.1),
        HullRow(layout.roof_m, 0.34, 0.42, 0.2),
    ]
    wall_m, lid = hull(plan, rows, layout.axles_m, 0.05, reach_m=0.7)
    left = _painted(Painter(wall_m, plan), layout, style)
    right = _with_doors(_painted(Painter(wall_m, plan), layout, style), layout)
    floor = deck(np.column_stack([plan * (0.997, 0.97), np.full(len(plan), FLOOR_M)]), 0.0, (0, 1))
    houses = wheel_houses(layout.axles_m, [half - 0.004] * 2, half - 0.62, SILL_M - 0.03)
    common = [lid, Patch(floor, Paint.TRIM), *houses]
    sides = both_sides(skin([left.patch(), *common], colours, 35))
    other = both_sides(skin([right.patch(), *common], colours, 35))
    return _halves(sides, other)


def _halves(left: Mesh, right: Mesh) -> Mesh:
    """The first half of the triangles of one mesh and the second half of the other's."""
    count = len(left.triangles) // 2
    start = len(right.triangles) // 2
    return join(_cut(left, slice(0, count)), _cut(right, slice(start, None)))


def _cut(mesh: Mesh, which: slice) -> Mesh:
    points, inverse = np.unique(mesh.triangles[which], return_inverse=True)
    return Mesh(
        mesh.vertices_m[points],
        inverse.reshape(-1, 3).astype(np.int32),
        mesh.normals[which],
        mesh.material_id[which],
        mesh.materials,
        mesh.texture_m[points],
    )


def _painted(paint: Painter, layout: _Layout, style: int) -> Painter:
    nose, half = layout.nose_m, layout.half_m
    front, rear = (nose - 0.3, 99.0), (-99.0, -nose + 0.14)
    if style == 0:
        paint(Paint.SECOND, z=(0.62, 0.8))
    elif style == 1:
        paint(Paint.SECOND, x=(-99, -nose * 0.45), z=(0.3, HEAD_M))
    else:
        paint(Paint.SECOND, z=(0, 0.8))
    paint(Paint.TRIM, z=(0, SILL_M + 0.04))
    if style == 1:
        paint(Paint.DARK, x=(-nose + 0.6, 99), y=(half * 0.93, 9), z=(BELT_M, HEAD_M))
    tops = (layout.posts_m[0] + 0.04, *(p - 0.04 for p in layout.posts_m))
    for ahead, behind in zip(tops[1:-1], layout.posts_m[1:], strict=False):
        paint(Paint.GLASS, x=(behind + 0.04, ahead), y=(half * 0.95, 9), z=(BELT_M, HEAD_M))
    paint(Paint.GLASS, x=(layout.posts_m[0] + 0.04, nose - 0.42), z=(BELT_M, HEAD_M))
    paint(Paint.GLASS, x=front, y=(-1, half * 0.93), z=(BELT_M, HEAD_M))
    paint(Paint.DARK, x=front, y=(-1, half * 0.93), z=(HEAD_M, HEAD_M + 0.3))
    paint(Paint.SIGN, x=front, y=(-1, half * 0.5), z=(HEAD_M + 0.07, HEAD_M + 0.24))
    paint(Paint.DARK, x=(nose - 0.3, 99), y=(half * 0.5, half), z=(SILL_M + 0.04, 0.62))
    paint(Paint.HEAD, x=(nose - 0.2, 99), y=(half * 0.72, half * 0.93), z=(SILL_M + 0.04, 0.62))
    paint(Paint.SIGNAL, x=(nose - 0.34, nose - 0.14), y=(half * 0.93, half), z=(SILL_M + 0.04, 0.62))
    paint(Paint.PLATE, x=front, y=(-1, half * 0.2), z=(SILL_M + 0.04, 0.62))
    paint(Paint.DARK, x=rear, y=(-1, half * 0.93), z=(1.3, HEAD_M + 0.3))
    paint(Paint.GLASS, x=rear, y=(-1, half * 0.8), z=(1.3, HEAD_M))
    paint(Paint.SIGN, x=rear, y=(-1, half * 0.2), z=(HEAD_M + 0.07, HEAD_M + 0.24))
    paint(Paint.DARK, x=rear, y=(-1, half * 0.5), z=(0.62, 0.8))
    paint(Paint.TAIL, x=rear, y=(half * 0.8, half * 0.94), z=(0.62, BELT_M + 0.3))
    paint(Paint.SIGNAL, x=rear, y=(half * 0.8, half * 0.94), z=(0.8, BELT_M))
    return paint


def _with_doors(paint: Painter, layout: _Layout) -> Painter:
    for ahead, behind in layout.doors_m:
        centre, side = (ahead + behind) / 2, (layout.half_m * 0.9, 9.0)
        paint(Paint.DARK, x=(behind, ahead), y=side, z=(SILL_M, HEAD_M))
        for start, end in ((centre - 0.02, behind + 0.04), (ahead - 0.04, centre + 0.02)):
            paint(Paint.GLASS, x=(end, start), y=side, z=(0.62, HEAD_M))
    return paint


def _inside(layout: _Layout, colours: tuple[Material, ...]) -> list[Mesh]:
    nose = layout.nose_m
    places = np.arange(nose - 3.6, -nose + 0.9, -0.85)
    rows: list[tuple[float, float, float, int]] = [(float(x), 0.92, 0.85, 2) for x in places if abs(x) > 1.0]
    rows += [(x - 0.02, 0.48, 0.85, 2) for x, _, _, _ in rows]
    blocks = [
        (Paint.DARK, 0.4, 2.2, 0.4, nose - 0.5, 0, 0.78),
        (Paint.DARK, 0.05, 0.5, 0.5, nose - 0.8, 0.6, 1.2, 0.9),
        (Paint.TRIM, 0.06, 1.0, 1.4, nose - 2.05, 0.7, 1.1),
        (Paint.TRIM, 0.7, 2.3, 1.1, -nose + 0.5, 0, 0.95),
        (Paint.TRIM, layout.length_m - 1.2, 1.6, 0.05, -0.2, 0, HEAD_M + 0.25),
    ]
    for side in (-1, 1):
        blocks += [
            (Paint.SIGNAL, 0.04, 0.04, 1.9, x, side * 0.35, FLOOR_M + 0.95)
            for x in np.linspace(nose - 2.5, -nose + 2, 5)
        ]
    driver = seats([(nose - 1.7, 0.0, 0.9, 1)], FLOOR_M + 0.25).moved((0, 0.65, 0))
    return [boxes(blocks, colours), seats(rows, FLOOR_M), driver]


def _outside(layout: _Layout, colours: tuple[Material, ...], rng: np.random.Generator) -> Mesh:
    nose, half, top = layout.nose_m, layout.half_m, layout.roof_m
    blocks = []
    for side in (-1, 1):
        blocks += [
            (Paint.DARK, 0.1, 0.2, 0.4, nose + 0.12, side * (half + 0.06), 2.2),
            (Paint.DARK, 0.3, 0.06, 0.06, nose - 0.02, side * (half - 0.04), HEAD_M + 0.06),
        ]
    pods = [(-nose * 0.45, 2.2), (nose * 0.35, 1.6)] if rng.random() < 0.7 else [(-nose * 0.5, 2.4)]
    blocks += [(Paint.BODY, run, 1.7, 0.22, x, 0, top + 0.06) for x, run in pods]
    blocks.append((Paint.PLATE, 0.012, 0.5, 0.11, -nose - 0.002, 0, 0.52))
    return boxes(blocks, colours)
