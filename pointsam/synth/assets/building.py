"""Buildings: length along x, the facade towards -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets.facade import PANE_DARK, PANE_SKY, PANES, Facade
from pointsam.synth.assets.outfit import choice, pick
from pointsam.synth.assets.parts import Floats, panels, vec
from pointsam.synth.material import Material, Rgb
from pointsam.synth.mesh import Mesh, join, surface

MOST_WINDOWS = 115
BRICKS: tuple[Rgb, ...] = ((0.26, 0.09, 0.055), (0.33, 0.16, 0.09), (0.2, 0.1, 0.08), (0.42, 0.32, 0.2))
PLASTERS: tuple[Rgb, ...] = (
    (0.6, 0.56, 0.46),
    (0.62, 0.6, 0.57),
    (0.55, 0.42, 0.25),
    (0.5, 0.35, 0.28),
    (0.42, 0.47, 0.43),
    (0.58, 0.5, 0.33),
)
CONCRETES: tuple[Rgb, ...] = ((0.36, 0.35, 0.33), (0.45, 0.44, 0.41), (0.26, 0.26, 0.26))
ACCENTS: tuple[Rgb, ...] = (
    (0.4, 0.04, 0.04),
    (0.03, 0.12, 0.3),
    (0.03, 0.2, 0.1),
    (0.06, 0.06, 0.065),
    (0.6, 0.4, 0.05),
    (0.5, 0.5, 0.48),
)
WHITE_FRAME = Material((0.65, 0.65, 0.63))
DARK_FRAME = Material((0.05, 0.052, 0.055), gloss=0.2)
METAL = Material((0.3, 0.31, 0.32), gloss=0.4, reflectance=0.3)
STONE = Material((0.42, 0.4, 0.36), texture="concrete", rgb2=(0.34, 0.32, 0.28), scale_m=1.2)
TAR = Material((0.1, 0.1, 0.1), texture="noise", rgb2=(0.14, 0.14, 0.135), scale_m=1.5)
TILES: tuple[Rgb, ...] = ((0.3, 0.1, 0.06), (0.1, 0.1, 0.11), (0.2, 0.11, 0.08))
DOOR_LEAF = Material((0.1, 0.06, 0.035), texture="wood", rgb2=(0.06, 0.035, 0.02), scale_m=0.4)


@dataclass(frozen=True)
class FloorPlan:
    """Dimensions and materials of a building.

    Args:
        length_m, depth_m: size along x and y.
        floors: number of floors above the ground floor.
        ground_m, floor_m: heights of the ground floor and of the others.
        style: "brick", "plaster", "concrete" or "glass".
        wall, base, frame: materials of the upper walls, the ground floor and the window frames.
        bay_m: width of a window axis.
    """

    length_m: float
    depth_m: float
    floors: int
    ground_m: float
    floor_m: float
    style: str
    wall: Material
    base: Material
    frame: Material
    bay_m: float

    @property
    def eaves_m(self) -> float:
        """Height of the walls."""
        return self.ground_m + self.floors * self.floor_m

    def bays(self) -> tuple[Floats, float]:
        """(N,) centres of the window axes, and their width."""
        n = max(1, round(self.length_m / self.bay_m))
        width = self.length_m / n
        return (np.arange(n) + 0.5) * width, width


def building(rng: np.random.Generator, length_m: float, depth_m: float) -> Asset:
    """A building of 8-28 m with windows on all sides; those of the street side are set into the wall."""
    plan = _draw(rng, length_m, depth_m)
    facade = Facade()
    if plan.style == "glass":
        _curtain_wall(rng, facade, plan)
    else:
        _punched_wall(rng, facade, plan)
    _ground_floor(rng, facade, plan)
    roof = _pitched_roof(rng, facade, plan) if _is_house(plan) and rng.random() < 0.7 else _flat_roof(rng, facade, plan)
    return Asset.of("static.manmade", join(facade.mesh(), _other_sides(rng, plan), *roof))


def _is_house(plan: FloorPlan) -> bool:
    return plan.style in ("brick", "plaster") and plan.floors <= 4 and plan.depth_m <= 16


def _draw(rng: np.random.Generator, length_m: float, depth_m: float) -> FloorPlan:
    style = choice(rng, {"plaster": 3, "brick": 3, "concrete": 2, "glass": 1.5})
    rgb = pick(rng, {"brick": BRICKS, "plaster": PLASTERS}.get(style, CONCRETES), 0.12)
    dark = (rgb[0] * 0.8, rgb[1] * 0.79, rgb[2] * 0.77)
    wall = Material(rgb, texture="concrete", rgb2=dark, scale_m=2.5, reflectance=0.1 + 0.6 * sum(rgb) / 3)
    if style == "brick":
        wall = Material(rgb, texture="brick", rgb2=(0.36, 0.34, 0.31), scale_m=0.25, reflectance=0.3)
    base = {"brick": wall, "glass": DARK_FRAME}.get(style, STONE if rng.random() < 0.7 else wall)
    ground = float(rng.uniform(3.6, 4.4))
    floor = float(rng.uniform(3.3, 3.7) if style in ("glass", "concrete") else rng.uniform(2.85, 3.3))
    most = int((24.5 - ground) / floor)
    tall = choice(rng, {"low": 3, "middle": 3, "high": 1.5})
    low, high = {"low": (2, 3), "middle": (3, 5), "high": (5, most)}[tall]
    floors = int(np.clip(rng.integers(low, high + 1), 2, most))
    bay = max(float(rng.uniform(2.3, 3.4)), length_m * floors / MOST_WINDOWS)
    frame = WHITE_FRAME if style in ("brick", "plaster") and rng.random() < 0.75 else DARK_FRAME
    return FloorPlan(length_m, depth_m, floors, ground, floor, style, wall, base, frame, bay)


def _punched_wall(rng: np.random.Generator, facade: Facade, plan: FloorPlan) -> None:
    """Rows of windows set into the wall, with sills and cornices, and sometimes balconies."""
    centers, width = plan.bays()
    half = width * float(rng.uniform(0.36, 0.44) if plan.style == "concrete" else rng.uniform(0.2, 0.3))
    half = float(np.clip(half, 0.45, max(0.6, width / 2 - 0.25)))
    low, high = float(rng.uniform(0.75, 0.95)), plan.floor_m - float(rng.uniform(0.35, 0.55))
    depth = float(rng.uniform(0.12, 0.24))
    bars = choice(rng, {"cross": 1, "post": 2, "transom": 1})
    rows = []
    for floor in range(plan.floors):
        z = plan.ground_m + floor * plan.floor_m
        holes = np.stack([centers - half, centers + half, 0 * centers + z + low, 0 * centers + z + high], axis=1)
        facade.row((0.0, plan.length_m, z, z + plan.floor_m), holes, plan.wall)
        rows.append(holes)
    every = np.concatenate(rows)
    facade.windows(rng, every, depth, plan.frame, bars)
    facade.sills(every, STONE)
    half_long = plan.length_m / 2
    facade.block([(half_long, -0.03, plan.ground_m + 0.05)], (plan.length_m + 0.1, 0.22, 0.24), STONE)
    if plan.style != "concrete" and rng.random() < 0.35:
        _balconies(rng, facade, plan, centers, width)


def _balconies(rng: np.random.Generator, facade: Facade, plan: FloorPlan, centers: Floats, width: float) -> None:
    axes = centers[1::3][:5]
    at = np.array([(x, z) for x in axes for z in plan.ground_m + np.arange(plan.floors) * plan.floor_m + 0.4])
    if len(at) == 0:
        return
    out, wide = 1.1, min(width * 0.95, 2.8)
    zero = np.zeros(len(at))
    panel = Material(pick(rng, ACCENTS), gloss=0.2) if rng.random() < 0.5 else METAL
    facade.block(np.stack([at[:, 0], zero - out / 2, at[:, 1]], 1), (wide, out, 0.16), STONE)
    facade.block(np.stack([at[:, 0], zero - out + 0.03, at[:, 1] + 0.6], 1), (wide, 0.03, 0.9), panel)


def _curtain_wall(rng: np.random.Generator, facade: Facade, plan: FloorPlan) -> None:
    """An office: panes between metal posts, a band at each floor."""
    centers, width = plan.bays()
    z = plan.ground_m + np.arange(plan.floors) * plan.floor_m
    x0, z0 = (g.ravel() for g in np.meshgrid(centers - width / 2, z))
    band = float(rng.uniform(0.5, 1.0))
    panes = np.stack([x0, x0 + width, z0 + band, z0 + plan.floor_m], axis=1)
    tint = (PANE_SKY, PANE_DARK)[int(rng.integers(2))]
    kind = rng.random(len(panes))
    a, b, c, d = panes[kind < 0.75].T
    facade.rects(a, b, c, d, 0.05, tint)
    facade.panes(rng, panes[kind >= 0.75], 0.05, dark=True)
    facade.rects(0.0, plan.length_m, z, z + band, 0.02, plan.wall)
    edges = np.append(centers - width / 2 + 0.04, plan.length_m - 0.04)
    center_z = (plan.ground_m + plan.eaves_m) / 2
    posts = np.stack([edges, 0 * edges, 0 * edges + center_z], axis=1)
    facade.block(posts, (0.07, 0.2, plan.eaves_m - plan.ground_m), METAL)
    rails = np.stack([0 * z + plan.length_m / 2, 0 * z + 0.02, z + band], axis=1)
    facade.block(rails, (plan.length_m - 0.02, 0.1, 0.06), METAL)


def _ground_floor(rng: np.random.Generator, facade: Facade, plan: FloorPlan) -> None:
    """Shops with a door each, or homes with one entrance."""
    shops = plan.style == "glass" or rng.random() < 0.6
    n = max(1, round(plan.length_m / (float(rng.uniform(3.6, 5.0)) if shops else max(plan.bay_m, 2.4))))
    n = min(n, 26)
    width = plan.length_m / n
    centers = (np.arange(n) + 0.5) * width
    door = np.zeros(n, dtype=bool)
    door[int(rng.integers(n)) :: 3 if shops else 8] = True
    half = np.where(door, 0.62, width / 2 - 0.3 if shops else min(0.65, width / 2 - 0.3))
    low = np.where(door, 0.06, 0.45 if shops else 1.1)
    high = np.where(door, 2.35, 0.0) if not shops else np.full(n, 2.75)
    high = np.where(high > 0, high, min(2.6, plan.ground_m - 0.7))
    holes = np.stack([centers - half, centers + half, low, high], axis=1)
    facade.row((0.0, plan.length_m, 0.0, plan.ground_m), holes, plan.base)
    facade.windows(rng, holes[~door], 0.28, DARK_FRAME if shops else plan.frame, "transom" if shops else "post")
    facade.reveals(holes[door], 0.4, DARK_FRAME)
    a, b, c, d = holes[door].T
    facade.rects(a, b, c, d, 0.4, DOOR_LEAF)
    facade.rects(a + 0.2, b - 0.2, c + (1.0 if not shops else 0.25), d - 0.2, 0.39, PANE_DARK)
    facade.block(np.stack([(a + b) / 2, 0 * a + 0.1, 0 * a + 0.03], 1), (1.5, 0.9, 0.06), STONE)
    if shops:
        _shop_fronts(rng, facade, plan, centers, width)


def _shop_fronts(rng: np.random.Generator, facade: Facade, plan: FloorPlan, centers: Floats, width: float) -> None:
    """A name board over each shop, awnings over some."""
    for x in centers:
        rgb = pick(rng, ACCENTS)
        glow = (rgb[0] * 3, rgb[1] * 3, rgb[2] * 3) if rng.random() < 0.5 else (0.0, 0.0, 0.0)
        board = Material(rgb, gloss=0.2, emit=glow)
        facade.block([(x, -0.05, 3.12)], (width - 0.5, 0.16, 0.55), board)
        facade.block([(x, -0.14, 3.12)], (width * 0.5, 0.024, 0.2), WHITE_FRAME)
        if rng.random() < 0.35:
            canvas = Material(rgb, texture="stripes_x", rgb2=(0.7, 0.69, 0.65), scale_m=0.5, reflectance=0.4)
            x0, x1, out = x - width / 2 + 0.3, x + width / 2 - 0.3, float(rng.uniform(0.9, 1.4))
            slope = np.array([(x0, -0.15, 2.9), (x0, -out, 2.4), (x1, -out, 2.4), (x1, -0.15, 2.9)])
            hem = np.array([(x0, -out, 2.4), (x0, -out, 2.2), (x1, -out, 2.2), (x1, -out, 2.4)])
            facade.quads.setdefault(canvas, []).append(np.stack([slope, hem]))


def _other_sides(rng: np.random.Generator, plan: FloorPlan) -> Mesh:
    """Side and back walls with flat windows."""
    meshes = []
    for yaw, at, length in (
        (np.pi / 2, (plan.length_m, 0.0), plan.depth_m),
        (np.pi, (plan.length_m, plan.depth_m), plan.length_m),
        (-np.pi / 2, (0.0, plan.depth_m), plan.depth_m),
    ):
        side = Facade()
        side.rects(0.0, length, 0.0, plan.eaves_m, 0.0, plan.wall)
        n = max(1, int(length / 3.6))
        x = (np.arange(n) + 0.5) * length / n
        z = np.arange(plan.floors) * plan.floor_m + plan.ground_m + 0.9
        xs, zs = (g.ravel() for g in np.meshgrid(x, z))
        keep = rng.random(len(xs)) < min(0.8, 60 / len(xs))
        xs, zs = xs[keep], zs[keep]
        side.rects(xs - 0.6, xs + 0.6, zs - 0.06, zs + 1.5, -0.012, plan.frame)
        side.panes(rng, np.stack([xs - 0.52, xs + 0.52, zs, zs + 1.42], axis=1), -0.02)
        meshes.append(side.mesh().moved((*at, 0.0), yaw=yaw))
    return join(*meshes)


def _flat_roof(rng: np.random.Generator, facade: Facade, plan: FloorPlan) -> list[Mesh]:
    """Roofing, parapet with a cornice, plant."""
    length, depth, top = plan.length_m, plan.depth_m, plan.eaves_m
    rise = float(rng.uniform(0.3, 0.9))
    z = top + rise / 2
    sides = [(length / 2, 0.12, z), (length / 2, depth - 0.12, z)]
    facade.block(sides, (length, 0.24, rise), plan.wall)
    facade.block([(0.12, depth / 2, z), (length - 0.12, depth / 2, z)], (0.24, depth - 0.48, rise), plan.wall)
    cornice = float(rng.uniform(0.06, 0.35)) if plan.style != "glass" else 0.05
    facade.block([(length / 2, 0.1 - cornice / 2, top + rise + 0.06)], (length + 0.1, 0.34 + cornice, 0.14), STONE)
    if cornice > 0.15:
        facade.block([(length / 2, -0.05, top + rise - 0.12)], (length + 0.04, 0.2, 0.14), STONE)
    n = int(rng.integers(1, 4))
    tall = rng.uniform(0.8, 2.4, n)
    spots = np.stack([rng.uniform(0.25, 0.75, n) * length, rng.uniform(0.45, 0.75, n) * depth, top + tall / 2], axis=1)
    sizes = np.stack([rng.uniform(0.08, 0.2, n) * length + 0.8, rng.uniform(0.15, 0.3, n) * depth, tall], axis=1)
    facade.block(spots, sizes, METAL)
    cover = np.array([[(0, 0, top), (length, 0, top), (length, depth, top), (0, depth, top)]]) + vec(0, 0, 0.02)
    return [panels(cover, TAR)]


def _pitched_roof(rng: np.random.Generator, facade: Facade, plan: FloorPlan) -> list[Mesh]:
    """Two slopes of tiles with their ridge along x, gables, chimneys, dormers."""
    length, depth, top = plan.length_m, plan.depth_m, plan.eaves_m
    rgb = pick(rng, TILES)
    tile = Material(
        rgb, texture="stripes_x", rgb2=(rgb[0] * 0.75, rgb[1] * 0.75, rgb[2] * 0.75), scale_m=0.3, reflectance=0.25
    )
    pitch = float(rng.uniform(0.55, 0.85))
    rise, over = depth / 2 * pitch, 0.45
    low = top - over * pitch
    ridge = top + rise
    slopes = [
        [(-0.2, -over, low), (length + 0.2, -over, low), (length + 0.2, depth / 2, ridge), (-0.2, depth / 2, ridge)],
        [
            (length + 0.2, depth + over, low),
            (-0.2, depth + over, low),
            (-0.2, depth / 2, ridge),
            (length + 0.2, depth / 2, ridge),
        ],
    ]
    gables = [
        (0, depth, top),
        (0, 0, top),
        (0, depth / 2, ridge),
        (length, 0, top),
        (length, depth, top),
        (length, depth / 2, ridge),
    ]
    facade.block([(length / 2, -over + 0.03, low - 0.02)], (length + 0.3, 0.14, 0.14), plan.frame)
    n = int(rng.integers(1, 4))
    stacks = np.stack([rng.uniform(0.1, 0.9, n) * length, np.full(n, depth * 0.5), np.full(n, ridge + 0.2)], axis=1)
    facade.block(stacks, (0.9, 0.6, 1.8), plan.wall)
    if rng.random() < 0.6:
        x = plan.bays()[0][::2]
        zero = np.zeros_like(x)
        y = 0.9
        z = top + y * pitch
        facade.block(np.stack([x, zero + y + 0.9, zero + z + 0.55], 1), (1.5, 1.8, 1.3), plan.wall)
        facade.block(np.stack([x, zero + y + 0.8, zero + z + 1.24], 1), (1.8, 2.2, 0.1), tile)
        facade.rects(x - 0.5, x + 0.5, z + 0.1, z + 1.05, y - 0.012, plan.frame)
        facade.rects(x - 0.42, x + 0.42, z + 0.17, z + 0.98, y - 0.02, PANES[0])
    return [panels(slopes, tile), surface(gables, [(0, 1, 2), (3, 4, 5)], plan.wall)]
