"""Every return lies on its object at the time of its ray."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pointsam.base.open3d_loader import load_open3d
from pointsam.synth.assets.people import pedestrian
from pointsam.synth.lidar import EGO, NOTHING, Lidar
from pointsam.synth.motion import Road, Speed, Track
from pointsam.synth.rig import rig
from pointsam.synth.sensors import beam_delay_s
from pointsam.synth.world import Thing

pytestmark = pytest.mark.usefixtures("open3d")

LIDAR = rig().lidar
NOISE_M = 0.008
T_US = 2_000_000
TURNING = ("nuscenes", "kitti", "tilted", "inverted", "beams-128")
"""One rig of each turning LiDAR."""
STRAIGHT = Road(0.0, 400.0, 0.0, 0.0)


def distance_m(mesh, xyz_m):
    """(N,) distance of points to the opaque surface of a mesh."""
    clear = np.array([m.clear for m in mesh.materials])[mesh.material_id]
    tensor = load_open3d().core.Tensor.from_numpy
    scene = load_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(tensor(mesh.vertices_m), tensor(mesh.triangles[~clear].astype(np.uint32)))
    distance = scene.compute_distance(tensor(np.ascontiguousarray(xyz_m, dtype=np.float32))).numpy()
    # Open3D's nearest point is centimetres off on long thin faces: what seems far is measured again.
    corners = mesh.vertices_m[mesh.triangles[~clear]].astype(np.float64)
    for i in np.flatnonzero(distance > 3 * NOISE_M):
        distance[i] = min(distance[i], above_faces_m(corners, np.asarray(xyz_m[i], dtype=np.float64)))
    return distance


def above_faces_m(corners_m, point_m):
    """Distance of a point to the nearest of the (N,3,3) triangles whose inside it lies above; inf if none."""
    a, b, c = corners_m.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.divide(normal, area, out=np.full_like(normal, np.nan), where=area > 1e-9)
    height = np.einsum("ij,ij->i", point_m - a, normal)
    foot = point_m - normal * height[:, None]
    turns = [np.einsum("ij,ij->i", np.cross(q - p, foot - p), normal) for p, q in ((a, b), (b, c), (c, a))]
    return np.abs(height[np.min(turns, axis=0) >= -1e-4]).min(initial=np.inf)


@pytest.fixture(scope="module")
def scan_of(draw):
    """A function that scans a scene at T_US with the last LiDAR of a rig, each once."""
    return cache(lambda film, name="nuscenes": Lidar(film.world, rig(name).lidars[-1]).scan(T_US, draw("scan")))


def off_surface_m(world, scan, in_world):
    """(N,) of all returns but the vehicle's own: distance to the thing they are labelled with, at their own time."""
    xyz = in_world(world, scan, T_US)
    out = np.zeros(len(xyz))
    for object_id in np.unique(scan.object_id[scan.object_id >= 0]):
        thing = world.things[object_id]
        mine = np.flatnonzero(scan.object_id == object_id)
        if thing.track is None:
            out[mine] = distance_m(thing.asset.poses[0], xyz[mine])
            continue
        for delay in np.unique(scan.delay_s[mine]) if thing.moves else [0.0]:
            now = mine[scan.delay_s[mine] == delay] if thing.moves else mine
            t = T_US * 1e-6 - delay
            local = thing.world_SE3_thing(t).inverse().apply(xyz[now])
            out[now] = distance_m(thing.mesh(t), local)
    return out


@pytest.mark.parametrize(("kind", "name"), [("still", "nuscenes"), ("moving", "nuscenes"), ("moving", "two-lidars")])
def test_returns_lie_on_the_surface_of_their_object(kind, name, request, scan_of, in_world):
    film = request.getfixturevalue(kind)
    scan = scan_of(film, name)
    met = scan.object_id >= 0
    assert met.sum() > 10_000
    assert len(np.unique(scan.object_id[met])) > 40
    assert off_surface_m(film.world, scan, in_world)[met].max() < 5 * NOISE_M + 1e-3


