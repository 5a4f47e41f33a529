"""Tracked labels: misses come back, flickers go, nothing else changes."""

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
    TRUCK,
    WALKER,
    Thing,
    labelled,
    scene_frames,
    world,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.stages.tracks.config import ExtendConfig, RecoverConfig, TracksConfig, VoteConfig
from pointsam.stages.tracks.recover import tracked_labels
from pointsam.stages.tracks.tracks import track_scene
from pointsam.taxonomy import NUSCENES
from pointsam.types import NO_INSTANCE, FramePoints, PointLabels

MISSING = (replace(PARKED, missed=(3,)), replace(WALKER, missed=(4,)), replace(DRIVER, missed=(2, 3)), AHEAD)


def origins(tracked):
    return [member.origin for member in tracked.members]


def single_ids(tracked):
    return [member.single_id for member in tracked.members]


def after(drive, config=ON):
    """[(tracked frame, thing of each point)] of a drive, and its tracks."""
    tracks = track_scene(scene_frames(drive), NUSCENES, config)
    out = [
        (tracked_labels(frame, points, found, tracks, NUSCENES, config), which) for frame, points, found, which in drive
    ]
    return out, tracks


def cluster_of(tracked, which, thing):
    """The cluster with most points of a thing, -1 for none, and its IoU with it."""
    ids = tracked.found.labels.instance_id
    held = ids[(which == thing) & (ids != NO_INSTANCE)]
    if len(held) == 0:
        return -1, 0.0
    one = int(np.bincount(held).argmax())
    union = np.count_nonzero((which == thing) | (ids == one))
    return one, np.count_nonzero((which == thing) & (ids == one)) / union


def test_missed_objects_come_back_whole_with_class_and_track():
    frames, tracks = after(world(*MISSING))
    for number, thing in enumerate(MISSING):
        seen = set()
        for k, (tracked, which) in enumerate(frames):
            cluster, iou = cluster_of(tracked, which, number)
            assert iou > 0.9, (number, k)
            assert tracked.members[cluster].origin == ("recovered" if k in thing.missed else "kept")
            assert (tracked.members[cluster].single_id == -1) == (k in thing.missed)
            assert tracked.found.clusters[cluster].class_id == thing.class_id
            seen.add(tracked.members[cluster].track_id)
        assert len(seen) == 1
    assert len(tracks.tracks) == len(MISSING)


def test_a_recovered_cluster_has_the_trust_of_its_track():
    frames, _ = after(world(replace(PARKED, missed=(3,)), AHEAD))
    tracked, _ = frames[3]
    (new,) = [
        c for c, member in zip(tracked.found.clusters, tracked.members, strict=True) if member.origin == "recovered"
    ]
    assert new.probability == new.confidence == pytest.approx(0.8)
    assert new.cameras == ()
    assert new.num_points == np.count_nonzero(tracked.found.labels.instance_id == new.cluster_id)
    assert tracked.added.sum() == new.num_points


def test_kept_clusters_keep_what_their_masks_said():
    drive = world(*MISSING)
    frames, _ = after(drive)
    for (tracked, _), (_, _, found, _) in zip(frames, drive, strict=True):
        for cluster, member in zip(tracked.found.clusters, tracked.members, strict=True):
            if member.origin == "kept":
                assert cluster == replace(found.clusters[member.single_id], cluster_id=cluster.cluster_id)


def test_a_parked_car_is_labelled_where_no_camera_looks():
    """It has points, but no label, in frames before and after those in which a camera sees it."""
    frames, _ = after(world(replace(PARKED, missed=(0, 1, 6, 7)), AHEAD))
    assert all(cluster_of(tracked, which, 0)[1] > 0.9 for tracked, which in frames)


def test_an_object_that_is_gone_is_not_recovered():
    frames, _ = after(world(replace(PARKED, missed=(3, 4), absent=(3, 4)), AHEAD))
    for tracked, _ in frames[3:5]:
        assert "recovered" not in origins(tracked)
        assert len(tracked.found.clusters) == 1


def test_a_track_of_another_cluster_at_the_same_place_does_not_split_it():
    """A wrong cluster of some frames covers a part of the car in others, where the car has its own cluster."""
    drive = world(PARKED, AHEAD)
    frames, _ = after(drive)
    assert all("recovered" not in origins(tracked) for tracked, _ in frames)


def test_a_cut_is_not_crossed():
    drive = world(replace(PARKED, missed=(5, 6, 7, 8, 9)), count=10, jumps=((5, 3.0),))
    frames, _ = after(drive)
    assert all(len(tracked.found.clusters) == 0 for tracked, _ in frames[5:])


