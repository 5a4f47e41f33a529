from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.synth.light import WEATHERS, PointLight, draw_weather, sky_rgb
from pointsam.synth.material import Material
from pointsam.synth.mesh import box, join, rotation, surface
from pointsam.synth.motion import Road, Track
from pointsam.synth.render import photograph, snapshot
from pointsam.synth.rig import MountedCamera
from pointsam.synth.shot import Shot

pytestmark = pytest.mark.usefixtures("open3d")

GREY = Material((0.3, 0.3, 0.3))
FORWARD = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float)  # the camera looks along x
DOWN = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]], float)  # to the ground, x of the world up in the picture
CAMERA = Camera(np.array([[100, 0, 79.5], [0, 100, 59.5], [0, 0, 1]]), 160, 120)
EYE = SE3(FORWARD, (0, 0, 1.5))
AT_REST = Track(Road(0.0, 400.0, 0.0, 0.0), 0.0, 0.0)


def ground(material=GREY, half_m=300.0):
    h = half_m
    return surface([[-h, -h, 0], [h, -h, 0], [h, h, 0], [-h, h, 0]], [[0, 1, 2], [0, 2, 3]], material)


def standing(size_lwh_m, x, y, material=GREY, yaw=0.0):
    """A box on the ground, and its pose."""
    return box(size_lwh_m, (0, 0, size_lwh_m[2] / 2), material), SE3(rotation(yaw), (x, y, 0))


def world(*boxes, lights=(), floor=GREY):
    return snapshot(
        [(ground(floor), SE3.identity(), 0), *((mesh, pose, k + 1) for k, (mesh, pose) in enumerate(boxes))], lights
    )


def take(scene, weather="day", camera=CAMERA, pose=EYE, seed=0):
    weather = replace(WEATHERS[weather], clouds=0.0) if isinstance(weather, str) else weather
    shot = Shot(MountedCamera("CAM", camera, pose, 0), AT_REST, 0.0)
    return photograph(shot, [(band, scene) for band in shot.bands()], weather, np.random.default_rng(seed))


def seen_at(photo, xyz_m, camera=CAMERA, pose=EYE):
    """Mean brightness around the pixel of a point of the world."""
    (u, v), _ = (part[0] for part in camera.project(pose.inverse().apply(np.array([xyz_m], float))))
    u, v = round(u), round(v)
    return float(photo.rgb[v - 1 : v + 2, u - 1 : u + 2].mean())


def test_ids_agree_with_the_projection_of_boxes():
    things = [standing((2, 1, 1.5), 8, -2, yaw=0.4), standing((4, 2, 3), 15, 3, yaw=-1)]
    photo = take(world(*things))
    for k, (mesh, pose) in enumerate(things):
        uv, _ = CAMERA.project(EYE.inverse().apply(pose.apply(mesh.vertices_m)))
        v, u = np.nonzero(photo.object_id == k + 1)
        assert np.abs([u.min() - uv[:, 0].min(), v.min() - uv[:, 1].min()]).max() <= 1
        assert np.abs([u.max() - uv[:, 0].max(), v.max() - uv[:, 1].max()]).max() <= 1


def test_depth_is_that_of_the_plane():
    photo = take(world())
    v = np.mgrid[:120, :160][0]
    below = v > 61
    wanted = 1.5 / ((v - 59.5) / 100)
    np.testing.assert_allclose(photo.depth_m[below], wanted[below], rtol=1e-4)
    assert (photo.object_id[below] == 0).all()
    sky = v < 59
    assert np.isinf(photo.depth_m[sky]).all()
    assert (photo.object_id[sky] == -1).all()
    assert photo.rgb.shape == (120, 160, 3)
    assert photo.rgb.dtype == np.uint8


def test_a_distorted_camera_sees_points_where_it_projects_them():
    camera = Camera(CAMERA.K, 160, 120, (-0.2, 0.05, 0.001, -0.002))
    thing, pose = standing((0.5, 0.5, 0.5), 3, 1.2)
    photo = take(world((thing, pose)), camera=camera)
    uv, _ = camera.project(EYE.inverse().apply(pose.apply(thing.vertices_m)))
    v, u = np.nonzero(photo.object_id == 1)
    assert np.abs([u.min() - uv[:, 0].min(), u.max() - uv[:, 0].max(), v.max() - uv[:, 1].max()]).max() <= 1


def test_a_shadow_falls_where_the_sun_puts_it():
    sunny = replace(WEATHERS["day"], clouds=0.0, sun_direction=(0.0, 0.6, 0.8))  # from the left, 4 high to 3 across
    pose = SE3(DOWN, (0, 0, 20))
    photo = take(world(standing((2, 1, 4), 0, 2)), sunny, pose=pose)
    shaded, lit = seen_at(photo, (0, -0.5, 0), pose=pose), seen_at(photo, (0, -2.5, 0), pose=pose)
    assert shaded < 0.75 * lit
    assert seen_at(photo, (0, 3.5, 0), pose=pose) == pytest.approx(lit, rel=0.1)  # on the side of the sun


def test_equal_draws_give_equal_bytes_and_others_change_the_noise_only():
    scene = world(standing((2, 1, 1.5), 8, 0, Material((0.5, 0.1, 0.1), "brick", (0.4, 0.4, 0.4), 0.3)))
    one, same, other = take(scene), take(scene), take(scene, seed=1)
    np.testing.assert_array_equal(one.rgb, same.rgb)
    assert (one.rgb != other.rgb).any()
    np.testing.assert_array_equal(one.object_id, other.object_id)
    np.testing.assert_array_equal(one.depth_m, other.depth_m)


