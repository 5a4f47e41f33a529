"""Vehicles of the synthetic world: sizes, budgets, parts."""

import numpy as np
import pytest

from pointsam.synth.assets.buses import bus
from pointsam.synth.assets.cars import car
from pointsam.synth.assets.construction import construction_vehicle
from pointsam.synth.assets.trucks import coupled_offset_m, tractor, trailer, truck
from pointsam.synth.raycast import RayScene

KINDS = {  # nuScenes counts pick-ups as trucks
    "car": (car, {"vehicle.car", "vehicle.truck"}, ((3.7, 5.3), (1.7, 2.05), (1.4, 1.95)), 6000),
    "truck": (truck, {"vehicle.truck"}, ((5.3, 9.0), (2.0, 2.95), (2.1, 3.8)), 9000),
    "tractor": (tractor, {"vehicle.truck"}, ((5.0, 7.2), (2.6, 2.95), (2.7, 3.9)), 9000),
    "trailer": (trailer, {"vehicle.trailer"}, ((10.5, 13.6), (2.4, 3.0), (2.0, 4.1)), 9000),
    "bus": (bus, {"vehicle.bus.rigid"}, ((11.0, 12.5), (2.8, 3.0), (3.2, 3.6)), 9000),
    "construction": (construction_vehicle, {"vehicle.construction"}, ((5.0, 7.8), (2.3, 3.2), (2.6, 3.5)), 9000),
}
MEAN_LWH_M = {
    "car": (4.6, 1.95, 1.73),
    "truck": (6.9, 2.5, 2.85),
    "trailer": (12.3, 2.9, 3.9),
    "bus": (11.8, 2.9, 3.4),
    "construction": (6.4, 2.8, 3.2),
}
casts_rays = pytest.mark.usefixtures("open3d")
GLAZED = sorted(set(KINDS) - {"trailer"})


@pytest.fixture(scope="module", params=sorted(KINDS))
def kind(request):
    """A kind of vehicle and twenty of it."""
    make = KINDS[request.param][0]
    return request.param, [make(np.random.default_rng(seed)) for seed in range(20)]


def clear(mesh):
    """(T,) triangles that the LiDAR looks through."""
    return np.array([m.clear for m in mesh.materials])[mesh.material_id]


def test_is_of_its_class_and_size(kind):
    name, fleet = kind
    _, categories, ranges, _ = KINDS[name]
    assert {asset.category for asset in fleet} == categories
    sizes = np.array([asset.size_lwh_m for asset in fleet])
    for axis, (least, most) in enumerate(ranges):
        assert least <= sizes[:, axis].min()
        assert sizes[:, axis].max() <= most
    assert len(np.unique(sizes.round(3), axis=0)) == len(fleet)


def test_mean_size_is_that_of_nuscenes(kind):
    name, fleet = kind
    if name not in MEAN_LWH_M:
        pytest.skip("nuScenes does not tell tractors from other trucks")
    mean = np.mean([asset.size_lwh_m for asset in fleet], axis=0)
    np.testing.assert_allclose(mean, MEAN_LWH_M[name], rtol=0.12)


def test_box_holds_all_and_stands_on_the_ground(kind):
    for asset in kind[1]:
        (mesh,) = asset.poses
        low, high = mesh.extent_m()
        length, width, height = asset.size_lwh_m
        np.testing.assert_allclose(low, (-length / 2, -width / 2, 0), atol=1e-5)
        np.testing.assert_allclose(high, (length / 2, width / 2, height), atol=1e-5)


def test_same_seed_gives_same_bytes(kind):
    make = KINDS[kind[0]][0]
    again = make(np.random.default_rng(3)).poses[0]
    mesh = kind[1][3].poses[0]
    assert mesh.materials == again.materials
    for field in ("vertices_m", "triangles", "normals", "material_id", "texture_m"):
        assert getattr(mesh, field).tobytes() == getattr(again, field).tobytes()


def test_keeps_the_triangle_budget_and_is_sound(kind):
    for asset in kind[1]:
        (mesh,) = asset.poses
        assert 1000 < len(mesh.triangles) <= KINDS[kind[0]][3]
        assert mesh.triangles.max() < len(mesh.vertices_m)
        assert np.isfinite(mesh.vertices_m).all()
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=2), 1, atol=1e-3)


def test_stands_on_its_wheels_or_tracks(kind):
    for asset in kind[1]:
        if kind[0] == "trailer":
            continue
        points = asset.poses[0].vertices_m
        foot = points[points[:, 2] < 0.03]
        assert np.ptp(foot[:, 0]) > 0.3 * asset.size_lwh_m[0]
        assert np.ptp(foot[:, 1]) > 0.6 * asset.size_lwh_m[1]


