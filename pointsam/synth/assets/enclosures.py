"""Hedges, walls and fences along x, and bus shelters; the street is on the -y side."""

from __future__ import annotations

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.outfit import choice
from pointsam.synth.assets.parts import bars, boxes
from pointsam.synth.assets.vegetation import VEGETATION, foliage, grown_over
from pointsam.synth.material import GLASS, GREY, Material
from pointsam.synth.mesh import Mesh, join

MANMADE = "static.manmade"
BRICK = Material((0.27, 0.1, 0.06), texture="brick", rgb2=(0.38, 0.35, 0.31), scale_m=0.24, reflectance=0.3)
CONCRETE = Material((0.33, 0.32, 0.3), texture="concrete", rgb2=(0.25, 0.24, 0.22), scale_m=1.0, reflectance=0.3)
RENDER = Material((0.55, 0.52, 0.45), texture="concrete", rgb2=(0.45, 0.42, 0.36), scale_m=1.5, reflectance=0.4)
COPING = Material((0.4, 0.39, 0.37), texture="concrete", rgb2=(0.3, 0.3, 0.28), scale_m=0.6)
PLANK = Material((0.25, 0.15, 0.08), texture="wood", rgb2=(0.14, 0.08, 0.04), scale_m=0.3, reflectance=0.35)
PAINTED = Material((0.72, 0.72, 0.7), reflectance=0.5)
IRON = Material((0.03, 0.04, 0.035), gloss=0.2, reflectance=0.1)
ZINC = Material((0.35, 0.36, 0.37), gloss=0.2, reflectance=0.3)
POSTERS = ((0.5, 0.1, 0.08), (0.08, 0.25, 0.5), (0.7, 0.6, 0.15), (0.1, 0.4, 0.25), (0.6, 0.6, 0.62))


def hedge(rng: np.random.Generator, length_m: float) -> Asset:
    """A clipped hedge of 0.8-1.7 m."""
    height, deep = float(rng.uniform(0.8, 1.7)), float(rng.uniform(0.55, 0.9))
    leaf, shade = foliage(rng)
    inner = (length_m - 0.2, deep - 0.14, height - 0.09)
    core = boxes([(0, 0, inner[2] / 2)], inner, shade)
    size = float(np.clip(0.0012 * length_m * (2 * height + deep) ** 0.5 + 0.055, 0.06, 0.14))
    count = int(np.clip(length_m * (2 * height + deep) / size**2 * 1.6, 500, 5500))
    return Asset.of(
        VEGETATION, join(core, grown_over(rng, (length_m - 0.1, deep - 0.06, height - 0.05), count, size, leaf))
    )


def wall(rng: np.random.Generator, length_m: float) -> Asset:
    """A garden wall with coping and piers."""
    height, thick = float(rng.uniform(0.7, 2.1)), float(rng.uniform(0.18, 0.3))
    body = (BRICK, CONCRETE, RENDER)[int(rng.integers(3))]
    parts = [boxes([(0, 0, height / 2)], (length_m - 0.02, thick, height), body)]
    parts.append(boxes([(0, 0, height + 0.03)], (length_m, thick + 0.1, 0.07), COPING))
    n = max(2, round(length_m / 3.2) + 1)
    half = length_m / 2 - 0.2
    if length_m > 2 and rng.random() < 0.7:
        at = np.linspace(-half, half, n)
        zero = np.zeros(n)
        parts.append(
            boxes(np.stack([at, zero, zero + (height + 0.12) / 2], 1), (0.38, thick + 0.14, height + 0.12), body)
        )
        parts.append(boxes(np.stack([at, zero, zero + height + 0.16], 1), (0.46, thick + 0.22, 0.08), COPING))
    return Asset.of(MANMADE, join(*parts))


def fence(rng: np.random.Generator, length_m: float) -> Asset:
    """A fence of iron bars, of wooden pickets or of wire mesh."""
    kind = choice(rng, {"iron": 2, "picket": 1.5, "boards": 1, "mesh": 1})
    height = float(rng.uniform(0.9, 1.2) if kind == "picket" else rng.uniform(1.2, 1.9))
    build = {"iron": _iron, "picket": _picket, "boards": _boards, "mesh": _mesh}[kind]
    return Asset.of(MANMADE, build(length_m, height))


def _posts(length_m: float, height_m: float, every_m: float, thick_m: float, material: Material) -> Mesh:
    half = length_m / 2 - thick_m / 2
    at = np.linspace(-half, half, max(2, round(length_m / every_m) + 1))
    zero = np.zeros_like(at)
    return boxes(np.stack([at, zero, zero + height_m / 2], 1), (thick_m, thick_m, height_m), material)


