"""Bicycles, and the entry points for motorcycles; x forward, metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.figure import Skin
from pointsam.synth.assets.motorbike import motorcycle
from pointsam.synth.assets.outfit import choice, pick
from pointsam.synth.assets.parts import Floats, bars, path_bar, torus, vec
from pointsam.synth.assets.rider import rider
from pointsam.synth.material import CHROME, DARK, GREY, HEAD_LAMP, RIM, TAIL_LAMP, TYRE, Material
from pointsam.synth.mesh import Mesh, join

__all__ = ["bicycle", "motorcycle"]

PHASES = 8
CYCLE_M = 4.0
CRANK_M = 0.17
PAINTS = (
    (0.02, 0.02, 0.022),
    (0.45, 0.03, 0.03),
    (0.04, 0.12, 0.35),
    (0.05, 0.2, 0.09),
    (0.65, 0.65, 0.64),
    (0.3, 0.3, 0.31),
    (0.7, 0.35, 0.03),
    (0.2, 0.45, 0.5),
)
LEATHER = Material((0.05, 0.03, 0.02))
WICKER = Material((0.3, 0.2, 0.1), texture="fabric", rgb2=(0.15, 0.09, 0.04), scale_m=0.03)


@dataclass(frozen=True)
class Bike:
    """Positions of the parts of a bicycle; the crank is at x = 0.

    Args:
        style: "city", "step_through", "mountain" or "road".
        wheel_m: outer radius of the wheels.
        tyre_m: half the thickness of the tyre.
        rear_m, front_m: x of the axles.
        crank_m: height of the crank's axle.
        saddle: (x, z) of the top of the saddle.
        head: (x, z) of the top and of the bottom of the head tube.
        grip: position of the left grip.
    """

    style: str
    wheel_m: float
    tyre_m: float
    rear_m: float
    front_m: float
    crank_m: float
    saddle: tuple[float, float]
    head: tuple[tuple[float, float], tuple[float, float]]
    grip: tuple[float, float, float]


def bicycle(rng: np.random.Generator, ridden: bool) -> Asset:
    """A bicycle, parked or with a rider who pedals in eight phases."""
    bike = _draw(rng)
    paint = Material(pick(rng, PAINTS), gloss=0.3)
    still = [_frame(bike, paint), _cockpit(bike), _extras(rng, bike, paint)]
    phases = np.arange(PHASES if ridden else 1) / PHASES
    if not ridden:
        phases = phases + rng.uniform(0, 1)
        still.append(bars([(-0.05, 0.06, bike.crank_m)], [(-0.14, 0.2, 0.012)], 0.01, DARK))
    pedals = _pedals(bike, phases)
    moving = [join(_wheels(bike, float(p)), _drive(bike, place)) for p, place in zip(phases, pedals, strict=True)]
    frame = join(*still)
    if not ridden:
        return Asset.of("vehicle.bicycle", join(frame, moving[0]))
    helmet = choice(rng, {"bicycle_helmet": 2 if bike.style == "road" else 1, "": 1})
    lean = {"road": 0.72, "mountain": 0.5}.get(bike.style, 0.3)
    saddle = (bike.saddle[0], 0.0, bike.saddle[1])
    people = rider(rng, helmet, saddle, bike.grip, pedals + vec(0.0, 0.0, 0.015), lean).meshes(on_ground=False)
    poses = [join(frame, mesh, person) for mesh, person in zip(moving, people, strict=True)]
    return Asset.of("vehicle.bicycle", *poses, cycle_m=CYCLE_M)


def _draw(rng: np.random.Generator) -> Bike:
    style = choice(rng, {"city": 3, "step_through": 3, "mountain": 2, "road": 2})
    high = float(rng.uniform(-0.03, 0.03))
    reach, bar_z, half = {"road": (0.47, 0.99, 0.21), "mountain": (0.41, 1.04, 0.31)}.get(style, (0.3, 1.09, 0.29))
    tyre = {"road": 0.014, "mountain": 0.027}.get(style, 0.019)
    return Bike(
        style,
        float(rng.uniform(0.325, 0.345)),
        tyre,
        -0.44,
        float(rng.uniform(0.6, 0.66)),
        0.285,
        (-0.2, 0.93 + high),
        ((0.41, 0.88 + high), (0.455, 0.72)),
        (reach, half, bar_z + high),
    )


def _frame(bike: Bike, paint: Material) -> Mesh:
    """Tubes, fork, saddle post."""
    crank, rear = np.array([0, 0, bike.crank_m]), np.array([bike.rear_m, 0, bike.wheel_m])
    (top_x, top_z), (low_x, low_z) = bike.head
    top, low = np.array([top_x, 0, top_z]), np.array([low_x, 0, low_z])
    seat = crank + (np.array([bike.saddle[0], 0, bike.saddle[1]]) - crank) * 0.8
    post = crank + (np.array([bike.saddle[0], 0, bike.saddle[1]]) - crank) * 0.95
    aside = np.array([0, 0.055, 0])
    lowered = bike.style == "step_through"
    joint = crank + (seat - crank) * (0.45 if lowered else 0.93)
    starts = [crank, crank, joint, top + vec(0, 0, 0.02)]
    ends = [seat, low, low + vec(0, 0, 0.03) if lowered else top - (0, 0, 0.03), low - (0, 0, 0.02)]
    fork = np.array([low_x + 0.01, 0, low_z - 0.03])
    front = np.array([bike.front_m, 0, bike.wheel_m])
    for side in (1, -1):
        starts += [crank + aside * side * 0.5, seat + aside * side * 0.3, fork + aside * side * 0.8]
        ends += [rear + aside * side, rear + aside * side, front + aside * side]
    radius = np.array([0.016, 0.019, 0.016, 0.02] + [0.011, 0.009, 0.013] * 2)
    blade = bars([fork - aside], [fork + aside], 0.017, paint)
    return join(bars(starts, ends, radius, paint, 7), blade, bars([seat], [post], 0.013, CHROME))


def _cockpit(bike: Bike) -> Mesh:
    """Handlebar, stem, grips, saddle."""
    x, half, z = bike.grip
    stem = np.array([bike.head[0][0], 0, bike.head[0][1]])
    clamp = np.array([stem[0] + 0.05, 0, z - 0.02])
    parts = [path_bar([stem, vec(stem[0] - 0.005, 0, z - 0.03), clamp], 0.014, GREY)]
    for side in (1, -1):
        if bike.style == "road":
            bow = [
                clamp,
                vec(clamp[0], side * half, z),
                vec(x + 0.1, side * half, z),
                vec(x + 0.12, side * half, z - 0.07),
            ]
            bow += [vec(x + 0.07, side * half, z - 0.13), vec(x - 0.03, side * half, z - 0.14)]
            parts.append(path_bar(bow, 0.014, DARK))
            parts.append(bars([(x + 0.08, side * half, z)], [(x + 0.12, side * half, z + 0.05)], 0.016, DARK))
            continue
        sweep = 0.0 if bike.style == "mountain" else 0.06
        bow = [clamp, vec(clamp[0] - 0.01, side * half * 0.5, z), vec(x + sweep, side * (half - 0.05), z)]
        parts.append(path_bar(bow, 0.012, GREY))
        end = (x - sweep, side * (half + 0.02), z)
        parts.append(bars([(x + sweep, side * (half - 0.05), z)], [end], 0.017, DARK))
    wide = 0.065 if bike.style == "road" else 0.09
    rows = [(-0.15, 0.5 * wide, 0.03), (-0.12, wide, 0.045), (-0.04, 0.9 * wide, 0.04), (0.06, 0.3 * wide, 0.03)]
    rows += [(0.13, 0.2 * wide, 0.024)]
    angle = np.arange(10) * 2 * np.pi / 10
    rings = [np.column_stack([np.full(10, sx), w * np.cos(angle), h * 0.5 * (np.sin(angle) - 1)]) for sx, w, h in rows]
    saddle = Skin(1)
    saddle.tube(np.array(rings)[None, ::-1] + (bike.saddle[0], 0, bike.saddle[1]), LEATHER)
    return join(*parts, *saddle.meshes(on_ground=False))


def _wheels(bike: Bike, phase: float) -> Mesh:
    """Both wheels; their spokes turn as the bicycle rolls."""
    angle = np.arange(14) * 2 * np.pi / 14 - phase * CYCLE_M / bike.wheel_m
    out = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    hub = np.tile([(0, 0.025, 0), (0, -0.025, 0)], (7, 1))
    parts = []
    for x in (bike.rear_m, bike.front_m):
        at = np.array([x, 0, bike.wheel_m])
        rim = bike.wheel_m - 2 * bike.tyre_m - 0.006
        parts += [torus(at.tolist(), bike.wheel_m - bike.tyre_m, bike.tyre_m, TYRE, 28, 6)]
        parts += [torus(at.tolist(), rim, 0.009, RIM, 28, 4)]
        parts += [bars(at + hub, at + out * rim, 0.0022, RIM, 3, ends=False)]
        parts += [bars([at - (0, 0.06, 0)], [at + vec(0, 0.06, 0)], 0.02, GREY)]
    return join(*parts)


def _pedals(bike: Bike, phases: Floats) -> Floats:
    """(K,2,3) positions of the left and right pedal."""
    turn = 2 * np.pi * (phases[:, None] + (0.0, 0.5))
    side = np.array([0.13, -0.13])[None] + 0 * turn
    return np.stack([CRANK_M * np.sin(turn), side, bike.crank_m + CRANK_M * np.cos(turn)], axis=-1)


def _drive(bike: Bike, pedals_m: Floats) -> Mesh:
    """Chainring, chain, cranks and pedals at (2,3)."""
    axle = np.array([[0, 0.075, bike.crank_m], [0, -0.075, bike.crank_m]])
    arm = pedals_m * (1, 0, 1) + axle * (0, 1, 0)
    rear = np.array([bike.rear_m, -0.05, bike.wheel_m])
    ring = np.array([0, -0.05, bike.crank_m])
    chain = bars(
        [ring + vec(0, 0, 0.085), ring - (0, 0, 0.085)], [rear + vec(0, 0, 0.035), rear - (0, 0, 0.035)], 0.006, DARK, 4
    )
    ends = [ring + vec(0, 0.004, 0), rear + vec(0, 0.01, 0)]
    plate = bars([ring - (0, 0.004, 0), rear - (0, 0.01, 0)], ends, [0.09, 0.04], GREY, 14)
    cranks = bars(np.vstack([axle, axle[:1]]), np.vstack([arm, axle[1:]]), 0.012, GREY, 5)
    wide = np.array([0, 0.045, 0])
    pads = bars(pedals_m - wide, pedals_m + wide, 0.026, DARK, 6)
    return join(chain, plate, cranks, pads)


def _extras(rng: np.random.Generator, bike: Bike, paint: Material) -> Mesh:
    """Lamps; city bicycles also have mudguards, a rack and a basket."""
    head = bike.head[0]
    lamp = np.array([head[0] + 0.07, 0, head[1] - 0.02])
    tail = np.array([bike.saddle[0] - 0.03, 0, bike.saddle[1] - 0.13])
    parts = [
        bars([lamp], [lamp + vec(0.05, 0, 0)], 0.028, HEAD_LAMP, 8),
        bars([tail], [tail - (0.03, 0, 0)], 0.022, TAIL_LAMP, 8),
    ]
    if bike.style in ("mountain", "road"):
        return join(*parts)
    guard = bike.wheel_m + 0.02
    for x, start, end in ((bike.rear_m, 20, 190), (bike.front_m, 30, 150)):
        angle = np.radians(np.linspace(start, end, 9))
        arc = np.stack([x + guard * np.cos(angle), 0 * angle, bike.wheel_m + guard * np.sin(angle)], axis=1)
        strip = Skin(1)
        ring = np.array([(0, 0.028), (0.008, 0.028), (0.014, 0.0), (0.008, -0.028), (0, -0.028)])
        out = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
        rings = arc[:, None] + out[:, None] * ring[:, :1] + np.array([0, 1.0, 0]) * ring[:, 1:]
        strip.tube(rings[None], paint)
        parts += strip.meshes(on_ground=False)
    rack_z = bike.wheel_m * 2 + 0.08
    if rng.random() < 0.7:
        x0, x1 = bike.rear_m - 0.2, bike.rear_m + 0.2
        starts = [(x0, s * 0.05, rack_z) for s in (-1, 0, 1)] + [
            (bike.rear_m - 0.02, s * 0.06, bike.wheel_m) for s in (-1, 1)
        ]
        ends = [(x1, s * 0.05, rack_z) for s in (-1, 0, 1)] + [(bike.rear_m - 0.1, s * 0.05, rack_z) for s in (-1, 1)]
        parts.append(bars(starts, ends, 0.007, GREY, 5))
    if rng.random() < 0.35:
        parts.append(_basket(head[0] + 0.24, head[1] + 0.03))
    return join(*parts)


def _basket(x_m: float, z_m: float) -> Mesh:
    """A basket in front of the handlebar."""
    basket = Skin(1)
    angle = (np.arange(12) + 0.5) * 2 * np.pi / 12
    rim = np.column_stack([np.sign(t) * np.abs(t) ** 0.45 for t in (np.cos(angle), np.sin(angle))])
    rows = [(0.1, 0.13, -0.12), (0.13, 0.17, 0.1), (0.12, 0.16, 0.1), (0.09, 0.12, -0.1)]
    rings = [np.column_stack([rim * (a, b), np.full(12, z)]) for a, b, z in rows]
    basket.tube(np.array(rings)[None] + (x_m, 0, z_m), WICKER)
    return basket.meshes(on_ground=False)[0]