def test_a_walking_person_is_measured_in_the_pose_of_that_time(made_up, draw, in_world):
    floor, speed = made_up(), Speed.steady(1.5)
    walkers = [
        Thing(k, pedestrian(np.random.default_rng(k), True), Track(STRAIGHT, 4 * np.cos(k), 4 * np.sin(k), k, speed), k)
        for k in range(1, 9)
    ]
    world = replace(floor, things=(*floor.things, *walkers))
    scan = Lidar(world, LIDAR).scan(T_US, draw("scan"))
    assert len({walker.pose_indices(T_US * 1e-6)[0] for walker in walkers}) > 3
    assert np.count_nonzero(scan.object_id > 0) > 500
    assert off_surface_m(world, scan, in_world)[scan.object_id >= 0].max() < 5 * NOISE_M + 1e-3


def test_the_same_draw_gives_the_same_bytes(moving, scan_of, draw):
    a, b = (scan.file_bytes() for scan in (scan_of(moving), Lidar(moving.world, LIDAR).scan(T_US, draw("scan"))))
    assert a == b
    assert len(a) == LIDAR.columns * LIDAR.rings * 20


def test_the_choice_of_rays_for_moving_objects_does_not_show_in_the_points(moving, scan_of, draw):
    lidar = Lidar(moving.world, LIDAR)
    lidar._upright = False  # every ray is looked at, not the first of its column only
    assert lidar.scan(T_US, draw("scan")).file_bytes() == scan_of(moving).file_bytes()


@pytest.mark.parametrize("name", TURNING)
def test_points_come_column_by_column_from_the_lowest_ring(name, still, scan_of):
    lidar = rig(name).lidar
    scan = scan_of(still, name)
    assert len(scan.ring) == lidar.columns * lidar.rings
    assert scan.ring[: 2 * lidar.rings].tolist() == [*range(lidar.rings), *range(lidar.rings)]
    back = scan.object_id >= 0
    xyz = scan.xyz_lidar_m[back].astype(float)
    elevation = np.arcsin(xyz[:, 2] / np.linalg.norm(xyz, axis=1))
    np.testing.assert_allclose(elevation, lidar.elevation_rad[scan.ring[back].astype(int)], atol=1e-4)
    np.testing.assert_allclose(beam_delay_s(xyz), scan.delay_s[back], atol=1e-6)


@pytest.mark.parametrize("name", TURNING)
def test_every_point_lies_on_the_beam_as_it_was_at_its_own_time(name, moving, scan_of, in_world):
    lidar = rig(name).lidar
    shape = (lidar.columns, lidar.rings)
    scan = scan_of(moving, name)
    xyz = in_world(moving.world, scan, T_US).reshape(*shape, 3)
    back = (scan.object_id >= 0).reshape(shape)
    delay = scan.delay_s.reshape(shape)
    for column in range(0, lidar.columns, 40):
        sensor = moving.world.world_SE3_ego(T_US * 1e-6 - delay[column, 0]) @ lidar.ego_SE3_lidar
        local = sensor.inverse().apply(xyz[column, back[column]])
        turned = np.arctan2(local[:, 1], local[:, 0]) - lidar.azimuth_rad()[column]
        elevation = np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1]))
        np.testing.assert_allclose(np.sin(turned), 0, atol=1e-4)
        np.testing.assert_allclose(elevation, lidar.elevation_rad[back[column]], atol=1e-4)


def test_points_of_a_solid_state_sensor_lie_on_its_rays(moving, scan_of, in_world):
    (model,) = rig("two-lidars").others
    scan = scan_of(moving, "two-lidars")
    xyz = in_world(moving.world, scan, T_US)
    rays = model.rays(T_US * 1e-6).reshape(-1, 3)
    back = np.flatnonzero(scan.object_id >= 0)
    assert len(back) > 10_000
    for i in back[::1000]:
        sensor = moving.world.world_SE3_ego(T_US * 1e-6 - scan.delay_s[i]) @ model.ego_SE3_lidar
        local = sensor.inverse().apply(xyz[i : i + 1])[0]
        np.testing.assert_allclose(local / np.linalg.norm(local), rays[i], atol=1e-4)


