"""Rays of distorted images and of rolling shutters, and the images and shares that follow from them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pointsam.geometry.camera import Camera
from pointsam.synth.exposure import Studio
from pointsam.synth.lidar import Lidar
from pointsam.synth.motion import Road, Speed, Track
from pointsam.synth.rig import rig
from pointsam.synth.shot import BANDS, Shot, rays_cam
from pointsam.synth.silhouettes import Silhouettes
from pointsam.synth.tables import write_tables
from pointsam.types import RollingShutter

STRAIGHT = Road(0.0, 400.0, 0.0, 0.0)
BENT = Road(0.02, 400.0, 1.0, 0.3)
T_US = 1_000_000
SCALE = 0.15
CHANGED = ("lens", "rolling")


def camera_of(name, channel, scale=SCALE):
    return next(m for m in rig(name, scale).cameras if m.name == channel)


def pixels(camera, step=7):
    v, u = np.mgrid[0 : camera.height_px : step, 0 : camera.width_px : step]
    return u.ravel().astype(np.float32), v.ravel().astype(np.float32)


@pytest.mark.parametrize("mounted", rig("lens", SCALE).cameras, ids=lambda m: m.name)
def test_rays_of_pixels_are_those_of_the_lens(mounted):
    camera = mounted.camera
    u, v = pixels(camera)
    np.testing.assert_allclose(rays_cam(camera, u, v), camera.rays(np.column_stack([u, v])), atol=1e-7)
    uk, vk = u + np.float32(0.3), v - np.float32(0.4)
    exact, between = camera.rays(np.column_stack([uk, vk])), rays_cam(camera, uk, vk)
    known = np.isfinite(exact[:, 0]) & np.isfinite(between[:, 0])
    assert known.mean() > 0.9
    beside = np.abs(exact - between).max(axis=1)[known] * camera.K[0, 0]  # pixels
    assert np.quantile(beside, 0.98) < 0.02
    assert beside.max() < 1  # beside the border of a fisheye's image


def test_the_corners_of_a_fisheye_have_no_rays_and_other_pixels_have():
    for mounted in rig("lens", SCALE).cameras:
        camera = mounted.camera
        lost = ~np.isfinite(rays_cam(camera, *pixels(camera, 1))).all(axis=1).reshape(camera.height_px, -1)
        assert lost.any() == (mounted.name == "CAM_BACK")
        assert not lost[camera.height_px // 2].any()
        assert lost.mean() < 0.05


def test_rays_of_a_rolling_shutter_are_those_of_the_pose_of_their_row():
    mounted = camera_of("rolling", "CAM_FRONT_LEFT")
    shot = Shot(mounted, Track(BENT, 10.0, 3.0, speed=Speed.steady(12.0)), 2.0)
    u, v = pixels(mounted.camera)
    v = v + np.float32(0.25)
    eyes, rays = shot.eyes_m(v), shot.rays(u, v)
    assert np.ptp(eyes, axis=0)[:2].max() > 0.2
    for i in range(0, len(u), 37):
        t_s = 2.0 - 0.015 + 0.030 * float(v[i]) / (mounted.camera.height_px - 1)
        pose = shot.world_SE3_cam(min(t_s, 2.015))
        np.testing.assert_allclose(eyes[i], pose.translation_m, atol=1e-4)
        ray = pose.rotation @ np.linalg.inv(mounted.camera.K) @ (u[i], v[i], 1)
        np.testing.assert_allclose(rays[i], ray, atol=1e-5)


def test_bands_cover_all_rows_each_at_its_own_time():
    mounted = camera_of("rolling", "CAM_FRONT")
    shot = Shot(mounted, Track(STRAIGHT, 0.0, 0.0), 5.0)
    bands = shot.bands()
    assert len(bands) == BANDS
    assert [band.first for band in bands] == [0, *(band.end for band in bands[:-1])]
    assert bands[-1].end == mounted.camera.height_px
    worst = max(abs(band.t_s - t) for band in bands for t in shot.row_time_s(np.arange(band.first, band.end)))
    assert worst < 0.030 / BANDS / 2 + 1e-9
    one = Shot(replace(mounted, shutter=None), shot.ego, 5.0).bands()
    assert [(band.first, band.end, band.t_s) for band in one] == [(0, mounted.camera.height_px, 5.0)]


@pytest.fixture(scope="module")
def studio(moving):
    return Studio(moving.world)


@pytest.fixture(scope="module")
def still_returns(moving, draw, in_world):
    """(N,3) world positions of returns from objects that stand, and (N,) these objects."""
    world = moving.world
    scan = Lidar(world, rig("nuscenes").lidar).scan(T_US, draw("scan"))
    still = [t.object_id for t in world.things if not t.moves and not t.asset.category.startswith("flat")]
    returns = np.isin(scan.object_id, still)
    return in_world(world, scan, T_US)[returns], scan.object_id[returns]


def as_seen(shot, xyz_m):
    """(N,2) pixels of (N,3) places in the world, each at the time of its row, by plain iteration."""
    uv = np.empty((len(xyz_m), 2))
    for i, place in enumerate(xyz_m):
        row = shot.camera.height_px / 2
        for _ in range(8):
            pose = shot.world_SE3_cam(float(shot.row_time_s(row)[0]))
            uv[i] = shot.camera.project(pose.inverse().apply(place[None]))[0][0]
            row = np.nan_to_num(uv[i, 1])
    return uv


@pytest.mark.usefixtures("open3d")
@pytest.mark.parametrize(
    ("name", "channel", "loss"),
    [
        pytest.param("lens", "CAM_BACK", 0.6, marks=pytest.mark.heavy),
        ("lens", "CAM_FRONT", 0.04),
        ("rolling", "CAM_FRONT_RIGHT", 0.01),
    ],
)
def test_returns_fall_on_their_object_with_the_model_and_beside_it_without(
    name, channel, loss, moving, studio, still_returns, draw
):
    world, mounted = moving.world, camera_of(name, channel)
    if mounted.shutter is not None:
        mounted = replace(mounted, shutter=RollingShutter(-0.06, 0.06))  # slow, so that small images show it
    xyz, label = still_returns
    shot = Shot(mounted, world.ego, (T_US - mounted.delay_us) * 1e-6)
    uv, _ = mounted.camera.project(shot.world_SE3_cam(shot.t_s).inverse().apply(xyz))
    height, width = mounted.camera.height_px, mounted.camera.width_px
    ahead = np.flatnonzero((uv > -20).all(axis=1) & (uv < (width + 20, height + 20)).all(axis=1))[::3]
    xyz, label = xyz[ahead], label[ahead]
    ids = studio.take(mounted, shot.t_s, draw("photo")).object_id
    ray = xyz - shot.eye_m
    length = np.linalg.norm(ray, axis=1)
    free = studio._static.scene.cast(shot.eye_m, ray / length[:, None]).distance > length - 0.15
    plain = replace(mounted, camera=Camera(mounted.camera.K, width, height), shutter=None)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(ids, 1, "edge"), (3, 3))
    plane = (windows == ids[:, :, None, None]).all(axis=(2, 3))  # not at an outline, where rounding decides
    (u, v), (u_plain, v_plain) = (np.rint(as_seen(s, xyz)).T for s in (shot, replace(shot, mounted=plain)))
    inside = free & (u >= 0) & (v >= 0) & (u < width) & (v < height)
    u, v, label = u[inside].astype(int), v[inside].astype(int), label[inside]
    hidden = np.isin(ids[v, u], [thing.object_id for thing in world.things if thing.moves])
    inner = plane[v, u] & ~hidden
    assert inner.sum() > 60
    assert (ids[v, u] == label)[inner].mean() > 0.99
    with_model = (ids[v, u] == label)[~hidden].mean()
    u, v = (np.clip(x[inside], 0, size - 1).astype(int) for x, size in ((u_plain, width), (v_plain, height)))
    assert (ids[v, u] == label)[~hidden].mean() < with_model - loss


@pytest.mark.usefixtures("open3d")
@pytest.mark.parametrize("name", ["nuscenes", *CHANGED])
@pytest.mark.parametrize("channel", ["CAM_FRONT", "CAM_BACK"])
def test_an_object_that_nothing_hides_is_counted_whole(name, channel, made_up, draw):
    side = 1 if channel == "CAM_FRONT" else -1
    far = [(14.0, -4.0), (9.0, 3.5)]
    tracks = [Track(STRAIGHT, side * s, d, speed=Speed.steady(8.0)) for s, d in far]
    world = replace(made_up(*tracks), ego=Track(STRAIGHT, 0.0, 0.0, speed=Speed.steady(10.0)))
    mounted = camera_of(name, channel, 0.25)
    photo = Studio(world).take(mounted, 0.0, draw("photo"))
    counts = Silhouettes(world).count(photo.object_id, Shot(mounted, world.ego, 0.0))
    assert set(counts) == {1, 2}
    for object_id, (shown, whole) in counts.items():
        assert shown == whole
        assert whole == pytest.approx((photo.object_id == object_id).sum(), rel=0.08)


@pytest.mark.usefixtures("open3d")
def test_a_driving_object_stands_where_it_is_at_the_time_of_each_row(made_up, draw):
    """A wall drives across at 30 m/s: its edge slants by the way that it covers while the rows are read."""
    world = made_up(Track(STRAIGHT, 12.0, -2.0, np.pi / 2, Speed.steady(30.0)))
    mounted = camera_of("rolling", "CAM_FRONT", 0.25)
    wide = replace(mounted, shutter=RollingShutter(-0.06, 0.06))
    photo = Studio(world).take(wide, 0.1, draw("photo"))
    shot = Shot(wide, world.ego, 0.1)
    found = [np.flatnonzero(row == 1) for row in photo.object_id]
    rows = [v for v, columns in enumerate(found) if len(columns) > 20]
    left = np.array([found[v][0] for v in rows])
    # The car faces left (+y): its front is 2 m ahead of its centre, its near side 1 m nearer.
    y = -2.0 + 30.0 * shot.row_time_s(rows) + 2.0
    pose = shot.world_SE3_cam(0.1)
    front = np.column_stack([np.full_like(y, 11.0), y, np.full_like(y, 1.0)])
    wanted = shot.camera.project(pose.inverse().apply(front))[0][:, 0]
    per_band = 30.0 * 0.12 / BANDS / 2 * shot.camera.K[0, 0] / (11.0 - 1.7)  # pixels that it drives in half a band
    assert np.ptp(wanted) > 20
    assert np.abs(left - wanted).max() < per_band + 1.5


@pytest.mark.usefixtures("open3d")
def test_a_standing_object_slants_as_the_vehicle_passes_it(made_up, draw):
    world = replace(made_up(Track(STRAIGHT, 15.0, -2.5)), ego=Track(STRAIGHT, 0.0, 0.0, speed=Speed.steady(20.0)))
    mounted = camera_of("rolling", "CAM_FRONT", 0.25)
    wide = replace(mounted, shutter=RollingShutter(-0.06, 0.06))
    photo = Studio(world).take(wide, 0.1, draw("photo"))
    shot = Shot(wide, world.ego, 0.1)
    corners = np.array([(15 + x, -2.5 + y, z) for z in (0, 2) for x in (-2, 2) for y in (-1, 1)])
    apart, right = [], []
    for v, row in enumerate(photo.object_id):
        pose = shot.world_SE3_cam(float(shot.row_time_s(v)[0]))
        uv, _ = shot.camera.project(pose.inverse().apply(corners))
        if uv[4:, 1].max() < v < uv[:4, 1].min():  # the row crosses all four upright edges
            columns = np.flatnonzero(row == 1)
            apart += [columns[0] - uv[:, 0].min(), columns[-1] - uv[:, 0].max()]
            right.append(uv[:, 0].max())
    assert len(right) > 20
    assert np.ptp(right) > 4
    assert np.abs(apart).max() < 1.0 + 1e-6


def test_only_these_rigs_have_further_fields_in_the_tables(tmp_path):
    usual = {"token", "sensor_token", "translation", "rotation", "camera_intrinsic"}
    further = {}
    for name in ("nuscenes", "kitti", "two-lidars", *CHANGED):
        write_tables(tmp_path / name, rig(name), [], {})
        rows = json.loads((tmp_path / name / "calibrated_sensor.json").read_text())
        assert all(set(row) >= usual for row in rows)
        further[name] = [{key: row[key] for key in set(row) - usual} for row in rows if row["camera_intrinsic"]]
        assert all(set(row) == usual for row in rows if not row["camera_intrinsic"])
    assert not any(row for name in ("nuscenes", "kitti", "two-lidars") for row in further[name])
    assert further["rolling"] == [{"camera_readout_s": [-0.015, 0.015]}] * 6
    assert [row["camera_lens"] for row in further["lens"]] == ["brown"] * 3 + ["fisheye"] + ["brown"] * 2
    assert [len(row["camera_distortion"]) for row in further["lens"]] == [4, 5, 4, 4, 8, 4]