def test_night_is_darker_than_day_and_lamps_light_it():
    box_ahead = standing((2, 2, 2), 12, 0)
    lamp = PointLight((8.0, 0.0, 6.0), (30.0, 28.0, 24.0))
    day, dark, lit = (take(s, w) for s, w in ((world(box_ahead), "day"), (world(box_ahead), "night"),
                                               (world(box_ahead, lights=[lamp]), "night")))  # fmt: skip
    assert dark.rgb.mean() < 0.6 * day.rgb.mean()
    assert seen_at(lit, (8, 0, 0)) > 1.5 * seen_at(dark, (8, 0, 0))


def test_a_spot_lights_its_cone_only():
    spot = PointLight((0.0, 0.0, 1.0), (200.0, 200.0, 200.0), 40.0, (1, 0, 0), 15.0)
    photo = take(world(standing((0.2, 16, 4), 15, 0), lights=[spot]), "night")
    assert seen_at(photo, (14.9, 0, 1)) > 1.5 * seen_at(photo, (14.9, 7, 1))


def test_lamps_give_light_at_night_only():
    lamp = Material((0.05, 0.05, 0.05), emit=(5.0, 5.0, 5.0))
    scene = world(standing((1, 1, 2), 8, 0, lamp))
    assert seen_at(take(scene, "night"), (7.5, 0, 1)) > 200
    assert seen_at(take(scene, "day"), (7.5, 0, 1)) < 100


def test_a_corner_is_darker_than_open_ground_under_clouds():
    photo = take(world(standing((0.3, 20, 5), 12, 0)), "overcast")
    assert seen_at(photo, (11.6, 0, 0)) < 0.9 * seen_at(photo, (6, 0, 0))


def test_a_wet_road_mirrors_lamps():
    lamp = Material((0.3, 0.0, 0.0), emit=(6.0, 0.1, 0.1))
    scene = world(standing((0.2, 3, 1), 15, 0, lamp), floor=Material((0.1, 0.1, 0.1)))
    wet, dry = (take(scene, replace(WEATHERS["rain"], wetness=w)) for w in (1.0, 0.0))
    mirrored = (73, 79)  # where the ground shows what stands at 15 m, 0.5 m up, upside down
    red = [float(photo.rgb[mirrored][0]) - float(photo.rgb[mirrored][2]) for photo in (wet, dry)]
    assert red[0] > red[1] + 20


def test_haze_hides_distant_objects():
    hazy = replace(WEATHERS["overcast"], haze_m=50.0, clouds=0.0)
    black = Material((0.0, 0.0, 0.0))
    photo = take(world(standing((1, 3, 3), 10, 2, black), standing((1, 30, 30), 120, -30, black)), hazy)
    assert seen_at(photo, (9.5, 2, 1.5)) < 0.6 * seen_at(photo, (119.5, -30, 10))


def test_edges_are_smooth():
    black, white = Material((0.0, 0.0, 0.0)), Material((0.8, 0.8, 0.8))
    tilted = box((0.1, 8, 8), (0, 0, 0), white), SE3(rotation(roll=0.1), (12, 0, 1.5))
    clear = replace(WEATHERS["overcast"], noise=0.0, clouds=0.0)
    photo = take(snapshot([(*tilted, 0), (box((0.1, 80, 80), (0, 0, 0), black), SE3(np.eye(3), (20, 0, 0)), 1)]), clear)
    row = photo.rgb[60, :, 1].astype(float)
    rises = np.flatnonzero(np.diff(row[:80]) > 8)
    assert 2 <= len(rises) <= 4  # not in one step, and not blurred away


def test_a_snapshot_joins_meshes():
    red, blue = Material((1, 0, 0)), Material((0, 0, 1))
    one = join(box((1, 1, 1), (0, 0, 0), red), box((1, 1, 1), (2, 0, 0), blue))
    turned = SE3(rotation(yaw=np.pi / 2), (10, 0, 5))
    other = box((1, 2, 1), (0, 0, 0), blue)
    scene = snapshot([(one, SE3.identity(), 7), (other, turned, 3)])
    assert scene.materials == (red, blue)
    assert scene.object_id.tolist() == [7] * len(one.triangles) + [3] * (len(scene.triangles) - len(one.triangles))
    later = scene.vertices_m[len(one.vertices_m) :]
    np.testing.assert_allclose(np.ptp(later, axis=0), (2, 1, 1), atol=1e-5)
    a, b, c = (scene.vertices_m[scene.triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(scene.face_normals, flat, atol=1e-5)
    np.testing.assert_allclose(scene.normals[:, 0], flat, atol=1e-5)
    np.testing.assert_array_equal(scene.texture_m[-1], other.vertices_m[other.triangles[-1]])


def test_an_empty_world_is_sky():
    photo = take(snapshot([]))
    assert (photo.object_id == -1).all()
    assert photo.rgb.mean() > 60


@pytest.mark.parametrize("name", WEATHERS)
def test_weather_varies_within_its_kind(name):
    rng = np.random.default_rng(0)
    drawn = [draw_weather(name, rng) for _ in range(20)]
    assert len({w.sun_direction for w in drawn}) == 20
    for weather in drawn:
        assert np.linalg.norm(weather.sun_direction) == pytest.approx(1)
        assert 25 <= np.degrees(np.arcsin(weather.sun_direction[2])) <= 60
        sky = sky_rgb(np.array([[0, 0, 1], [1, 0, 0], [0, 0.6, 0.8]], np.float32), weather)
        assert sky.shape == (3, 3)
        assert (sky >= 0).all()
    assert draw_weather(name, np.random.default_rng(4)) == draw_weather(name, np.random.default_rng(4))


def test_unknown_weather_is_refused():
    with pytest.raises(SchemaError, match="SCH005"):
        draw_weather("snow", np.random.default_rng(0))
