"""Pedestrians, riders, cones and barriers: sizes as in nuScenes, feet on the ground, equal bytes."""

from __future__ import annotations

import numpy as np
import pytest

from pointsam.synth.asset import Asset
from pointsam.synth.assets.people import pedestrian
from pointsam.synth.assets.roadside import barrier, traffic_cone
from pointsam.synth.assets.two_wheelers import bicycle, motorcycle

SEEDS = range(20)

KINDS = {
    "adult walking": lambda rng: pedestrian(rng, walking=True),
    "adult standing": lambda rng: pedestrian(rng, walking=False),
    "child walking": lambda rng: pedestrian(rng, walking=True, kind="child"),
    "child standing": lambda rng: pedestrian(rng, walking=False, kind="child"),
    "worker walking": lambda rng: pedestrian(rng, walking=True, kind="construction_worker"),
    "worker standing": lambda rng: pedestrian(rng, walking=False, kind="construction_worker"),
    "bicycle ridden": lambda rng: bicycle(rng, ridden=True),
    "bicycle parked": lambda rng: bicycle(rng, ridden=False),
    "motorcycle ridden": lambda rng: motorcycle(rng, ridden=True),
    "motorcycle parked": lambda rng: motorcycle(rng, ridden=False),
    "cone": traffic_cone,
    "jersey": lambda rng: barrier(rng, "jersey"),
    "plastic": lambda rng: barrier(rng, "plastic"),
    "fence": lambda rng: barrier(rng, "fence"),
}

SIZES_M = {
    "adult walking": ((0.7, 1.15), (0.42, 0.85), (1.5, 2.0)),
    "adult standing": ((0.28, 0.8), (0.42, 0.95), (1.5, 2.0)),
    "child walking": ((0.45, 0.9), (0.3, 0.65), (0.98, 1.45)),
    "child standing": ((0.2, 0.65), (0.28, 0.75), (0.98, 1.45)),
    "worker walking": ((0.7, 1.15), (0.45, 0.8), (1.55, 2.05)),
    "worker standing": ((0.28, 0.8), (0.42, 0.95), (1.55, 2.05)),
    "bicycle ridden": ((1.6, 1.85), (0.5, 0.9), (1.5, 1.95)),
    "bicycle parked": ((1.6, 1.85), (0.4, 0.7), (0.95, 1.2)),
    "motorcycle ridden": ((1.75, 2.15), (0.65, 1.0), (1.4, 1.85)),
    "motorcycle parked": ((1.75, 2.15), (0.65, 0.9), (1.0, 1.4)),
    "cone": ((0.2, 0.5), (0.2, 0.5), (0.45, 1.05)),
    "jersey": ((0.5, 0.62), (2.0, 2.5), (0.85, 1.1)),
    "plastic": ((0.4, 0.5), (1.5, 2.05), (0.85, 1.02)),
    "fence": ((0.5, 0.66), (2.0, 2.5), (1.0, 1.2)),
}

TRIANGLES = {"adult": 2500, "child": 2500, "worker": 2500, "bicycle": 5200, "motorcycle": 5600}


def make(kind: str, seed: int) -> Asset:
    return KINDS[kind](np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_size_is_that_of_the_class_for_any_seed(kind):
    sizes = np.array([make(kind, seed).size_lwh_m for seed in SEEDS])
    low, high = np.array(SIZES_M[kind]).T
    assert (sizes >= low).all(), sizes.min(axis=0)
    assert (sizes <= high).all(), sizes.max(axis=0)
    assert np.ptp(sizes[:, 2]) > 0, "all seeds alike"


@pytest.mark.parametrize("kind", KINDS)
def test_its_box_holds_every_pose(kind):
    asset = make(kind, 3)
    half = np.array(asset.size_lwh_m) / 2
    for mesh in asset.poses:
        assert (np.abs(mesh.vertices_m - (0, 0, half[2])) <= half + 1e-4).all()


@pytest.mark.parametrize("kind", [k for k in KINDS if "walking" in k])
def test_a_foot_is_on_the_ground_in_every_phase_of_the_gait(kind):
    for seed in range(5):
        asset = make(kind, seed)
        lowest = [mesh.vertices_m[:, 2].min() for mesh in asset.poses]
        np.testing.assert_allclose(lowest, 0, atol=1e-4)


@pytest.mark.parametrize("kind", ["adult walking", "bicycle ridden"])
def test_phases_differ_and_repeat(kind):
    asset = make(kind, 1)
    assert len(asset.poses) == 8
    for one, two in zip(asset.poses, asset.poses[1:], strict=False):
        assert np.abs(one.vertices_m - two.vertices_m).max() > 0.02
        assert one.materials == two.materials
        np.testing.assert_array_equal(one.triangles, two.triangles)
    assert asset.phase(0.3 * asset.cycle_m) == asset.phase(5.3 * asset.cycle_m)


def test_a_walker_takes_two_steps_a_cycle_that_his_legs_can_make():
    for seed in range(8):
        asset = make("adult walking", seed)
        assert 1.2 < asset.cycle_m < 1.6
        assert asset.size_lwh_m[0] > asset.cycle_m / 2


@pytest.mark.parametrize("kind", ["adult standing", "motorcycle ridden", "cone", "fence"])
def test_things_at_rest_have_one_pose(kind):
    asset = make(kind, 2)
    assert len(asset.poses) == 1
    assert asset.phase(12.0) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(kind):
    one, same, other = make(kind, 7), make(kind, 7), make(kind, 8)
    for a, b in zip(one.poses, same.poses, strict=True):
        for name in ("vertices_m", "triangles", "normals", "material_id", "texture_m"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
        assert a.materials == b.materials
    assert one.poses[0].vertices_m.tobytes() != other.poses[0].vertices_m.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_are_sound_and_within_their_budget(kind):
    for seed in range(6):
        for mesh in make(kind, seed).poses[:2]:
            assert len(mesh.triangles) <= TRIANGLES.get(kind.split()[0], 700)
            assert mesh.triangles.max() < len(mesh.vertices_m)
            assert mesh.material_id.max() < len(mesh.materials)
            assert np.isfinite(mesh.vertices_m).all()
            length = np.linalg.norm(mesh.normals, axis=2)
            assert (np.abs(length - 1) < 1e-3).mean() > 0.99


@pytest.mark.parametrize("kind", ["jersey", "plastic", "fence"])
def test_a_barrier_lies_across_as_in_nuscenes(kind):
    length, width, _ = make(kind, 0).size_lwh_m
    assert width > 2 * length


def test_safety_surfaces_are_retro_reflective():
    worker = make("worker standing", 0).poses[0].materials
    assert max(m.lidar_reflectance for m in worker) >= 0.9
    assert max(m.lidar_reflectance for m in make("cone", 0).poses[0].materials) == 1.0


def test_categories_are_those_of_nuscenes():
    names = {kind: make(kind, 0).category for kind in KINDS}
    assert names["worker walking"] == "human.pedestrian.construction_worker"
    assert names["child standing"] == "human.pedestrian.child"
    assert names["bicycle parked"] == "vehicle.bicycle"
    assert names["motorcycle ridden"] == "vehicle.motorcycle"
    assert names["cone"] == "movable_object.trafficcone"
    assert names["fence"] == "movable_object.barrier"
