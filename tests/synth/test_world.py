"""Scenes as wholes: nothing stands in or drives through anything else."""

from itertools import combinations

import numpy as np
import pytest

SEEDS = range(6)
TOUCH_M = 0.25


@pytest.fixture(scope="module", params=SEEDS)
def world(request, film, open3d):
    return film("mixed", 0, seed=request.param, frames=40).world


def outlines(world, t_s):
    """(object_id, category, (4,2) corners) of everything that bears a box, and of the vehicle with id -1."""
    shapes = [(t.object_id, t.asset.category, t.asset.size_lwh_m, t.world_SE3_thing(t_s), 0.0) for t in world.boxed]
    shapes.append((-1, "vehicle.ego", (4.1, 1.75, 1.6), world.world_SE3_ego(t_s), 1.3))
    unit = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) / 2
    for object_id, category, (length, width, _), pose, ahead in shapes:
        corners = unit * (length, width) + (ahead, 0)
        yield object_id, category, corners @ pose.rotation[:2, :2].T + pose.translation_m[:2]


def overlap_m(a, b):
    """How deep two rectangles lie in each other, 0 if they do not: the least shift that parts them."""
    least = np.inf
    for corners in (a, b):
        for edge in (corners[1] - corners[0], corners[2] - corners[1]):
            axis = np.array([-edge[1], edge[0]]) / np.linalg.norm(edge)
            pa, pb = a @ axis, b @ axis
            least = min(least, pa.max() - pb.min(), pb.max() - pa.min())
    return max(0.0, least)


def collisions(world, t_s):
    shapes = list(outlines(world, t_s))
    middles = np.array([corners.mean(axis=0) for _, _, corners in shapes])
    reach = np.array([np.linalg.norm(corners[0] - corners[2]) / 2 for _, _, corners in shapes])
    for i, j in combinations(range(len(shapes)), 2):
        if np.linalg.norm(middles[i] - middles[j]) < reach[i] + reach[j]:
            (a, ca, pa), (b, cb, pb) = shapes[i], shapes[j]
            if {ca, cb} != {"vehicle.truck", "vehicle.trailer"} and overlap_m(pa, pb) > TOUCH_M:
                yield t_s, (a, ca), (b, cb), round(overlap_m(pa, pb), 2)


def test_nothing_drives_through_anything(world):
    assert [hit for t_s in np.arange(0, 19.6, 1.5) for hit in collisions(world, float(t_s))] == []


def test_the_probe_sees_a_collision():
    square = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)], float)
    assert overlap_m(square, square + np.array((1.5, 0))) == pytest.approx(0.5)
    assert overlap_m(square, square + np.array((2.1, 0))) == 0


def test_ids_are_positions_and_instances_count_up_by_category(world):
    assert [t.object_id for t in world.things] == list(range(len(world.things)))
    for category in {t.asset.category for t in world.boxed}:
        numbers = [t.instance for t in world.boxed if t.asset.category == category]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) < 1000  # the panoptic format has three digits


def test_the_same_seed_makes_the_same_world(film):
    a, b = (film("mixed", 1, seed=9).world for _ in range(2))
    assert a.description == b.description
    assert a.weather == b.weather
    for one, other in zip(a.things, b.things, strict=True):
        assert one.track == other.track
        for mesh, twin in zip(one.asset.poses, other.asset.poses, strict=True):
            np.testing.assert_array_equal(mesh.vertices_m, twin.vertices_m)


def test_all_ten_classes_occur(film):
    from pointsam.datasets.nuscenes_truth import CATEGORIES
    from pointsam.taxonomy import NUSCENES

    classes = set()
    for seed in range(8):
        classes |= {CATEGORIES.class_id(t.asset.category) for t in film("mixed", 0, seed=seed).world.boxed}
    assert classes == set(range(len(NUSCENES.names)))


def test_people_side_by_side_are_not_in_step(film):
    people = [t for scene in range(4) for t in film("day", scene).world.boxed if len(t.asset.poses) == 8]
    assert len(people) > 10
    assert len({t.pose_indices(0.0)[0] for t in people}) > 5


def test_nothing_moves_in_a_still_world(still):
    assert not still.world.ego.moves
    assert "still" not in still.world.weather.name
    before, after = ([t.world_SE3_thing(s).translation_m.tolist() for t in still.world.boxed] for s in (0.0, 10.0))
    assert before == after
