"""Camera, LiDAR and annotations agree, exactly if nothing moves."""

import numpy as np
import pytest

from pointsam.synth.annotate import MARGIN_M, beam_time_s, boxes, visibility_tokens
from pointsam.synth.exposure import Studio
from pointsam.synth.lidar import Lidar
from pointsam.synth.motion import Road, Track
from pointsam.synth.rig import rig
from pointsam.synth.sensors import SWEEP_US
from pointsam.synth.shot import Shot
from pointsam.synth.silhouettes import Silhouettes

pytestmark = pytest.mark.usefixtures("open3d")

LIDAR = rig().lidar
T_US = 1_000_000
STRAIGHT = Road(0.0, 400.0, 0.0, 0.0)
CLOSE_M = 0.15
SIGMA_M = 0.008


@pytest.fixture(scope="module")
def scan(still, draw):
    return Lidar(still.world, LIDAR).scan(T_US, draw("scan"))


@pytest.fixture(scope="module")
def seen(still, scan, draw, in_world):
    """For every camera: its photo, and object_id and pixels of the returns that nothing hides from it."""
    world, studio = still.world, Studio(still.world)
    returns = scan.object_id >= 0
    xyz, label = in_world(world, scan, T_US)[returns], scan.object_id[returns]
    out = []
    for mounted in still.rig.cameras:
        photo = studio.take(mounted, T_US * 1e-6, draw("photo", mounted.name))
        pose = world.world_SE3_ego(T_US * 1e-6) @ mounted.ego_SE3_cam
        uv, depth = mounted.camera.project(pose.inverse().apply(xyz))
        height, width = photo.object_id.shape
        inside = (depth > 1) & (uv >= 0).all(axis=1) & (uv[:, 0] <= width - 1) & (uv[:, 1] <= height - 1)
        ray = xyz[inside] - pose.translation_m
        length = np.linalg.norm(ray, axis=1)
        hits = studio._static.scene.cast(pose.translation_m, ray / length[:, None])
        free = hits.distance > length - CLOSE_M
        out.append((photo, label[inside][free], np.rint(uv[inside][free]).astype(int)))
    return out


def test_a_return_falls_on_the_pixels_of_its_object(seen):
    right = total = 0
    for photo, label, uv in seen:
        # Noise of the range, and rounding to a pixel, may carry a point over an outline: the 3 x 3 pixels around count.
        height, width = photo.object_id.shape
        around = [
            photo.object_id[np.clip(uv[:, 1] + dv, 0, height - 1), np.clip(uv[:, 0] + du, 0, width - 1)] == label
            for dv in (-1, 0, 1)
            for du in (-1, 0, 1)
        ]
        right += np.any(around, axis=0).sum()
        total += len(label)
    assert total > 5000
    assert right / total > 0.995


def test_returns_inside_an_outline_fall_on_pixels_of_the_same_object(seen):
    exact, inside = [], []
    for photo, label, uv in seen:
        ids = photo.object_id
        same = np.zeros(ids.shape, dtype=bool)
        windows = np.lib.stride_tricks.sliding_window_view(ids, (3, 3))
        same[1:-1, 1:-1] = (windows == ids[1:-1, 1:-1, None, None]).all(axis=(2, 3))
        exact.append(ids[uv[:, 1], uv[:, 0]] == label)
        inside.append(same[uv[:, 1], uv[:, 0]])
    exact, inside = np.concatenate(exact), np.concatenate(inside)
    assert inside.sum() > 5000
    assert exact[inside].mean() > 0.999
    assert exact.mean() > 0.97


