"""Everything beside the road that is not annotated: buildings, trees, lamps, signs, walls."""

from __future__ import annotations

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets import scenery
from pointsam.synth.material import Material
from pointsam.synth.mesh import surface
from pointsam.synth.motion import Track
from pointsam.synth.plan import Placed, WorldPlan
from pointsam.synth.street import DEPTH_M, Block

LOT_DEPTH_M = 30.0
_HORIZON_M = 1500.0


def furnish(plan: WorldPlan) -> None:
    """Place the ground, the content of the blocks, the sidewalks' furniture and the background."""
    plan.placed += [Placed(asset, None, False) for asset in plan.street.ground()]
    shapes = _Shapes(plan.rng)
    for block in plan.street.blocks:
        _kerbside(plan, block, shapes)
        {"grass": _park, "paved": _frontage, "lot": _behind_lot, "site": _behind_lot}[block.interior](
            plan, block, shapes
        )
        _second_row(plan, block)
    _close_ends(plan)
    plan.placed.append(Placed(_horizon(), None, False))


class _Shapes:
    """A few trees and bushes that are placed repeatedly, as in a real street; this also saves time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.trees = [scenery.tree(rng) for _ in range(5)]
        self.bushes = [scenery.bush(rng) for _ in range(3)]
        self.lamp, self.traffic_light = scenery.street_lamp(rng), scenery.traffic_light(rng)

    def tree(self) -> Asset:
        return self.trees[int(self._rng.integers(len(self.trees)))]

    def bush(self) -> Asset:
        return self.bushes[int(self._rng.integers(len(self.bushes)))]


def _kerbside(plan: WorldPlan, block: Block, shapes: _Shapes) -> None:
    """Furniture of the sidewalk next to the kerb: lamps, trees, signs, bins, traffic lights."""
    rng, street, side = plan.rng, plan.street, block.side
    d = side * (street.kerb_m + 0.7)
    facing_road = 0.0 if side > 0 else np.pi  # the -y side of street furniture faces the street
    for at in (block.start_m + 1.2, block.end_m - 1.2):
        if street.start_m < at - 2 and at + 2 < street.end_m:
            plan.stand(shapes.traffic_light, at, d, facing_road, labelled=False)
    for at in plan.along(block.start_m + 4, block.end_m - 3, 28.0):
        plan.stand(shapes.lamp, at, d, facing_road, labelled=False)
    if rng.random() < 0.7:
        for at in plan.along(block.start_m + 6, block.end_m - 5, rng.uniform(7, 13)):
            plan.stand(shapes.tree(), at, d, rng.uniform(0, 2 * np.pi), labelled=False, gap_m=-1.5)
    for make, spacing_m in ((scenery.sign, 26.0), (scenery.furniture, 24.0), (scenery.bollard, 40.0)):
        for at in plan.along(block.start_m + 3, block.end_m - 3, spacing_m):
            plan.stand(make(rng), at, d, facing_road, labelled=False)
    if rng.random() < 0.3 and block.end_m - block.start_m > 40:
        at = rng.uniform(block.start_m + 15, block.end_m - 15)
        plan.stand(scenery.bus_shelter(rng), at, side * (street.kerb_m + 1.6), facing_road, labelled=False)


def _edge_m(plan: WorldPlan) -> float:
    """Distance of the sidewalk's inner edge from the centre line."""
    return plan.street.kerb_m + plan.street.sidewalk_m


