"""Growth against a plain implementation, and what must hold for any points."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.geometry.ground import height_above_ground_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.grow import GrowConfig, grow
from pointsam.stages.recipes import RECIPES, with_overrides
from pointsam.taxonomy import BACKGROUND, NUSCENES, ClassSpec, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

CAR, PEDESTRIAN = NUSCENES.class_id("car"), NUSCENES.class_id("pedestrian")
ON = GrowConfig(enabled=True)
GROUND = np.array([[x, y, 0.0] for x in np.arange(4.0, 40.0, 1.0) for y in np.arange(-8.0, 8.5, 1.0)])


def body(x_m, y_m, length_m=4.0, width_m=1.8, height_m=1.5, step_m=0.3):
    """Points on the near side and the left side of an upright box on the ground."""
    z = np.arange(0.3, height_m, step_m)
    along, across = np.arange(0, length_m, step_m), np.arange(0, width_m, step_m)
    side = np.array([[x_m + a, y_m, h] for a in along for h in z])
    front = np.array([[x_m, y_m - a, h] for a in across for h in z])
    return np.concatenate([side, front])


def scene(*objects):
    """Points of ground and objects, and the object of each point, -1 for the ground."""
    which = np.repeat(np.arange(-1, len(objects)), [len(GROUND), *(len(one) for one in objects)])
    return np.concatenate([GROUND, *objects]), which


def labels_of(ids, class_of):
    ids = np.asarray(ids, dtype=np.int32)
    return PointLabels(ids, np.append(np.asarray(class_of, np.uint8), np.uint8(BACKGROUND))[ids])


def grown(xyz, labels, config=ON, taxonomy=NUSCENES, ego_SE3_lidar=None):
    out, added = grow(xyz.astype(np.float32), ego_SE3_lidar or SE3.identity(), labels, taxonomy, config)
    before = labels.instance_id
    assert np.array_equal(out.instance_id[before != NO_INSTANCE], before[before != NO_INSTANCE])
    assert np.array_equal(out.class_id[before != NO_INSTANCE], labels.class_id[before != NO_INSTANCE])
    assert np.array_equal(added, (before == NO_INSTANCE) & (out.instance_id != NO_INSTANCE))
    return out.instance_id


def half(which, objects=(0,)):
    """Every second point of the objects is labelled."""
    ids = np.full(len(which), NO_INSTANCE)
    for number, one in enumerate(objects):
        ids[np.flatnonzero(which == one)[::2]] = number
    return ids


def test_a_car_of_which_half_is_masked_becomes_whole():
    xyz, which = scene(body(10, 2))
    assert (grown(xyz, labels_of(half(which), [CAR])) == which).all()


def test_nothing_grows_unless_it_is_enabled():
    xyz, which = scene(body(10, 2))
    ids = half(which)
    assert (grown(xyz, labels_of(ids, [CAR]), GrowConfig()) == ids).all()
    assert not RECIPES["paper"]().clusters.grow.enabled
    assert RECIPES["default"]().clusters.grow.enabled


def test_the_ground_between_two_objects_is_no_bridge():
    xyz, which = scene(body(10, 2), body(10, -2))
    lane = np.array([[10.0, y, 0.02] for y in np.arange(-2, 2, 0.1)])
    xyz, which = np.concatenate([xyz, lane]), np.append(which, np.full(len(lane), -1))
    ids = half(which, objects=(0,))
    assert (grown(xyz, labels_of(ids, [CAR])) == np.where(which == 0, 0, NO_INSTANCE)).all()


def test_two_clusters_on_one_component_do_not_share_it():
    xyz, which = scene(body(10, 2, length_m=4.0), body(14.0, 2, length_m=4.0))
    ids = half(which, objects=(0, 1))
    assert (grown(xyz, labels_of(ids, [CAR, CAR])) == ids).all()


def test_what_would_be_larger_than_its_class_can_be_does_not_grow():
    wall = body(8, 2, length_m=14.0)
    xyz, which = scene(wall)
    ids = half(which)
    assert (grown(xyz, labels_of(ids, [CAR])) == ids).all()
    assert (grown(xyz, labels_of(ids, [NUSCENES.class_id("trailer")])) == which).all()


def test_a_cluster_of_a_class_without_a_typical_size_at_most_doubles():
    xyz, which = scene(body(8, 2, length_m=14.0))
    alone = Taxonomy("own", (ClassSpec("wall"),))
    assert (grown(xyz, labels_of(half(which), [0]), taxonomy=alone) == which).all()
    third = np.full(len(which), NO_INSTANCE)
    third[np.flatnonzero(which == 0)[::3]] = 0
    assert (grown(xyz, labels_of(third, [0]), taxonomy=alone) == third).all()


def test_both_distances_together_do_not_more_than_double_it():
    near, behind = body(8, 2), body(13, 2, length_m=2.0)
    xyz, which = scene(near, behind)
    ids = half(which)
    ids[np.flatnonzero(which == 1)[:40]] = 0
    taken = grown(xyz, labels_of(ids, [0]), taxonomy=Taxonomy("own", (ClassSpec("wall"),)))
    assert np.count_nonzero(ids == 0) < np.count_nonzero(taken == 0) <= 2 * np.count_nonzero(ids == 0)


def test_a_tree_above_a_car_stays_unlabelled():
    tree = body(10, 2) + np.array([0, 0, 5.5])
    xyz, which = scene(body(10, 2), tree)
    assert (grown(xyz, labels_of(half(which), [CAR])) == np.where(which == 0, 0, NO_INSTANCE)).all()


def test_small_classes_take_near_points_only():
    person = np.array([[10.0, 0.0, z] for z in np.arange(0.3, 1.7, 0.1)])
    other = person + np.array([0.0, 0.4, 0.0])
    xyz, which = scene(person, other)
    taken = grown(xyz, labels_of(half(which), [PEDESTRIAN]))
    assert (taken == np.where(which == 0, 0, NO_INSTANCE)).all()


def test_up_is_the_vehicles_up_not_the_sensors():
    xyz, which = scene(body(10, 2))
    tilted = SE3(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array([0.0, 0.0, 1.8]))
    level = SE3(np.eye(3), np.array([0.0, 0.0, 1.8]))
    ids = labels_of(half(which), [CAR])
    assert (grown(level.inverse().apply(xyz), ids, ego_SE3_lidar=level) == which).all()
    assert (grown(tilted.inverse().apply(xyz), ids, ego_SE3_lidar=tilted) == which).all()


def test_rows_without_a_position_stay_without_an_object():
    xyz, which = scene(body(10, 2))
    gap = np.full((3, 3), np.nan)
    ids = np.append(half(which), [NO_INSTANCE] * 3)
    assert (grown(np.concatenate([xyz, gap]), labels_of(ids, [CAR]))[-3:] == NO_INSTANCE).all()


def test_an_empty_sweep_and_one_without_clusters():
    assert len(grown(np.zeros((0, 3)), PointLabels.empty(0))) == 0
    assert (grown(GROUND, PointLabels.empty(len(GROUND))) == NO_INSTANCE).all()


@pytest.mark.parametrize("link", ["coarse", "fine"])
@pytest.mark.parametrize("field", ["share", "inside", "floor_m", "range_coef"])
def test_a_link_out_of_range_is_refused_by_name(link, field):
    wrong = replace(getattr(ON, link), **{field: -0.1})
    with pytest.raises(SchemaError, match=rf"SCH005.*grow\.{link}\.{field}"):
        replace(ON, **{link: wrong})


def test_heights_between_which_no_point_can_lie_are_refused():
    with pytest.raises(SchemaError, match=r"SCH005.*grow\.clearance_m(.|\n)*less than grow\.highest_m"):
        replace(ON, clearance_m=5.0, highest_m=5.0)


def test_the_links_are_fields_of_the_recipe():
    changed = with_overrides(RECIPES["default"](), ["clusters.grow.coarse.floor_m=0.5"])
    assert changed.clusters.grow.coarse == replace(ON.coarse, floor_m=0.5)


def random_scene(seed, wide=False):
    """Clumps of points, most of them near each other, with random clusters; a few labels are wrong.

    A wide scene has a fence that passes by some of the clumps.
    """
    rng = np.random.default_rng(seed)
    centers = rng.uniform([4, -8, 0.3], [14, 8, 2.0], (10, 3))
    fence = (
        np.array([[x, centers[0, 1] + rng.normal(0, 0.1), 1.0] for x in np.arange(6.0, 60.0, 0.2)])
        if wide
        else GROUND[:0]
    )
    clump = rng.integers(0, 10, 100)
    xyz = np.concatenate([GROUND[::9], fence, centers[clump] + rng.normal(0, rng.choice([0.1, 0.2, 0.5]), (100, 3))])
    owners = rng.integers(0, 5, 10)
    ids = np.full(len(xyz), NO_INSTANCE)
    ids[-100:] = np.where(rng.random(100) < rng.choice([0.2, 0.5, 0.8]), owners[clump], NO_INSTANCE)
    stray = rng.random(len(xyz)) < 0.01
    ids[stray] = rng.integers(0, 5, np.count_nonzero(stray))
    return xyz.astype(np.float32), labels_of(ids, rng.choice([CAR, CAR, PEDESTRIAN, 1, 9], 5))


def grown_slowly(xyz, labels, taxonomy, config, height):
    """All pairs of points, and loops over clusters and components."""
    xyz, owner = xyz.astype(np.float64), labels.instance_id.copy()
    class_of = {int(k): int(labels.class_id[owner == k][0]) for k in np.unique(owner[owner >= 0])}
    range_m = np.hypot(xyz[:, 0], xyz[:, 1])
    standing = [i for i in range(len(xyz)) if config.clearance_m <= height[i] <= config.highest_m and range_m[i] > 2.5]
    for link in (config.coarse, config.fine):
        component = {i: i for i in standing}
        reach = {i: max(link.floor_m, link.range_coef * range_m[i]) for i in standing}
        for i in standing:
            seeds = [i]
            while seeds:
                here = seeds.pop()
                step = xyz[standing] - xyz[here]
                step[:, 2] = config.vertical * (height[standing] - height[here])
                near = [
                    j
                    for j, d in zip(standing, (step**2).sum(axis=1), strict=True)
                    if d < max(reach[here], reach[j]) ** 2
                ]
                for j in near:
                    if component[j] > component[i]:
                        component[j] = component[i]
                        seeds.append(j)
        taken = {}
        for name in sorted(set(component.values())):
            members = [i for i in standing if component[i] == name]
            held = [owner[i] for i in members if owner[i] >= 0]
            for cluster in sorted(set(held)):
                own, rest = held.count(cluster), len(held) - held.count(cluster)
                above = sum(owner[i] == cluster for i in standing)
                spec = taxonomy.classes[class_of[cluster]]
                if (
                    own >= link.share * len(members)
                    and own >= link.inside * above
                    and rest <= config.others * len(members)
                    and rest < own
                    and (spec.is_large or link.small_classes)
                ):
                    taken.setdefault(cluster, []).append([i for i in members if owner[i] < 0])
        for cluster, parts in taken.items():
            own, size = np.flatnonzero(owner == cluster), taxonomy.classes[class_of[cluster]].typical_lwh_m
            fitting = [part for part in parts if fits_slowly(xyz[[*own, *part], :2], size, config.largest)]
            new = [i for part in fitting for i in part]
            if new and fits_slowly(xyz[[*own, *new], :2], size, config.largest):
                owner[new] = cluster
    return owner


def fits_slowly(points, size, largest):
    widths = []
    for degrees in range(0, 180, 3):
        a = np.deg2rad(degrees)
        along = [x * np.cos(a) + y * np.sin(a) for x, y in points]
        widths.append(max(along) - min(along))
    return max(widths) <= largest * max(size[:2]) and min(widths) <= largest * min(size[:2])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_it_equals_the_plain_implementation(seed, wide):
    xyz, labels = random_scene(seed, wide)
    height = height_above_ground_m(xyz.astype(np.float64))
    assert np.array_equal(grown(xyz, labels), grown_slowly(xyz, labels, NUSCENES, ON, height))


def test_the_random_scenes_grow_and_refuse_to_grow():
    before_after = [(labels, grown(xyz, labels)) for xyz, labels in map(random_scene, range(25))]
    assert sum((after != labels.instance_id).any() for labels, after in before_after) > 12
    assert sum((after == labels.instance_id).all() for labels, after in before_after) > 5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_shuffled_points_and_renamed_clusters_give_the_same_labels(seed):
    xyz, labels = random_scene(seed)
    rng = np.random.default_rng(seed)
    order, name = rng.permutation(len(xyz)), rng.permutation(5).astype(np.int32)
    ids = np.append(name, np.int32(NO_INSTANCE))[labels.instance_id]
    shuffled = grown(xyz[order], PointLabels(ids[order], labels.class_id[order]))
    assert np.array_equal(shuffled, np.append(name, np.int32(NO_INSTANCE))[grown(xyz, labels)][order])
