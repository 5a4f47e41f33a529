"""Tracks of small worlds: one track an object, whatever moves, hides or jumps."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.track_worlds import (
    AHEAD,
    CAR,
    DRIVER,
    FALSE,
    ON,
    PARKED,
    PEDESTRIAN,
    TRUCK,
    WALKER,
    Thing,
    scene_frames,
    world,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.config import DropConfig, TracksConfig
from pointsam.stages.tracks.tracks import track_scene
from pointsam.taxonomy import NUSCENES


def tracked(*things, config=ON, **options):
    return track_scene(scene_frames(world(*things, **options)), NUSCENES, config)


def summary(tracks):
    return [
        (one.class_id, one.frames.tolist(), one.moving, one.num_points.tolist(), one.votes) for one in tracks.tracks
    ]


def test_a_static_world_gives_one_track_an_object_while_the_vehicle_drives():
    found = tracked(PARKED, AHEAD, replace(PARKED, xy_m=(30.0, 3.0)), count=10)
    assert [one.frames.tolist() for one in found.tracks] == [list(range(10))] * 3
    assert not any(one.moving for one in found.tracks)
    assert all((one.path.velocity_mps == 0).all() for one in found.tracks)
    assert found.cuts == found.dropped == ()
    assert [one.track_id for one in found.tracks] == [0, 1, 2]


@pytest.mark.parametrize(("step_s", "count"), [(0.1, 8), (0.5, 6)])
def test_what_moves_is_one_track_with_its_velocity(step_s, count):
    driver = replace(DRIVER, xy_m=(60.0, 5.0))
    found = tracked(PARKED, WALKER, driver, step_s=step_s, count=count)
    by_class = {(one.class_id, one.moving): one for one in found.tracks}
    assert len(found.tracks) == 3
    assert set(by_class) == {(CAR, False), (CAR, True), (PEDESTRIAN, True)}
    np.testing.assert_allclose(by_class[CAR, True].path.velocity_mps[:, :2], [driver.velocity_mps] * count, atol=0.2)
    np.testing.assert_allclose(by_class[PEDESTRIAN, True].path.velocity_mps[:, :2], [(0, 1.4)] * count, atol=0.2)


def test_a_gap_is_bridged_and_counted():
    found = tracked(replace(PARKED, missed=(3, 4, 5)), replace(DRIVER, missed=(4, 5)), count=10)
    assert [one.frames.tolist() for one in found.tracks] == [[0, 1, 2, 6, 7, 8, 9], [0, 1, 2, 3, 6, 7, 8, 9]]
    assert [one.gaps for one in found.tracks] == [3, 2]


def test_a_parked_car_is_joined_over_any_gap_but_a_moving_one_is_not():
    gap = tuple(range(3, 40))
    found = tracked(replace(PARKED, missed=gap), replace(AHEAD, velocity_mps=(0.0, 0.5), missed=gap), count=43)
    assert sorted(len(one.frames) for one in found.tracks if not one.moving) == [3, 3, 6]


def test_two_cars_that_pass_each_other_keep_their_tracks():
    there, back = Thing((10.0, 2.5), (12.0, 0.0)), Thing((32.0, 6.0), (-12.0, 0.0))
    found = tracked(there, back, count=20)
    assert [len(one.frames) for one in found.tracks] == [20, 20]
    assert sorted(round(float(one.path.velocity_mps[5, 0])) for one in found.tracks) == [-12, 12]


def test_a_car_that_comes_into_view_does_not_move():
    """Its front shows first, so that the centre of what is seen shifts by 2 m."""
    drive = world(PARKED, count=6)
    frames = []
    for k, frame in enumerate(scene_frames(drive)):
        x = frame.xyz_world_m()[:, 0]
        kept = x <= 12.0 + 0.8 * (k + 1)
        frames.append(
            replace(
                frame,
                xyz_lidar_m=frame.xyz_lidar_m[kept],
                time_s=frame.time_s[kept],
                cluster_id=frame.cluster_id[kept],
            )
        )
    (track,) = track_scene(frames, NUSCENES, ON).tracks
    assert not track.moving
    assert len(track.frames) == 6


def test_the_class_is_that_with_the_most_evidence():
    (track,) = tracked(replace(PARKED, as_class={1: TRUCK, 2: TRUCK}), count=6).tracks
    assert (track.class_id, track.class_changes) == (CAR, 2)
    assert [class_id for class_id, _ in track.votes] == [CAR, TRUCK]
    assert track.votes[0][1] == pytest.approx(2 * track.votes[1][1])
    assert track.trust == pytest.approx(0.8)


def test_a_jump_of_poses_cuts_all_tracks_and_is_named():
    found = tracked(PARKED, AHEAD, count=10, jumps=((5, 3.0),))
    assert [(cut.before, cut.after) for cut in found.cuts] == [("f004", "f005")]
    assert "3.0 m" in found.cuts[0].reason
    assert sorted(one.frames.tolist() for one in found.tracks) == sorted([list(range(5)), list(range(5, 10))] * 2)


def test_a_pose_that_is_wrong_alone_is_cut_out():
    found = tracked(PARKED, count=10, jumps=((5, 4.0), (6, -4.0)))
    assert [cut.after for cut in found.cuts] == ["f005", "f006"]
    assert [one.frames.tolist() for one in found.tracks] == [[0, 1, 2, 3, 4], [5], [6, 7, 8, 9]]


@pytest.mark.parametrize(("turn_deg", "cuts"), [(1.0, 0), (20.0, 1)])
def test_a_turn_of_the_poses_cuts(turn_deg, cuts):
    frames = scene_frames(world(PARKED, count=8))
    angle = np.deg2rad(turn_deg)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = [
        replace(frame, world_SE3_lidar=SE3(rotation, frame.world_SE3_lidar.translation_m)) for frame in frames[4:]
    ]
    assert len(track_scene([*frames[:4], *turned], NUSCENES, ON).cuts) == cuts


def test_a_vehicle_that_brakes_is_not_cut():
    frames = scene_frames(world(PARKED, count=12, step_s=0.5, ego_mps=0.0))
    speed = np.maximum(12.0 - 3.5 * np.arange(12), 0.0)
    x = np.cumsum(speed * 0.5)
    braked = [
        replace(frame, world_SE3_lidar=SE3(np.eye(3), np.array([x[k], 0.0, 1.6]))) for k, frame in enumerate(frames)
    ]
    assert track_scene(braked, NUSCENES, ON).cuts == ()


def test_a_flicker_is_dropped_with_its_reason():
    found = tracked(PARKED, extra=(FALSE,), count=10)
    assert [one.frame_id for one in found.dropped] == ["f003"]
    assert "found in 1 frames" in found.dropped[0].reason
    assert len(found.tracks) == 1


@pytest.mark.parametrize(
    ("options", "drop"),
    [
        ({"step_s": 0.5}, ON.drop),  # key frames: it may have come and gone
        ({"count": 4}, ON.drop),  # too few frames to judge
        ({}, DropConfig()),
        ({}, replace(ON.drop, sure=0.5)),
    ],
)
def test_what_cannot_be_judged_is_not_dropped(options, drop):
    found = tracked(PARKED, extra=(FALSE,), config=replace(ON, drop=drop), **{"count": 10, **options})
    assert found.dropped == ()
    assert len(found.tracks) == 2


def test_nothing_is_tracked_unless_it_is_enabled():
    found = tracked(PARKED, config=TracksConfig())
    assert found.tracks == found.dropped == ()


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_frames_clusters_and_points_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    things = [PARKED, replace(AHEAD, missed=(2,)), WALKER, DRIVER, replace(PARKED, xy_m=(25.0, 3.0), missed=(4, 5))]
    expected = summary(tracked(*things))
    mixed = scene_frames(world(*(things[k] for k in rng.permutation(len(things))), shuffle=rng))
    mixed = [mixed[k] for k in rng.permutation(len(mixed))]
    assert summary(track_scene(mixed, NUSCENES, ON)) == expected


def test_known_velocities_link_what_two_frames_alone_cannot():
    fast = Thing((40.0, 5.0), (-14.0, 0.0))
    frames = scene_frames(world(fast, count=2, step_s=0.5))
    assert len(track_scene(frames, NUSCENES, ON).tracks) == 2
    told = [replace(frame, velocity_mps=np.array([[-14.0, 0.0, 0.0]])) for frame in frames]
    (track,) = track_scene(told, NUSCENES, ON).tracks
    assert track.moving


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames: [], "without frames"),
        (lambda frames: [*frames, frames[0]], "one id"),
        (lambda frames: [*frames, replace(frames[0], frame_id="other")], "one time"),
    ],
)
def test_frames_that_are_no_scene_are_refused(spoil, message):
    with pytest.raises(SchemaError, match=message) as error:
        track_scene(spoil(scene_frames(world(PARKED, count=2))), NUSCENES, ON)
    assert error.value.code == "SCH003"


def test_a_frame_of_another_scene_is_refused():
    with pytest.raises(SchemaError, match="none of the frames"):
        tracked(PARKED).index("other")


def test_points_of_no_cluster_are_refused():
    frame = scene_frames(world(PARKED, count=1))[0]
    with pytest.raises(SchemaError, match="ids of its 1 clusters"):
        replace(frame, cluster_id=frame.cluster_id + 1)
