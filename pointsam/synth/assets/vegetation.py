"""Trees and bushes: trunks and branches, dark lumps, and leaves scattered over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pointsam.synth.asset import Asset
from pointsam.synth.assets.figure import Skin, along, rings_along
from pointsam.synth.assets.parts import Floats, bars, blobs, shaded, unit, vec
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join

VEGETATION = "static.vegetation"
CROWN_FLOOR_M = 2.3
GREENS: tuple[Rgb, ...] = (
    (0.05, 0.1, 0.022),
    (0.065, 0.12, 0.03),
    (0.04, 0.085, 0.025),
    (0.09, 0.13, 0.03),
    (0.045, 0.09, 0.035),
)
AUTUMN: tuple[Rgb, ...] = ((0.28, 0.15, 0.025), (0.22, 0.09, 0.03))
BARKS: tuple[Rgb, ...] = ((0.1, 0.075, 0.055), (0.14, 0.12, 0.1), (0.07, 0.055, 0.04))


def foliage(rng: np.random.Generator, autumn: float = 0.0) -> tuple[Material, Material]:
    """Leaves and the shade between them; leaves are bright in a near-infrared LiDAR."""
    colours = AUTUMN if rng.random() < autumn else GREENS
    r, g, b = np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.85, 1.2, 3)
    light = (float(r) * 1.7, float(g) * 1.6, float(b) * 1.5)
    leaf = Material((float(r), float(g), float(b)), texture="foliage", rgb2=light, scale_m=0.5, reflectance=0.4)
    dark = (float(r) * 0.5, float(g) * 0.5, float(b) * 0.5)
    return leaf, Material(dark, texture="foliage", rgb2=leaf.rgb, scale_m=0.4, reflectance=0.3)


def leaves(
    rng: np.random.Generator, at_m: Floats, out: Floats, size_m: float, material: Material, flat: float = 0.6
) -> Mesh:
    """Triangles at (N,3) that face along (N,3), more strictly for larger `flat`; shaded as one crown."""
    n = len(at_m)
    facing = unit(out * flat + rng.normal(0, 0.6, (n, 3)))
    side = unit(np.cross(facing, rng.normal(0, 1, (n, 3))))
    other = np.cross(facing, side)
    size = (size_m * rng.uniform(0.6, 1.3, n))[:, None]
    shape = np.array([(1.0, 0.0), (-0.65, 0.75), (-0.65, -0.75)])
    corners = at_m[:, None] + size[:, None] * (side[:, None] * shape[:, :1] + other[:, None] * shape[:, 1:])
    normal = unit(out * 0.75 + facing * 0.45)
    return shaded(corners, np.arange(3 * n), np.broadcast_to(normal[:, None], (n, 3, 3)), material)


def _crown(
    rng: np.random.Generator,
    centers_m: Floats,
    radii_m: Floats,
    count: int,
    size_m: float,
    colours: tuple[Material, Material],
) -> Mesh:
    """Lumps with leaves on and around them."""
    share = radii_m.prod(axis=1) ** (2 / 3)
    which = rng.choice(len(centers_m), count, p=share / share.sum())
    out = unit(rng.normal(0, 1, (count, 3)))
    at = centers_m[which] + out * radii_m[which] * rng.uniform(0.8, 1.12, (count, 1))
    center = centers_m.mean(axis=0)
    above = at[:, 2] > size_m
    at, out = at[above], out[above]
    outward = unit(out + 0.6 * unit(at - center))
    return join(
        blobs(rng, centers_m, radii_m * 0.86, colours[1], 1, 0.16), leaves(rng, at, outward, size_m, colours[0])
    )


def tree(rng: np.random.Generator) -> Asset:
    """A tree of 5-11 m; its crown begins above 2.2 m."""
    height = float(rng.uniform(5.2, 10.8))
    slim = float(rng.uniform(0.28, 0.46))
    low = float(np.clip(height * rng.uniform(0.26, 0.36), CROWN_FLOOR_M + 0.2, 3.6))
    center = np.array([0, 0, (low + height) / 2])
    reach = np.array([height * slim * 0.8, height * slim * 0.8, (height - low) / 2])
    n = int(rng.integers(7, 12))
    spread = unit(rng.normal(0, 1, (n, 3))) * rng.uniform(0.35, 0.62, (n, 1))
    spread = spread - spread.mean(axis=0) * (1, 1, 0.5)
    radii = reach * rng.uniform(0.38, 0.55, (n, 1)) * rng.uniform(0.85, 1.15, (n, 3))
    centers = center + spread * reach
    colours = foliage(rng, autumn=0.12)
    crown = _crown(rng, centers, radii, 4600, 0.016 * height + 0.06, colours)
    bottom = float(crown.extent_m()[0][2])
    lift = max(0.0, CROWN_FLOOR_M - bottom)
    return Asset.of(VEGETATION, join(_wood(rng, height, centers + vec(0, 0, lift)), crown.moved((0, 0, lift))))


def _wood(rng: np.random.Generator, height_m: float, tips_m: Floats) -> Mesh:
    """A slightly crooked trunk, and branches that end inside the crown's lumps."""
    rgb = BARKS[int(rng.integers(len(BARKS)))]
    bark = Material(
        rgb, texture="wood", rgb2=(rgb[0] * 0.5, rgb[1] * 0.5, rgb[2] * 0.5), scale_m=0.25, reflectance=0.25
    )
    radius = 0.014 * height_m + 0.03
    fork = float(tips_m[:, 2].min())
    top = (0.75 * tips_m[:, 2].max() + 0.25 * fork) * np.array([0, 0, 1.0])
    bow = rng.normal(0, 0.06, (2, 3)) * (1, 1, 0)
    nodes = [np.zeros((1, 3)), bow[None, 0] + (0, 0, fork * 0.5), bow[None, 1] + (0, 0, fork), top[None]]
    steps = np.array([0.0, 0.08, 0.5, 1.0, 2.0, 3.0])
    thick = radius * np.array([1.7, 1.15, 1.0, 0.9, 0.75, 0.2])
    skin = Skin(1)
    skin.tube(rings_along(along(nodes, steps), np.array([[0, 1.0, 0]]), np.stack([thick, thick], 1), 9), bark)
    tips = tips_m[rng.permutation(len(tips_m))[:6]]
    start = along(nodes, np.full(len(tips), 2.0) + rng.uniform(-0.25, 0.4, len(tips)))[0]
    return join(*skin.meshes(on_ground=False), bars(start, tips, [[radius * 0.5, radius * 0.15]], bark, 6, ends=False))


