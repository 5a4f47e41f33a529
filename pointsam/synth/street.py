"""The street: lanes, junctions, kerbs, sidewalks and markings, in the road's (s, d) plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.asset import Asset
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh, join, surface
from pointsam.synth.motion import Road

KERB_M, KERB_HEIGHT_M = 0.18, 0.14
DEPTH_M = 95.0
"""Distance from the centre line to the edge of the ground."""
_PAINT_HEIGHT_M = 0.006
_STEP_M = 4.0

PAINT = Material((0.62, 0.62, 0.6), "noise", (0.45, 0.45, 0.44), 1.5, reflectance=0.55)
KERB_STONE = Material((0.33, 0.32, 0.31), "concrete", (0.25, 0.25, 0.24), 2.0, reflectance=0.3)


@dataclass(frozen=True)
class Junction:
    """A side street that crosses at right angles.

    Args:
        s_m: position of its centre line.
        half_width_m: distance from the centre line to each kerb.
    """

    s_m: float
    half_width_m: float


@dataclass(frozen=True)
class Block:
    """A raised rectangle between two junctions on one side of the road.

    Args:
        side: +1 left, -1 right.
        start_m, end_m: extent along the road.
        interior: the ground behind the sidewalk: "grass", "paved", "lot" (a car park) or "site" (a building site).
    """

    side: int
    start_m: float
    end_m: float
    interior: str


@dataclass(frozen=True)
class Street:
    """Dimensions of one street.

    Args:
        road: its centre line. Traffic keeps right: lanes with d < 0 run towards +s.
        lanes: number of lanes in each direction.
        lane_m: width of a lane.
        parking_m: width of the parking lane at each kerb, 0 for none.
        sidewalk_m: width of the sidewalks.
        asphalt: material of the road.
        paving: material of the sidewalks.
        junctions: junctions by rising s.
        start_m, end_m: extent of the street.
        blocks: blocks between the junctions, on both sides.
    """

    road: Road
    lanes: int
    lane_m: float
    parking_m: float
    sidewalk_m: float
    asphalt: Material
    paving: Material
    junctions: tuple[Junction, ...]
    start_m: float
    end_m: float
    blocks: tuple[Block, ...]

    @property
    def kerb_m(self) -> float:
        """Distance of the kerb from the centre line."""
        return self.lanes * self.lane_m + self.parking_m

    def lane_d(self, lane: int, side: int) -> float:
        """Centre of a lane, counted from the centre line; side -1 runs towards +s."""
        return side * (lane + 0.5) * self.lane_m

    def height_m(self, s_m: float, d_m: float) -> float:
        """Height of the ground."""
        return 0.0 if abs(d_m) <= self.kerb_m or self.in_junction(s_m) else KERB_HEIGHT_M

    def in_junction(self, s_m: float, beside_m: float = 0.0) -> bool:
        """Whether a side street crosses here or within a distance."""
        return any(abs(s_m - j.s_m) < j.half_width_m + beside_m for j in self.junctions)

    def ground(self) -> list[Asset]:
        """All ground and its markings, in world coordinates."""
        s = self._cuts(self.start_m, self.end_m)
        road = [self.patch(s, np.array([-self.kerb_m, self.kerb_m]), 0.0, self.asphalt)]
        for j in self.junctions:
            across = self._cuts(j.s_m - j.half_width_m, j.s_m + j.half_width_m)
            road += [
                self.patch(across, np.sort(side * np.array([self.kerb_m, DEPTH_M])), 0.0, self.asphalt)
                for side in (1, -1)
            ]
        sidewalk = [self._sidewalk(block) for block in self.blocks]
        inner: dict[str, list[Mesh]] = {}
        for block in self.blocks:
            category, mesh = self._interior(block)
            inner.setdefault(category, []).append(mesh)
        return [
            _flat("flat.driveable_surface", join(*road, *self._markings())),
            _flat("flat.sidewalk", join(*sidewalk)),
            *(_flat(category, join(*meshes)) for category, meshes in inner.items()),
        ]

    def drivable_outlines_m(self) -> list[NDArray[np.float64]]:
        """(K,2) world outlines of the road and the side streets."""
        cuts = self._cuts(self.start_m, self.end_m)
        spans = [(cuts, -self.kerb_m, self.kerb_m)]
        spans += [
            (self._cuts(j.s_m - j.half_width_m, j.s_m + j.half_width_m), -DEPTH_M, DEPTH_M) for j in self.junctions
        ]
        outlines = []
        for s, right, left in spans:
            x, y, _ = self.road.place(np.concatenate([s, s[::-1]]), np.repeat([right, left], len(s)))
            outlines.append(np.column_stack([x, y]))
        return outlines

    def bounds_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest world (x, y) of the ground."""
        s = self._cuts(self.start_m, self.end_m)
        x, y, _ = self.road.place(np.repeat(s, 2), np.tile([-DEPTH_M, DEPTH_M], len(s)))
        return np.array([x.min(), y.min()]), np.array([x.max(), y.max()])

    def patch(self, s_m: NDArray[np.float64], d_m: NDArray[np.float64], z_m: float, material: Material) -> Mesh:
        """A level grid over the given positions."""
        s, d = (grid.ravel() for grid in np.meshgrid(s_m, d_m, indexing="ij"))
        x, y, _ = self.road.place(s, d)
        columns = len(d_m)
        i, j = (g.ravel() for g in np.meshgrid(np.arange(len(s_m) - 1), np.arange(columns - 1), indexing="ij"))
        a = i * columns + j
        faces = np.concatenate(
            [np.column_stack([a, a + columns, a + columns + 1]), np.column_stack([a, a + columns + 1, a + 1])]
        )
        height = np.full_like(x, z_m)
        return surface(np.column_stack([x, y, height]), faces, material, texture_m=np.column_stack([s, d, height]))

    def _cuts(self, start_m: float, end_m: float) -> NDArray[np.float64]:
        return np.linspace(start_m, end_m, max(2, int(np.ceil((end_m - start_m) / _STEP_M)) + 1))

    def _frame(self, block: Block, outer: tuple[float, float], inner: tuple[float, float], material: Material) -> Mesh:
        """A band along three sides of a block: that of the road and those of the two side streets.

        Args:
            block: the block.
            outer: distance of its outer edge (from the kerbs of the side streets, from the kerb of the road), metres.
            inner: distance of its inner edge, likewise.
            material: its material.
        """
        near, far = self.kerb_m + outer[1], self.kerb_m + inner[1]
        start, end = block.start_m + outer[0], block.end_m - outer[0]
        width = inner[0] - outer[0]
        along = self.patch(self._cuts(start, end), np.sort(block.side * np.array([near, far])), KERB_HEIGHT_M, material)
        depth = np.sort(block.side * np.array([far, DEPTH_M]))
        ends = [self._cuts(start, start + width), self._cuts(end - width, end)]
        return join(along, *(self.patch(s, depth, KERB_HEIGHT_M, material) for s in ends))

    def _sidewalk(self, block: Block) -> Mesh:
        stone = self._frame(block, (0.0, 0.0), (KERB_M, KERB_M), KERB_STONE)
        paving = self._frame(block, (KERB_M, KERB_M), (self.sidewalk_m, self.sidewalk_m), self.paving)
        s = self._cuts(block.start_m, block.end_m)
        near, far = block.side * self.kerb_m, block.side * DEPTH_M
        rim_s = np.concatenate([[block.start_m], s, [block.end_m]])
        rim_d = np.concatenate([[far], np.full(len(s), near), [far]])
        x, y, _ = self.road.place(rim_s, rim_d)
        n = np.arange(len(rim_s) - 1)
        points = np.concatenate([np.column_stack([x, y, np.full_like(x, z)]) for z in (0.0, KERB_HEIGHT_M)])
        top = n + len(rim_s)
        faces = np.concatenate([np.column_stack([n, n + 1, top + 1]), np.column_stack([n, top + 1, top])])
        return join(stone, paving, surface(points, faces, KERB_STONE))

    def _interior(self, block: Block) -> tuple[str, Mesh]:
        category, material = {
            "grass": (
                "flat.terrain",
                Material((0.075, 0.115, 0.035), "grass", (0.13, 0.13, 0.06), 1.5, reflectance=0.35),
            ),
            "paved": (
                "flat.other",
                Material((0.2, 0.195, 0.185), "paving", (0.13, 0.13, 0.125), 1.0, reflectance=0.25),
            ),
            "lot": ("flat.driveable_surface", self.asphalt),
            "site": ("flat.terrain", Material((0.2, 0.15, 0.1), "noise", (0.13, 0.1, 0.07), 2.0, reflectance=0.3)),
        }[block.interior]
        s = self._cuts(block.start_m + self.sidewalk_m, block.end_m - self.sidewalk_m)
        depth = np.sort(block.side * np.array([self.kerb_m + self.sidewalk_m, DEPTH_M]))
        return category, self.patch(s, depth, KERB_HEIGHT_M, material)

    def _markings(self) -> list[Mesh]:
        """Lane markings, a double centre line, edge lines, stop lines and zebra crossings."""
        out = []
        for start, end in self._between_junctions():
            for d in (-0.12, 0.12):
                out.append(self._stripe(start, end, d, 0.11))
            for side in (1, -1):
                for lane in range(1, self.lanes):
                    for at in np.arange(start, end - 3.0, 9.0):
                        out.append(self._stripe(at, at + 3.0, side * lane * self.lane_m, 0.12))
                if self.parking_m:
                    out.append(self._stripe(start, end, side * self.lanes * self.lane_m, 0.1))
        for j in self.junctions:
            for way in (1, -1):
                stop, zebra = (j.s_m - way * (j.half_width_m + gap) for gap in (6.0, 4.6))
                low, high = sorted((0.25 * -way, self.lanes * self.lane_m * -way))
                out.append(self._slab((stop - 0.2, stop + 0.2), (low, high)))
                bars = np.arange(-self.kerb_m + 0.5, self.kerb_m - 0.5, 1.0)
                ends = sorted((zebra, zebra + way * 3.2))
                out += [self._slab((ends[0], ends[1]), (d, d + 0.5)) for d in bars]
        return out

    def _between_junctions(self) -> list[tuple[float, float]]:
        edges = [self.start_m]
        for j in self.junctions:
            edges += [j.s_m - j.half_width_m - 6.4, j.s_m + j.half_width_m + 6.4]
        edges.append(self.end_m)
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]

    def _stripe(self, start_m: float, end_m: float, d_m: float, width_m: float) -> Mesh:
        return self._slab((start_m, end_m), (d_m - width_m / 2, d_m + width_m / 2))

    def _slab(self, s_m: tuple[float, float], d_m: tuple[float, float]) -> Mesh:
        return self.patch(self._cuts(*s_m), np.array(d_m), _PAINT_HEIGHT_M, PAINT)


