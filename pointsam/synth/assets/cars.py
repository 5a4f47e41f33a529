"""Passenger cars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.vehicle_body import cabin, lower_body
from pointsam.synth.assets.vehicle_grid import Paint, both_sides, boxes, palette, skin
from pointsam.synth.assets.vehicle_parts import BLACK_RIM, axle_wheels, mirrors, seats, wheel
from pointsam.synth.assets.vehicle_shape import Shape, outline
from pointsam.synth.material import RIM, Material, Rgb
from pointsam.synth.mesh import Mesh, join

Rng = np.random.Generator

COLOURS: tuple[tuple[float, Rgb], ...] = (
    (0.24, (0.78, 0.78, 0.77)),
    (0.16, (0.45, 0.46, 0.47)),
    (0.17, (0.17, 0.175, 0.185)),
    (0.19, (0.018, 0.018, 0.02)),
    (0.07, (0.38, 0.02, 0.02)),
    (0.07, (0.02, 0.06, 0.22)),
    (0.03, (0.05, 0.16, 0.36)),
    (0.02, (0.02, 0.09, 0.05)),
    (0.02, (0.30, 0.25, 0.18)),
    (0.015, (0.65, 0.42, 0.02)),
    (0.015, (0.50, 0.13, 0.02)),
)
"""Fraction and linear albedo of paints on the road."""


def body_paint(rng: Rng) -> Material:
    """A car's paint."""
    weights = np.array([w for w, _ in COLOURS])
    rgb = np.array(COLOURS[rng.choice(len(COLOURS), p=weights / weights.sum())][1])
    rgb = (rgb * rng.uniform(0.98, 1.02, 3) * rng.uniform(0.85, 1.1)).clip(0.012, 0.85)
    return Material((float(rgb[0]), float(rgb[1]), float(rgb[2])), gloss=0.5)


def sedan(rng: Rng) -> Shape:
    """A sedan."""
    length = rng.uniform(4.5, 4.95)
    height = rng.uniform(1.42, 1.49)
    belt = rng.uniform(0.93, 0.97)
    return Shape(
        length,
        rng.uniform(1.73, 1.82),
        height,
        wheelbase_m=0.585 * length + rng.uniform(-0.05, 0.08),
        front_overhang_m=0.19 * length,
        wheel_radius_m=rng.uniform(0.315, 0.34),
        clearance_m=0.19,
        nose_z_m=rng.uniform(0.68, 0.74),
        cowl_z_m=belt - 0.02,
        belt_z_m=belt,
        tail_z_m=belt + rng.uniform(0.02, 0.08),
        hood_m=0.275 * length,
        screen_m=rng.uniform(0.7, 0.82),
        roof_m=0.245 * length,
        rear_m=rng.uniform(0.7, 0.85),
        roof_share=rng.uniform(0.74, 0.79),
        post_m=(1.2,),
        rear_post_m=rng.uniform(0.2, 0.36),
        tail_depth_m=0.5,
    )


def hatchback(rng: Rng) -> Shape:
    """A short hatchback."""
    length = rng.uniform(3.75, 4.35)
    belt = rng.uniform(0.93, 0.99)
    hood, screen, rear = 0.235 * length, rng.uniform(0.68, 0.8), rng.uniform(0.26, 0.42)
    return Shape(
        length,
        rng.uniform(1.64, 1.8),
        rng.uniform(1.45, 1.55),
        wheelbase_m=0.612 * length,
        front_overhang_m=0.2 * length,
        wheel_radius_m=rng.uniform(0.295, 0.325),
        clearance_m=0.19,
        nose_z_m=rng.uniform(0.7, 0.76),
        cowl_z_m=belt - 0.01,
        belt_z_m=belt,
        tail_z_m=belt + 0.03,
        hood_m=hood,
        screen_m=screen,
        roof_m=length - hood - screen - rear - 0.16,
        rear_m=rear,
        roof_share=rng.uniform(0.77, 0.82),
        post_m=(1.12, 1.85),
        rear_post_m=rng.uniform(0.26, 0.36),
        panes=(True, True, bool(rng.random() < 0.6)),
        tall_lamps=True,
        tail_depth_m=0.34,
    )


