"""Clues of hand-made scenes, each with one error, and of random scenes against a slow twin."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pointsam.evaluate.clues import CLUES, clues_of
from pointsam.evaluate.tracked_frames import TrackedCluster, TrackedFrame
from pointsam.taxonomy import NUSCENES, ClassSpec, Taxonomy

CAR, BUS, PEDESTRIAN = (NUSCENES.class_id(name) for name in ("car", "bus", "pedestrian"))
BASE = TrackedCluster(0, 0, CAR, 100, (0.0, 0.0, 0.0), 4.5, 1.5)


def scene(*rows, step_s=0.1, failed=()):
    """Frames of (track, position along x, changes) each."""
    frames = []
    for f, row in enumerate(rows):
        clusters = tuple(
            replace(BASE, cluster_id=k, track_id=track, center_world_m=(float(x), 0.0, 0.0), **changes)
            for k, (track, x, changes) in enumerate(row)
        )
        ok = f not in failed
        frames.append(TrackedFrame("s", f"f{f}", round(f * step_s * 1e6), ok, clusters if ok else ()))
    return frames


def one(track=0, x=0.0, **changes):
    return [(track, x, changes)]


def counts(frames, clue, taxonomy=NUSCENES):
    """Number asked and found of a clue, by cluster."""
    clues = clues_of(frames, taxonomy)
    return clues.asked[:, CLUES.index(clue)].tolist(), clues.found[:, CLUES.index(clue)].tolist()


def test_a_steady_track_shows_nothing():
    frames = scene(*[one(x=3.0 * f, spread=(60, 30, 10), num_cameras=2, class_share=1.0) for f in range(5)])
    clues = clues_of(frames, NUSCENES)
    assert not clues.found.any()
    assert clues.asked.sum(axis=0).tolist() == [4, 4, 4, 500, 5, 5, 3, 4]
    assert clues.before.tolist() == [-1, 0, 1, 2, 3]
    assert len(clues.gaps) == 0


class TestBreaks:
    def test_a_gap_breaks_a_track(self):
        frames = scene(one(), one(), [], [], one(), one())
        assert counts(frames, "break") == ([1, 1, 1, 0], [0, 1, 0, 0])
        assert clues_of(frames, NUSCENES).gaps.tolist() == [[2, 1], [3, 1]]

    def test_a_long_gap_is_an_object_that_was_away(self):
        assert counts(scene(one(), [], [], [], [], one(x=50)), "break")[1] == [0, 0]
        assert counts(scene(one(), [], [], [], one(x=50)), "break")[1] == [1, 0]

    def test_a_track_that_begins_where_another_would_be_breaks_it(self):
        moving = scene(one(0, 0), one(0, 5), one(1, 10), one(1, 15))
        assert counts(moving, "break")[1] == [0, 1, 0, 0]
        assert counts(scene(one(0, 0), one(0, 5), one(1, 12.1)), "break")[1] == [0, 0, 0]
        assert counts(scene(one(0, 0), one(0, 5), [], [], one(1, 20)), "break")[1] == [0, 1, 0]
        assert counts(scene(one(0, 0), one(0, 5), [], [], [], one(1, 25)), "break")[1] == [0, 0, 0]

    def test_a_beginning_serves_the_nearest_end_only(self):
        frames = scene([(0, 0.0, {}), (1, 1.5, {})], one(2, 1.0))
        assert counts(frames, "break")[1] == [0, 1, 0]

    def test_quarantined_frames_are_passed_over(self):
        assert counts(scene(one(), [], one(), failed=(1,)), "break") == ([1, 0], [0, 0])

    def test_frames_far_apart_break_nothing(self):
        frames = scene(one(), [], one(1), step_s=2.0)
        assert counts(frames, "break") == ([0, 0], [0, 0])
        assert not clues_of(frames, NUSCENES).gaps.size

    def test_without_poses_no_ends_are_joined(self):
        frames = scene(one(0, math.nan), one(1, math.nan))
        assert counts(frames, "break") == ([1, 0], [0, 0])

    def test_frames_without_times_follow_each_other(self):
        assert counts(scene(one(), [], one(), step_s=0.0), "break")[1] == [1, 0]


def test_class_changes_are_those_from_the_cluster_before():
    frames = scene(one(), one(class_id=BUS), [], one(class_id=BUS), one())
    assert counts(frames, "class change") == ([0, 1, 1, 1], [0, 1, 0, 1])


def test_size_jumps_are_those_from_the_frame_before():
    frames = scene(one(), one(length_m=7.0), [], one(), one(height_m=0.9), one(height_m=1.3))
    assert counts(frames, "size jump") == ([0, 1, 0, 1, 1], [0, 1, 0, 1, 0])


def test_points_beyond_the_usual_reach_have_left():
    tight, loose = (50, 40, 10), (50, 40, 10, 0, 0, 0, 0, 7, 3)
    frames = scene(*[one(spread=spread) for spread in (tight, loose, tight, tight)])
    assert counts(frames, "left points") == ([100, 110, 100, 100], [0, 10, 0, 0])
    assert counts(frames[:2], "left points") == ([0, 0], [0, 0])
    unread = scene(*[one(spread=spread) for spread in (tight, (), tight)])
    assert counts(unread, "left points") == ([0, 0, 0], [0, 0, 0])


def test_cameras_disagree_if_a_mask_has_another_class():
    changes = [(2, 1.0), (2, 0.8), (1, 0.8), (0, 0.0)]
    frames = scene([(k, 9.0 * k, {"num_cameras": n, "class_share": share}) for k, (n, share) in enumerate(changes)])
    assert counts(frames, "cameras disagree") == ([1, 1, 0, 0], [0, 1, 0, 0])


def test_odd_sizes_are_those_of_the_class():
    rows = [
        (0, 0, {"length_m": 7.6}),
        (1, 9, {"length_m": 7.5}),
        (2, 18, {"height_m": 2.7}),
        (3, 27, {"length_m": 7.6, "class_id": BUS}),
    ]
    assert counts(scene(rows), "odd size") == ([1, 1, 1, 1], [1, 0, 1, 0])
    unknown = Taxonomy("own", tuple(ClassSpec(f"kind {k}") for k in range(10)))
    assert counts(scene(rows), "odd size", unknown) == ([0] * 4, [0] * 4)


def test_flickers_are_between_two_frames():
    assert counts(scene(one(0), one(1), one(2)), "flicker") == ([0, 1, 0], [0, 1, 0])
    assert counts(scene(one(0), one(1), one(1)), "flicker") == ([0, 1, 0], [0, 0, 0])
    assert counts(scene(one(0), one(1), one(2), step_s=2.0), "flicker")[0] == [0, 0, 0]


def test_beginnings_are_in_frames_that_follow_another():
    assert counts(scene(one(0), [*one(0), *one(1)], one(1)), "beginning") == ([0, 1, 1, 1], [0, 0, 1, 0])
    assert counts(scene(one(0), one(1), step_s=2.0), "beginning")[0] == [0, 0]


def test_clusters_without_a_track_are_asked_of_themselves_only():
    frames = scene(*[one(-1, num_cameras=2, class_share=0.5, length_m=9.0, spread=(5,)) for _ in range(3)])
    clues = clues_of(frames, NUSCENES)
    assert dict(zip(CLUES, clues.asked.sum(axis=0).tolist(), strict=True)) == {
        **dict.fromkeys(CLUES, 0),
        "cameras disagree": 3,
        "odd size": 3,
    }


def test_of_two_clusters_of_a_track_in_a_frame_the_larger_stands_for_it():
    frames = scene(one(), [(0, 0.0, {"num_points": 5, "class_id": BUS}), (0, 0.0, {})], one())
    clues = clues_of(frames, NUSCENES)
    assert clues.before.tolist() == [-1, -1, 0, 2]
    assert not clues.found[:, CLUES.index("class change")].any()


@pytest.mark.parametrize("frames", [[], scene([]), scene([], [], failed=(0, 1))])
def test_nothing_has_no_clues(frames):
    clues = clues_of(frames, NUSCENES)
    assert clues.asked.shape == clues.found.shape == (0, len(CLUES))
    assert clues.gaps.shape == (0, 2)


def random_frames(rng, count=12):
    rows, at = [], 0.0
    for f in range(count):
        at += rng.choice([0.1, 0.5, 1.6], p=[0.5, 0.4, 0.1])
        clusters = [
            TrackedCluster(
                k,
                int(rng.integers(-1, 7)),
                int(rng.choice([CAR, BUS, PEDESTRIAN])),
                int(rng.integers(5, 200)),
                (float(rng.integers(0, 12)), float(rng.integers(0, 3)), 0.0),
                float(rng.uniform(0.5, 9)),
                float(rng.uniform(0.5, 3)),
                int(rng.integers(0, 3)),
                float(rng.choice([1.0, 0.7])),
                spread=tuple(rng.integers(0, 20, rng.integers(1, 9)).tolist()) if rng.random() < 0.9 else (),
            )
            for k in range(rng.integers(0, len(CLUES)))
        ]
        ok = rng.random() > 0.1
        rows.append(TrackedFrame("s", f"f{f}", round(at * 1e6), ok, tuple(clusters) if ok else ()))
    return rows


def slow(frames):
    """Clues but breaks and left points, with dictionaries."""
    usable = [frame for frame in frames if frame.ok]
    tracks = {}
    for g, frame in enumerate(usable):
        for cluster in sorted(frame.clusters, key=lambda c: (-c.num_points, c.cluster_id)):
            if cluster.track_id >= 0:
                tracks.setdefault(cluster.track_id, {}).setdefault(g, cluster)

    def near(g, h):
        return all(usable[k + 1].t_us - usable[k].t_us <= 1_000_000 for k in range(g, h))

    out = []
    for g, frame in enumerate(usable):
        for cluster in frame.clusters:
            row = dict.fromkeys(CLUES, (0, 0))
            mine = tracks.get(cluster.track_id, {})
            is_it = mine.get(g) is cluster
            earlier = [h for h in mine if h < g]
            if is_it and earlier:
                last, step = mine[max(earlier)], g - max(earlier)
                row["class change"] = (1, int(last.class_id != cluster.class_id))
                if step == 1 and near(g - 1, g):
                    jumps = [
                        max(a, b) > 1.5 * min(a, b) and abs(a - b) > 0.5
                        for a, b in ((last.length_m, cluster.length_m), (last.height_m, cluster.height_m))
                    ]
                    row["size jump"] = (1, int(any(jumps)))
            if is_it and 0 < g < len(usable) - 1 and near(g - 1, g + 1):
                row["flicker"] = (1, int(len(mine) == 1))
            if is_it and g > 0 and near(g - 1, g):
                row["beginning"] = (1, int(not earlier))
            if cluster.num_cameras > 1:
                row["cameras disagree"] = (1, int(cluster.class_share < 1))
            length, width, height = NUSCENES.classes[cluster.class_id].typical_lwh_m
            odd = cluster.length_m > 1.5 * math.hypot(length, width) or cluster.height_m > 1.5 * height
            row["odd size"] = (1, int(odd))
            out.append(row)
    return out


@pytest.mark.parametrize("seed", range(20))
def test_random_scenes_have_the_clues_of_the_slow_twin(seed, rng_of):
    frames = random_frames(rng_of(seed))
    clues, expected = clues_of(frames, NUSCENES), slow(frames)
    for name in set(CLUES) - {"break", "left points"}:
        k = CLUES.index(name)
        pairs = list(zip(clues.asked[:, k].tolist(), clues.found[:, k].tolist(), strict=True))
        assert pairs == [row[name] for row in expected], name
    assert (clues.found <= clues.asked).all()
    owners = np.concatenate([[f] * len(frame.clusters) for f, frame in enumerate(frames)])
    assert clues.frame.tolist() == owners.tolist()


def test_random_scenes_show_every_clue(rng_of):
    found = sum(clues_of(random_frames(rng_of(seed)), NUSCENES).found.sum(axis=0) for seed in range(20))
    assert (found >= 5).all()
