"""Traffic cones and barriers; the long side of a barrier is along y, as in nuScenes."""

from __future__ import annotations

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.figure import Skin, lathe
from pointsam.synth.assets.parts import Floats, bars, boxes, panels, path_bar
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join, loft

CONE_ORANGES: tuple[Rgb, ...] = ((0.85, 0.16, 0.02), (0.8, 0.22, 0.03), (0.75, 0.1, 0.02))
STRIPE = Material((0.85, 0.85, 0.85), reflectance=1.0)
RUBBER = Material((0.03, 0.03, 0.032), reflectance=0.07)
STEEL = Material((0.42, 0.43, 0.44), gloss=0.3, reflectance=0.4)
SLOT = Material((0.02, 0.02, 0.02), reflectance=0.04)


def traffic_cone(rng: np.random.Generator) -> Asset:
    """A cone with its base plate, or a delineator post; 0.45-1.05 m high."""
    orange = CONE_ORANGES[int(rng.integers(len(CONE_ORANGES)))]
    body = Material(orange, reflectance=0.5)
    base = RUBBER if rng.random() < 0.5 else body
    if rng.random() < 0.25:
        return Asset.of("movable_object.trafficcone", _post(rng, body))
    height = float(rng.choice([0.5, 0.7, 0.75, 0.9], p=[0.2, 0.3, 0.3, 0.2]) * rng.uniform(0.94, 1.06))
    foot, top = height * float(rng.uniform(0.185, 0.21)), 0.028
    stripes = [(0.52, 0.7)] if height < 0.6 else [(0.38, 0.53), (0.65, 0.78)]
    share = np.array([0.0, *(edge for stripe in stripes for edge in stripe), 1.0])
    rows = [
        (foot * 1.12, 0.03),
        (foot * 1.1, 0.045),
        *((foot + (top - foot) * s, 0.05 + (height - 0.05) * s) for s in share),
    ]
    rows += [(top - 0.008, height + 0.004), (top - 0.012, height - 0.05)]
    which = [0, 0, *([0, 1] * len(stripes)), 0, 0, 0]
    half = foot * float(rng.uniform(1.25, 1.4))
    plate = _plate(half, 0.032, base)
    return Asset.of("movable_object.trafficcone", join(plate, lathe(rows, body, STRIPE, which=which, segments=20)))


def _plate(half_m: float, height_m: float, material: Material) -> Mesh:
    """A square base with cut corners."""
    cut = half_m * 0.72
    ring = [
        (half_m, -cut),
        (half_m, cut),
        (cut, half_m),
        (-cut, half_m),
        (-half_m, cut),
        (-half_m, -cut),
        (-cut, -half_m),
        (cut, -half_m),
    ]
    levels = [
        np.column_stack([np.array(ring) * k, np.full(8, z)])
        for k, z in ((1, 0.0), (1, height_m * 0.7), (0.94, height_m))
    ]
    skin = Skin(1)
    skin.tube(np.array(levels)[None], material)
    return skin.meshes(on_ground=False)[0]


def _post(rng: np.random.Generator, body: Material) -> Mesh:
    """A delineator: a tube with stripes on a heavy base."""
    height = float(rng.uniform(0.85, 1.03))
    radius = float(rng.uniform(0.04, 0.055))
    base = lathe([(0.19, 0.0), (0.19, 0.04), (0.16, 0.06), (0.07, 0.08)], RUBBER, segments=8)
    levels = np.array([0.07, 0.12, 0.5, 0.64, 0.72, 0.86, 0.96, 0.99, 1.0]) * height
    radii = radius * np.array([1.5, 1.05, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.2])
    which = [0, 0, 1, 0, 1, 0, 0, 0]
    return join(base, lathe(np.column_stack([radii, levels]), body, STRIPE, which=which, segments=14))


def barrier(rng: np.random.Generator, kind: str) -> Asset:
    """One element of a barrier, its long side along y.

    Args:
        rng: random generator.
        kind: "jersey" (concrete), "plastic" (filled with water) or "fence" (crowd control).
    """
    build = {"jersey": _jersey, "plastic": _plastic, "fence": _fence}[kind]
    return Asset.of("movable_object.barrier", build(rng))


def _jersey(rng: np.random.Generator) -> Mesh:
    tone = float(rng.uniform(0.28, 0.42))
    rgb, dark = (tone, tone * 0.97, tone * 0.9), (tone * 0.7, tone * 0.66, tone * 0.6)
    concrete = Material(rgb, texture="concrete", rgb2=dark, scale_m=0.8, reflectance=0.3)
    half, height = float(rng.uniform(0.255, 0.295)), float(rng.uniform(0.88, 1.0))
    long = float(rng.uniform(1.02, 1.24))
    side = [(half, 0.0), (half, 0.08), (half * 0.62, 0.33), (0.1, height - 0.03), (0.08, height)]
    outline = np.array([*side, *((-x, z) for x, z in side[::-1])])
    parts = [_prism(outline, long, 0.012, concrete)]
    slots = [(s * (half + 0.001), y, 0.04) for s in (1, -1) for y in (-long * 0.55, long * 0.55)]
    parts.append(boxes(slots, (0.012, 0.36, 0.07), SLOT))
    if rng.random() < 0.4:
        parts.append(boxes([(0.0, y, height + 0.03) for y in (-long * 0.5, long * 0.5)], (0.02, 0.1, 0.06), STRIPE))
    return join(*parts)