def suv(rng: Rng) -> Shape:
    """A sport utility vehicle."""
    length = rng.uniform(4.3, 4.95)
    height = rng.uniform(1.64, 1.9)
    belt = 0.63 * height
    hood, screen, rear = 0.25 * length, rng.uniform(0.6, 0.72), rng.uniform(0.22, 0.4)
    return Shape(
        length,
        rng.uniform(1.76, 1.85),
        height,
        wheelbase_m=0.595 * length,
        front_overhang_m=0.19 * length,
        wheel_radius_m=rng.uniform(0.34, 0.38),
        clearance_m=0.25,
        nose_z_m=rng.uniform(0.86, 0.95),
        cowl_z_m=belt,
        belt_z_m=belt + 0.02,
        tail_z_m=belt + 0.06,
        hood_m=hood,
        screen_m=screen,
        roof_m=length - hood - screen - rear - 0.16,
        rear_m=rear,
        roof_share=rng.uniform(0.8, 0.86),
        post_m=(1.2, 2.1),
        rear_post_m=rng.uniform(0.24, 0.42),
        dark_sill=bool(rng.random() < 0.6),
        nose_depth_m=0.5,
        tail_depth_m=0.3,
        grille_share=0.5,
        tall_lamps=bool(rng.random() < 0.6),
        rails=bool(rng.random() < 0.45),
    )


def estate(rng: Rng) -> Shape:
    """An estate car: the front of a sedan and a long roof."""
    length = rng.uniform(4.55, 4.9)
    belt = rng.uniform(0.94, 0.98)
    hood, screen, rear = 0.27 * length, rng.uniform(0.7, 0.8), rng.uniform(0.35, 0.5)
    return Shape(
        length,
        rng.uniform(1.74, 1.82),
        rng.uniform(1.45, 1.54),
        wheelbase_m=0.59 * length,
        front_overhang_m=0.19 * length,
        wheel_radius_m=rng.uniform(0.315, 0.34),
        clearance_m=0.19,
        nose_z_m=rng.uniform(0.7, 0.75),
        cowl_z_m=belt - 0.01,
        belt_z_m=belt,
        tail_z_m=belt + 0.03,
        hood_m=hood,
        screen_m=screen,
        roof_m=length - hood - screen - rear - 0.16,
        rear_m=rear,
        roof_share=rng.uniform(0.76, 0.8),
        post_m=(1.2, 2.1),
        rear_post_m=0.25,
        tall_lamps=True,
        rails=bool(rng.random() < 0.6),
    )


def van(rng: Rng) -> Shape:
    """A minivan."""
    length = rng.uniform(4.6, 5.15)
    height = rng.uniform(1.74, 1.94)
    belt = rng.uniform(1.05, 1.12)
    hood, screen, rear = 0.19 * length, rng.uniform(0.75, 0.95), rng.uniform(0.12, 0.3)
    return Shape(
        length,
        rng.uniform(1.77, 1.85),
        height,
        wheelbase_m=0.6 * length,
        front_overhang_m=0.185 * length,
        wheel_radius_m=rng.uniform(0.325, 0.35),
        clearance_m=0.2,
        nose_z_m=rng.uniform(0.82, 0.9),
        cowl_z_m=belt,
        belt_z_m=belt,
        tail_z_m=belt + 0.01,
        hood_m=hood,
        screen_m=screen,
        roof_m=length - hood - screen - rear - 0.16,
        rear_m=rear,
        roof_share=rng.uniform(0.83, 0.88),
        post_m=(1.3, 2.45),
        rear_post_m=0.2,
        tail_depth_m=0.26,
        tall_lamps=True,
    )


def pickup(rng: Rng) -> Shape:
    """A pick-up: a double cab with a bed."""
    length = rng.uniform(5.0, 5.3)
    height = rng.uniform(1.78, 1.93)
    belt = 0.635 * height
    return Shape(
        length,
        rng.uniform(1.78, 1.85),
        height,
        wheelbase_m=0.61 * length,
        front_overhang_m=0.17 * length,
        wheel_radius_m=rng.uniform(0.37, 0.4),
        clearance_m=0.32,
        nose_z_m=rng.uniform(0.98, 1.04),
        cowl_z_m=belt - 0.02,
        belt_z_m=belt,
        tail_z_m=belt,
        hood_m=0.26 * length,
        screen_m=0.62,
        roof_m=1.35,
        rear_m=0.2,
        roof_share=0.84,
        post_m=(1.15,),
        rear_post_m=0.14,
        nose_depth_m=0.4,
        tail_depth_m=0.14,
        dark_sill=False,
        bed=True,
        tall_lamps=True,
        grille_share=0.55,
        plate_half_m=0.2,
    )