def draw_street(rng: np.random.Generator, travel_m: float) -> Street:
    """Draw a street that is long enough for a drive.

    Args:
        rng: random generator.
        travel_m: distance that the vehicle drives from s = 0.
    """
    road = Road(rng.uniform(0, 1 / 350), rng.uniform(300, 700), rng.uniform(0, 2 * np.pi), rng.uniform(-np.pi, np.pi))
    tone = rng.uniform(0.2, 0.34)
    paving = Material(
        (tone, tone * 0.98, tone * 0.94),
        "paving",
        (tone * 0.6, tone * 0.59, tone * 0.56),
        rng.uniform(0.5, 1.2),
        reflectance=0.25,
    )
    dark = rng.uniform(0.1, 0.17)
    worn = (dark * 0.55, dark * 0.55, dark * 0.56)
    asphalt = Material((dark, dark * 0.99, dark * 0.96), "asphalt", worn, 4.0, reflectance=0.1)
    start, end = -150.0, travel_m + 150.0
    junctions = []
    at = rng.uniform(-60.0, 25.0)
    while at < end - 60:
        junctions.append(Junction(at, rng.uniform(5.5, 9.0)))
        at += rng.uniform(75.0, 150.0)
    edges = [start, *(e for j in junctions for e in (j.s_m - j.half_width_m, j.s_m + j.half_width_m)), end]
    pieces = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 15]
    kinds = ("grass", "paved", "lot", "site")
    blocks = tuple(
        Block(side, a, b, str(rng.choice(kinds, p=(0.46, 0.34, 0.15, 0.05)))) for a, b in pieces for side in (1, -1)
    )
    lanes = int(rng.choice((1, 2, 3), p=(0.3, 0.5, 0.2)))
    parking = float(rng.choice((0.0, 2.3), p=(0.35, 0.65)))
    return Street(
        road,
        lanes,
        rng.uniform(3.1, 3.6),
        parking,
        rng.uniform(2.0, 3.8),
        asphalt,
        paving,
        tuple(junctions),
        start,
        end,
        blocks,
    )


def _flat(category: str, mesh: Mesh) -> Asset:
    low, high = mesh.extent_m()
    length, width, height = (float(v) for v in high - low)
    return Asset(category, (mesh,), (length, width, height))