def _park(plan: WorldPlan, block: Block, shapes: _Shapes) -> None:
    rng, side, edge = plan.rng, block.side, _edge_m(plan)
    start, end = block.start_m + plan.street.sidewalk_m, block.end_m - plan.street.sidewalk_m
    if rng.random() < 0.6:
        make = (scenery.hedge, scenery.fence, scenery.wall)[int(rng.integers(3))]
        at = start + 3.0
        while at + 8.0 < end:
            plan.stand(make(rng, 7.6), at + 3.8, side * (edge + 0.7), 0.0, labelled=False)
            at += 7.8 if rng.random() < 0.85 else 11.0
    for _ in range(int((end - start) / 3)):
        s, d = rng.uniform(start + 3, end - 3), side * (edge + rng.uniform(3.5, 28))
        plan.stand(shapes.tree(), s, d, rng.uniform(0, 6), labelled=False, gap_m=-1.0)
        s, d = rng.uniform(start + 2, end - 2), side * (edge + rng.uniform(2.0, 18))
        plan.stand(shapes.bush(), s, d, rng.uniform(0, 6), labelled=False)
    if rng.random() < 0.8:
        _row_of_buildings(plan, block, rng.uniform(12, 22))


def _frontage(plan: WorldPlan, block: Block, shapes: _Shapes) -> None:
    _row_of_buildings(plan, block, plan.rng.uniform(0.2, 3.5))
    for at in plan.along(block.start_m + 8, block.end_m - 8, 30.0):
        plan.stand(shapes.bush(), at, block.side * (_edge_m(plan) + 1.0), labelled=False)


def _behind_lot(plan: WorldPlan, block: Block, shapes: _Shapes) -> None:
    for at in plan.along(block.start_m + 8, block.end_m - 8, 16.0):
        plan.stand(shapes.tree(), at, block.side * (_edge_m(plan) + LOT_DEPTH_M), labelled=False)
    _row_of_buildings(plan, block, LOT_DEPTH_M + 4)


def _row_of_buildings(plan: WorldPlan, block: Block, setback_m: float) -> None:
    rng, side = plan.rng, block.side
    at, end = block.start_m + plan.street.sidewalk_m + 1, block.end_m - plan.street.sidewalk_m - 1
    while end - at > 9:
        length, depth = min(rng.uniform(11, 26), end - at), rng.uniform(11, 16)
        building = scenery.building(rng, length, depth)
        d = side * (_edge_m(plan) + setback_m + building.size_lwh_m[1] / 2)
        plan.stand(building, at + length / 2, d, 0.0 if side > 0 else np.pi, labelled=False, gap_m=0.0)
        at += length + (rng.uniform(3, 9) if rng.random() < 0.3 else 0.05)


def _second_row(plan: WorldPlan, block: Block) -> None:
    """Large distant buildings that hide the edge of the world."""
    rng, side = plan.rng, block.side
    at = block.start_m + 3
    while block.end_m - at > 20:
        length = min(rng.uniform(24, 40), block.end_m - 3 - at)
        building = scenery.building(rng, length, 18.0)
        plan.stand(building, at + length / 2, side * (DEPTH_M - 22), 0.0 if side > 0 else np.pi, labelled=False)
        at += length + rng.uniform(2, 14)


def _close_ends(plan: WorldPlan) -> None:
    """Buildings across the ends of the street and of the side streets."""
    rng, street = plan.rng, plan.street
    for s, facing in ((street.start_m - 14, -np.pi / 2), (street.end_m + 14, np.pi / 2)):
        for d in (-40.0, 0.0, 40.0):
            _far(plan, scenery.building(rng, 38.0, 16.0), s, d, facing)
    for j in street.junctions:
        for side in (1, -1):
            _far(plan, scenery.building(rng, 34.0, 16.0), j.s_m, side * (DEPTH_M + 9), 0.0 if side > 0 else np.pi)


def _far(plan: WorldPlan, building: Asset, s_m: float, d_m: float, facing: float) -> None:
    plan.placed.append(Placed(building, Track(plan.street.road, s_m, d_m, turn=facing), False))


def _horizon() -> Asset:
    """A plain that extends into the haze."""
    h = _HORIZON_M
    corners = [(-h, -h, -0.4), (h, -h, -0.4), (h, h, -0.4), (-h, h, -0.4)]
    mesh = surface(corners, [(0, 1, 2), (0, 2, 3)], Material((0.14, 0.15, 0.1)))
    return Asset("flat.terrain", (mesh,), (2 * h, 2 * h, 0.0))