KINDS: tuple[tuple[float, Callable[[Rng], Shape]], ...] = (
    (0.29, sedan),
    (0.15, hatchback),
    (0.36, suv),
    (0.05, estate),
    (0.08, van),
    (0.07, pickup),
)
"""Fraction of each kind on the road."""


def car(rng: np.random.Generator) -> Asset:
    """An empty passenger car; a pick-up has the category of trucks, as in nuScenes."""
    weights = np.array([w for w, _ in KINDS])
    shape = KINDS[rng.choice(len(KINDS), p=weights / weights.sum())][1](rng)
    shape = replace(shape, face=int(rng.integers(4)), plate_half_m=float(rng.choice([0.26, 0.16])))
    category = "vehicle.truck" if shape.bed else "vehicle.car"
    return Asset.of(category, car_mesh(shape, body_paint(rng), rng))


def car_mesh(shape: Shape, body: Material, rng: Rng) -> Mesh:
    """Body, wheels, cabin and furniture of a car or van."""
    trim = Material((0.045, 0.045, 0.048), gloss=0.05, reflectance=0.08)
    colours = palette(body, trim)
    plan = outline(shape)
    shell = both_sides(skin([*lower_body(shape, plan), *cabin(shape)], colours, crease_deg=38))
    width = rng.uniform(0.2, 0.235)
    rim = BLACK_RIM if rng.random() < 0.2 else RIM
    one = wheel(shape.wheel_radius_m, width, rng.choice([0.62, 0.66, 0.7]), int(rng.choice([5, 5, 6, 7])), 0.2, rim)
    wheels = axle_wheels(one, shape.axles_x_m, shape.width_m / 2 - 0.012, shape.wheel_radius_m, width)
    mirror = mirrors(
        shape.pillar_x_m - 0.28,
        shape.width_m / 2 - 0.09,
        float(shape.edge_z_m(np.array([shape.pillar_x_m - 0.3]))[0]) + 0.09,
        (0.17, 0.15, 0.13),
        body if rng.random() < 0.75 else trim,
    )
    return join(shell, wheels, mirror, *_furniture(shape, colours, rng))


def _furniture(shape: Shape, colours: tuple[Material, ...], rng: Rng) -> list[Mesh]:
    floor = shape.clearance_m + 0.06
    pillar, half, belt = shape.pillar_x_m, shape.width_m / 2, shape.belt_z_m
    back = shape.height_m - floor - 0.42
    rows = [(pillar - 1.25, 0.37, back, 2)]
    if shape.panes[1]:
        rows.append((max(pillar - 2.05, shape.roof_rear_x_m + 0.25), 0.4, back - 0.1, 3))
    handle = Paint.CHROME if rng.random() < 0.3 else Paint.BODY
    doors = [pillar - shape.post_m[0] + 0.16] + ([pillar - shape.post_m[0] - 0.75] if shape.panes[1] else [])
    blocks = [(handle, 0.17, 0.03, 0.028, x, half - 0.005, belt - 0.13) for x in doors]
    blocks.append((Paint.TRIM, 0.12, 0.04, 0.05, pillar - 0.2, half - 0.09, belt + 0.03))
    if shape.rails:
        center, reach = (shape.roof_front_x_m + shape.roof_rear_x_m) / 2, (half - 0.1) * shape.roof_share * 0.88
        blocks.append((Paint.TRIM, shape.roof_m * 0.85, 0.04, 0.07, center, reach, shape.height_m - 0.045))
    dash = [
        (Paint.DARK, 0.45, 2 * half - 0.35, 0.3, pillar - 0.2, 0, belt - 0.15),
        (Paint.DARK, 0.05, 0.36, 0.3, pillar - 0.62, 0.37, belt - 0.08, 0.4),
        (Paint.DARK, 0.05, 2 * half - 0.3, belt - floor - 0.1, pillar - 0.02, 0, (belt + floor) / 2 - 0.08),
        (Paint.DARK, 0.03, 0.2, 0.06, shape.roof_front_x_m + 0.02, 0, shape.height_m - 0.16),
    ]
    return [seats(rows, floor, bool(rng.random() < 0.25)), boxes(blocks, colours, mirror=True), boxes(dash, colours)]