def bush(rng: np.random.Generator) -> Asset:
    """A bush of 0.7-1.8 m."""
    height, half = float(rng.uniform(0.75, 1.7)), float(rng.uniform(0.5, 0.95))
    n = int(rng.integers(4, 7))
    angle, away = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.2, 0.6, n) * half
    tall = height * rng.uniform(0.65, 0.92, n)
    centers = np.stack([away * np.cos(angle), away * np.sin(angle), tall * 0.5], axis=1)
    radii = np.stack([half * rng.uniform(0.5, 0.7, n), half * rng.uniform(0.5, 0.7, n), tall * 0.5], axis=1)
    crown = _crown(rng, centers, radii, 1900, 0.07, foliage(rng))
    return Asset.of(VEGETATION, crown)


def grown_over(rng: np.random.Generator, size_lwh_m: ArrayLike, count: int, size_m: float, material: Material) -> Mesh:
    """Leaves over the sides and the top of a block on the ground."""
    size = np.asarray(size_lwh_m, dtype=np.float64)
    area = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1] / 2]).repeat(2) * np.array(
        (1, 1, 1, 1, 2, 0)
    )
    face = rng.choice(6, count, p=area / area.sum())
    at = rng.uniform(-0.5, 0.5, (count, 3))
    axis = face // 2
    sign: Floats = np.array([0.5, -0.5])[face % 2]
    at[np.arange(count), axis] = sign
    out = np.zeros((count, 3))
    out[np.arange(count), axis] = 2 * sign
    at = at * size + vec(0, 0, size[2] / 2) + out * rng.normal(0, 0.03, (count, 1))
    at[:, 2] = np.maximum(at[:, 2], size_m)
    return leaves(rng, at, unit(out + rng.normal(0, 0.25, (count, 3))), size_m, material)