@pytest.mark.parametrize(("name", "up"), [("nuscenes", 1), ("tilted", 1), ("inverted", -1), ("two-lidars", 1)])
def test_the_road_is_below_the_vehicle_however_the_sensor_is_mounted(name, up, still, scan_of, in_world):
    scan = scan_of(still, name)
    road = [t.object_id for t in still.world.things if t.asset.category == "flat.driveable_surface"]
    mine = np.isin(scan.object_id, road)
    assert mine.sum() > 3000
    ego = scan.ego_SE3_lidar.apply(np.float64(scan.xyz_lidar_m[mine]))
    assert np.abs(ego[:, 2] - np.median(ego[:, 2])).max() < 0.3
    assert abs(np.median(ego[:, 2])) < 0.05
    assert (np.sign(scan.xyz_lidar_m[mine, 2]) == -up).mean() > (0.6 if name in ("tilted", "two-lidars") else 0.95)


def test_intensities_are_whole_numbers_of_a_byte(moving, scan_of):
    intensity = scan_of(moving).intensity
    np.testing.assert_array_equal(intensity, intensity.astype(np.uint8))
    assert len(np.unique(intensity)) > 20


def test_a_ray_without_return_lies_where_the_sensor_was(moving, scan_of, in_world):
    scan = scan_of(moving)
    lost = np.flatnonzero(scan.object_id == NOTHING)
    assert len(lost) > 1000
    assert (scan.intensity[lost] == 0).all()
    xyz = in_world(moving.world, scan, T_US)
    for i in lost[::500]:
        sensor = moving.world.world_SE3_ego(T_US * 1e-6 - scan.delay_s[i]) @ LIDAR.ego_SE3_lidar
        np.testing.assert_allclose(xyz[i], sensor.translation_m, atol=1e-4)


def test_the_vehicle_sees_its_own_roof(still, scan_of):
    scan = scan_of(still)
    assert 1000 < (scan.object_id == EGO).sum() < 6000
    assert np.linalg.norm(scan.xyz_lidar_m[scan.object_id == EGO], axis=1).max() < 3


def test_a_crossing_box_is_measured_where_it_is_when_the_beam_passes(made_up, draw):
    # It drives across from the right, 20 m ahead, at 30 m/s: in 37.5 ms, the beam's way from the front to the end of
    # the sweep, it goes on by 1.1 m.
    speed = Speed.steady(30.0)
    world = made_up(Track(STRAIGHT, 20.0, -60.0, np.pi / 2, speed))
    scan = Lidar(world, LIDAR).scan(T_US, draw("scan"))
    mine = scan.object_id == 1
    assert mine.sum() > 50
    center_left = -np.median(scan.xyz_lidar_m[mine, 0])
    assert center_left == pytest.approx(-30.0 * np.mean(scan.delay_s[mine]), abs=0.15)
    assert np.mean(scan.delay_s[mine]) == pytest.approx(0.0375, abs=0.003)


def test_a_nearer_object_hides_a_farther_one(made_up, draw):
    world = made_up(Track(STRAIGHT, 12.0, 0.0), Track(STRAIGHT, 30.0, 0.0, speed=Speed.steady(1e-6)))
    scan = Lidar(world, LIDAR).scan(T_US, draw("scan"))
    assert (scan.object_id == 1).sum() > 100
    assert (scan.object_id == 2).sum() == 0


def test_rain_shortens_the_range(still, scan_of, draw):
    dry, wet = scan_of(still), Lidar(still.world, LIDAR, rain=True).scan(T_US, draw("scan"))
    far = [np.count_nonzero(np.linalg.norm(s.xyz_lidar_m[s.object_id >= 0], axis=1) > 40) for s in (dry, wet)]
    assert far[1] < 0.7 * far[0]


def test_ego_motion_is_compensated(moving, scan_of, draw, in_world):
    """What stands still stays put from sweep to sweep, though the vehicle drives on."""
    later = T_US + 500_000
    scans = {T_US: scan_of(moving), later: Lidar(moving.world, LIDAR).scan(later, draw("later"))}
    walls = [t.object_id for t in moving.world.things if t.asset.category == "static.manmade" and not t.moves]
    for t_us, scan in scans.items():
        mine = np.isin(scan.object_id, walls)
        xyz = in_world(moving.world, scan, t_us)[mine]
        for object_id in np.unique(scan.object_id[mine])[:5]:
            thing = moving.world.things[object_id]
            some = xyz[scan.object_id[mine] == object_id]
            local = thing.world_SE3_thing(0.0).inverse().apply(some)
            assert distance_m(thing.asset.poses[0], local).max() < 5 * NOISE_M + 1e-3
