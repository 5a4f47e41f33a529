import math

import numpy as np
import pytest
from helpers.tracked_scenes import NUM_CLASSES, random_scene
from scipy.optimize import linear_sum_assignment

from pointsam.evaluate.hota import ALPHAS, ROWS, SceneHota, figures, of_classes
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import match
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

CAR, PEDESTRIAN = NUSCENES.class_id("car"), NUSCENES.class_id("pedestrian")


def counts_of(scene, min_points=15):
    hota = SceneHota(NUM_CLASSES, min_points)
    for labels, truth in scene:
        hota.add(overlaps(labels, truth, NUSCENES))
    return hota.counts()


def segments(scene, class_id, min_points):
    """By sweep: numbers of the objects and tracks of a class, and all their IoU."""
    for labels, truth in scene:
        seen = overlaps(labels, truth, NUSCENES)
        found = match(seen, min_points)
        true = [
            t
            for t in range(len(seen.true_id))
            if seen.true_class[t] == class_id and (seen.true_size[t] >= min_points or t in seen.true_index[found.pair])
        ]
        pred = [
            p
            for p in range(len(seen.pred_id))
            if seen.pred_class[p] == class_id and (seen.pred_size[p] >= min_points or p in seen.pred_index[found.pair])
        ]
        iou = {(t, p): v for t, p, v in zip(seen.true_index, seen.pred_index, seen.iou, strict=True)}
        matrix = np.array([[iou.get((t, p), 0.0) for p in pred] for t in true]).reshape(len(true), len(pred))
        yield seen.true_id[true], seen.pred_id[pred], matrix


def slow(scene, class_id, min_points):
    """(4,A) counts with dictionaries, one pair at a time."""
    sweeps = list(segments(scene, class_id, min_points))
    shared, true_sweeps, pred_sweeps = {}, {}, {}
    for true, pred, iou in sweeps:
        for t, g in enumerate(true):
            true_sweeps[g] = true_sweeps.get(g, 0) + 1
            for p, k in enumerate(pred):
                whole = iou[t].sum() + iou[:, p].sum() - iou[t, p]
                shared[g, k] = shared.get((g, k), 0.0) + (iou[t, p] / whole if whole else 0.0)
        for k in pred:
            pred_sweeps[k] = pred_sweeps.get(k, 0) + 1
    out = np.zeros((4, len(ALPHAS)))
    for a, alpha in enumerate(ALPHAS):
        hits = {}
        for true, pred, iou in sweeps:
            score = np.zeros(iou.shape)
            for t, g in enumerate(true):
                for p, k in enumerate(pred):
                    whole = true_sweeps[g] + pred_sweeps[k] - shared[g, k]
                    score[t, p] = iou[t, p] * shared[g, k] / whole
            pairs = [(t, p) for t, p in zip(*linear_sum_assignment(-score), strict=True) if iou[t, p] >= alpha - 1e-12]
            for t, p in pairs:
                hits[true[t], pred[p]] = hits.get((true[t], pred[p]), 0) + 1
            out[:3, a] += len(pairs), len(pred) - len(pairs), len(true) - len(pairs)
        out[3, a] = sum(n * n / (true_sweeps[g] + pred_sweeps[k] - n) for (g, k), n in hits.items())
    return out


@pytest.mark.parametrize("min_points", [1, 15])
def test_counts_are_those_of_the_slow_twin(min_points, rng_of):
    scene = random_scene(rng_of(3), classes=(0, 1, 7))
    counts = counts_of(scene, min_points)
    expected = np.stack([slow(scene, k, min_points) for k in range(NUM_CLASSES)], axis=2)
    np.testing.assert_allclose(counts, expected, rtol=0, atol=1e-9)
    assert (counts.sum(axis=(1, 2)) > 10).all()


@pytest.mark.parametrize("seed", range(3))
def test_values_are_trackevals(seed):
    trackeval = pytest.importorskip("trackeval", reason="needs TrackEval, whose numpy nuscenes-devkit excludes")
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng, frames, classes=(0, 1, 7)) for frames in (1, 5, 12)]
    counts = sum(counts_of(scene) for scene in scenes)
    metric = trackeval.metrics.HOTA()
    for class_id in (0, 1, 7):
        found = {str(k): metric.eval_sequence(as_trackeval(scene, class_id)) for k, scene in enumerate(scenes)}
        whole = metric.combine_sequences(found)
        for row, name in (("tp", "HOTA_TP"), ("fp", "HOTA_FP"), ("fn", "HOTA_FN")):
            assert counts[ROWS.index(row), :, class_id] == pytest.approx(whole[name])
        expected = [whole[name].mean() for name in ("HOTA", "DetA", "AssA")]
        assert of_classes(counts)[class_id] == pytest.approx(expected, rel=0, abs=1e-9)


def as_trackeval(scene, class_id):
    sweeps = list(segments(scene, class_id, 15))
    sides = [np.unique(np.concatenate([np.zeros(0, int), *(sweep[k] for sweep in sweeps)])) for k in (0, 1)]
    ids = [[np.searchsorted(sides[k], sweep[k]) for sweep in sweeps] for k in (0, 1)]
    return {
        "gt_ids": ids[0],
        "tracker_ids": ids[1],
        "similarity_scores": [sweep[2] for sweep in sweeps],
        "num_gt_dets": sum(map(len, ids[0])),
        "num_tracker_dets": sum(map(len, ids[1])),
        "num_gt_ids": len(sides[0]),
        "num_tracker_ids": len(sides[1]),
    }


def frame(*objects, points=20):
    """Runs of points of (class, true object or None, track or None)."""

    def side(column):
        number = np.repeat([NO_INSTANCE if one[column] is None else one[column] for one in objects], points)
        class_id = np.repeat([one[0] for one in objects], points)
        return PointLabels(
            number.astype(np.int32), np.where(number == NO_INSTANCE, BACKGROUND, class_id).astype(np.uint8)
        )

    return side(2), PointTruth(side(1), np.zeros(points * len(objects), bool), "boxes")


def test_perfect_tracks_have_one():
    found = figures(counts_of([frame((CAR, 0, 5), (PEDESTRIAN, 1, 6))] * 3))
    assert found == pytest.approx([1, 1, 1])


def test_a_track_cut_in_the_middle_costs_association_only():
    found = figures(counts_of([frame((CAR, 0, 5)), frame((CAR, 0, 6))]))
    assert found == pytest.approx([math.sqrt(0.5), 1, 0.5])


def test_a_miss_costs_detection_and_association():
    found = figures(counts_of([frame((CAR, 0, 5)), frame((CAR, 0, None))]))
    assert found == pytest.approx([0.5, 0.5, 0.5])


def test_a_small_object_that_is_missed_does_not_count():
    assert np.isnan(figures(counts_of([frame((CAR, 0, None), points=14)]))).all()
    assert figures(counts_of([frame((CAR, 0, 5), points=14)])) == pytest.approx([1, 1, 1])


def test_nothing_is_nan():
    assert np.isnan(figures(SceneHota(NUM_CLASSES).counts())).all()
    assert np.isnan(figures(counts_of([frame((CAR, None, None))]))).all()
