"""Cabs, chassis and axles of lorries; x = 0 is the front bumper, the rear has negative x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointsam.synth.assets.vehicle_grid import (
    Grid,
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
from pointsam.synth.assets.vehicle_parts import seats, wheel, wheel_houses
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh, join

FRAME = Material((0.04, 0.04, 0.042), reflectance=0.1)
ALUMINIUM = Material((0.5, 0.51, 0.52), gloss=0.35)
Block = tuple[float, ...]


@dataclass(frozen=True)
class Cab:
    """Dimensions of a cab over the engine; metres.

    Args:
        length_m, width_m: outer size.
        bottom_m, sill_m, head_m, top_m: heights of the lower edge, of the windows' lower and upper edge, of the roof.
        axle_m: distance from the front to the front axle.
        wheel_m: radius of the wheels.
        snout_m: length of a bonnet in front of the cab, 0 for none.
    """

    length_m: float
    width_m: float
    bottom_m: float
    sill_m: float
    head_m: float
    top_m: float
    axle_m: float
    wheel_m: float
    snout_m: float = 0.0

    @property
    def rear_x_m(self) -> float:
        """Rear end of the cab, x."""
        return -self.length_m - self.snout_m


def cab(spec: Cab, body: Material, lower: Material = FRAME) -> Mesh:
    """Shell, glazing, seats, mirrors; without wheels."""
    colours = palette(body, lower)
    half, front = spec.width_m / 2, -spec.snout_m
    arch = (-spec.axle_m, spec.wheel_m, spec.wheel_m * 1.18)
    door = front - spec.length_m * 0.66
    plan = _cab_plan(spec, arch, door)
    bumper, waist = (spec.bottom_m + share * (spec.sill_m - spec.bottom_m) for share in (0.28, 0.62))
    wall_m, lid = hull(plan, _cab_rows(spec, bumper, waist), [arch])
    paint = Painter(wall_m, plan)
    _paint_cab(paint, spec, bumper, waist, front, door)
    floor_m = max(spec.bottom_m + 0.25, spec.sill_m - 0.85)
    floor = deck(np.column_stack([plan * (1, 0.96), np.full(len(plan), floor_m)]), 0.0, (0, 1))
    patches = [paint.patch(), lid, Patch(floor, Paint.DARK)]
    patches += wheel_houses([arch], [half - 0.004], half - 0.5, spec.bottom_m + 0.02)
    if spec.snout_m:
        patches += _snout(spec, arch)
    shell = both_sides(skin(patches, colours, 35))
    inside = [
        (Paint.DARK, 0.35, 2 * half - 0.3, 0.3, front - 0.38, 0, spec.sill_m - 0.12),
        (Paint.DARK, 0.05, 0.45, 0.35, front - 0.66, half * 0.5, spec.sill_m + 0.02, 0.9),
    ]
    furniture = seats([(front - spec.length_m * 0.58, half * 0.5, 0.85, 2)], floor_m)
    return join(shell, boxes(inside, colours), furniture, _cab_mirrors(spec, front, colours))


def _cab_plan(spec: Cab, arch: tuple[float, float, float], door: float) -> Grid:
    half, front, rear = spec.width_m / 2, -spec.snout_m, spec.rear_x_m
    sides = [front - x for x in (0.13, 0.24, 0.34, 0.38, 0.392)]
    sides += [door + 0.1, door, door - 0.012, rear + 0.08, rear + 0.03]
    columns = distinct_m(np.array([*sides, *arch_columns_m([arch])]), front - 0.12, rear + 0.02)
    ends = [0, half * 0.3, half * 0.52, half * 0.66, half * 0.93]
    return rounded_outline(half, (front, rear), (0.36, 0.1), ends, columns, ends, 3.4)


def _cab_rows(spec: Cab, bumper: float, waist: float) -> list[HullRow]:
    lean = 0.16 * (spec.head_m - spec.sill_m)
    roof, center = spec.top_m - 0.06, (bumper + waist) / 2
    brow = roof - spec.head_m
    return [
        HullRow(spec.bottom_m, 0.04, 0.05),
        HullRow(spec.bottom_m + 0.08),
        HullRow(bumper),
        HullRow(center - 0.025, 0.0, 0.01),
        HullRow(center + 0.025, 0.0, 0.01),
        HullRow(waist, 0.0, 0.02),
        HullRow(spec.sill_m - 0.07, 0.0, 0.03),
        HullRow(spec.sill_m, 0.0, 0.04),
        HullRow((spec.sill_m + spec.head_m) / 2, 0.015, 0.03 + lean / 2),
        HullRow(spec.head_m, 0.04, 0.04 + lean),
        HullRow(spec.head_m + 0.3 * brow, 0.05, 0.05 + lean + 0.1 * brow),
        HullRow(roof - 0.06, 0.07, 0.08 + lean + 0.35 * brow, 0.02),
        HullRow(roof, 0.16, 0.2 + lean + 0.36 * brow, 0.08),
    ]


def _paint_cab(paint: Painter, spec: Cab, bumper: float, waist: float, front: float, door: float) -> None:
    half, sill, head = spec.width_m / 2, spec.sill_m, spec.head_m
    nose = (front - 0.33, 99.0)
    paint(Paint.TRIM, z=(0, spec.bottom_m + 0.08))
    if not spec.snout_m:
        paint(Paint.TRIM, x=nose, z=(0, bumper))
        paint(Paint.DARK, x=nose, y=(-1, half * 0.66), z=(bumper, waist))
        paint(Paint.HEAD, x=(front - 0.16, 99), y=(half * 0.66, half), z=(spec.bottom_m + 0.08, bumper))
        paint(Paint.SIGNAL, x=(front - 0.34, front - 0.14), y=(half * 0.9, half), z=(spec.bottom_m + 0.08, bumper))
        paint(Paint.PLATE, x=nose, y=(-1, half * 0.3), z=(0, spec.bottom_m + 0.08))
        paint(Paint.DARK, x=(front - 0.3, 99), y=(-1, half * 0.93), z=(sill - 0.07, sill))
    center = (bumper + waist) / 2
    paint(Paint.BODY, x=nose, y=(-1, half * 0.66), z=(center - 0.025, center + 0.025))
    paint(Paint.GLASS, x=(front - 0.3, 99), y=(-1, half * 0.93), z=(sill, head))
    paint(Paint.GLASS, x=(door + 0.09, front - 0.39), z=(sill, head))
    for gap in (front - 0.386, door - 0.006):
        paint(Paint.DARK, x=(gap - 0.008, gap + 0.008), y=(half * 0.8, half), z=(spec.bottom_m + 0.2, head))


def _snout(spec: Cab, arch: tuple[float, float, float]) -> list[Patch]:
    half, rear = spec.width_m / 2 - 0.02, -spec.snout_m - 0.05
    top = spec.sill_m - 0.08
    ends = [0, half * 0.28, half * 0.45, half * 0.62, half * 0.8]
    columns = np.concatenate([[-0.14, -0.25, -0.4, rear + 0.3, rear + 0.02], arch_columns_m([arch])])
    plan = rounded_outline(half, (0, rear), (0.42, 0.01), ends, distinct_m(columns, -0.12, rear + 0.012), ends, 3.0)
    fender = 2 * arch[1] + 0.14
    rows = [
        HullRow(spec.bottom_m, 0.03, 0.03),
        HullRow(spec.bottom_m + 0.28, 0.0, 0.0),
        HullRow(fender - 0.3, 0.0, 0.06),
        HullRow(fender - 0.06, 0.03, 0.08),
        HullRow(fender, 0.12, 0.1),
        HullRow(fender + 0.05, 0.3, 0.1),
        HullRow(top - 0.12, 0.36, 0.14),
        HullRow(top, 0.46, 0.24),
    ]
    wall_m, lid = hull(plan, rows, [arch], 0.1)
    paint = Painter(wall_m, plan)
    paint(Paint.CHROME, x=(-0.3, 9), z=(0, spec.bottom_m + 0.28))
    paint(Paint.DARK, x=(-0.4, 9), y=(-1, half * 0.46), z=(spec.bottom_m + 0.28, top - 0.13))
    paint(Paint.HEAD, x=(-0.36, 9), y=(half * 0.6, half), z=(fender - 0.3, fender - 0.05))
    paint(Paint.PLATE, x=(-0.3, 9), y=(-1, half * 0.28), z=(spec.bottom_m, spec.bottom_m + 0.2))
    return [paint.patch(), lid]


def _cab_mirrors(spec: Cab, front: float, colours: tuple[Material, ...]) -> Mesh:
    y = spec.width_m / 2 + 0.1
    blocks = [
        (Paint.DARK, 0.1, 0.17, 0.5, front - 0.16, y, spec.head_m - 0.3),
        (Paint.CHROME, 0.006, 0.14, 0.44, front - 0.214, y, spec.head_m - 0.3),
        (Paint.DARK, 0.05, 0.2, 0.04, front - 0.18, y - 0.1, spec.head_m - 0.1),
        (Paint.DARK, 0.16, 0.03, 0.03, front - spec.length_m * 0.55, spec.width_m / 2 - 0.002, spec.sill_m - 0.14),
    ]
    return boxes(blocks, colours, mirror=True)


def heavy_axles(x_m: Sequence[float], radius_m: float, half_width_m: float, twin: bool) -> Mesh:
    """Wheels of lorry axles, twin tyres in the rear, and the axle beams."""
    width = radius_m * (1.15 if twin else 0.62)
    one = wheel(radius_m, width, 0.58, 0, 0.55 if twin else -0.1)
    left = join(*(one.moved((x, half_width_m - width / 2, radius_m)) for x in x_m))
    beams = [(Paint.TRIM, 0.14, 2 * half_width_m - 0.3, 0.14, x, 0, radius_m) for x in x_m]
    return join(left, left.mirrored(), boxes(beams, palette(FRAME, FRAME)))


def chassis_blocks(front_x_m: float, rear_x_m: float, top_m: float, half_width_m: float) -> list[Block]:
    """Frame rails and the rear's under-run guard, lamps, plate; `Paint.TRIM` is the colour of the frame."""
    length, center = front_x_m - rear_x_m, (front_x_m + rear_x_m) / 2
    rails = [(Paint.TRIM, length, 0.1, 0.25, center, s * 0.42, top_m - 0.13) for s in (-1, 1)]
    return [*rails, *rear_blocks(rear_x_m, top_m, half_width_m)]


