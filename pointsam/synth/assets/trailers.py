"""Semi-trailers; x = 0 is the front wall, the rear has negative x."""

from __future__ import annotations

import numpy as np

from pointsam.synth.assets.truck_parts import (
    ALUMINIUM,
    FRAME,
    MeshBlock,
    chassis_blocks,
    heavy_axles,
    side_guard_blocks,
)
from pointsam.synth.assets.vehicle_grid import Paint, boxes, palette
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join, loft

Rng = np.random.Generator

FLOOR_M = 1.18
"""Height of a trailer's floor."""
WHEEL_M = 0.5
COLOURS: tuple[Rgb, ...] = (
    (0.75, 0.75, 0.74),
    (0.75, 0.75, 0.74),
    (0.62, 0.63, 0.64),
    (0.03, 0.09, 0.32),
    (0.42, 0.03, 0.03),
    (0.04, 0.2, 0.09),
    (0.6, 0.3, 0.03),
    (0.05, 0.05, 0.06),
)


def coat(rng: Rng, colours: tuple[Rgb, ...] = COLOURS, gloss: float = 0.25) -> Material:
    """One of the colours, varied a little."""
    shade = rng.uniform(0.85, 1.1) * rng.uniform(0.97, 1.03, 3)
    r, g, b = (float(c * s) for c, s in zip(colours[rng.integers(len(colours))], shade, strict=True))
    return Material((min(r, 0.85), min(g, 0.85), min(b, 0.85)), gloss=gloss)


def semi_trailer(rng: Rng) -> Mesh:
    """Box, curtain-sided, container, flat-bed with load, or tank; with legs, axles and guards."""
    kind = rng.choice(["box", "curtain", "container", "flat", "tank"], p=[0.36, 0.2, 0.2, 0.13, 0.11])
    length = {"container": 12.3, "tank": 11.2}.get(str(kind), 12.6) + rng.uniform(-0.5, 0.7)
    half = rng.uniform(1.26, 1.3)
    top = rng.uniform(3.75, 4.0)
    body = coat(rng)
    colours = palette(body, FRAME, coat(rng))
    blocks = chassis_blocks(0.0, -length, FLOOR_M - 0.03, half)
    blocks += side_guard_blocks(-3.4, -length + 4.8, half - 0.02)
    blocks += _legs()
    solids: list[Mesh] = []
    if kind == "tank":
        solids.append(
            _tank(length, half, top - 0.25, Material(ALUMINIUM.rgb if rng.random() < 0.6 else body.rgb, gloss=0.5))
        )
        blocks += [(Paint.TRIM, length - 1.0, 1.3, 0.1, -length / 2, 0, FLOOR_M - 0.05)]
        blocks += [
            (Paint.CHROME, 5.0, 0.5, 0.05, -length / 2, 0, top - 0.2),
            (Paint.TRIM, 0.4, 0.3, 0.2, -length / 2, 0, top - 0.14),
        ]
    elif kind == "flat":
        blocks += _flat_bed(rng, length, half, top)
    elif kind == "container":
        blocks += container_blocks(0.0, -length, half - 0.05, FLOOR_M + 0.14, FLOOR_M + 2.74)
        blocks += [(Paint.TRIM, length - 0.1, 2 * half - 0.1, 0.12, -length / 2, 0, FLOOR_M + 0.06)]
    else:
        blocks += van_body_blocks(-0.3, -length, half, FLOOR_M, top, rng, ribs=kind == "curtain")
    axles = [-length + 3.9, -length + 2.6, -length + 1.3] if rng.random() < 0.7 else [-length + 2.7, -length + 1.4]
    return join(boxes(blocks, colours), heavy_axles(axles, WHEEL_M, half - 0.02, twin=len(axles) == 2), *solids)


