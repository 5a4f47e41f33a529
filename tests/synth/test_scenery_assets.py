"""Buildings, vegetation and street furniture: sizes, triangle budgets, equal bytes, functions."""

from __future__ import annotations

import numpy as np
import pytest

from pointsam.synth.asset import Asset
from pointsam.synth.assets import scenery

SEEDS = range(20)

KINDS = {
    "building": lambda rng: scenery.building(rng, 24.0, 12.0),
    "tree": scenery.tree,
    "bush": scenery.bush,
    "hedge": lambda rng: scenery.hedge(rng, 8.0),
    "street_lamp": scenery.street_lamp,
    "traffic_light": scenery.traffic_light,
    "sign": scenery.sign,
    "bollard": scenery.bollard,
    "furniture": scenery.furniture,
    "wall": lambda rng: scenery.wall(rng, 8.0),
    "fence": lambda rng: scenery.fence(rng, 8.0),
    "bus_shelter": scenery.bus_shelter,
}

SIZES_M = {
    "building": ((23.9, 25.0), (12.0, 15.0), (8.0, 28.5)),
    "tree": ((1.5, 9.0), (1.5, 9.0), (4.6, 11.6)),
    "bush": ((0.7, 2.6), (0.7, 2.6), (0.5, 1.9)),
    "hedge": ((7.8, 8.3), (0.5, 1.3), (0.75, 1.95)),
    "street_lamp": ((0.15, 0.6), (0.15, 3.2), (4.0, 10.5)),
    "traffic_light": ((0.25, 0.8), (0.4, 6.0), (3.2, 6.5)),
    "sign": ((0.05, 0.2), (0.5, 1.6), (2.4, 3.4)),
    "bollard": ((0.1, 0.3), (0.1, 0.3), (0.75, 1.15)),
    "furniture": ((0.2, 2.0), (0.3, 1.0), (0.75, 1.5)),
    "wall": ((7.9, 8.2), (0.2, 0.6), (0.7, 2.4)),
    "fence": ((7.8, 8.1), (0.02, 0.2), (0.8, 2.1)),
    "bus_shelter": ((3.3, 4.7), (1.5, 2.0), (2.3, 2.8)),
}

GREEN = ("tree", "bush", "hedge")


def make(kind: str, seed: int) -> Asset:
    return KINDS[kind](np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_size_is_realistic_for_any_seed(kind):
    sizes = np.array([make(kind, seed).size_lwh_m for seed in SEEDS])
    low, high = np.array(SIZES_M[kind]).T
    assert (sizes >= low).all(), sizes.min(axis=0)
    assert (sizes <= high).all(), sizes.max(axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_are_sound_stand_on_the_ground_and_keep_to_their_budget(kind):
    for seed in range(6):
        (mesh,) = make(kind, seed).poses
        assert len(mesh.triangles) <= 6000
        assert mesh.vertices_m[:, 2].min() == pytest.approx(0, abs=1e-4)
        assert mesh.triangles.max() < len(mesh.vertices_m)
        assert mesh.material_id.max() < len(mesh.materials)
        assert np.isfinite(mesh.vertices_m).all()
        assert (np.abs(np.linalg.norm(mesh.normals, axis=2) - 1) < 1e-3).mean() > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(kind):
    (one,), (same,), (other,) = (make(kind, seed).poses for seed in (5, 5, 6))
    for name in ("vertices_m", "triangles", "normals", "material_id", "texture_m"):
        assert getattr(one, name).tobytes() == getattr(same, name).tobytes()
    assert one.materials == same.materials
    assert one.vertices_m.tobytes() != other.vertices_m.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_plants_have_the_category_of_vegetation(kind):
    assert make(kind, 0).category == ("static.vegetation" if kind in GREEN else "static.manmade")


@pytest.mark.parametrize("size", [(8.0, 8.0), (24.0, 12.0), (60.0, 20.0)])
def test_buildings_of_any_length_keep_to_the_budget(size):
    for seed in range(8):
        asset = scenery.building(np.random.default_rng(seed), *size)
        assert 8 <= asset.size_lwh_m[2] <= 28.5
        assert len(asset.poses[0].triangles) <= 6000


def test_the_crown_of_a_tree_is_above_head_height():
    for seed in SEEDS:
        (mesh,) = make("tree", seed).poses
        leaf = [i for i, m in enumerate(mesh.materials) if m.texture == "foliage"]
        crown = mesh.vertices_m[mesh.triangles[np.isin(mesh.material_id, leaf)]]
        assert crown[..., 2].min() > 2.2


def test_windows_stop_the_lidar_and_lie_inside_the_wall():
    for seed in range(6):
        (mesh,) = make("building", seed).poses
        assert not any(m.clear for m in mesh.materials)
        assert any(m.gloss >= 0.6 for m in mesh.materials)


def test_lamps_emit_and_signs_are_retro_reflective():
    assert any(m.emit == (8.0, 7.0, 5.0) for m in make("street_lamp", 0).poses[0].materials)
    assert any(max(m.emit) > 4 for m in make("traffic_light", 0).poses[0].materials)
    for seed in range(6):
        assert any(m.reflectance == 1.0 for m in make("sign", seed).poses[0].materials)


@pytest.mark.parametrize("make_long", [scenery.hedge, scenery.wall, scenery.fence])
@pytest.mark.parametrize("length_m", [2.0, 12.0, 30.0])
def test_walls_and_fences_have_the_requested_length(make_long, length_m):
    for seed in range(4):
        asset = make_long(np.random.default_rng(seed), length_m)
        assert asset.size_lwh_m[0] == pytest.approx(length_m, abs=0.3)
        assert len(asset.poses[0].triangles) <= 6000
