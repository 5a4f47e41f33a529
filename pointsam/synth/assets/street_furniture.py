"""Lamps, traffic lights, signs and small things on the pavement.

The street is on the -y side, and lamps reach over it. Signs and traffic lights face +x, from where the nearest traffic
comes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.enclosures import CONCRETE, IRON, MANMADE, PLANK, ZINC
from pointsam.synth.assets.figure import Skin, lathe, slab
from pointsam.synth.assets.outfit import choice, pick
from pointsam.synth.assets.parts import Floats, bars, boxes, path_bar, vec
from pointsam.synth.assets.vegetation import foliage, leaves
from pointsam.synth.material import DARK, GREY, Material, Rgb
from pointsam.synth.mesh import Mesh, join

LAMP = Material((0.85, 0.83, 0.75), gloss=0.3, emit=(8.0, 7.0, 5.0))
GREEN_PAINT = Material((0.02, 0.07, 0.04), gloss=0.2, reflectance=0.12)
BIN_COLOURS: tuple[Rgb, ...] = (
    (0.02, 0.08, 0.04),
    (0.03, 0.03, 0.035),
    (0.03, 0.08, 0.25),
    (0.35, 0.28, 0.02),
    (0.2, 0.2, 0.2),
)


def _sheet(rgb: Rgb) -> Material:
    """Retro-reflecting sheet."""
    return Material(rgb, gloss=0.1, reflectance=1.0)


WHITE, RED, BLUE = _sheet((0.8, 0.8, 0.8)), _sheet((0.6, 0.02, 0.02)), _sheet((0.02, 0.1, 0.45))
YELLOW, GREEN, BLACK = _sheet((0.8, 0.55, 0.02)), _sheet((0.02, 0.25, 0.1)), Material((0.015, 0.015, 0.015))


def _pole(height_m: float, radius_m: float, material: Material, top: float = 0.7) -> Mesh:
    """An upright pole that tapers, with a foot."""
    rows = [(radius_m * 1.5, 0.0), (radius_m * 1.5, 0.35), (radius_m, 0.42), (radius_m * top, height_m)]
    return lathe(rows, material, segments=10)


def street_lamp(rng: np.random.Generator) -> Asset:
    """A mast with an arm over the street, or a lantern of a side street."""
    metal = (ZINC, GREEN_PAINT, DARK)[int(rng.integers(3))]
    if rng.random() < 0.3:
        height = float(rng.uniform(3.6, 4.6))
        rows = [
            (0.1, height),
            (0.19, height + 0.08),
            (0.22, height + 0.42),
            (0.25, height + 0.44),
            (0.06, height + 0.6),
            (0.01, height + 0.66),
        ]
        return Asset.of(MANMADE, join(_pole(height, 0.06, metal), lathe(rows, metal, LAMP, which=[0, 1, 0, 0, 0])))
    height, arm = float(rng.uniform(6.5, 9.5)), float(rng.uniform(0.9, 2.0))
    path = [
        (0, 0, height - 0.05),
        (0, -arm * 0.2, height + 0.35),
        (0, -arm * 0.6, height + 0.5),
        (0, -arm, height + 0.52),
    ]
    head = Skin(1)
    shell = slab((0.3, 0.75, 0.14), 3.0)[None] + (0, -arm - 0.3, height + 0.53)
    head.tube(shell, metal)
    glow = boxes([(0, -arm - 0.33, height + 0.452)], (0.2, 0.5, 0.02), LAMP)
    return Asset.of(
        MANMADE, join(_pole(height, 0.09, metal), path_bar(path, 0.04, metal, 8), *head.meshes(False), glow)
    )


def traffic_light(rng: np.random.Generator) -> Asset:
    """Three lamps on a post, sometimes with a second set on an arm over the street."""
    lit = int(rng.integers(3))
    metal = (DARK, ZINC, GREEN_PAINT)[int(rng.integers(3))]
    parts: list[Mesh] = []
    if rng.random() < 0.4:
        arm = float(rng.uniform(3.0, 5.0))
        parts += [_pole(6.0, 0.09, metal), path_bar([(0, 0, 5.75), (0, -arm, 5.95)], 0.06, metal, 8)]
        parts += [_signal_head((0.12, -arm + 0.2, 5.7), lit)]
    else:
        parts.append(_pole(3.35, 0.055, metal, 1.0))
    parts += [_signal_head((0.16, 0, 2.75), lit), boxes([(0.0, -0.09, 1.05)], (0.12, 0.06, 0.2), YELLOW)]
    return Asset.of(MANMADE, join(*parts))


def _signal_head(at_m: Sequence[float], lit: int) -> Mesh:
    """A housing with red, amber and green, facing +x."""
    at = np.asarray(at_m)
    parts = [boxes([at], (0.18, 0.3, 0.92), DARK), boxes([at - (0.1, 0, 0)], (0.012, 0.52, 1.14), BLACK)]
    glow: list[Rgb] = [(9.0, 0.4, 0.2), (9.0, 4.5, 0.3), (0.4, 7.0, 3.5)]
    colours: list[Rgb] = [(0.6, 0.03, 0.02), (0.7, 0.35, 0.02), (0.03, 0.5, 0.25)]
    for i, z in enumerate((0.3, 0.0, -0.3)):
        shade = colours[i] if i == lit else (colours[i][0] * 0.2, colours[i][1] * 0.2, colours[i][2] * 0.2)
        lens = Material(shade, gloss=0.4, emit=glow[i] if i == lit else (0.0, 0.0, 0.0))
        face = at + vec(0.09, 0, z)
        parts.append(bars([face], [face + vec(0.015, 0, 0)], 0.105, lens, 14))
        hood = [face + vec(0.0, s * 0.115, -0.01) for s in (1, -1)]
        parts.append(bars(hood, np.array(hood) + vec(0.14, 0, 0), 0.012, DARK, 4))
        parts.append(boxes([face + vec(0.08, 0, 0.118)], (0.16, 0.23, 0.012), DARK))
    return join(*parts)


def sign(rng: np.random.Generator) -> Asset:
    """A traffic sign that faces +x: round, triangular, square, diamond or octagonal."""
    low = float(rng.uniform(2.0, 2.4))
    shape = choice(rng, {"ban": 2, "order": 1.5, "yield": 1, "warning": 1.5, "stop": 1, "parking": 1.5, "board": 1.5})
    size = float(rng.uniform(0.3, 0.38))
    center = vec(0.05, 0, low + size)
    plate = _board(rng, center) if shape == "board" else _plate(shape, size).moved(center)
    marks = {
        "ban": (BLACK, (0.02, size * 0.28, size * 0.6)),
        "order": (WHITE, (0.02, size * 0.2, size * 1.0)),
        "stop": (WHITE, (0.02, size * 1.2, size * 0.4)),
        "warning": (BLACK, (0.02, size * 0.14, size * 0.5)),
        "parking": (WHITE, (0.02, size * 0.5, size * 0.9)),
    }
    parts = [bars([(0, 0, 0)], [(0, 0, low + 2 * size)], 0.032, ZINC, 8), plate]
    if shape in marks:
        colour, mark = marks[shape]
        parts.append(boxes([center + vec(0.012, 0, 0)], mark, colour))
    return Asset.of(MANMADE, join(*parts))


def _plate(shape: str, half_m: float) -> Mesh:
    """A plate with its border, centred at the origin."""
    if shape == "parking":
        return join(_disc(0.0, half_m * 1.34, WHITE, 4), _disc(0.006, half_m * 1.24, BLUE, 4)).moved(
            (0, 0, 0), roll=np.pi / 4
        )
    corners, turn, outer, inner, share = {
        "ban": (24, 0.0, RED, WHITE, 0.76),
        "order": (24, 0.0, WHITE, BLUE, 0.94),
        "yield": (3, 0.0, RED, WHITE, 0.64),
        "warning": (3, np.pi, RED, WHITE, 0.64),
        "stop": (8, np.pi / 8, WHITE, RED, 0.93),
    }[shape]
    radius = half_m * (1.25 if corners == 3 else 1.0)
    plates = join(_disc(0.0, radius, outer, corners), _disc(0.006, radius * share, inner, corners))
    return plates.moved((0, 0, 0), roll=turn)


def _disc(x_m: float, radius_m: float, material: Material, corners: int) -> Mesh:
    return bars([(x_m - 0.008, 0, 0)], [(x_m + 0.008, 0, 0)], radius_m, material, corners)


def _board(rng: np.random.Generator, at_m: Floats) -> Mesh:
    """A direction board."""
    colour = (BLUE, GREEN, YELLOW, WHITE)[int(rng.integers(4))]
    ink = BLACK if colour in (YELLOW, WHITE) else WHITE
    half, tall = float(rng.uniform(0.45, 0.75)), float(rng.uniform(0.2, 0.34))
    lines = [at_m + vec(0.008, 0.06, z * tall) for z in (-0.4, 0.4)]
    return join(boxes([at_m], (0.016, 2 * half, 2 * tall), colour), boxes(lines, (0.008, half * 1.4, tall * 0.4), ink))


def bollard(rng: np.random.Generator) -> Asset:
    """A post of 0.8-1.1 m with a reflecting band."""
    height, radius = float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.045, 0.1))
    body = (DARK, IRON, CONCRETE, ZINC)[int(rng.integers(4))]
    share = np.array([0, 0.04, 0.72, 0.83, 0.94, 0.985, 1.0]) * height
    radii = radius * np.array([1.2, 1.0, 1.0, 1.0, 1.0, 0.75, 0.1])
    band = [0, 0, 1 if rng.random() < 0.6 else 0, 0, 0, 0]
    return Asset.of(MANMADE, lathe(np.column_stack([radii, share]), body, WHITE, which=band, segments=12))


def furniture(rng: np.random.Generator) -> Asset:
    """A litter bin, wheeled bin, bench, hydrant, cabinet, letter box or planter."""
    kind = choice(
        rng, {"litter": 1.5, "wheeled": 1.5, "bench": 1.5, "hydrant": 0.7, "cabinet": 1, "letters": 0.8, "planter": 1}
    )
    build = {
        "litter": _litter_bin,
        "wheeled": _wheeled_bin,
        "bench": _bench,
        "hydrant": _hydrant,
        "cabinet": _cabinet,
        "letters": _letter_box,
        "planter": _planter,
    }[kind]
    return Asset.of(MANMADE, build(rng))


def _litter_bin(rng: np.random.Generator) -> Mesh:
    body = Material(pick(rng, BIN_COLOURS), gloss=0.1)
    rows = [
        (0.2, 0.0),
        (0.2, 0.08),
        (0.23, 0.1),
        (0.24, 0.72),
        (0.19, 0.74),
        (0.19, 0.86),
        (0.25, 0.87),
        (0.2, 0.98),
        (0.02, 1.02),
    ]
    return lathe(rows, body, DARK, which=[1, 0, 0, 0, 1, 0, 0, 0], segments=14)


def _wheeled_bin(rng: np.random.Generator) -> Mesh:
    body = Material(pick(rng, BIN_COLOURS), reflectance=0.15)
    lid = Material(pick(rng, BIN_COLOURS), reflectance=0.2)
    skin = Skin(1)
    rows = [(0.22, 0.2, 0.06), (0.23, 0.21, 0.1), (0.29, 0.27, 0.9), (0.31, 0.29, 0.93), (0.31, 0.29, 0.98)]
    angle = (np.arange(12) + 0.5) * 2 * np.pi / 12
    rim = np.column_stack([np.sign(t) * np.abs(t) ** 0.3 for t in (np.cos(angle), np.sin(angle))])
    rings = [np.column_stack([rim[:, 1] * b, rim[:, 0] * a, np.full(12, z)]) for a, b, z in rows]
    skin.tube(np.array(rings)[None, :, ::-1], body)
    top = [
        np.column_stack([rim[:, 1] * b, rim[:, 0] * a, np.full(12, z)])
        for a, b, z in ((0.32, 0.3, 0.985), (0.31, 0.29, 1.03), (0.2, 0.2, 1.06))
    ]
    skin.tube(np.array(top)[None, :, ::-1], lid)
    wheels = bars([(s * 0.19, 0.24, 0.1) for s in (1, -1)], [(s * 0.25, 0.24, 0.1) for s in (1, -1)], 0.1, DARK, 12)
    return join(*skin.meshes(False), wheels, bars([(-0.22, 0.34, 0.98)], [(0.22, 0.34, 0.98)], 0.016, body))


def _bench(rng: np.random.Generator) -> Mesh:
    half = float(rng.uniform(0.75, 0.95))
    slats = boxes([(0, y, 0.45) for y in (-0.2, -0.08, 0.04, 0.16)], (2 * half, 0.095, 0.035), PLANK)
    back = boxes([(0, 0.235 + 0.06 * (z - 0.5), z) for z in (0.6, 0.72, 0.84)], (2 * half, 0.03, 0.095), PLANK)
    legs = boxes([(s * half * 0.8, -0.02, 0.42) for s in (1, -1)], (0.06, 0.44, 0.025), IRON)
    feet = boxes([(s * half * 0.8, y, 0.205) for s in (1, -1) for y in (-0.2, 0.17)], (0.05, 0.05, 0.41), IRON)
    prop = bars(
        [(s * half * 0.8, 0.2, 0.4) for s in (1, -1)], [(s * half * 0.8, 0.28, 0.88) for s in (1, -1)], 0.022, IRON
    )
    return join(slats, back, legs, feet, prop)


def _hydrant(rng: np.random.Generator) -> Mesh:
    red = Material(pick(rng, ((0.5, 0.03, 0.02), (0.7, 0.5, 0.03))), gloss=0.2)
    rows = [
        (0.16, 0.0),
        (0.16, 0.05),
        (0.1, 0.07),
        (0.1, 0.5),
        (0.14, 0.52),
        (0.14, 0.57),
        (0.11, 0.6),
        (0.09, 0.7),
        (0.03, 0.76),
        (0.03, 0.8),
        (0.01, 0.81),
    ]
    arms = bars([(0, -0.17, 0.42), (0, 0, 0.38)], [(0, 0.17, 0.42), (0.18, 0, 0.38)], [0.05, 0.065], GREY, 10)
    return join(lathe(rows, red, segments=12), arms)


def _cabinet(rng: np.random.Generator) -> Mesh:
    grey = Material(
        pick(rng, ((0.33, 0.34, 0.33), (0.12, 0.2, 0.14))), texture="concrete", rgb2=(0.25, 0.25, 0.24), scale_m=0.7
    )
    length, height = float(rng.uniform(0.8, 1.5)), float(rng.uniform(1.0, 1.4))
    doors = boxes(
        [(s * length / 4, -0.202, height / 2 + 0.06) for s in (1, -1)], (length / 2 - 0.05, 0.012, height - 0.2), grey
    )
    body = boxes([(0, 0, height / 2 + 0.05)], (length, 0.4, height - 0.1), grey)
    caps = boxes(
        [(0, 0, 0.05), (0, 0, height + 0.02)], ((length - 0.03, 0.36, 0.1), (length + 0.06, 0.46, 0.05)), CONCRETE
    )
    return join(doors, body, caps, boxes([(0.04, -0.215, height * 0.55)], (0.02, 0.02, 0.14), DARK))


def _letter_box(rng: np.random.Generator) -> Mesh:
    paint = Material(pick(rng, ((0.75, 0.5, 0.02), (0.55, 0.03, 0.02), (0.03, 0.08, 0.3))), gloss=0.3)
    skin = Skin(1)
    skin.tube(slab((0.5, 0.42, 0.8), 8.0, 16, 0.9)[None] + (0, 0, 0.95), paint)
    legs = boxes([(s * 0.18, 0, 0.29) for s in (1, -1)], (0.05, 0.3, 0.58), GREY)
    slot = boxes([(0, -0.206, 1.15)], (0.34, 0.02, 0.05), DARK)
    return join(*skin.meshes(False), legs, slot, boxes([(0, -0.207, 0.92)], (0.2, 0.012, 0.16), WHITE))


def _planter(rng: np.random.Generator) -> Mesh:
    length = float(rng.uniform(0.7, 1.6))
    leaf, shade = foliage(rng)
    tub = boxes([(0, 0, 0.25)], (length, 0.6, 0.5), CONCRETE if rng.random() < 0.6 else PLANK)
    count = int(350 * length)
    at = rng.uniform(-0.5, 0.5, (count, 3)) * (length - 0.05, 0.62, 0.35) + (0, 0, 0.68)
    out = at - (0, 0, 0.4)
    out = out / np.linalg.norm(out, axis=1, keepdims=True)
    inner = boxes([(0, 0, 0.58)], (length - 0.12, 0.46, 0.28), shade)
    return join(tub, inner, leaves(rng, at, out, 0.075, leaf))