def _legs() -> list[MeshBlock]:
    legs: list[MeshBlock] = [(Paint.TRIM, 0.14, 0.14, 1.0, -2.9, side * 0.75, 0.62) for side in (-1, 1)]
    feet: list[MeshBlock] = [(Paint.TRIM, 0.3, 0.3, 0.04, -2.9, side * 0.75, 0.12) for side in (-1, 1)]
    return [*legs, *feet, (Paint.TRIM, 0.08, 1.5, 0.1, -2.9, 0, 0.8)]


def van_body_blocks(
    front_m: float, rear_m: float, half_m: float, floor_m: float, top_m: float, rng: Rng, ribs: bool = False
) -> list[MeshBlock]:
    """A closed box with rear doors, corner posts, marker lamps; `ribs` for a curtain's poles and buckles."""
    length, mid_x, height = front_m - rear_m, (front_m + rear_m) / 2, top_m - floor_m
    mid_z = (floor_m + top_m) / 2
    blocks: list[MeshBlock] = [
        (Paint.BODY, length - 0.03, 2 * half_m - 0.03, height - 0.03, mid_x, 0, mid_z),
        (Paint.CHROME, 0.012, 0.02, height - 0.3, rear_m + 0.012, 0, mid_z),
    ]
    for side in (-1, 1):
        y = side * (half_m - 0.03)
        blocks += [(Paint.CHROME, length, 0.07, 0.12, mid_x, y, z) for z in (floor_m + 0.06, top_m - 0.06)]
        blocks += [(Paint.CHROME, 0.1, 0.072, height - 0.004, x, y, mid_z) for x in (front_m - 0.051, rear_m + 0.051)]
        for bar in (0.3, 0.75):
            blocks.append((Paint.TRIM, 0.04, 0.04, height - 0.35, rear_m + 0.004, side * half_m * bar, mid_z))
        blocks += [
            (Paint.TRIM, 0.03, 0.12, 0.08, rear_m - 0.002, side * half_m * bar, floor_m + 0.5) for bar in (0.3, 0.75)
        ]
        blocks += [
            (Paint.SIGNAL, 0.1, 0.02, 0.05, x, side * (half_m + 0.006), floor_m - 0.08)
            for x in np.linspace(front_m - 0.5, rear_m + 0.5, 4)
        ]
        blocks.append((Paint.TAIL, 0.02, 0.16, 0.05, rear_m - 0.004, side * (half_m - 0.2), top_m - 0.06))
        if ribs:
            poles = np.linspace(front_m - 0.6, rear_m + 0.6, 16)
            blocks += [(Paint.SECOND, 0.05, 0.02, height - 0.28, x, side * (half_m - 0.008), mid_z) for x in poles]
    for z in (floor_m + 0.05, top_m - 0.05):
        blocks.append((Paint.CHROME, 0.03, 2 * half_m - 0.15, 0.1, rear_m + 0.012, 0, z))
    if rng.random() < 0.65:
        blocks += _sign_blocks(length * rng.uniform(0.35, 0.8), height, mid_x, half_m, floor_m, rng)
    elif rng.random() < 0.5 and not ribs:
        blocks.append((Paint.DARK, 0.3, 1.7, 0.6, front_m + 0.14, 0, top_m - 0.45))
    return blocks


def _sign_blocks(
    run_m: float, height_m: float, center_m: float, half_m: float, floor_m: float, rng: Rng
) -> list[MeshBlock]:
    """A coloured panel with bars like letters on both sides."""
    z = floor_m + rng.uniform(0.35, 0.6) * height_m
    paint = Paint.PLAIN if rng.random() < 0.6 else Paint.DARK
    letters = int(rng.integers(5, 10))
    widths = rng.uniform(0.35, 0.8, letters) * run_m * 0.8 / letters
    starts = center_m - run_m * 0.4 + np.arange(letters) * run_m * 0.8 / letters
    heights = rng.choice([0.1, 0.16, 0.16], letters) * height_m
    blocks: list[MeshBlock] = []
    for side in (-1, 1):
        blocks.append((Paint.SECOND, run_m, 0.012, height_m * 0.3, center_m, side * (half_m - 0.012), z))
        for start, width, tall in zip(starts[::-side], widths, heights, strict=True):
            blocks.append((paint, width, 0.012, tall, start + width / 2, side * (half_m - 0.007), z))
    return blocks


