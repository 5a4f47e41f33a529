"""Motorcycles and scooters; x forward, metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.figure import Skin
from pointsam.synth.assets.outfit import choice, pick
from pointsam.synth.assets.parts import Floats, bars, boxes, path_bar, torus, vec
from pointsam.synth.assets.rider import rider
from pointsam.synth.material import CHROME, DARK, GREY, HEAD_LAMP, INDICATOR, PLATE, RIM, TAIL_LAMP, TYRE, Material
from pointsam.synth.mesh import Mesh, join

PAINTS = (
    (0.02, 0.02, 0.022),
    (0.5, 0.03, 0.03),
    (0.03, 0.1, 0.35),
    (0.65, 0.65, 0.64),
    (0.1, 0.25, 0.08),
    (0.65, 0.25, 0.02),
    (0.25, 0.26, 0.28),
    (0.55, 0.72, 0.66),
)
SEAT = Material((0.025, 0.022, 0.02))
ENGINE = Material((0.2, 0.2, 0.21), gloss=0.3)

_HullRow = tuple[float, float, float, float]


def motorcycle(rng: np.random.Generator, ridden: bool) -> Asset:
    """A motorcycle or a scooter, parked or with a rider."""
    scooter = rng.random() < 0.45
    paint = Material(pick(rng, PAINTS), gloss=0.5)
    style = choice(rng, {"naked": 1, "sport": 1, "tourer": 1})
    parts = [_scooter(rng, paint)] if scooter else [_motorcycle(style, paint)]
    if not ridden:
        parts.append(bars([(-0.1, 0.1, 0.3)], [(-0.18, 0.28, 0.015)], 0.014, DARK))
        return Asset.of("vehicle.motorcycle", join(*parts))
    side = np.array([1.0, -1.0])[None, :, None] * (0, 1, 0)
    if scooter:
        feet, seat, grip, lean = np.array([0.24, 0, 0.345]) + side * 0.13, (-0.27, 0, 0.775), (0.29, 0.3, 1.0), 0.12
    else:
        sport = style == "sport"
        feet, seat = np.array([-0.2 if sport else 0.0, 0, 0.37]) + side * 0.2, (-0.28, 0, 0.8)
        grip, lean = ((0.36, 0.3, 0.9), 0.62) if sport else ((0.31, 0.36, 1.02), 0.32)
    person = rider(rng, "full_helmet", seat, grip, feet, lean, sole_pitch=0.0, knee_out=0.3)
    return Asset.of("vehicle.motorcycle", join(*parts, *person.meshes(on_ground=False)))


def hull(skin: Skin, rows: Sequence[_HullRow], material: Material, square: float = 3.0, points: int = 12) -> None:
    """A body through rows of (x, half width, lowest, highest), from back to front."""
    table = np.asarray(rows, dtype=np.float64)
    angle = (np.arange(points) + 0.5) * 2 * np.pi / points
    cos, sin = (np.sign(t) * np.abs(t) ** (2 / square) for t in (np.cos(angle), np.sin(angle)))
    x, half, low, high = (table[:, i : i + 1] for i in range(4))
    rings = np.stack([x + 0 * cos[None], half * cos, (low + high) / 2 + (high - low) / 2 * sin], axis=-1)
    skin.tube(rings[None], material)


def wheel(x_m: float, radius_m: float, tyre_m: float, disc: bool = True) -> Mesh:
    """Tyre, rim, spokes, hub, brake disc."""
    at = np.array([x_m, 0, radius_m])
    rim = radius_m - 2 * tyre_m
    angle = np.arange(5) * 2 * np.pi / 5 + 0.3
    out = at + np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1) * rim
    parts = [torus(at.tolist(), radius_m - tyre_m, tyre_m, TYRE, 24, 8), torus(at.tolist(), rim, 0.02, RIM, 24, 5)]
    parts += [bars(np.tile(at, (5, 1)), out, [0.022], RIM, 5, ends=False)]
    parts += [bars([at - (0, 0.08, 0)], [at + vec(0, 0.08, 0)], 0.03, GREY, 8)]
    if disc:
        parts.append(bars([at + vec(0, 0.068, 0)], [at + vec(0, 0.074, 0)], rim * 0.75, CHROME, 14))
    return join(*parts)


def _guard(x_m: float, radius_m: float, half_m: float, degrees: tuple[float, float], material: Material) -> Mesh:
    """A mudguard around a wheel."""
    angle = np.radians(np.linspace(*degrees, 8))
    out = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    ring: Floats = np.array([(0, 1), (0.02, 0.95), (0.032, 0), (0.02, -0.95), (0, -1), (0.008, 0)]) * (1, half_m)
    arc = np.array([x_m, 0, radius_m]) + out * (radius_m + 0.025)
    skin = Skin(1)
    skin.tube((arc[:, None] + out[:, None] * ring[:, :1] + np.array([0, 1.0, 0]) * ring[:, 1:])[None], material)
    return skin.meshes(on_ground=False)[0]


def _mirrors(x_m: float, half_m: float, z_m: float) -> Mesh:
    """Two mirrors on their stalks."""
    stalk = [(x_m, s * half_m, z_m) for s in (1, -1)]
    head = [(x_m - 0.02, s * (half_m + 0.05), z_m + 0.15) for s in (1, -1)]
    glass = [(x_m + 0.005, s * (half_m + 0.05), z_m + 0.15) for s in (1, -1)]
    return join(bars(stalk, head, 0.008, DARK, 5), bars(head, glass, [0.055], DARK, 10))


def _lamps(head: Sequence[float], head_radius_m: float, tail: Sequence[float]) -> Mesh:
    """Head lamp, tail lamp, indicators, number plate."""
    front, back = np.asarray(head), np.asarray(tail)
    blink = [front + vec(0, s * 0.12, -0.03) for s in (1, -1)] + [back + vec(0, s * 0.1, -0.02) for s in (1, -1)]
    return join(
        bars([front - (0.12, 0, 0)], [front], [[head_radius_m * 0.7, head_radius_m]], DARK, 14),
        bars(
            [front + vec(0.002, 0, 0)],
            [front + vec(0.02, 0, 0)],
            [[head_radius_m * 0.93, head_radius_m * 0.6]],
            HEAD_LAMP,
            14,
        ),
        boxes([back], (0.04, 0.14, 0.05), TAIL_LAMP),
        bars(blink, np.array(blink) + vec(0.04, 0, 0), 0.022, INDICATOR, 6),
        boxes([back + vec(-0.04, 0, -0.14)], (0.006, 0.19, 0.13), PLATE),
        bars([back + vec(0.05, 0, 0)], [back + vec(-0.034, 0, -0.14)], 0.016, DARK, 5),
    )


def _motorcycle(style: str, paint: Material) -> Mesh:
    skin = Skin(1)
    sport = style == "sport"
    hull(
        skin,
        [
            (-0.3, 0.1, 0.74, 0.8),
            (-0.2, 0.13, 0.68, 0.84),
            (0.0, 0.17, 0.66, 0.94),
            (0.18, 0.15, 0.68, 0.95),
            (0.28, 0.06, 0.76, 0.88),
        ],
        paint,
    )
    hull(
        skin,
        [
            (-0.86, 0.05, 0.86, 0.9),
            (-0.75, 0.09, 0.78, 0.91),
            (-0.5, 0.12, 0.7, 0.82),
            (-0.3, 0.11, 0.66, 0.78),
            (-0.15, 0.08, 0.64, 0.76),
        ],
        paint,
    )
    hull(
        skin,
        [
            (-0.78, 0.09, 0.84, 0.925),
            (-0.6, 0.13, 0.78, 0.88),
            (-0.42, 0.14, 0.74, 0.82),
            (-0.2, 0.1, 0.72, 0.82),
            (-0.14, 0.05, 0.74, 0.82),
        ],
        SEAT,
    )
    hull(
        skin,
        [
            (-0.22, 0.12, 0.26, 0.5),
            (-0.16, 0.17, 0.2, 0.56),
            (0.1, 0.17, 0.2, 0.6),
            (0.24, 0.14, 0.3, 0.64),
            (0.28, 0.1, 0.4, 0.6),
        ],
        ENGINE,
        5.0,
    )
    hull(
        skin,
        [(-0.32, 0.1, 0.4, 0.68), (-0.26, 0.12, 0.36, 0.7), (0.1, 0.12, 0.5, 0.72), (0.16, 0.08, 0.56, 0.7)],
        DARK,
        5.0,
    )
    if sport:
        hull(
            skin,
            [
                (-0.1, 0.2, 0.3, 0.52),
                (0.1, 0.24, 0.24, 0.72),
                (0.34, 0.23, 0.34, 0.9),
                (0.56, 0.19, 0.62, 0.98),
                (0.7, 0.1, 0.72, 0.88),
                (0.74, 0.03, 0.76, 0.82),
            ],
            paint,
        )
    bar_z = 0.92 if sport else 1.04
    clamp = np.array([0.34, 0, 0.86])
    forks = [(0.36, s * 0.1, 0.88) for s in (1, -1)]
    axles = [(0.7, s * 0.1, 0.3) for s in (1, -1)]
    parts = [*skin.meshes(on_ground=False), wheel(0.7, 0.305, 0.058), wheel(-0.7, 0.305, 0.072)]
    parts += [bars(forks, axles, [[0.022, 0.03]], CHROME, 8), _guard(0.7, 0.305, 0.06, (50, 150), paint)]
    parts += [bars([(-0.1, s * 0.11, 0.36) for s in (1, -1)], [(-0.7, s * 0.11, 0.305) for s in (1, -1)], 0.03, GREY)]
    parts += [bars([(0.32, 0, 0.84), (0.3, 0.05, 0.8)], [(0.38, 0, 0.72), (-0.2, 0.12, 0.4)], 0.035, DARK)]
    parts += [path_bar([(0.3, -0.13, 0.42), (0.26, -0.15, 0.2), (-0.3, -0.17, 0.22)], 0.025, CHROME, 8)]
    parts += [bars([(-0.28, -0.19, 0.24)], [(-0.78, -0.21, 0.42)], [[0.045, 0.058]], CHROME, 12)]
    parts += [bars([clamp], [(0.38, 0, bar_z)], 0.03, DARK)]
    for s in (1, -1):
        parts.append(path_bar([(0.38, 0, bar_z), (0.38, s * 0.16, bar_z + 0.03), (0.33, s * 0.27, bar_z)], 0.014, DARK))
        parts.append(bars([(0.33, s * 0.27, bar_z)], [(0.29, s * 0.39, bar_z - 0.01)], 0.02, DARK, 7))
        parts.append(bars([(-0.05, s * 0.1, 0.36)], [(-0.05, s * 0.27, 0.355)], 0.014, DARK))
    parts += [_mirrors(0.36, 0.25, bar_z), _lamps((0.76 if sport else 0.58, 0, 0.84), 0.085, (-0.86, 0, 0.85))]
    if style == "tourer":
        boxes_at = [(-0.62, s * 0.3, 0.58) for s in (1, -1)]
        parts.append(boxes(boxes_at, (0.46, 0.18, 0.34), DARK))
        screen = boxes([(0, 0, 0)], (0.012, 0.34, 0.36), Material((0.2, 0.22, 0.24), gloss=0.7))
        parts.append(screen.moved((0.49, 0, 1.05), pitch=-0.5))
    return join(*parts)


def _scooter(rng: np.random.Generator, paint: Material) -> Mesh:
    skin = Skin(1)
    hull(
        skin,
        [
            (-0.86, 0.05, 0.66, 0.7),
            (-0.8, 0.13, 0.52, 0.74),
            (-0.6, 0.19, 0.38, 0.73),
            (-0.3, 0.19, 0.3, 0.7),
            (-0.1, 0.14, 0.26, 0.64),
            (-0.04, 0.12, 0.24, 0.4),
        ],
        paint,
    )
    hull(
        skin,
        [
            (-0.84, 0.08, 0.7, 0.78),
            (-0.75, 0.15, 0.7, 0.82),
            (-0.5, 0.16, 0.68, 0.8),
            (-0.2, 0.13, 0.66, 0.77),
            (-0.06, 0.07, 0.64, 0.7),
        ],
        SEAT,
    )
    hull(
        skin,
        [(-0.12, 0.16, 0.24, 0.33), (0.0, 0.19, 0.23, 0.325), (0.3, 0.19, 0.23, 0.325), (0.42, 0.16, 0.26, 0.36)],
        DARK,
        6.0,
    )
    angle = (np.arange(14) + 0.5) * 2 * np.pi / 14
    cos, sin = (np.sign(t) * np.abs(t) ** 0.6 for t in (np.cos(angle), np.sin(angle)))
    rows = [
        (0.4, 0.16, 0.24),
        (0.45, 0.22, 0.32),
        (0.45, 0.24, 0.5),
        (0.41, 0.22, 0.68),
        (0.37, 0.14, 0.84),
        (0.35, 0.08, 0.92),
    ]
    shield = [
        np.column_stack([x + 0.05 * cos - 0.1 * (sin * w / 0.24) ** 2, w * sin, np.full(14, z)]) for x, w, z in rows
    ]
    skin.tube(np.array(shield)[None], paint)
    hull(
        skin,
        [(0.2, 0.06, 0.92, 1.0), (0.26, 0.13, 0.88, 1.03), (0.36, 0.13, 0.87, 1.02), (0.44, 0.06, 0.9, 0.98)],
        paint,
    )
    parts = [*skin.meshes(on_ground=False), wheel(0.62, 0.225, 0.048), wheel(-0.66, 0.225, 0.055)]
    parts += [_guard(0.62, 0.225, 0.075, (20, 170), paint), _guard(-0.66, 0.225, 0.075, (90, 190), DARK)]
    parts += [bars([(0.44, 0, 0.5)] * 2, [(0.62, s * 0.075, 0.225) for s in (1, -1)], 0.022, DARK)]
    parts += [
        boxes([(-0.45, 0.1, 0.25)], (0.5, 0.1, 0.14), ENGINE),
        bars([(-0.4, -0.16, 0.26)], [(-0.82, -0.18, 0.36)], 0.05, GREY, 10),
    ]
    for s in (1, -1):
        parts.append(bars([(0.32, s * 0.1, 0.98)], [(0.27, s * 0.36, 1.0)], 0.019, DARK, 7))
    parts += [_mirrors(0.32, 0.22, 1.0), _lamps((0.47, 0, 0.93), 0.065, (-0.87, 0, 0.66))]
    if rng.random() < 0.4:
        size = np.array([0.4, 0.4, 0.38]) * rng.uniform(0.85, 1.1)
        parts.append(boxes([(-0.78, 0, 0.79 + size[2] / 2)], size, Material(pick(rng, PAINTS))))
    return join(*parts)
