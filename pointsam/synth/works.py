"""Road works and building sites: barriers, cones, machines, workers."""

from __future__ import annotations

import numpy as np

from pointsam.synth.assets import construction, people, roadside, trucks
from pointsam.synth.drive import Drive
from pointsam.synth.plan import WorldPlan
from pointsam.synth.street import Block

_BARRIERS = ("jersey", "plastic", "fence")
_SITE_DEPTH_M = 24.0
_CROSSING_M = 6.0
"""Distance from a junction to the far side of its stop lines."""


def road_works(plan: WorldPlan, drive: Drive) -> None:
    """Close a part of the kerb lane, if there is another lane, with barriers and with cones before and after them."""
    rng, street = plan.rng, plan.street
    side = int(rng.choice((1, -1)))
    spare = street.lanes > 1 and (side == 1 or drive.lane < street.lanes - 1)
    depth = street.parking_m + (street.lane_m if spare else 0.0)
    if depth < 2:
        return
    start, length = rng.uniform(2, 50), rng.uniform(16, 45)
    line = side * (street.kerb_m - depth + 0.4)
    _barriers(plan, start, start + length, line)
    for k, at in enumerate(np.arange(start - 14, start - 1, 2.0)):
        _cone(plan, at, side * (street.kerb_m - 0.5 - (depth - 0.6) * k / 6))
    for at in plan.along(start, start + length, 2.6):
        _cone(plan, at, line + side * rng.uniform(0.6, 1.0))
    center = side * (street.kerb_m - depth / 2 + 0.5)
    if depth > 3.6:
        for at in plan.along(start + 3, start + length - 3, 13.0):
            if not _keep_clear(plan, at, center):
                plan.stand(construction.construction_vehicle(rng), at, center, rng.choice((0, np.pi)), gap_m=0.0)
    at = rng.uniform(start + 4, start + length - 4)
    if rng.random() < 0.4 and not _keep_clear(plan, at, center):
        plan.stand(trucks.truck(rng), at, center, 0.0)
    _workers(plan, (start, start + length), (line + side, side * street.kerb_m), 5)
    plan.take(start + length / 2, side * (street.kerb_m - depth / 2), length / 2, depth / 2)


def building_site(plan: WorldPlan, block: Block) -> None:
    """A building site behind a sidewalk: barriers along it, and machines, lorries and workers behind them."""
    rng, street, side = plan.rng, plan.street, block.side
    start, end = block.start_m + street.sidewalk_m + 1, block.end_m - street.sidewalk_m - 1
    edge = side * (street.kerb_m + street.sidewalk_m)
    _barriers(plan, start, end, edge + side * 0.6)
    for at in plan.along(start, end, 5.0):
        _cone(plan, at, edge - side * 0.5)
    for at in plan.along(start + 4, end - 4, 22.0):
        machine = construction.construction_vehicle(rng) if rng.random() < 0.7 else trucks.truck(rng)
        plan.stand(machine, at, edge + side * rng.uniform(5, _SITE_DEPTH_M - 5), rng.uniform(0, 2 * np.pi))
    _workers(plan, (start, end), (edge + side * 1.5, edge + side * 15), 6)


def _barriers(plan: WorldPlan, start_m: float, end_m: float, d_m: float) -> None:
    rng = plan.rng
    kind = str(rng.choice(_BARRIERS))
    for at in np.arange(start_m, end_m, 2.6):
        if not _keep_clear(plan, at, d_m):
            plan.stand(roadside.barrier(rng, kind), at, d_m, np.pi / 2 + rng.normal(0, 0.02), gap_m=-0.2)


def _cone(plan: WorldPlan, s_m: float, d_m: float) -> None:
    if not _keep_clear(plan, s_m, d_m):
        plan.stand(roadside.traffic_cone(plan.rng), s_m, d_m, gap_m=0.0)


def _keep_clear(plan: WorldPlan, s_m: float, d_m: float) -> bool:
    """Whether traffic or people cross here: a junction, or on the road also the crossings before and after it."""
    return plan.street.in_junction(s_m, _CROSSING_M if abs(d_m) < plan.street.kerb_m else 0.0)


def _workers(plan: WorldPlan, s_m: tuple[float, float], d_m: tuple[float, float], most: int) -> None:
    rng = plan.rng
    for _ in range(int(rng.integers(1, most))):
        worker = people.pedestrian(rng, False, "construction_worker")
        s, d = rng.uniform(*s_m), rng.uniform(min(d_m), max(d_m))
        if not _keep_clear(plan, s, d):
            plan.stand(worker, s, d, rng.uniform(0, 2 * np.pi), gap_m=0.0)
