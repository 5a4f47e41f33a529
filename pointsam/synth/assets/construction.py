"""Construction machines: excavators and wheel loaders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.truck_parts import Block
from pointsam.synth.assets.vehicle_grid import Paint, both_sides, boxes, distinct_m, palette, rounded_outline, skin
from pointsam.synth.assets.vehicle_hull import HullRow, Painter, hull
from pointsam.synth.assets.vehicle_parts import seats, wheel
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, extrude, join, limb, loft, revolve

Rng = np.random.Generator

COATS: tuple[Rgb, ...] = (
    (0.62, 0.36, 0.02),
    (0.66, 0.42, 0.02),
    (0.6, 0.31, 0.02),
    (0.6, 0.17, 0.02),
    (0.55, 0.13, 0.02),
    (0.5, 0.5, 0.48),
)
STEEL = Material((0.16, 0.15, 0.14), gloss=0.15, reflectance=0.25)
ROD = Material((0.6, 0.6, 0.62), gloss=0.6)
MUDDY = Material((0.09, 0.075, 0.06), reflectance=0.12)


def construction_vehicle(rng: np.random.Generator) -> Asset:
    """An excavator or a wheel loader, parked with its tool near the ground."""
    r, g, b = COATS[rng.choice(len(COATS), p=[0.31, 0.26, 0.15, 0.14, 0.11, 0.03])]
    shade = float(rng.uniform(0.85, 1.1))
    coat = Material((r * shade, g * shade, b * shade), gloss=0.25)
    mesh = _excavator(rng, coat) if rng.random() < 0.6 else _wheel_loader(rng, coat)
    return Asset.of("vehicle.construction", mesh)


def _beam(path_xz_m: Sequence[Sequence[float]], depth_m: Sequence[float], width_m: float, material: Material) -> Mesh:
    """A box girder along a bent path in the plane y = 0."""
    path = np.asarray(path_xz_m, dtype=np.float64)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.column_stack([-along[:, 1], along[:, 0]]) * np.asarray(depth_m)[:, None] / 2
    half = width_m / 2
    corners = [(path + across, half), (path + across, -half), (path - across, -half), (path - across, half)]
    rings = [np.column_stack([xz[:, 0], np.full(len(path), y), xz[:, 1]]) for xz, y in corners]
    return loft(np.stack(rings, axis=1), material, crease_deg=35)


def _ram(from_xz_m: tuple[float, float], to_xz_m: tuple[float, float], y_m: float, radius_m: float) -> Mesh:
    """A hydraulic cylinder with its rod."""
    start, end = (np.array([p[0], y_m, p[1]]) for p in (from_xz_m, to_xz_m))
    center = start + (end - start) * 0.58
    tube = limb(start.tolist(), center.tolist(), radius_m, None, STEEL, 8)
    return join(tube, limb(center.tolist(), end.tolist(), radius_m * 0.55, None, ROD, 8))


def _cab(size_lwh_m: tuple[float, float, float], coat: Material) -> Mesh:
    """A cab that is glazed all around; its floor is at z = 0, its centre at x = y = 0."""
    length, width, height = size_lwh_m
    half, front = width / 2, length / 2
    ends = [0, half * 0.5, half * 0.86]
    posts = [front - 0.16, front - 0.22, 0.02, -0.06, -front + 0.16, -front + 0.1, front - 0.08, -front + 0.05]
    side = distinct_m(np.array(posts), front - 0.02, -front + 0.02)
    plan = rounded_outline(half, (front, -front), (0.16, 0.12), ends, side, ends, 3.0)
    rows = [
        HullRow(0.0),
        HullRow(0.42, 0, -0.02),
        HullRow(0.72, 0, -0.02),
        HullRow(height - 0.2, 0.05, 0.12, 0.03),
        HullRow(height - 0.08, 0.04, 0.1, 0.02),
        HullRow(height, 0.1, 0.2, 0.1),
    ]
    wall_m, lid = hull(plan, rows, (), 0.02)
    paint = Painter(wall_m, plan)
    paint(Paint.TRIM, z=(0.42, height - 0.2))
    paint(Paint.GLASS, x=(front - 0.1, 9), y=(-1, half * 0.86), z=(0.42, height - 0.2))
    paint(Paint.GLASS, x=(-9, -front + 0.06), y=(-1, half * 0.86), z=(0.72, height - 0.2))
    paint(Paint.GLASS, x=(0.02, front - 0.16), z=(0.42, height - 0.2))
    paint(Paint.GLASS, x=(-front + 0.16, -0.04), z=(0.72, height - 0.2))
    colours = palette(coat, Material((0.035, 0.035, 0.038), gloss=0.2))
    shell = both_sides(skin([paint.patch(), lid], colours, 35))
    inside: list[Block] = [
        (Paint.DARK, length - 0.1, width - 0.1, 0.05, 0, 0, 0.06),
        (Paint.DARK, 0.25, 0.4, 0.5, front - 0.35, 0, 0.5, -0.3),
        (Paint.HEAD, 0.05, 0.16, 0.09, front - 0.14, half * 0.55, height + 0.02),
        (Paint.HEAD, 0.05, 0.16, 0.09, front - 0.14, -half * 0.55, height + 0.02),
    ]
    return join(shell, boxes(inside, colours), seats([(-0.25, 0.0, 0.8, 1)], 0.1))


def _house(
    length: float, half: float, low: float, high: float, corner: float, coat: Material, grilles: bool = True
) -> Mesh:
    """A rounded engine house from x = 0 backwards."""
    ends = [0, half * 0.4, half * 0.8]
    columns = np.concatenate(
        [np.linspace(0, -length, 8)[1:-1], [-length + corner * k for k in (0.8, 0.5, 0.25)], [-0.03]]
    )
    side = distinct_m(columns, -0.015, -length + 0.04)
    plan = rounded_outline(half, (0, -length), (0.1, corner), ends, side, ends, 2.6)
    rows = [
        HullRow(low, 0.02, 0, 0.03),
        HullRow(low + 0.2, 0, 0, 0),
        HullRow(low + 0.45, 0, 0, 0),
        HullRow(high - 0.35, 0, 0, 0),
        HullRow(high - 0.12, 0.01, 0, 0.03),
        HullRow(high - 0.03, 0.06, 0.02, 0.1),
        HullRow(high, 0.16, 0.1, 0.25),
    ]
    wall_m, lid = hull(plan, rows, (), 0.02)
    paint = Painter(wall_m, plan)
    paint(Paint.TRIM, z=(0, low + 0.2))
    if grilles:
        paint(Paint.DARK, x=(-length * 0.72, -length * 0.42), z=(low + 0.45, high - 0.35))
        paint(Paint.DARK, x=(-99, -length + 0.1), y=(-1, half * 0.8), z=(low + 0.45, high - 0.35))
        paint(Paint.TAIL, x=(-99, -length + corner * 0.5), y=(half * 0.8, half * 0.95), z=(low + 0.2, low + 0.45))
    return both_sides(skin([paint.patch(), lid], palette(coat, STEEL), 35))


def _excavator(rng: Rng, coat: Material) -> Mesh:
    scale = rng.uniform(0.92, 1.06)
    trim = palette(coat, STEEL, MUDDY)
    half = 1.25
    tracks = join(*(_track(2.9, 0.5, 0.84).moved((0, s * (half - 0.25), 0)) for s in (-1, 1)))
    under = boxes(
        [
            (Paint.TRIM, 1.6, 1.6, 0.35, 0, 0, 0.6),
            (Paint.TRIM, 1.1, 1.1, 0.25, 0, 0, 0.88),
        ],
        trim,
    )
    house = _house(1.75, half - 0.02, 0.98, 1.95, 0.6, coat)
    cab = _cab((1.5, 0.92, 1.72), coat).moved((0.72, half - 0.5, 1.08))
    deck = boxes(
        [
            (Paint.TRIM, 1.5, 2 * half - 0.1, 0.16, 0.68, 0, 1.02),
            (Paint.BODY, 3.0, 0.2, 0.18, -0.15, half - 0.28, 1.1),
            (Paint.BODY, 3.0, 0.2, 0.18, -0.15, -half + 0.28, 1.1),
            (Paint.BODY, 1.15, 0.75, 0.62, 0.58, -half + 0.42, 1.4),
            (Paint.TRIM, 0.5, 0.34, 0.55, 0.8, -0.22, 1.25),
            (Paint.TRIM, 0.12, 0.12, 0.4, -0.75, -0.55, 2.1),
            (Paint.TRIM, 0.03, 0.9, 0.03, 1.1, -half + 0.46, 2.0),
            (Paint.TRIM, 0.03, 0.03, 0.35, 1.1, -half + 0.06, 1.85),
            (Paint.DARK, 0.06, 0.18, 0.28, 1.42, half + 0.08, 2.2),
        ],
        trim,
    )
    arm = _digging_arm(rng, coat)
    turn = float(rng.choice([0.0, 0.0, rng.uniform(-0.25, 0.25)]))
    upper = join(house, cab, deck, arm).moved((0, 0, 0), yaw=turn)
    return _grown(join(tracks, under, upper), scale)


def _grown(mesh: Mesh, scale: float) -> Mesh:
    factor = np.float32(scale)
    return Mesh(
        mesh.vertices_m * factor,
        mesh.triangles,
        mesh.normals,
        mesh.material_id,
        mesh.materials,
        mesh.texture_m * factor,
    )


def _digging_arm(rng: Rng, coat: Material) -> Mesh:
    """Boom, stick, bucket and their cylinders, in the plane y = -0.22."""
    lift = rng.uniform(-0.15, 0.2)
    foot = (0.75, 1.35)
    knee = (foot[0] + 1.5, 2.55 + lift)
    head = (foot[0] + 3.2, 2.25 + lift * 1.5)
    bucket = _bucket(0.95, 0.8).moved((0, 0, 0), yaw=np.pi, pitch=float(rng.uniform(-0.3, 0.5)))
    wrist = (head[0] - rng.uniform(0.1, 0.6), float(rng.uniform(0.05, 0.3) - bucket.extent_m()[0][2]))
    path = [foot, (foot[0] + 0.75, 2.05 + lift / 2), knee, (foot[0] + 2.2, 2.62 + lift), head]
    boom = _beam(path, [0.3, 0.45, 0.52, 0.42, 0.26], 0.34, coat)
    along = np.array(wrist) - head
    along /= np.linalg.norm(along)
    tail = tuple(float(c) for c in np.array(head) - along * 0.55)
    stick = _beam([tail, head, wrist], [0.22, 0.42, 0.2], 0.26, coat)
    rams = [_ram((1.15, 1.2), (knee[0] - 0.2, knee[1] - 0.25), y, 0.075) for y in (-0.24, 0.24)]
    rams.append(_ram((knee[0] - 0.1, knee[1] + 0.34), (tail[0], tail[1] + 0.08), 0, 0.075))
    rams.append(_ram((head[0] + 0.28, head[1] - 0.15), (wrist[0] + 0.3, wrist[1] + 0.1), 0, 0.06))
    return join(boom, stick, *rams, bucket.moved((wrist[0] + 0.05, 0, wrist[1]))).moved((0, -0.22, 0))


def _bucket(width_m: float, size_m: float) -> Mesh:
    """An open scoop: mouth towards +x, hinge at the origin above its back."""
    bend = np.array(
        [(0.0, 0.0), (-0.22, -0.12), (-0.3, -0.4), (-0.2, -0.68), (0.1, -0.85), (0.55, -0.86), (0.95, -0.8)]
    )
    path = bend * size_m
    half = width_m / 2
    outer = np.stack([np.column_stack([path[:, 0], np.full(len(path), y), path[:, 1]]) for y in (half, -half)])
    shell = loft(outer, STEEL, closed=False, caps=False, crease_deg=35)
    center = np.array([0.2, 0, -0.4]) * size_m
    cheeks = [
        loft(np.stack([row, row * 0 + center + (0, y, 0)]), STEEL, closed=False, caps=False)
        for row, y in zip(outer, (half, -half), strict=True)
    ]
    teeth = [
        (Paint.TRIM, 0.16 * size_m, 0.08, 0.05, 1.0 * size_m, y, -0.79 * size_m)
        for y in np.linspace(-half + 0.06, half - 0.06, 5)
    ]
    return join(shell, *cheeks, boxes(teeth, palette(STEEL, STEEL)))


def _track(length_m: float, width_m: float, height_m: float) -> Mesh:
    """A crawler with grousers, rollers and its frame."""
    radius, straight = height_m / 2, length_m - height_m
    turn = np.linspace(-np.pi / 2, np.pi / 2, 9)
    front = np.column_stack([straight / 2 + radius * np.cos(turn), radius + radius * np.sin(turn)])
    run = np.linspace(straight / 2, -straight / 2, 16)[1:-1]
    top = np.column_stack([run, np.full(len(run), height_m)])
    loop = np.concatenate([front, top, front[::-1] * (-1, 1), top[::-1] * (1, 0)])
    loop[1::2] += (np.array([0, radius]) - loop[1::2]) * (0.0, 0.05)
    belt = extrude(loop, width_m / 2, MUDDY, crease_deg=10)
    hub = revolve([(0.0, 0.0), (0.3, 0.0), (0.3, width_m + 0.06), (0.0, width_m + 0.06)], STEEL, 12, axis="y")
    wheels = [hub.moved((x, -(width_m + 0.06) / 2, radius)) for x in (straight / 2, -straight / 2)]
    frame = boxes([(Paint.TRIM, straight - 0.5, width_m + 0.04, 0.22, 0, 0, radius)], palette(STEEL, STEEL))
    return join(belt, *wheels, frame)


def _wheel_loader(rng: Rng, coat: Material) -> Mesh:
    scale = rng.uniform(0.93, 1.06)
    radius, width, half = 0.7, 0.56, 1.22
    trim = palette(coat, STEEL)
    axles = (1.4, -1.4)
    one = wheel(radius, width, 0.52, 0, 0.3, rim=coat)
    left = join(*(one.moved((x, half - width / 2, radius)) for x in axles))
    house = _house(2.05, 0.86, 0.75, 1.95, 0.35, coat).moved((-0.65, 0, 0))
    cab = _cab((1.45, 1.3, 1.72), coat).moved((-0.2, 0, 1.42))
    blocks: list[Block] = [
        (Paint.TRIM, 2.2, 0.9, 0.5, -1.2, 0, 0.75),
        (Paint.TRIM, 1.0, 0.9, 0.7, -0.2, 0, 1.06),
        (Paint.BODY, 1.3, 0.7, 0.75, 1.15, 0, 1.0),
        (Paint.BODY, 0.5, 0.9, 0.85, 1.0, 0, 1.45),
        (Paint.TRIM, 0.2, 2 * half - 0.3, 0.2, axles[0], 0, radius),
        (Paint.TRIM, 0.2, 2 * half - 0.3, 0.2, axles[1], 0, radius),
        (Paint.TRIM, 0.12, 0.12, 0.5, -1.3, 0.3, 2.15),
        (Paint.TRIM, 0.3, 1.9, 0.5, -2.72, 0, 0.95),
    ]
    for side in (-1, 1):
        y = side * (half - 0.28)
        blocks += [
            (Paint.BODY, 1.0, 0.5, 0.05, axles[1], y, 2 * radius + 0.1),
            (Paint.BODY, 0.5, 0.5, 0.05, axles[1] + 0.68, y, 2 * radius - 0.06, 0.6),
            (Paint.BODY, 0.9, 0.5, 0.05, axles[0] - 0.2, y, 2 * radius + 0.1),
            (Paint.TRIM, 0.6, 0.3, 0.06, -0.1, side * (half - 0.2), 0.6),
            (Paint.TRIM, 0.05, 0.04, 0.8, 0.15, side * (half - 0.2), 1.1),
            (Paint.HEAD, 0.06, 0.2, 0.14, 1.34, side * 0.75, 1.72),
            (Paint.TRIM, 0.06, 0.06, 0.3, 1.3, side * 0.75, 1.55),
            (Paint.TAIL, 0.02, 0.16, 0.12, -2.873, side * 0.78, 1.08),
        ]
    tool = _loading_arm(coat, half, float(rng.uniform(0.0, 0.5)))
    whole = join(left, left.mirrored(), house, cab, boxes(blocks, trim), tool)
    return _grown(whole, scale)


def _loading_arm(coat: Material, half: float, lift: float) -> Mesh:
    """Two lifting arms, their cylinders and a wide shovel."""
    path = [(0.95, 1.75), (1.7, 1.5 + lift / 3), (2.4, 1.0 + lift * 0.8), (2.75, 0.5 + lift)]
    arms = [_beam(path, [0.24, 0.36, 0.34, 0.22], 0.14, coat).moved((0, y, 0)) for y in (-0.5, 0.5)]
    rams = [_ram((1.0, 0.95), (1.75, 1.4 + lift / 3), y, 0.08) for y in (-0.36, 0.36)]
    rams.append(_ram((1.1, 1.85), (2.1, 1.75 + lift / 2), 0, 0.08))
    link = _beam([(2.1, 1.8 + lift / 2), (2.2, 1.2 + lift * 0.7), (2.8, 0.85 + lift)], [0.16, 0.24, 0.14], 0.14, coat)
    shovel = _bucket(2 * half + 0.12, 1.1).moved((2.95, 0, 0.98 + lift), pitch=-0.05)
    return join(*arms, *rams, link, shovel)
