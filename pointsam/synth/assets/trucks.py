"""Lorries, tractor units and what they pull."""

from __future__ import annotations

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.cars import car_mesh
from pointsam.synth.assets.trailers import coat, semi_trailer, van_body_blocks
from pointsam.synth.assets.truck_parts import (
    FRAME,
    Cab,
    MeshBlock,
    cab,
    chassis_blocks,
    heavy_axles,
    side_guard_blocks,
)
from pointsam.synth.assets.vehicle_grid import Paint, boxes, palette
from pointsam.synth.assets.vehicle_shape import Shape
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join, loft

Rng = np.random.Generator

FIFTH_WHEEL_TO_REAR_M = 0.95
"""Distance from a tractor's rear end to its coupling."""
KING_PIN_TO_FRONT_M = 1.25
"""Distance from a trailer's front end to its king pin."""

CAB_COLOURS: tuple[Rgb, ...] = (
    (0.75, 0.75, 0.74),
    (0.75, 0.75, 0.74),
    (0.75, 0.75, 0.74),
    (0.4, 0.41, 0.42),
    (0.42, 0.03, 0.03),
    (0.03, 0.08, 0.3),
    (0.06, 0.2, 0.42),
    (0.55, 0.3, 0.03),
    (0.04, 0.18, 0.1),
    (0.03, 0.03, 0.035),
)


def coupled_offset_m(tractor_asset: Asset, trailer_asset: Asset) -> float:
    """Distance from the centre of a tractor's box to that of its trailer, when both are in line."""
    rear = tractor_asset.size_lwh_m[0] / 2 - FIFTH_WHEEL_TO_REAR_M
    return rear + trailer_asset.size_lwh_m[0] / 2 - KING_PIN_TO_FRONT_M


def truck(rng: np.random.Generator) -> Asset:
    """A rigid lorry: box, delivery van, tipper, flat-bed, refuse collector."""
    build = rng.choice(5, p=[0.5, 0.14, 0.13, 0.11, 0.12])
    mesh = (_box_truck, _delivery_van, _tipper, _flat_bed, _refuse)[int(build)](rng)
    return Asset.of("vehicle.truck", mesh)


def trailer(rng: np.random.Generator) -> Asset:
    """A semi-trailer."""
    return Asset.of("vehicle.trailer", semi_trailer(rng))


def tractor(rng: np.random.Generator) -> Asset:
    """A tractor unit; its coupling is `FIFTH_WHEEL_TO_REAR_M` ahead of its rear end."""
    body = coat(rng, CAB_COLOURS, 0.45)
    if rng.random() < 0.65:
        spec = Cab(2.25, 2.48, 0.42, rng.uniform(1.75, 1.85), rng.uniform(2.6, 2.7), rng.uniform(3.1, 3.75), 1.38, 0.5)
    else:
        spec = Cab(2.1, 2.42, 0.5, 1.72, 2.42, rng.uniform(2.75, 3.6), 1.05, 0.5, snout_m=1.55)
    gap = spec.rear_x_m - 0.95
    rear = gap - KING_PIN_TO_FRONT_M - FIFTH_WHEEL_TO_REAR_M + 0.1
    axles = [rear + 0.95] if rng.random() < 0.55 and not spec.snout_m else [rear + 1.6, rear + 0.6]
    if len(axles) == 2:
        rear -= 0.2
    coupling = rear + FIFTH_WHEEL_TO_REAR_M
    half = spec.width_m / 2
    blocks = [
        *chassis_blocks(-1.0, rear, 0.98, half),
        (Paint.TRIM, 0.8, 0.8, 0.07, coupling, 0, 1.1, -0.06),
        (Paint.TRIM, 0.5, 0.6, 0.12, coupling, 0, 1.02),
        (Paint.TRIM, 0.7, 2 * half - 0.5, 0.3, spec.rear_x_m + 0.3, 0, 0.9),
        (Paint.DARK, 0.12, 0.12, 1.6, spec.rear_x_m - 0.12, half - 0.35, 1.7),
    ]
    for side in (-1, 1):
        blocks.append((Paint.CHROME, 1.0, 0.55, 0.55, (spec.rear_x_m + axles[0]) / 2 + 0.2, side * (half - 0.32), 0.72))
        blocks.append((Paint.TRIM, 1.1 * len(axles), 0.56, 0.05, float(np.mean(axles)), side * (half - 0.3), 1.06))
    if spec.top_m > 3.2:
        blocks += [
            (Paint.BODY, 0.5, 0.05, spec.top_m - 1.0, spec.rear_x_m - 0.2, s * (half - 0.06), spec.top_m / 2 + 0.4)
            for s in (-1, 1)
        ]
    colours = palette(body, FRAME)
    return Asset.of(
        "vehicle.truck",
        join(
            cab(spec, body),
            boxes(blocks, colours),
            heavy_axles([-spec.axle_m], 0.5, half - 0.02, twin=False),
            heavy_axles(axles, 0.5, half - 0.02, twin=True),
        ),
    )


