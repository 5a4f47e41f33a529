"""Complete scenes: no object overlaps another."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest

SEEDS = range(6)
KEY_S = np.arange(40) * 0.5
TOUCH_M = 0.1
IN_SIGHT_M = 110.0
"""Farther away, nobody sees that traffic comes out of and goes into the houses at the end of the street."""

UNIT = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) / 2
NEAR_GROUND_M = 2.0
"""Lamps and traffic lights reach over the road higher up."""


class Body(NamedTuple):
    """Something solid: (40,4,2) corners of its outline at every key frame."""

    name: str
    labelled: bool
    corners: np.ndarray


@pytest.fixture(scope="module")
def worlds(film):
    """Of 20 seconds each."""
    return [film("mixed", 0, seed=seed, frames=40).world for seed in SEEDS]


def outline(asset, labelled):
    """(4,2) in its own frame: of its box, or of what there is near the ground."""
    if labelled:
        return UNIT * asset.size_lwh_m[:2]
    low = asset.poses[0].vertices_m
    low = low[low[:, 2] < NEAR_GROUND_M, :2]
    return UNIT * np.ptp(low, axis=0) + (low.max(axis=0) + low.min(axis=0)) / 2


def moved(outline_m, track):
    """(40,4,2) in the world."""
    xyz, yaw = track.pose(KEY_S)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.stack([c, -s, s, c], axis=1).reshape(-1, 2, 2)
    return np.einsum("tij,kj->tki", turn, outline_m) + xyz[:, None, :2]


def bodies(world):
    """The vehicle first."""
    yield Body("vehicle.ego", True, moved(UNIT * (4.1, 1.75) + (1.3, 0), world.ego))
    for thing in world.things:
        if thing.track is not None and thing.asset.category != "static.vegetation":  # twigs give way
            name, labelled = thing.asset.category, thing.instance > 0
            yield Body(f"{name} {thing.object_id}", labelled, moved(outline(thing.asset, labelled), thing.track))


def overlap_m(a, b):
    """(T,) how deep (T,4,2) rectangles lie in each other, 0 if they do not: the least shift that parts them."""
    edges = np.stack([a[:, 1] - a[:, 0], a[:, 2] - a[:, 1], b[:, 1] - b[:, 0], b[:, 2] - b[:, 1]], axis=1)
    axes = np.stack([-edges[..., 1], edges[..., 0]], axis=2) / np.linalg.norm(edges, axis=2, keepdims=True)
    pa, pb = (axes @ corners.transpose(0, 2, 1) for corners in (a, b))
    parts = np.minimum(pa.max(axis=2) - pb.min(axis=2), pb.max(axis=2) - pa.min(axis=2))
    return np.maximum(0, parts.min(axis=1))


def collisions(world):
    """(one, other, metres, seconds) of all that lie in each other where the vehicle may see it."""
    every = list(bodies(world))
    center = np.array([body.corners.mean(axis=1) for body in every])
    reach = np.array([np.linalg.norm(body.corners[0, 0] - body.corners[0, 2]) / 2 for body in every])
    in_sight = np.linalg.norm(center - center[0], axis=2) < IN_SIGHT_M
    for i, j in combinations(range(len(every)), 2):
        one, other = every[i], every[j]
        if not (one.labelled or other.labelled):
            continue
        close = np.linalg.norm(center[i] - center[j], axis=1) < reach[i] + reach[j]
        close &= in_sight[i] & in_sight[j]
        coupled = {one.name.split()[0], other.name.split()[0]} == {"vehicle.truck", "vehicle.trailer"}
        if close.any() and not coupled:
            depth = overlap_m(one.corners, other.corners) * close
            if depth.max() > TOUCH_M:
                yield one, other, round(float(depth.max()), 2), KEY_S[depth.argmax()]


@pytest.fixture(scope="module")
def hits(worlds):
    """Collisions of all worlds: names, whether both are labelled, and how badly."""
    return [
        ((a.name, b.name), a.labelled and b.labelled, (seed, metres, t_s))
        for seed, world in zip(SEEDS, worlds, strict=True)
        for a, b, metres, t_s in collisions(world)
    ]


def test_nothing_drives_through_anything(hits):
    assert [hit for hit in hits if hit[1] and "vehicle.ego" not in hit[0]] == []


def test_the_vehicle_touches_nothing(hits):
    assert [hit for hit in hits if "vehicle.ego" in hit[0]] == []


def test_no_person_collides_with_a_wall(hits):
    assert [hit for hit in hits if not hit[1] and "vehicle.ego" not in hit[0]] == []


def test_the_probe_sees_a_collision():
    square = np.array([[(1, 1), (1, -1), (-1, -1), (-1, 1)]], float)
    assert overlap_m(square, square + np.array((1.5, 0))) == pytest.approx([0.5])
    assert overlap_m(square, square + np.array((2.1, 0))) == [0]


def test_a_trailer_stays_behind_its_tractor(worlds):
    for world in worlds:
        for trailer in (t for t in world.boxed if t.asset.category == "vehicle.trailer" and t.moves):
            tractor = world.things[trailer.object_id - 1]
            assert tractor.asset.category == "vehicle.truck"
            gaps = np.linalg.norm(tractor.track.pose(KEY_S)[0] - trailer.track.pose(KEY_S)[0], axis=1)
            assert np.ptp(gaps) < 0.3  # in a bend the two are turned against each other


def test_traffic_keeps_coming_to_the_end(worlds):
    def on_the_road(world, t_s):
        ego = world.ego.pose(t_s)[0]
        going = [t.track.pose(t_s)[0] for t in world.boxed if t.moves and t.asset.category.startswith("vehicle.")]
        return sum(np.linalg.norm(xyz - ego) < 80 for xyz in going)

    driving = [world for world in worlds if world.ego.moves]
    first, last = (sum(on_the_road(world, t_s) for world in driving) for t_s in (0.0, KEY_S[-1]))
    assert len(driving) > 3
    assert last > 0.7 * first


def test_ids_are_positions_and_instances_count_up_by_category(worlds):
    for world in worlds:
        assert [t.object_id for t in world.things] == list(range(len(world.things)))
        for category in {t.asset.category for t in world.boxed}:
            numbers = [t.instance for t in world.boxed if t.asset.category == category]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) < 1000  # the panoptic format has three digits


def test_a_description_names_weather_and_traffic(worlds):
    for world in worlds:
        synthetic, weather, story, *_ = world.description.split(", ")
        assert (synthetic, weather) == ("Synthetic", world.weather.name)
        assert story == "parked" if not world.ego.moves else story in ("drive", "wait at junction")


def test_the_same_seed_makes_the_same_world(film):
    a, b = (film("mixed", 1, seed=9).world for _ in range(2))
    assert a.description == b.description
    assert a.weather == b.weather
    for one, other in zip(a.things, b.things, strict=True):
        assert one.track == other.track
        for mesh, twin in zip(one.asset.poses, other.asset.poses, strict=True):
            np.testing.assert_array_equal(mesh.vertices_m, twin.vertices_m)


def test_all_ten_classes_occur(worlds):
    from pointsam.datasets.nuscenes.truth import CATEGORIES
    from pointsam.taxonomy import NUSCENES

    classes = {CATEGORIES.class_id(t.asset.category) for world in worlds for t in world.boxed}
    assert classes == set(range(len(NUSCENES.names)))


def test_phases_of_neighbouring_people_differ(worlds):
    people = [t for world in worlds for t in world.boxed if len(t.asset.poses) == 8]
    assert len(people) > 10
    assert len({t.pose_indices(0.0)[0] for t in people}) > 5


def test_nothing_moves_in_a_still_world(still):
    assert not still.world.ego.moves
    assert "still" not in still.world.weather.name
    before, after = ([t.world_SE3_thing(s).translation_m.tolist() for t in still.world.boxed] for s in (0.0, 10.0))
    assert before == after
