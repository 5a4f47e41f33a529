import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.tracked_scenes import random_scene

from pointsam.base.errors import SchemaError
from pointsam.evaluate import hota, tracking
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.tracking_quality import FIGURES, TrackingAccumulator
from pointsam.taxonomy import NUSCENES
from pointsam.types import PointLabels, PointTruth

CAR, TRUCK = NUSCENES.class_id("car"), NUSCENES.class_id("truck")


def by_frame(labels):
    """Clusters of a frame and their tracks, of labels by track; a track of two classes is two clusters."""
    key = labels.instance_id.astype(np.int64) * 256 + labels.class_id
    keys = np.unique(key[labels.instance_id >= 0])
    cluster = np.where(labels.instance_id >= 0, np.searchsorted(keys, key), -1).astype(np.int32)
    return PointLabels(cluster, labels.class_id), (keys // 256).tolist()


def add(accumulator, scene, frames):
    for k, (labels, truth) in enumerate(frames):
        clusters, tracks = by_frame(labels)
        names = {int(n): f"object {n}" for n in np.unique(truth.labels.instance_id)}
        accumulator.add(scene, f"{scene}/{k}", clusters, tracks, truth, names)


def test_figures_are_those_of_the_numbered_scenes(rng_of):
    rng = rng_of(5)
    scenes = {f"s{k}": random_scene(rng, frames) for k, frames in enumerate((4, 7, 5))}
    accumulator = TrackingAccumulator(NUSCENES)
    counts = []
    for name, frames in scenes.items():
        add(accumulator, name, frames)
        parts = tracking.SceneTracks(10), hota.SceneHota(10)
        for labels, truth in frames:
            for part in parts:
                part.add(overlaps(labels, truth, NUSCENES))
        counts.append([part.counts() for part in parts])
    expected = np.concatenate([tracking.figures(sum(c[0] for c in counts)), hota.figures(sum(c[1] for c in counts))])
    found = accumulator.result()
    assert [found.figures[name][0] for name in FIGURES] == pytest.approx(expected.tolist())
    for value, low, high in found.figures.values():
        assert low <= value <= high
        assert low < high
    assert (found.num_scenes, found.num_frames, found.min_points) == (3, 16, 15)
    assert [one.frames for one in accumulator.scenes()] == [4, 7, 5]
    assert sum(c.tq * c.objects for c in found.classes if c.objects) == pytest.approx(
        sum(c[0][tracking.ROWS.index("track quality sum")].sum() for c in counts)
    )
    assert np.nanmean([c.hota for c in found.classes]) == pytest.approx(found.figures["HOTA"][0])
    assert sum(c.switches for c in found.classes) == sum(c[0][tracking.ROWS.index("switches")].sum() for c in counts)


def run(*tracks, class_id=CAR, points=20):
    """Frames of one object whose cluster is of each of these tracks; None is a miss."""
    true = PointLabels(np.zeros(points, np.int32), np.full(points, class_id, np.uint8))
    for track in tracks:
        found = PointLabels.empty(points) if track is None else true
        yield found, [-1 if track is None else track], PointTruth(true, np.zeros(points, bool), "boxes")


def figures_of(*tracks):
    accumulator = TrackingAccumulator(NUSCENES)
    for k, (labels, ids, truth) in enumerate(run(*tracks)):
        accumulator.add("s", str(k), labels, ids, truth, {0: "a"})
    return {name: value[0] for name, value in accumulator.result().figures.items()}


def test_a_perfect_track_has_one_in_all():
    assert figures_of(1, 1, 1) == pytest.approx(dict.fromkeys(FIGURES, 1.0))


def test_clusters_without_tracks_are_a_switch_each_time():
    found = figures_of(-1, -1)
    assert found["PQ"] == 1.0
    assert found["PTQ"] == pytest.approx(0.5)  # (2 - 1) / 2
    assert found["TQ"] == 0.0  # the only pair of occurrences breaks


def test_a_switch_in_the_middle():
    found = figures_of(1, 1, 2, 2)
    assert found["PTQ"] == pytest.approx(3 / 4)
    assert found["TQ"] == pytest.approx(math.sqrt(0.5 * (1 - 1 / 3)))  # two tracks with 2 of 4: 2 * 4 / 4 / 4
    assert found["S_assoc"] == pytest.approx(0.5)
    assert found["PAT"] == pytest.approx(2 * found["TQ"] / (1 + found["TQ"]))


def test_a_miss_breaks_but_does_not_switch():
    found = figures_of(1, None, 1)
    assert found["PTQ"] == pytest.approx(2 / 2.5)
    assert found["TQ"] == pytest.approx(math.sqrt(2 * 2 / 3 / 3 * (1 - 2 / 2)))


def test_nothing_found_is_zero_and_no_truth_is_nan():
    found = figures_of(None, None)
    assert (found["PAT"], found["TQ"], found["PQ"]) == (0, 0, 0)
    empty = TrackingAccumulator(NUSCENES).result()
    assert all(np.isnan(value).all() for value in empty.figures.values())
    assert (empty.num_scenes, empty.num_frames) == (0, 0)


def test_a_single_scene_has_no_band():
    accumulator = TrackingAccumulator(NUSCENES)
    labels, ids, truth = next(iter(run(1)))
    accumulator.add("s", "f", labels, ids, truth, {0: "a"})
    value, low, high = accumulator.result().figures["PAT"]
    assert value == 1.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_scene_in_two_pieces_is_refused():
    accumulator = TrackingAccumulator(NUSCENES)
    labels, ids, truth = next(iter(run(1)))
    for scene in ("a", "b"):
        accumulator.add(scene, f"{scene}0", labels, ids, truth, {0: "a"})
    with pytest.raises(SchemaError, match="frame a1: scene a is not in one piece") as raised:
        accumulator.add("a", "a1", labels, ids, truth, {0: "a"})
    assert raised.value.code == "SCH004"


def test_ground_truth_of_two_sources_in_a_scene_is_refused():
    accumulator = TrackingAccumulator(NUSCENES)
    labels, ids, truth = next(iter(run(1)))
    accumulator.add("a", "a0", labels, ids, truth, {0: "a"})
    other = replace(truth, source="panoptic")
    with pytest.raises(SchemaError, match=r"a1 has ground truth from panoptic, .* before it from boxes") as raised:
        accumulator.add("a", "a1", labels, ids, other, {0: "a"})
    assert raised.value.code == "SCH004"
    accumulator.add("b", "b0", labels, ids, other, {0: "a"})


def test_numbers_start_again_in_every_scene():
    accumulator = TrackingAccumulator(NUSCENES)
    for scene in ("a", "b"):
        for k, (labels, ids, truth) in enumerate(run(3, 3)):
            accumulator.add(scene, f"{scene}{k}", labels, ids, truth, {0: "a"})
    first, second = accumulator.scenes()
    np.testing.assert_array_equal(first.flat, second.flat)
    assert accumulator.result().classes[CAR].objects == 2
    assert math.isnan(accumulator.result().classes[TRUCK].tq)
