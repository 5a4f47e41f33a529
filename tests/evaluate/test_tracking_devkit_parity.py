"""SceneTracks against nuscenes-devkit's PanopticTrackingEval on random scenes."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.tracked_scenes import NUM_CLASSES, random_scene

from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.evaluate.tracking import FIGURES, ROWS, SceneTracks, figures, of_classes
from pointsam.evaluate.tracking_quality import TrackingAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import PointLabels

devkit = pytest.importorskip("nuscenes.eval.panoptic.panoptic_track_evaluator")

STUFF = NUM_CLASSES + 1
"""The devkit's classes: 0 void, 1 to 10 things, 11 background that counts."""


def devkit_rows(labels, void=None):
    """Classes and instances as in the benchmark's files: an instance holds its class, background of labels is 0."""
    background = labels.class_id == BACKGROUND
    semantic = np.where(background, STUFF, labels.class_id.astype(np.int64) + 1)
    instance = np.where(background, 0, semantic * 100_000 + labels.instance_id + 1)
    return semantic if void is None else np.where(void, 0, semantic), instance


def both(scenes, min_points):
    ours = []
    theirs = devkit.PanopticTrackingEval(STUFF + 1, STUFF, ignore=[0], min_points=min_points)
    theirs.include = np.arange(1, STUFF)  # things: points of stuff stay, and are no class of its means
    for k, scene in enumerate(scenes):
        one, rows = SceneTracks(NUM_CLASSES, min_points), [[None] for _ in range(4)]
        for labels, truth in scene:
            one.add(overlaps(labels, truth, NUSCENES))
            frame = (*devkit_rows(labels), *devkit_rows(truth.labels, truth.void))
            rows = [[*row, new][-2:] for row, new in zip(rows, frame, strict=True)]
            theirs.add_batch(f"scene {k}", *rows)  # changes the rows, as the devkit's own evaluation relies on
        ours.append(one.counts())
    return np.array(ours), theirs


@pytest.mark.parametrize("min_points", [1, 15])
@pytest.mark.parametrize("seed", range(3))
def test_counts_and_figures_equal_the_devkits(seed, min_points):
    rng = np.random.default_rng(seed)
    ours, theirs = both([random_scene(rng, frames) for frames in (1, 3, 8, 8, 12)], min_points)
    counts = ours.sum(axis=0)
    things = slice(1, STUFF)
    for row, expected in (
        ("tp", theirs.pan_tp),
        ("fp", theirs.pan_fp),
        ("fn", theirs.pan_fn),
        ("iou sum", theirs.pan_iou),
        ("switches", theirs.pan_ids),
        ("switched iou", theirs.pan_soft_ids),
    ):
        np.testing.assert_allclose(counts[ROWS.index(row)], expected[things], rtol=0, atol=1e-9)
        assert expected[things].sum() > 5
    found = dict(zip(FIGURES, figures(counts), strict=True))
    assert (counts[:3].sum(axis=0) > 0).all()  # the devkit's mean counts classes that do not occur
    pat, pq, tq = theirs.get_pat()
    ptq, class_ptq, soft, class_soft = theirs.get_ptq()
    lstq, association = theirs.get_lstq()
    expected = {"PAT": pat, "PQ": pq, "TQ": tq, "PTQ": ptq, "sPTQ": soft, "LSTQ": lstq, "S_assoc": association}
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, rel=0, abs=1e-9)
    of_class = np.stack([class_ptq[things], class_soft[things]], axis=1)
    np.testing.assert_allclose(of_classes(counts)[:, :2], of_class, rtol=0, atol=1e-9)
    assert 0.05 < found["TQ"] < 0.95


@pytest.mark.parametrize("seed", range(2))
def test_classes_that_do_not_occur_are_left_out(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = both([random_scene(rng, 6, classes=(0, 3, 7)) for _ in range(3)], 15)
    counts = ours.sum(axis=0)
    theirs.include = np.array([1, 4, 8])
    expected = [*(float(v) for v in theirs.get_pat()), float(theirs.get_ptq()[0])]
    assert figures(counts)[:4] == pytest.approx(expected, rel=0, abs=1e-9)
    assert float(theirs.get_lstq()[0]) == pytest.approx(figures(counts)[5], abs=1e-9)


def test_frames_of_a_data_set_have_the_devkits_figures(rng_of):
    """Ids of ground truth are ranks in their frame, as those of `panoptic_truth`, and clusters are of one class."""
    scenes = [random_scene(rng_of(seed), 8) for seed in (11, 12)]
    accumulator = TrackingAccumulator(NUSCENES)
    for k, scene in enumerate(scenes):
        for f, (labels, truth) in enumerate(scene):
            accumulator.add(f"s{k}", f"s{k}f{f}", *clusters_of(labels), *ranked(truth))
    _, theirs = both(scenes, 15)
    expected = [*(float(v) for v in theirs.get_pat()), *(float(theirs.get_ptq()[k]) for k in (0, 2))]
    found = accumulator.result().figures
    assert [found[name][0] for name in FIGURES[:5]] == pytest.approx(expected, rel=0, abs=1e-9)


def clusters_of(labels):
    key = labels.instance_id.astype(np.int64) * 256 + labels.class_id
    keys = np.unique(key[labels.instance_id >= 0])
    cluster = np.where(labels.instance_id >= 0, np.searchsorted(keys, key), -1).astype(np.int32)
    return PointLabels(cluster, labels.class_id), keys // 256


def ranked(truth):
    objects, rank = np.unique(truth.labels.instance_id, return_inverse=True)
    first = int(objects[0] < 0)
    labels = PointLabels((rank - first).astype(np.int32), truth.labels.class_id)
    return replace(truth, labels=labels), {k: str(n) for k, n in enumerate(objects[first:].tolist())}


def test_pq_is_that_of_panoptic_quality(rng_of):
    scene = random_scene(rng_of(7))
    panoptic, tracks = PanopticAccumulator(NUSCENES), SceneTracks(NUM_CLASSES)
    for labels, truth in scene:
        panoptic.add(labels, truth)
        tracks.add(overlaps(labels, truth, NUSCENES))
    assert figures(tracks.counts())[1] == pytest.approx(panoptic.result().pq, abs=1e-7)