def test_lamps_are_where_they_belong():
    for seed in range(10):
        (mesh,) = car(np.random.default_rng(seed)).poses
        center = mesh.vertices_m[mesh.triangles].mean(axis=1)
        lit = np.array([m.emit[0] > 0 for m in mesh.materials])[mesh.material_id]
        red = np.array([m.rgb[0] > 5 * m.rgb[1] for m in mesh.materials])[mesh.material_id]
        assert (center[lit & ~red, 0] > 1).any()
        assert (center[lit & red, 0] < -1).any()
        assert (np.abs(center[lit, 0]) > 1).all()


def test_colours_vary_and_most_cars_are_dull():
    bodies = [car(np.random.default_rng(seed)).poses[0].materials[0].rgb for seed in range(60)]
    spread = np.ptp(bodies, axis=1)
    assert 0.6 < (spread < 0.05).mean() < 0.95
    assert len({tuple(np.round(rgb, 1)) for rgb in bodies}) >= 6


@casts_rays
@pytest.mark.parametrize("name", GLAZED)
def test_lidar_sees_past_the_side_windows_and_cameras_do_not(name):
    for seed in range(6):
        (mesh,) = KINDS[name][0](np.random.default_rng(seed)).poses
        glass = clear(mesh)
        corners = mesh.vertices_m[mesh.triangles].astype(np.float64)
        normal = mesh.normals.mean(axis=1)
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        pane = np.flatnonzero(glass & (np.abs(normal[:, 1]) > 0.8) & (area > 0.01))
        assert len(pane) >= 4
        place = corners[pane].mean(axis=1)
        inwards = np.column_stack([np.zeros(len(pane)), -np.sign(normal[pane, 1]), np.zeros(len(pane))])
        solid = RayScene(mesh.vertices_m, mesh.triangles[~glass])
        free = solid.cast((place + 1e-3 * inwards).astype(np.float32), inwards.astype(np.float32))
        assert (free.distance > 0.1).mean() > 0.95
        seen = RayScene(mesh.vertices_m, mesh.triangles).cast(
            (place - 0.02 * inwards).astype(np.float32), inwards.astype(np.float32)
        )
        assert (np.abs(seen.distance - 0.02) < 5e-3).mean() > 0.95


@casts_rays
def test_lidar_meets_furniture_in_a_car():
    for seed in range(6):
        asset = car(np.random.default_rng(seed))
        (mesh,) = asset.poses
        glass = mesh.vertices_m[mesh.triangles[clear(mesh)]].reshape(-1, 3)
        height = float(glass[:, 2].min() * 0.85 + glass[:, 2].max() * 0.15)
        x = np.linspace(glass[:, 0].min(), glass[:, 0].max(), 60)
        start = np.column_stack([x, np.full(60, 5.0), np.full(60, height)]).astype(np.float32)
        way = np.broadcast_to(np.float32([0, -1, 0]), start.shape)
        depth = RayScene(mesh.vertices_m, mesh.triangles[~clear(mesh)]).cast(start, way).distance
        skin = RayScene(mesh.vertices_m, mesh.triangles).cast(start, way).distance
        inside = np.isfinite(depth) & (depth > skin + 0.1) & (depth < 5 + asset.size_lwh_m[1] / 2 - 0.2)
        assert inside.sum() >= 3


def test_a_coupled_tractor_clears_its_trailer():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        front, rear = tractor(rng), trailer(rng)
        ahead = coupled_offset_m(front, rear)
        pulling, pulled = front.poses[0].moved((ahead, 0, 0)).vertices_m, rear.poses[0].vertices_m
        cab = pulling[pulling[:, 2] > 1.6, 0].min()
        nose = pulled[:, 0].max()
        assert 0.15 < cab - nose < 1.6
        assert pulling[:, 0].min() < nose - 1.0
        under = (pulling[:, 0] < nose) & (np.abs(pulling[:, 1]) < 0.6)
        assert pulling[under, 2].max() < 1.25


@casts_rays
@pytest.mark.parametrize("name", sorted(KINDS))
def test_hardly_any_faces_lie_on_each_other(name):
    rng = np.random.default_rng(0)
    for seed in range(4):
        (mesh,) = KINDS[name][0](np.random.default_rng(seed)).poses
        scene = RayScene(mesh.vertices_m, mesh.triangles)
        start = rng.normal(size=(8000, 3))
        start = (start / np.linalg.norm(start, axis=1, keepdims=True) * 15).astype(np.float32)
        start[:, 2] = np.abs(start[:, 2]) * 0.6
        aim = rng.uniform(*mesh.extent_m(), size=(8000, 3))
        way = aim - start
        way = (way / np.linalg.norm(way, axis=1, keepdims=True)).astype(np.float32)
        hit = scene.cast(start, way)
        met = hit.triangle >= 0
        start, way = start[met] + way[met] * (hit.distance[met, None] + 2e-4), way[met]
        after = scene.cast(start, way)
        close = (after.triangle >= 0) & (after.distance < 1e-3)
        close &= np.where(close, mesh.material_id[after.triangle] != mesh.material_id[hit.triangle[met]], False)
        assert close.mean() < 0.002