def _carrier(rng: Rng, spec: Cab, body: Material, rear: float, deck_m: float) -> Mesh:
    """Cab, frame, axles, guards of a rigid lorry."""
    half = spec.width_m / 2
    back = rear + 0.28 * (spec.rear_x_m - rear) + 0.3
    axles = [back] if rear > -7.4 else [back + 0.65, back - 0.65]
    blocks = chassis_blocks(-0.8, rear, deck_m, half)
    front_gap, rear_gap = spec.rear_x_m - 0.3, axles[0] + spec.wheel_m + 0.25
    if front_gap - rear_gap > 0.8:
        blocks += side_guard_blocks(front_gap, rear_gap, half - 0.05, deck_m - 0.02)
    for side in (-1, 1):
        blocks.append((Paint.TRIM, 0.05, 0.5, 0.5, axles[-1] - spec.wheel_m - 0.16, side * (half - 0.3), 0.5))
        blocks.append((Paint.TRIM, 0.7, 0.4, 0.45, spec.rear_x_m - 0.45, side * (half - 0.35), deck_m - 0.32))
    return join(
        cab(spec, body),
        boxes(blocks, palette(body, FRAME)),
        heavy_axles([-spec.axle_m], spec.wheel_m, half - 0.02, twin=False),
        heavy_axles(axles, spec.wheel_m, half - 0.02, twin=True),
    )


def _rigid_cab(rng: Rng, heavy: bool) -> Cab:
    if heavy:
        return Cab(
            rng.uniform(1.75, 2.1), rng.uniform(2.35, 2.48), 0.42, 1.6, 2.45, rng.uniform(2.75, 2.95), 1.25, 0.48
        )
    return Cab(rng.uniform(1.6, 1.75), rng.uniform(2.0, 2.15), 0.36, 1.25, 1.95, rng.uniform(2.18, 2.3), 0.95, 0.38)


def _box_truck(rng: Rng) -> Mesh:
    heavy = bool(rng.random() < 0.5)
    spec = _rigid_cab(rng, heavy)
    if rng.random() < 0.3:
        spec = Cab(1.55, 2.2, 0.42, 1.42, 2.1, 2.3, 0.85, 0.42, snout_m=1.0)
    rear = rng.uniform(-8.8, -7.2) if heavy else rng.uniform(-6.9, -5.8)
    floor = 2 * spec.wheel_m + 0.14
    top = rng.uniform(3.2, 3.6) if heavy else rng.uniform(2.8, 3.15)
    body = coat(rng, CAB_COLOURS, 0.4)
    box = Material((0.76, 0.76, 0.75), gloss=0.2) if rng.random() < 0.7 else body
    half = spec.width_m / 2 + 0.06
    blocks = van_body_blocks(spec.rear_x_m - 0.08, rear - 0.02, half, floor, top, rng)
    return join(_carrier(rng, spec, body, rear, floor), boxes(blocks, palette(box, FRAME, coat(rng))))