def returns_in_boxes(film, scan, in_world, slack):
    """(share, worst metres outside) of the returns of boxed things, with `slack(thing)` metres to spare."""
    world, xyz = film.world, in_world(film.world, scan, T_US)
    outside = []
    for row in boxes(world, T_US * 1e-6, scan, {}):
        mine = xyz[scan.object_id == row.object_id]
        if len(mine) == 0:
            continue
        c, s = np.cos(row.yaw), np.sin(row.yaw)
        local = (mine - row.center_m) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        beyond = np.abs(local) - np.array(row.size_lwh_m) / 2
        beyond[:, 2] -= 2 * SIGMA_M  # the box stands on the ground, without a margin below
        outside.append(beyond.max(axis=1) - slack(world.things[row.object_id], row))
    outside = np.concatenate(outside)
    return (outside <= 0).mean(), outside.max()


def test_boxes_hold_their_points_where_nothing_moves(still, scan, in_world):
    share, worst = returns_in_boxes(still, scan, in_world, lambda thing, row: 0.0)
    assert share > 0.995
    assert worst < 5 * SIGMA_M - MARGIN_M + 0.01


def test_boxes_hold_their_points_where_things_move(moving, draw, in_world):
    """The beam needs a moment to pass a thing, in which that goes on."""
    scan = Lidar(moving.world, LIDAR).scan(T_US, draw("scan"))

    def slack(thing, row):
        delay = scan.delay_s[scan.object_id == thing.object_id]
        met = beam_time_s(moving.world, thing, T_US * 1e-6, LIDAR.ego_SE3_lidar)
        return row.speed_mps * np.abs(T_US * 1e-6 - delay - met).max() if thing.moves else 0.0

    share, worst = returns_in_boxes(moving, scan, in_world, slack)
    assert share > 0.995
    assert worst < 5 * SIGMA_M - MARGIN_M + 0.01


def test_a_box_is_where_the_beam_measured_its_object(moving):
    for thing in moving.world.boxed:
        assert T_US - SWEEP_US <= beam_time_s(moving.world, thing, T_US * 1e-6, LIDAR.ego_SE3_lidar) * 1e6 <= T_US


def test_visibility_is_the_visible_fraction_of_pixels(still):
    world, mounted = still.world, still.rig.cameras[0]
    shot = Shot(mounted, world.ego, 0.0)
    height, width = mounted.camera.height_px, mounted.camera.width_px
    silhouettes = Silhouettes(world)
    nothing = silhouettes.count(np.full((height, width), -1, np.int32), shot)
    assert nothing
    assert all(seen == 0 < whole for seen, whole in nothing.values())
    for object_id in list(nothing)[:5]:
        everywhere = np.full((height, width), object_id, np.int32)
        seen, whole = silhouettes.count(everywhere, shot)[object_id]
        assert seen == whole


def test_an_object_behind_a_wall_is_hardly_visible_and_a_free_one_is(made_up, still, draw):
    places = (15.0, 0.0), (15.0, 6.0), (15.0, -6.0)  # behind a wall, free, and half of it over a low wall
    walls = [((0.3, 3.4, 4.0), (9.0, 0.0)), ((0.3, 6.0, 1.0), (12.5, -5.4))]
    world, mounted = made_up(*(Track(STRAIGHT, s, d) for s, d in places), walls=walls), still.rig.cameras[0]
    photo = Studio(world).take(mounted, 0.0, draw("photo"))
    tokens = visibility_tokens([Silhouettes(world).count(photo.object_id, Shot(mounted, world.ego, 0.0))])
    assert tokens == {1: "1", 2: "4", 3: "2"}
    rows = boxes(world, 0.0, Lidar(world, LIDAR).scan(0, draw("scan")), tokens)
    assert {row.object_id: row.visibility for row in rows} == tokens


def test_visibility_sums_all_cameras_into_the_four_levels():
    images = [{1: (10.0, 100.0), 2: (50.0, 100.0), 4: (1.0, 1.0)}, {1: (0.0, 20.0), 2: (20.0, 100.0), 3: (70.0, 100.0)}]
    assert visibility_tokens([{2: (50.0, 100.0)}]) == {2: "2"}
    assert visibility_tokens(images) == {1: "1", 2: "1", 3: "3", 4: "4"}