def test_flickers_go_and_classes_follow_the_vote():
    drive = world(replace(PARKED, as_class={2: TRUCK}), extra=(FALSE,), count=10)
    frames, _ = after(drive)
    assert [len(tracked.found.clusters) for tracked, _ in frames] == [1] * 10
    assert {tracked.found.clusters[0].class_name for tracked, _ in frames} == {"car"}
    without, _ = after(drive, replace(ON, vote=VoteConfig(), drop=TracksConfig().drop))
    assert [len(tracked.found.clusters) for tracked, _ in without] == [1, 1, 1, 2, *[1] * 6]
    assert without[2][0].found.clusters[0].class_id == TRUCK


def test_a_cluster_that_masks_cut_is_extended():
    """Growth alone does not take the rest: it is a component of its own, behind a gap."""
    lorry = Thing((15.0, 3.0), size_m=(10.0, 2.5, 3.0), class_id=TRUCK)
    drive = world(lorry, count=6)
    cut = []
    for k, (frame, points, found, which) in enumerate(drive):
        if k == 2:
            x = frame.sweep.world_SE3_ego.apply(points.xyz_lidar_m)[:, 0]
            kept_points = ~((x > 20.0) & (x < 21.5) & (which == 0))  # a pole hides the middle
            points, which = FramePoints.of(points.xyz_lidar_m[kept_points]), which[kept_points]
            x = x[kept_points]
            ids = np.where((which == 0) & (x <= 20.0), 0, NO_INSTANCE).astype(np.int32)
            classes = np.where(ids == 0, TRUCK, 255).astype(np.uint8)
            found = labelled(frame, points, PointLabels(ids, classes))
        cut.append((frame, points, found, which))
    frames, _ = after(cut)
    tracked, which = frames[2]
    cluster, iou = cluster_of(tracked, which, 0)
    assert tracked.members[cluster].origin == "extended"
    assert iou > 0.9
    assert tracked.found.clusters[cluster].size_aabb_m[0] > 9
    alone, _ = after(cut, replace(ON, extend=ExtendConfig()))
    assert cluster_of(alone[2][0], which, 0)[1] < 0.7


def test_no_labelled_point_changes_its_cluster():
    drive = world(*MISSING, replace(PARKED, xy_m=(16.3, 3.0), class_id=CAR))
    for (tracked, _), (_, _, found, _) in zip(after(drive)[0], drive, strict=True):
        before, now = found.labels.instance_id, tracked.found.labels.instance_id
        held = before != NO_INSTANCE
        assert (np.array(single_ids(tracked))[now[held]] == before[held]).all()


@pytest.mark.parametrize("config", [TracksConfig(), TracksConfig(enabled=True)])
def test_labels_stay_as_they_are_without_rules(config):
    drive = world(*MISSING, extra=(FALSE,))
    for (tracked, _), (_, _, found, _) in zip(after(drive, config)[0], drive, strict=True):
        assert np.array_equal(tracked.found.labels.instance_id, found.labels.instance_id)
        assert np.array_equal(tracked.found.labels.class_id, found.labels.class_id)
        assert tracked.found.clusters == found.clusters
        assert set(origins(tracked)) == {"kept"}
        assert single_ids(tracked) == list(range(len(found.clusters)))


def test_tracks_that_were_seen_too_seldom_recover_nothing():
    once = replace(PARKED, missed=(0, 1, 2, 4, 5, 6, 7))
    config = replace(ON, drop=TracksConfig().drop)
    assert all("recovered" not in origins(tracked) for tracked, _ in after(world(once), config)[0])
    eager = replace(config, recover=RecoverConfig(enabled=True, least_seen=1, least_share=0.0))
    assert all(len(tracked.found.clusters) == 1 for tracked, _ in after(world(once), eager)[0])


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_points_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    plain, mixed = (after(world(*MISSING, count=6, shuffle=shuffle))[0] for shuffle in (None, rng))
    for (one, _), (other, _) in zip(plain, mixed, strict=True):
        summary = [
            sorted(
                (c.num_points, c.class_id, *np.round(c.center_lidar_m, 6), s)
                for c, s in zip(tracked.found.clusters, origins(tracked), strict=True)
            )
            for tracked in (one, other)
        ]
        assert summary[0] == summary[1]


def test_points_of_another_frame_are_refused():
    drive = world(PARKED, count=2)
    tracks = track_scene(scene_frames(drive), NUSCENES, ON)
    frame, points, found, _ = drive[0]
    with pytest.raises(SchemaError, match="labels for 1 points") as error:
        tracked_labels(frame, FramePoints.of(points.xyz_lidar_m[:1]), found, tracks, NUSCENES, ON)
    assert error.value.code == "SCH003"


def test_a_scene_without_clusters_stays_empty():
    drive = world(replace(PARKED, missed=tuple(range(4))), count=4)
    frames, tracks = after(drive)
    assert tracks.tracks == tracks.dropped == ()
    assert all(len(tracked.found.clusters) == 0 for tracked, _ in frames)