def _spread(length_m: float, every_m: float, most: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    n = int(np.clip(length_m / every_m, 2, most))
    return (np.arange(n) + 0.5) / n * (length_m - 0.1) - (length_m - 0.1) / 2


def _iron(length_m: float, height_m: float) -> Mesh:
    at = _spread(length_m, 0.125, 400)
    zero = np.zeros_like(at)
    upright = bars(
        np.stack([at, zero, zero + 0.08], 1),
        np.stack([at, zero, zero + height_m], 1),
        [[0.011, 0.007]],
        IRON,
        4,
        ends=False,
    )
    rails = boxes([(0, 0, 0.18), (0, 0, height_m - 0.16)], (length_m - 0.02, 0.035, 0.035), IRON)
    return join(upright, rails, _posts(length_m, height_m + 0.06, 2.5, 0.06, IRON))


def _picket(length_m: float, height_m: float) -> Mesh:
    at = _spread(length_m, 0.15, 300)
    zero = np.zeros_like(at)
    pales = boxes(np.stack([at, zero - 0.025, zero + height_m / 2 + 0.03], 1), (0.085, 0.02, height_m - 0.06), PAINTED)
    rails = boxes([(0, 0.008, 0.3), (0, 0.008, height_m - 0.25)], (length_m - 0.02, 0.04, 0.08), PAINTED)
    return join(pales, rails, _posts(length_m, height_m - 0.05, 2.2, 0.09, PAINTED).moved((0, 0.05, 0)))


def _boards(length_m: float, height_m: float) -> Mesh:
    at = _spread(length_m, 0.16, 250)
    step = float(at[1] - at[0])
    zero = np.zeros_like(at)
    wave = np.where(np.arange(len(at)) % 2 == 0, -0.012, 0.012)
    boards = boxes(np.stack([at, wave, zero + height_m / 2 + 0.02], 1), (step + 0.01, 0.018, height_m - 0.04), PLANK)
    return join(boards, _posts(length_m, height_m + 0.05, 2.0, 0.1, PLANK).moved((0, 0.08, 0)))


def _mesh(length_m: float, height_m: float) -> Mesh:
    """Welded wire: thin uprights and level wires between posts."""
    at = _spread(length_m, 0.1, 380)
    zero = np.zeros_like(at)
    wires = bars(
        np.stack([at, zero, zero + 0.05], 1),
        np.stack([at, zero, zero + height_m - 0.03], 1),
        0.004,
        ZINC,
        3,
        ends=False,
    )
    level = np.linspace(0.07, height_m - 0.05, 9)
    level_at = np.stack([0 * level, 0 * level + 0.012, level], axis=1)
    return join(
        wires, boxes(level_at, (length_m - 0.04, 0.008, 0.008), ZINC), _posts(length_m, height_m, 2.5, 0.06, ZINC)
    )


def bus_shelter(rng: np.random.Generator) -> Asset:
    """Roof, glass at the back and one side, bench, poster; open towards -y."""
    half, deep, height = float(rng.uniform(1.6, 2.1)), float(rng.uniform(1.3, 1.6)), float(rng.uniform(2.35, 2.55))
    rgb = POSTERS[int(rng.integers(len(POSTERS)))]
    glow = (rgb[0] * 3, rgb[1] * 3, rgb[2] * 3)
    poster = Material(rgb, texture="noise", rgb2=(0.7, 0.7, 0.68), scale_m=0.6, gloss=0.2, emit=glow)
    frame = IRON if rng.random() < 0.5 else ZINC
    back, front = deep / 2, -deep / 2
    posts = [(s * half, back, height / 2) for s in (1, -1)] + [(0, back, height / 2)]
    posts += [(s * half, front + 0.5, height / 2) for s in (1, -1)]
    parts = [boxes([(0, 0, height + 0.06)], (2 * half + 0.3, deep + 0.3, 0.12), frame)]
    parts.append(boxes(posts, (0.07, 0.07, height), frame))
    parts.append(boxes([(s * half / 2, back, 1.22) for s in (1, -1)], (half - 0.09, 0.012, 1.9), GLASS))
    parts.append(boxes([(half, (back + front + 0.5) / 2, 1.22)], (0.012, back - front - 0.59, 1.9), GLASS))
    parts.append(boxes([(-half, (back + front + 0.5) / 2, 1.2)], (0.14, back - front - 0.62, 1.95), frame))
    sides = [(-half + s * 0.076, (back + front + 0.5) / 2, 1.22) for s in (1, -1)]
    parts.append(boxes(sides, (0.006, back - front - 0.78, 1.7), poster))
    parts.append(boxes([(0.3, back - 0.3, 0.46)], (half * 1.3, 0.34, 0.045), PLANK))
    parts.append(boxes([(0.3 + s * half * 0.5, back - 0.3, 0.22) for s in (1, -1)], (0.05, 0.26, 0.44), GREY))
    return Asset.of(MANMADE, join(*parts))