def _tipper(rng: Rng) -> Mesh:
    spec = _rigid_cab(rng, heavy=True)
    rear = rng.uniform(-7.8, -6.6)
    floor, front = 2 * spec.wheel_m + 0.2, spec.rear_x_m - 0.12
    high = rng.uniform(0.9, 1.35)
    half = spec.width_m / 2 + 0.03
    body = coat(rng, CAB_COLOURS, 0.4)
    skip = palette(coat(rng, ((0.2, 0.2, 0.21), (0.55, 0.3, 0.02), (0.04, 0.1, 0.3), (0.5, 0.5, 0.5))), FRAME)
    center, length = (front + rear) / 2, front - rear
    blocks: list[MeshBlock] = [
        (Paint.BODY, length, 2 * half - 0.1, 0.14, center, 0, floor + 0.07),
        (Paint.BODY, 0.08, 2 * half - 0.05, high + 0.35, front - 0.04, 0, floor + 0.17 + high / 2),
        (Paint.BODY, 0.07, 2 * half - 0.05, high, rear + 0.035, 0, floor + high / 2),
        (Paint.BODY, 0.8, 2 * half - 0.3, 0.06, front + 0.36, 0, max(floor + high + 0.32, spec.top_m + 0.06)),
        (Paint.DARK, length - 0.2, 2 * half - 0.2, 0.3, center, 0, floor + high * 0.7),
    ]
    for side in (-1, 1):
        blocks.append((Paint.BODY, length, 0.07, high, center, side * (half - 0.06), floor + high / 2))
        blocks.append((Paint.BODY, length, 0.12, 0.1, center, side * (half - 0.05), floor + high))
        blocks += [
            (Paint.BODY, 0.12, 0.1, high, x, side * (half - 0.04), floor + high / 2 + 0.004)
            for x in np.linspace(front - 0.07, rear + 0.07, 6)
        ]
    return join(_carrier(rng, spec, body, rear, floor), boxes(blocks, skip))


def _flat_bed(rng: Rng) -> Mesh:
    spec = _rigid_cab(rng, heavy=bool(rng.random() < 0.5))
    rear = rng.uniform(-7.2, -6.2)
    floor, front, half = 2 * spec.wheel_m + 0.2, spec.rear_x_m - 0.1, spec.width_m / 2 + 0.03
    body = coat(rng, CAB_COLOURS, 0.4)
    center, length = (front + rear) / 2, front - rear
    blocks: list[MeshBlock] = [
        (Paint.TRIM, length, 2 * half - 0.02, 0.14, center, 0, floor + 0.03),
        (Paint.CHROME, 0.05, 2 * half, 1.1, front - 0.02, 0, floor + 0.6),
        (Paint.CHROME, 0.03, 2 * half - 0.02, 0.42, rear + 0.02, 0, floor + 0.3),
    ]
    for side in (-1, 1):
        blocks.append((Paint.CHROME, length - 0.1, 0.03, 0.42, center, side * (half - 0.012), floor + 0.3))
        blocks += [
            (Paint.TRIM, 0.07, 0.05, 0.5, x, side * (half - 0.008), floor + 0.28)
            for x in np.linspace(front - 0.1, rear + 0.1, 4)
        ]
    place = front - 0.4
    while place > rear + 1.2:
        run, high = rng.uniform(0.8, 1.4), rng.uniform(0.5, 1.3)
        blocks.append(
            (Paint.SECOND, run, 2 * half - rng.uniform(0.3, 0.8), high, place - run / 2, 0, floor + 0.1 + high / 2)
        )
        place -= run + rng.uniform(0.05, 0.6)
    load = coat(rng, ((0.42, 0.3, 0.17), (0.3, 0.3, 0.32), (0.5, 0.16, 0.06), (0.55, 0.53, 0.48)), 0.0)
    return join(_carrier(rng, spec, body, rear, floor), boxes(blocks, palette(body, FRAME, load)))