def rear_blocks(rear_x_m: float, top_m: float, half_width_m: float) -> list[Block]:
    """Under-run guard, lamp clusters, plate and mud flaps at the rear end."""
    blocks: list[Block] = [
        (Paint.TRIM, 0.1, 2 * half_width_m - 0.1, 0.14, rear_x_m + 0.06, 0, 0.5),
        (Paint.PLATE, 0.012, 0.5, 0.11, rear_x_m + 0.03, 0, top_m - 0.22),
    ]
    for side in (-1, 1):
        y = side * (half_width_m - 0.26)
        blocks += [
            (Paint.TRIM, 0.1, 0.08, top_m - 0.5, rear_x_m + 0.07, side * 0.45, (top_m + 0.5) / 2),
            (Paint.TRIM, 0.06, 0.48, 0.18, rear_x_m + 0.06, y, top_m - 0.16),
            (Paint.TAIL, 0.02, 0.28, 0.13, rear_x_m + 0.024, y + side * 0.08, top_m - 0.16),
            (Paint.SIGNAL, 0.02, 0.12, 0.13, rear_x_m + 0.024, y - side * 0.15, top_m - 0.16),
        ]
    return blocks


def side_guard_blocks(front_x_m: float, rear_x_m: float, half_width_m: float, top_m: float = 0.95) -> list[Block]:
    """Two rails low on the side between the axles, with posts."""
    length, center = front_x_m - rear_x_m, (front_x_m + rear_x_m) / 2
    rails = [(Paint.CHROME, length, 0.03, 0.12, center, half_width_m, z) for z in (top_m - 0.42, top_m - 0.16)]
    posts = [
        (Paint.TRIM, 0.06, 0.04, 0.6, x, half_width_m - 0.04, top_m - 0.25)
        for x in np.linspace(front_x_m - 0.2, rear_x_m + 0.2, 3)
    ]
    return [*rails, *posts]
