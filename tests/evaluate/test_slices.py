"""Bins against a plain count, object by object."""

import numpy as np
import pytest

from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.evaluate.slices import Members, SliceAccumulator
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

BINS = {"kind": ("a", "b", "c")}


def sweep(rng, points=1500, objects=25):
    """Runs of points, an object each, with borders moved, some lost and some of another class."""
    owner = np.sort(rng.integers(0, objects, points))
    class_id = rng.integers(0, 3, objects)
    moved = np.roll(owner, int(rng.integers(0, 12)))
    confused = np.where(rng.random(objects) < 0.2, (class_id + 1) % 3, class_id)
    lost = rng.random(objects) < 0.3
    hollow = rng.random(objects) < 0.2
    pred = labels(moved, confused[moved], lost[moved])
    return pred, PointTruth(labels(owner, class_id[owner], hollow[owner]), rng.random(points) < 0.05, "boxes")


def labels(owner, class_id, gone):
    return PointLabels(
        np.where(gone, NO_INSTANCE, owner).astype(np.int32), np.where(gone, BACKGROUND, class_id).astype(np.uint8)
    )


def plain(seen, objects, clusters, column, class_id):
    """(tp, fp, fn, objects, found, clusters, right) of one bin and class."""
    iou = {}
    for p, t, n in zip(seen.pred_index, seen.true_index, seen.shared, strict=True):
        iou[p, t] = n / (seen.pred_size[p] + seen.true_size[t] - n)
    counts = np.zeros(7, dtype=int)
    for t, size in enumerate(seen.true_size):
        if seen.true_class[t] != class_id or not objects[t, column]:
            continue
        best = max((v for (_, other), v in iou.items() if other == t), default=0)
        hit = any(v > 0.5 and o == t and seen.pred_class[p] == class_id for (p, o), v in iou.items())
        counts += (hit, 0, not hit and size >= 15, size >= 5, size >= 5 and best > 0.5, 0, 0)
    for p, size in enumerate(seen.pred_size):
        if seen.pred_class[p] != class_id or not clusters[p, column]:
            continue
        best = max((v for (other, _), v in iou.items() if other == p), default=0)
        hit = any(v > 0.5 and o == p and seen.true_class[t] == class_id for (o, t), v in iou.items())
        counts += (0, not hit and size >= 15, 0, 0, 0, size >= 5, size >= 5 and best > 0.5)
    return counts


def figures(panoptic, agnostic):
    found = round(agnostic.recall * agnostic.num_objects) if agnostic.num_objects else 0
    right = round(agnostic.precision * agnostic.num_clusters) if agnostic.num_clusters else 0
    return [panoptic.tp, panoptic.fp, panoptic.fn, agnostic.num_objects, found, agnostic.num_clusters, right]


def test_every_bin_counts_its_own(rng_of):
    rng = rng_of(4)
    accumulator = SliceAccumulator(NUSCENES, BINS)
    expected = np.zeros((3, 3, 7), dtype=int)
    for _ in range(4):
        seen = overlaps(*sweep(rng), NUSCENES)
        objects, clusters = (rng.random((len(size), 3)) < 0.5 for size in (seen.true_size, seen.pred_size))
        accumulator.add(seen, {"kind": Members(objects, clusters)})
        for column in range(3):
            for class_id in range(3):
                expected[column, class_id] += plain(seen, objects, clusters, column, class_id)
    for column, one in enumerate(accumulator.result()):
        assert (one.dimension, one.bin) == ("kind", BINS["kind"][column])
        for class_id in range(3):
            assert figures(one.classes[class_id], one.class_objects[class_id]) == expected[column, class_id].tolist()
    assert (expected > 0).any(axis=(0, 1)).all()


def test_a_bin_of_everything_is_the_whole(rng_of):
    rng = rng_of(5)
    whole = SliceAccumulator(NUSCENES, {"all": ("all",)}, 30, 50)
    panoptic, agnostic = PanopticAccumulator(NUSCENES, 30), AgnosticAccumulator(NUSCENES, 50)
    for _ in range(5):
        seen = overlaps(*sweep(rng), NUSCENES)
        every = Members(*(np.ones((len(size), 1), dtype=bool) for size in (seen.true_size, seen.pred_size)))
        whole.add(seen, {"all": every})
        panoptic.add_overlaps(seen)
        agnostic.add_overlaps(seen)
    (one,) = whole.result()
    assert (one.pq, one.sq, one.rq) == pytest.approx((panoptic.result().pq, panoptic.result().sq, panoptic.result().rq))
    overall = agnostic.result().overall
    assert (one.objects.num_objects, one.objects.num_clusters) == (overall.num_objects, overall.num_clusters)
    expected = (overall.mean_iou, overall.recall, overall.precision)
    assert (one.objects.mean_iou, one.objects.recall, one.objects.precision) == pytest.approx(expected)
    for mine, whole_class in zip(one.class_objects, agnostic.result().classes, strict=True):
        assert mine.name == whole_class.name
        assert mine.mean_iou == pytest.approx(whole_class.mean_iou, nan_ok=True)
    assert 0.2 < one.pq < 0.95


def test_a_dimension_that_is_left_out_of_a_sweep_is_not_counted(rng_of):
    accumulator = SliceAccumulator(NUSCENES, BINS)
    accumulator.add(overlaps(*sweep(rng_of(6)), NUSCENES), {})
    assert all(one.objects.num_objects == 0 for one in accumulator.result())