def _refuse(rng: Rng) -> Mesh:
    """A refuse collector: rounded hopper, ribs, tail loader."""
    spec = _rigid_cab(rng, heavy=True)
    rear = rng.uniform(-8.6, -7.4)
    floor, front, half, top = (
        2 * spec.wheel_m + 0.12,
        spec.rear_x_m - 0.25,
        spec.width_m / 2 + 0.03,
        rng.uniform(3.15, 3.45),
    )
    body = coat(rng, ((0.72, 0.72, 0.71), (0.6, 0.28, 0.02), (0.05, 0.22, 0.1), (0.03, 0.1, 0.34)), 0.35)
    colours = palette(body, FRAME)
    angle = np.arange(24) * 2 * np.pi / 24 + np.pi / 24
    squeeze = (np.abs(np.cos(angle)) ** 7 + np.abs(np.sin(angle)) ** 7) ** (1 / 7)
    across, up = half * np.cos(angle) / squeeze, np.sin(angle) / squeeze
    tail = rear + 1.3
    stations = [(front, floor, top - 0.05, 0.98), (front - 0.05, floor, top, 1.0), (tail, floor, top, 1.0)]
    stations += [(tail - 0.02, floor - 0.1, top + 0.1, 1.01), (rear + 0.6, floor - 0.3, top + 0.05, 1.01)]
    stations += [(rear + 0.02, floor - 0.3, floor + 0.95, 0.99)]
    rings = [
        np.column_stack([np.full(24, x), across * w, (low + high) / 2 + (high - low) / 2 * up])
        for x, low, high, w in stations
    ]
    blocks: list[MeshBlock] = [(Paint.DARK, 0.04, 2 * half - 0.5, 0.7, rear + 0.01, 0, floor + 0.35)]
    for side in (-1, 1):
        ribs = np.linspace(front - 0.5, tail + 0.5, 5)
        blocks += [
            (Paint.BODY, 0.1, 0.08, (top - floor) * 0.72, x, side * (half - 0.01), (top + floor) / 2) for x in ribs
        ]
        blocks += [(Paint.TRIM, 0.08, 0.08, 1.4, rear + 0.25, side * (half - 0.02), floor + 0.5, 0.25)]
    return join(
        _carrier(rng, spec, body, rear, floor), loft(np.array(rings)[::-1], body, crease_deg=35), boxes(blocks, colours)
    )


def _delivery_van(rng: Rng) -> Mesh:
    """A panel van with a high roof."""
    length, height = rng.uniform(5.4, 6.6), rng.uniform(2.35, 2.75)
    hood, screen, rear = 0.95, 0.72, 0.1
    belt = 1.28
    shape = Shape(
        length,
        rng.uniform(1.95, 2.06),
        height,
        wheelbase_m=0.6 * length,
        front_overhang_m=0.98,
        wheel_radius_m=0.35,
        clearance_m=0.24,
        nose_z_m=1.0,
        cowl_z_m=belt - 0.06,
        belt_z_m=belt,
        tail_z_m=belt,
        hood_m=hood,
        screen_m=screen,
        roof_m=length - hood - screen - rear - 0.12,
        rear_m=rear,
        roof_share=0.86,
        post_m=(1.3, 2.9),
        rear_post_m=0.25,
        nose_depth_m=0.5,
        tail_depth_m=0.14,
        panes=(True, False, False),
        rear_glass=bool(rng.random() < 0.6),
        dark_post=False,
        tall_lamps=True,
        grille_share=0.5,
        pane_head_m=0.78,
    )
    r, g, b = coat(rng, CAB_COLOURS).rgb
    return car_mesh(shape, Material((r, g, b), gloss=0.45), rng)