def container_blocks(front_m: float, rear_m: float, half_m: float, floor_m: float, top_m: float) -> list[MeshBlock]:
    """A shipping container with ribbed sides."""
    length, mid_x, mid_z, height = (
        front_m - rear_m,
        (front_m + rear_m) / 2,
        (floor_m + top_m) / 2,
        top_m - floor_m,
    )
    blocks: list[MeshBlock] = [(Paint.SECOND, length - 0.06, 2 * half_m - 0.07, height - 0.03, mid_x, 0, mid_z)]
    ribs = np.arange(front_m - 0.3, rear_m + 0.2, -0.28)
    for side in (-1, 1):
        blocks += [(Paint.SECOND, 0.12, 0.05, height - 0.2, x, side * (half_m - 0.035), mid_z) for x in ribs]
        blocks += [
            (Paint.SECOND, length, 0.1, 0.14, mid_x, side * (half_m - 0.05), z) for z in (floor_m + 0.07, top_m - 0.07)
        ]
        blocks += [
            (Paint.SECOND, 0.16, 0.104, height + 0.008, x, side * (half_m - 0.05), mid_z)
            for x in (front_m - 0.079, rear_m + 0.079)
        ]
        blocks += [
            (Paint.CHROME, 0.03, 0.04, height - 0.3, rear_m + 0.018, side * half_m * k, mid_z) for k in (0.25, 0.65)
        ]
    return blocks


def _flat_bed(rng: Rng, length: float, half: float, top: float) -> list[MeshBlock]:
    """A platform with a head board and a stacked load."""
    blocks: list[MeshBlock] = [
        (Paint.TRIM, length, 2 * half, 0.16, -length / 2, 0, FLOOR_M + 0.05),
        (Paint.CHROME, 0.06, 2 * half, 1.3, -0.05, 0, FLOOR_M + 0.78),
    ]
    place = -0.6
    while place > -length + 2.2:
        run = rng.uniform(1.2, 2.6)
        high = rng.uniform(0.7, top - FLOOR_M - 0.35)
        wide = half * rng.uniform(1.5, 1.85)
        paint = Paint.SECOND if rng.random() < 0.5 else Paint.BODY
        blocks.append((paint, run, wide, high, place - run / 2, 0, FLOOR_M + 0.13 + high / 2 + 0.06))
        blocks += [
            (Paint.DARK, 0.08, wide + 0.03, high + 0.03, place - run * k, 0, FLOOR_M + 0.13 + high / 2 + 0.06)
            for k in (0.25, 0.75)
        ]
        place -= run + rng.uniform(0.05, 0.5)
    return blocks


def _tank(length: float, half: float, top: float, material: Material) -> Mesh:
    """A lying barrel with rounded ends."""
    angle = np.arange(28) * 2 * np.pi / 28
    mid_x, radius = (FLOOR_M + top) / 2, (top - FLOOR_M) / 2
    ends = ((0.0, 0.05), (0.03, 0.5), (0.1, 0.8), (0.22, 0.96), (0.4, 1.0))
    stations = [(-x, s) for x, s in ends]
    for rib in np.linspace(-2.0, -length + 2.0, 5):
        stations += [(rib + 0.06, 1.0), (rib + 0.05, 1.02), (rib - 0.05, 1.02), (rib - 0.06, 1.0)]
    stations += [(-length + 0.25 + x, s) for x, s in reversed(ends)]
    rings = [
        np.column_stack([np.full(28, x), half * 0.97 * s * np.cos(angle), mid_x + radius * s * np.sin(angle)])
        for x, s in stations
    ]
    return loft(np.array(rings)[::-1], material, crease_deg=35)