def _prism(outline_xz_m: Floats, half_y_m: float, bevel_m: float, material: Material) -> Mesh:
    """A section swept along y, with flat faces and bevelled ends."""
    center = outline_xz_m.mean(axis=0)
    inner = center + (outline_xz_m - center) * (1 - bevel_m * 2)
    stations = [
        (inner, -half_y_m),
        (outline_xz_m, -half_y_m + bevel_m),
        (outline_xz_m, half_y_m - bevel_m),
        (inner, half_y_m),
    ]
    rings = np.array([np.column_stack([o[:, 0], np.full(len(o), y), o[:, 1]]) for o, y in stations])
    nxt = np.roll(rings, -1, axis=1)
    sides = np.stack([rings[:-1], rings[1:], nxt[1:], nxt[:-1]], axis=2).reshape(-1, 4, 3)
    n = len(outline_xz_m)
    k = np.arange(n // 2 - 1)
    caps = [rings[e][np.stack([k, k + 1, n - 2 - k, n - 1 - k], axis=1)][:, :: 1 if e == 0 else -1] for e in (0, -1)]
    return panels(np.concatenate([sides, *caps]), material)


def _plastic(rng: np.random.Generator) -> Mesh:
    """A red, white or orange hollow body with ribs and two forks at its foot."""
    colours: tuple[Rgb, ...] = ((0.65, 0.03, 0.02), (0.75, 0.75, 0.74), (0.85, 0.2, 0.02))
    body = Material(colours[int(rng.integers(3))], gloss=0.15, reflectance=0.5)
    half_y, height = float(rng.uniform(0.78, 1.0)), float(rng.uniform(0.88, 1.0))
    half_x = float(rng.uniform(0.2, 0.24))
    y = np.array([-1.0, -0.985, -0.72, -0.68, -0.4, -0.36, 0.36, 0.4, 0.68, 0.72, 0.985, 1.0]) * half_y
    rib = np.array([0.8, 1.0, 1.0, 0.72, 0.72, 1.0, 1.0, 0.72, 0.72, 1.0, 1.0, 0.8])
    side = [(1.0, 0.0), (1.0, 0.14), (0.86, 0.24), (0.62, 0.5), (0.55, 0.8), (0.6, 0.9), (0.5, 1.0)]
    outline = np.array([*side, *((-x, z) for x, z in side[::-1])]) * (half_x, height)
    ribbed = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    amount = np.concatenate([ribbed, ribbed[::-1]])[None]
    thin = 1 - (1 - rib)[:, None] * np.maximum(amount, ((rib == 0.8) * 0.6)[:, None])
    rings = np.stack(
        [outline[:, 0] * thin, np.broadcast_to(y[:, None], thin.shape), np.broadcast_to(outline[:, 1], thin.shape)],
        axis=-1,
    )
    parts = [loft(rings, body, crease_deg=35)]
    parts.append(
        boxes([(s * half_x, t * half_y * 0.55, 0.05) for s in (1, -1) for t in (1, -1)], (0.008, 0.26, 0.08), SLOT)
    )
    if rng.random() < 0.6:
        parts.append(boxes([(s * half_x * 0.6, 0, height * 0.72) for s in (1, -1)], (0.03, half_y * 0.5, 0.12), STRIPE))
    return join(*parts)


def _fence(rng: np.random.Generator) -> Mesh:
    """A steel frame with upright bars on two flat feet."""
    half_y, height = float(rng.uniform(1.0, 1.2)), float(rng.uniform(1.04, 1.14))
    low = 0.16
    tube = 0.019
    corner = 0.09
    rails = [(0, -half_y, 0.05), (0, -half_y, height - corner), (0, -half_y + corner, height - tube)]
    rails += [(0, half_y - corner, height - tube), (0, half_y, height - corner), (0, half_y, 0.05)]
    y = np.linspace(-half_y, half_y, int(rng.integers(16, 22)))[1:-1]
    zero = np.zeros_like(y)
    upright = bars(
        np.stack([zero, y, zero + low], 1), np.stack([zero, y, zero + height - tube], 1), 0.008, STEEL, 5, ends=False
    )
    feet_y = np.array([-half_y * 0.78, half_y * 0.78])
    half_x = float(rng.uniform(0.26, 0.32))
    feet = [(0, v, 0.006) for v in feet_y]
    posts = bars([(0, v, 0.01) for v in feet_y], [(0, v, low) for v in feet_y], 0.016, STEEL)
    parts = [
        path_bar(rails, tube, STEEL, 7),
        upright,
        posts,
        bars([(0, -half_y, low)], [(0, half_y, low)], 0.015, STEEL, 6),
    ]
    parts.append(boxes(feet, (2 * half_x, 0.06, 0.012), STEEL))
    if rng.random() < 0.35:
        parts.append(
            boxes([(0, 0, height * 0.62)], (0.012, half_y * 0.9, 0.26), Material((0.7, 0.7, 0.68), reflectance=0.6))
        )
    return join(*parts)
