"""Velocities from the sweeps around a key frame."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.track_worlds import DRIVER, GROUND, PARKED, Thing, pose, scene_frames, shell, world

from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.config import StonesConfig, all_rules
from pointsam.stages.tracks.stones import Stone, with_velocities
from pointsam.stages.tracks.tracks import track_scene
from pointsam.taxonomy import NUSCENES

ON = replace(all_rules(), stones=StonesConfig(enabled=True))
FAST = replace(DRIVER, xy_m=(30.0, 5.0))


def stones_at(things, times_s, noise_m=0.0, frame_s=0.0):
    """Sweeps of a world at times around that of a frame, seen from a vehicle that drives."""
    rng, out = np.random.default_rng(0), []
    for t_s in times_s:
        at = frame_s + t_s
        xyz = np.concatenate([GROUND, *(shell(one, at) for one in things)])
        xyz += rng.normal(0, noise_m, xyz.shape)
        lidar = pose(at).inverse().apply(xyz)
        out.append(Stone.of(lidar, round(at * 1e6), pose(at), SE3.identity(), ON))
    return out


def velocities(things, times_s, config=ON, noise_m=0.0):
    frame = scene_frames(world(*things, count=1))[0]
    found = with_velocities(frame, stones_at(things, times_s, noise_m), NUSCENES, config)
    x = [cluster.center_lidar_m[0] for cluster in found.clusters]
    return found.velocity_mps[np.argsort(x)]


@pytest.mark.parametrize("times_s", [(-0.05, 0.05), (-0.05, -0.1, -0.15, -0.2), (0.2, 0.1, 0.05, 0.15)])
def test_what_moves_has_its_velocity_and_what_stands_has_none(times_s):
    parked, fast = velocities((PARKED, FAST), times_s, noise_m=0.02)
    np.testing.assert_allclose(fast, [-14.0, 0.0, 0.0], atol=1.0)
    assert (parked == 0).all()


def test_velocity_is_unknown_where_sweeps_do_not_show_it():
    things = (PARKED, FAST)
    assert np.isnan(velocities(things, (-0.05,))).all()
    assert np.isnan(velocities(things, ())).all()
    assert np.isnan(velocities(things, (-0.05, 0.05), all_rules())).all()
    frame = scene_frames(world(*things, count=1))[0]
    gone = with_velocities(frame, stones_at((PARKED,), (-0.05, 0.05)), NUSCENES, ON)
    assert np.isnan(gone.velocity_mps).all(axis=1).tolist() == [c.center_lidar_m[0] > 20 for c in gone.clusters]


def test_sweeps_between_link_a_car_of_two_key_frames():
    fast = Thing((40.0, 5.0), (-14.0, 0.0))
    frames = scene_frames(world(fast, count=2, step_s=0.5))
    assert len(track_scene(frames, NUSCENES, ON).tracks) == 2
    told = [
        with_velocities(frame, stones_at((fast,), (-0.1, -0.05, 0.05), frame_s=frame.t_us * 1e-6), NUSCENES, ON)
        for frame in frames
    ]
    (track,) = track_scene(told, NUSCENES, ON).tracks
    np.testing.assert_allclose(track.path.velocity_mps[:, 0], -14.0, atol=0.5)


def test_rows_without_a_position_are_no_stone():
    xyz = np.concatenate([shell(PARKED, 0.0) - [0, 0, 1.6], np.full((5, 3), np.nan)])
    stone = Stone.of(xyz, 1, pose(0.0), SE3.identity(), ON)
    assert np.isfinite(stone.xyz_world_m).all()
    assert len(stone.range_m) == len(stone.xyz_world_m) > 0
