"""Annotated objects: vehicles on the road and at the kerb, and people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.assets import buses, cars, people, trucks, two_wheelers
from pointsam.synth.drive import Drive
from pointsam.synth.landscape import LOT_DEPTH_M
from pointsam.synth.motion import Speed, Track
from pointsam.synth.plan import WorldPlan
from pointsam.synth.street import DEPTH_M, KERB_HEIGHT_M, Block, Junction

_IN_SIGHT_M = 130.0
_WALK_MPS = (1.35, 0.22)
_HURRY_MPS = 2.2
_CROSSING_MPS = 5.0
_WALKING = 0.6
"""Fractions of the kinds of people on sidewalks."""
_PEOPLE_M = 17.0
"""Mean length of sidewalk per group of people, metres."""
Rng = np.random.Generator


def populate(plan: WorldPlan, drive: Drive, duration_s: float, crowd: float) -> None:
    """Add traffic and people to a street that has its work zones and landscape.

    Args:
        plan: the street, with the lanes that a work zone occupies.
        drive: motion of the traffic.
        duration_s: duration of the scene.
        crowd: relative number of people, 1 on average.
    """
    _park_at_kerbs(plan, crowd)
    for block in plan.street.blocks:
        if block.interior == "lot":
            _fill_lot(plan, block, crowd)
    _lanes(plan, drive, crowd, duration_s)
    for junction in plan.street.junctions:
        _side_street(plan, drive, junction, crowd, duration_s)
    for block in plan.street.blocks:
        _two_wheelers_at_walls(plan, block, crowd)
        share = 0.0 if drive.still else _WALKING
        _standers(plan, block, crowd, 1 - share)
        if share:
            _walkers(plan, block, duration_s, crowd, share)
    if drive.junction is not None:
        _crossing_people(plan, drive, drive.junction)


def _park_at_kerbs(plan: WorldPlan, crowd: float) -> None:
    street, rng = plan.street, plan.rng
    if not street.parking_m:
        return
    for block in street.blocks:
        filled = np.clip(rng.normal(0.28, 0.2) * crowd, 0, 0.95)
        at, end = block.start_m + 9.0, block.end_m - 9.0
        while at < end:
            asset = trucks.truck(rng) if rng.random() < 0.05 else cars.car(rng)
            length, width, _ = asset.size_lwh_m
            if rng.random() < filled and at + length < end and width < street.parking_m + 0.4:
                facing = (0.0 if block.side < 0 else np.pi) + rng.normal(0, 0.02)
                d = block.side * (street.kerb_m - 0.25 - width / 2 + rng.normal(0, 0.05))
                plan.stand(asset, at + length / 2, d, facing)
            at += length + rng.uniform(0.7, 2.0)


def _fill_lot(plan: WorldPlan, block: Block, crowd: float) -> None:
    """Rows of parked cars behind the sidewalk."""
    street, rng = plan.street, plan.rng
    filled = np.clip(rng.normal(0.3, 0.15) * crowd, 0.05, 0.9)
    for row in np.arange(4.0, LOT_DEPTH_M - 4, 8.5):
        for at in np.arange(block.start_m + street.sidewalk_m + 3, block.end_m - street.sidewalk_m - 3, 2.9):
            if rng.random() < filled:
                facing = rng.choice((-1, 1)) * np.pi / 2 + rng.normal(0, 0.03)
                d = block.side * (street.kerb_m + street.sidewalk_m + row + rng.normal(0, 0.25))
                plan.stand(cars.car(rng), at + rng.normal(0, 0.1), d, facing)


def _lanes(plan: WorldPlan, drive: Drive, crowd: float, duration_s: float) -> None:
    """Moving traffic. All vehicles of a lane share one speed, so they keep their distances."""
    street, rng = plan.street, plan.rng
    for side in (1, -1):
        for lane in range(street.lanes):
            d = street.lane_d(lane, side)
            own = side == -1 and lane == drive.lane
            ahead = rng.uniform(9, 30) if own else rng.uniform(-8, 45)
            for way, first in ((1, ahead), (-1, -rng.uniform(9, 30) if own else ahead - rng.uniform(8, 30))):
                _convoy(plan, drive, side, d, first, way, crowd, duration_s)


def _convoy(
    plan: WorldPlan, drive: Drive, side: int, d: float, first: float, way: int, crowd: float, duration_s: float
) -> None:
    """Vehicles of a lane from a position on, forwards or backwards; `first` counts along their own direction."""
    rng, street = plan.rng, plan.street
    at, course = first, 0.0 if side < 0 else np.pi
    # Oncoming vehicles that come into sight late start far away.
    reach = _IN_SIGHT_M + (2 * float(drive.speed.travelled(duration_s)[0]) if side > 0 > way else 0.0)
    while abs(at) < reach:
        members, length = _vehicle(rng)
        width = max(asset.size_lwh_m[1] for asset, _ in members)
        sway = max(0.0, (street.lane_m - width) / 2 - 0.05)
        center = at + way * length / 2
        start = center * -side  # their direction is +s if side is -1
        if _lane_is_free(plan, drive, start, d, (length, width), side, duration_s):
            for asset, offset in members:
                aside = float(np.clip(rng.normal(0, 0.12), -sway, sway))
                plan.move(asset, Track(street.road, start + offset * -side, d + aside, course, drive.speed))
        at += way * (length + 4.0 + rng.exponential(40.0 / max(crowd, 0.2)))


def _lane_is_free(
    plan: WorldPlan, drive: Drive, s: float, d: float, size_lw_m: tuple[float, float], side: int, duration_s: float
) -> bool:
    """Whether a vehicle never overlaps standing objects of its lane nor a junction that others cross."""
    length, width = size_lw_m
    run = float(drive.speed.travelled(duration_s)[0]) * -side
    low, high = min(s, s + run) - length / 2, max(s, s + run) + length / 2
    if not plan.free((low + high) / 2, d, (high - low) / 2, width / 2):
        return False
    if drive.junction is None:
        return True
    halt = s + float(drive.speed.travelled(drive.stop_s[0])[0]) * -side
    return abs(halt - drive.junction.s_m) > drive.junction.half_width_m + length / 2 + 5.5


def _vehicle(rng: Rng) -> tuple[list[tuple[Asset, float]], float]:
    """A road user, or a tractor with its trailer: assets with offsets along the direction, and the total length."""
    kind = rng.choice(
        ("car", "truck", "bus", "rig", "motorcycle", "bicycle"), p=(0.785, 0.07, 0.035, 0.065, 0.025, 0.02)
    )
    if kind == "rig":
        tractor, trailer = trucks.tractor(rng), trucks.trailer(rng)
        gap = trucks.coupled_offset_m(tractor, trailer)
        length = gap + (tractor.size_lwh_m[0] + trailer.size_lwh_m[0]) / 2
        front = length / 2 - tractor.size_lwh_m[0] / 2
        return [(tractor, front), (trailer, front - gap)], length
    make: dict[str, Callable[[Rng], Asset]] = {
        "car": cars.car,
        "truck": trucks.truck,
        "bus": buses.bus,
        "motorcycle": lambda r: two_wheelers.motorcycle(r, True),
        "bicycle": lambda r: two_wheelers.bicycle(r, True),
    }
    asset = make[str(kind)](rng)
    return [(asset, 0.0)], asset.size_lwh_m[0]


def _side_street(plan: WorldPlan, drive: Drive, junction: Junction, crowd: float, duration_s: float) -> None:
    """Vehicles that wait at the junction, or cross it while the traffic of the main street stands."""
    street, rng = plan.street, plan.rng
    crossing = junction is drive.junction
    for side in (1, -1):  # side that they come from
        s, course = junction.s_m - side * junction.half_width_m / 2, -side * np.pi / 2
        if crossing:
            for moment in np.arange(drive.stop_s[0] + 1.5, drive.stop_s[1] - 2.5, 2.6):
                if rng.random() < 0.45:
                    asset, farthest = cars.car(rng), _CROSSING_MPS * max(moment, duration_s - moment)
                    if farthest < DEPTH_M - 4 and plan.free(s, 0.0, 1.1, DEPTH_M):
                        start = side * _CROSSING_MPS * moment
                        plan.move(asset, Track(street.road, s, start, course, Speed.steady(_CROSSING_MPS)))
            continue
        at = street.kerb_m + 6.0
        for _ in range(int(rng.poisson(1.1 * crowd))):
            asset = trucks.truck(rng) if rng.random() < 0.06 else cars.car(rng)
            plan.stand(asset, s, side * (at + asset.size_lwh_m[0] / 2), course)
            at += asset.size_lwh_m[0] + rng.uniform(1.5, 4.0)
            if at > 60:
                break


def _two_wheelers_at_walls(plan: WorldPlan, block: Block, crowd: float) -> None:
    rng, street = plan.rng, plan.street
    for at in plan.along(block.start_m + 6, block.end_m - 6, 250.0 / crowd):
        for k in range(int(rng.integers(1, 4))):
            make = two_wheelers.bicycle if rng.random() < 0.5 else two_wheelers.motorcycle
            d = block.side * (street.kerb_m + street.sidewalk_m - 0.35)
            plan.stand(make(rng, False), at + 2.3 * k, d, rng.choice((0, np.pi)) + rng.normal(0, 0.08))


def _pedestrian(rng: Rng, walking: bool) -> Asset:
    return people.pedestrian(rng, walking, "child" if rng.random() < 0.02 else "adult")


def _standers(plan: WorldPlan, block: Block, crowd: float, share: float) -> None:
    """People alone or in groups who stand on the sidewalk."""
    rng, street = plan.rng, plan.street
    for at in plan.along(block.start_m + 3, block.end_m - 3, _PEOPLE_M / crowd / share):
        d = street.kerb_m + (street.sidewalk_m - 0.3 if rng.random() < 0.7 else 1.3)  # next to the wall, or to the kerb
        for k in range(_group(rng)):
            s, off = at + 0.7 * k, block.side * (d + rng.normal(0, 0.1))
            plan.stand(_pedestrian(rng, False), s, off, rng.uniform(0, 2 * np.pi), gap_m=0.0)


def _walkers(plan: WorldPlan, block: Block, duration_s: float, crowd: float, share: float) -> None:
    """People who walk along the sidewalk in files; those of a file have one speed.

    A person who would reach an obstacle stops before it and is alone in the file, so that no one collides.
    """
    rng, street = plan.rng, plan.street
    files = np.arange(street.kerb_m + 1.4, max(street.kerb_m + 1.5, street.kerb_m + street.sidewalk_m - 0.4), 0.75)
    ways = rng.choice((1, -1), len(files)).tolist()
    paces = np.clip(rng.normal(*_WALK_MPS, len(files)), 0.7, 2.0).tolist()
    walking = [0] * len(files)
    for at in plan.along(block.start_m + 3, block.end_m - 3, _PEOPLE_M / crowd / share):
        first = int(rng.integers(len(files)))
        for k in range(first, min(first + _group(rng), len(files))):
            d, way, pace = block.side * files[k], ways[k], paces[k]
            room = min(plan.way_m(at, d, way, 0.4), _to_edge(block, at, way))
            far = room > pace * (duration_s + 1.0)
            if (not far and (room < 4 or walking[k])) or walking[k] < 0:
                continue
            walking[k] = walking[k] + 1 if far else -1
            stop_s = room / pace
            speed = Speed.steady(pace) if far else Speed((stop_s - 0.6, stop_s), (pace, 0.0))
            plan.move(
                _pedestrian(rng, True), Track(street.road, at, d, 0.0 if way > 0 else np.pi, speed, KERB_HEIGHT_M)
            )


def _group(rng: Rng) -> int:
    return 1 + int(rng.random() < 0.35) * int(rng.integers(1, 3))


def _to_edge(block: Block, s_m: float, way: int) -> float:
    return (block.end_m - s_m if way > 0 else s_m - block.start_m) - 0.5


def _crossing_people(plan: WorldPlan, drive: Drive, junction: Junction) -> None:
    """People who use the crossing while the traffic stands."""
    rng, street = plan.rng, plan.street
    for way in (1, -1):  # before and after the junction
        for file_m in rng.permutation((-1.2, -0.4, 0.4, 1.2))[: int(rng.integers(0, 4))]:
            side = int(rng.choice((1, -1)))
            pace = float(np.clip(rng.normal(*_WALK_MPS), 0.9, 2.0))
            s = junction.s_m - way * (junction.half_width_m + 3.0 + file_m)
            begin = drive.stop_s[0] + rng.uniform(-0.5, 2.5)
            width = 2 * street.kerb_m - 0.6
            pace = max(pace, width / max(drive.stop_s[1] + 0.5 - begin, 1.0))
            if pace > _HURRY_MPS:  # still crossing when the traffic starts again
                continue
            speed = Speed(
                (begin, begin + 0.3, begin + width / pace, begin + width / pace + 0.3), (0.0, pace, pace, 0.0)
            )
            track = Track(street.road, s, side * (street.kerb_m - 0.3), -side * np.pi / 2, speed)
            asset = people.pedestrian(rng, True, "adult")
            if begin + width / pace < drive.stop_s[1]:  # done before the traffic starts again
                plan.move(asset, track)
