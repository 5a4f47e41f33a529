"""Counts against the accumulators of `eval`; bands and differences of units whose draws are known."""

import numpy as np
import pytest

from pointsam.evaluate.agnostic import AgnosticAccumulator, best_iou
from pointsam.evaluate.judge import FrameVerdict
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.paired import FIGURES, ROWS, compare, frame_counts, units_of
from pointsam.evaluate.panoptic import PanopticAccumulator, match
from pointsam.evaluate.slices import Members
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

RANGES = ("near", "far")
TP, FN, OBJECTS, FOUND = (ROWS.index(name) for name in ("tp", "fn", "objects", "found"))


def labels(owner, class_id, gone):
    return PointLabels(
        np.where(gone, NO_INSTANCE, owner).astype(np.int32), np.where(gone, BACKGROUND, class_id).astype(np.uint8)
    )


def sweep(rng, points=1500, objects=40):
    """Runs of points, an object each, with borders moved, some lost and some of another class."""
    owner = np.sort(rng.integers(0, objects, points))
    class_id = rng.integers(0, 3, objects)
    moved = np.roll(owner, int(rng.integers(0, 20)))
    confused = np.where(rng.random(objects) < 0.2, (class_id + 1) % 3, class_id)
    lost, hollow = rng.random(objects) < 0.3, rng.random(objects) < 0.2
    truth = PointTruth(labels(owner, class_id[owner], hollow[owner]), rng.random(points) < 0.3, "boxes")
    return overlaps(labels(moved, confused[moved], lost[moved]), truth, NUSCENES)


def verdict_of(seen, rng):
    found = match(seen, 15)
    object_iou, cluster_iou = best_iou(seen)
    matched_objects, matched_clusters = (np.zeros(len(iou), bool) for iou in (object_iou, cluster_iou))
    matched_objects[seen.true_index[found.pair]] = True
    matched_clusters[seen.pred_index[found.pair]] = True
    sides = [np.eye(2, dtype=bool)[rng.integers(0, 2, len(iou))] for iou in (object_iou, cluster_iou)]
    return FrameVerdict(
        frame_id="a",
        seen=seen,
        object_iou=object_iou,
        cluster_iou=cluster_iou,
        matched_objects=matched_objects,
        matched_clusters=matched_clusters,
        missed=found.missed,
        false_alarm=found.false_alarm,
        confidence=np.zeros(len(cluster_iou)),
        probability=np.zeros(len(cluster_iou)),
        num_grown=np.zeros(len(cluster_iou), int),
        members={"range": Members(*sides)},
        bins={"range": RANGES},
        class_names=NUSCENES.names,
    )


def test_figures_of_all_ranges_are_those_of_eval(rng_of):
    rng = rng_of(1)
    panoptic, objects, large = PanopticAccumulator(NUSCENES), *(AgnosticAccumulator(NUSCENES, n) for n in (5, 15))
    counts = []
    for _ in range(4):
        seen = sweep(rng)
        for accumulator in (panoptic, objects, large):
            accumulator.add_overlaps(seen)
        counts.append(frame_counts(verdict_of(seen, rng)))
    found = compare(np.stack(counts).sum(axis=1)[:, None], np.arange(4))
    expected, agnostic = panoptic.result(), objects.result()
    assert found.counts[0].tolist() == [sum(getattr(c, k) for c in expected.classes) for k in ("tp", "fp", "fn")]
    assert min(found.counts[0]) > 0
    assert found.figure[0, :, 0] == pytest.approx(
        [
            expected.pq,
            agnostic.overall.mean_iou,
            large.result().overall.recall,
            agnostic.overall.recall,
            agnostic.point_precision,
            agnostic.point_recall,
        ]
    )


def test_every_segment_counts_in_its_own_range_and_class(rng_of):
    rng = rng_of(2)
    verdict = verdict_of(sweep(rng), rng)
    counts = frame_counts(verdict)
    seen, near = verdict.seen, verdict.members["range"]
    for k in range(2):
        for c in range(3):
            of_objects = (seen.true_class == c) & near.objects[:, k]
            of_clusters = (seen.pred_class == c) & near.clusters[:, k]
            row = dict(zip(ROWS, counts[k, :, c], strict=True))
            assert row["tp"] == verdict.matched_objects[of_objects].sum()
            assert row["fn"] == verdict.missed[of_objects].sum()
            assert row["fp"] == verdict.false_alarm[of_clusters].sum()
            assert row["cluster points"] == seen.pred_size[of_clusters].sum()
            right = np.isin(seen.pred_of, np.flatnonzero(of_clusters)) & (seen.true_of_point[seen.pred_at] >= 0)
            assert row["right points"] == right.sum()
            under = np.isin(seen.true_of_point, np.flatnonzero(of_objects))
            assert row["covered points"] == (under & (seen.pred_of_point >= 0)).sum()


def test_units_are_consecutive_frames_of_one_scene():
    scenes = ["a"] * 5 + ["b"] * 2 + ["c"]
    assert units_of(scenes, 2).tolist() == [0, 0, 1, 1, 2, 3, 3, 4]
    assert units_of(scenes, 1).tolist() == list(range(8))
    assert units_of(scenes, None).tolist() == [0, 0, 0, 0, 0, 1, 1, 2]
    assert units_of([], None).tolist() == []


def recalls(*variants):
    """(N,V,13,1) counts of ten objects a frame, of which some are found."""
    counts = np.zeros((len(variants[0]), len(variants), len(ROWS), 1))
    for v, found in enumerate(variants):
        counts[:, v, OBJECTS], counts[:, v, FOUND, 0] = 10, found
        counts[:, v, TP, 0], counts[:, v, FN, 0] = found, 10 - np.array(found)
    return counts


def test_what_all_frames_gain_alike_has_a_narrow_difference_however_the_frames_differ():
    easy = np.array([1, 8] * 10)
    found = compare(recalls(easy, easy + 1), np.arange(20))
    at = FIGURES.index("rec5")
    value, low, high = found.figure[0, at]
    assert value == pytest.approx(0.45)
    assert low < 0.35 < 0.55 < high
    assert found.difference[0, at] == pytest.approx([0, 0, 0])
    assert found.difference[1, at] == pytest.approx([0.1, 0.1, 0.1])


def test_the_band_of_equal_neighbours_is_wider_in_blocks():
    """Eight scenes with four equal frames each: there are eight draws and not 32."""
    found = np.repeat([0, 9, 2, 7, 4, 5, 1, 8], 4)
    at = FIGURES.index("rec5")
    single, whole = (compare(recalls(found), unit).figure[0, at] for unit in (np.arange(32), np.repeat(range(8), 4)))
    assert single[0] == whole[0]
    width = [high - low for _, low, high in (single, whole)]
    assert width[1] == pytest.approx(2 * width[0], rel=0.15)


@pytest.mark.parametrize("empty", [0, 3])
def test_a_single_unit_with_objects_has_no_band(empty):
    counts = np.concatenate([recalls([5, 6], [6, 7]), np.zeros((empty, 2, len(ROWS), 1))])
    found = compare(counts, np.array([0, 0, 1, 2, 3][: len(counts)]))
    at = FIGURES.index("rec5")
    assert found.figure[1, at, 0] == pytest.approx(0.65)
    assert found.difference[1, at, 0] == pytest.approx(0.1)
    assert np.isnan(found.figure[..., 1:]).all()
    assert np.isnan(found.difference[..., 1:]).all()


def test_a_figure_of_a_single_unit_has_no_band_beside_others_that_have_one():
    counts = recalls([5, 6, 7], [6, 7, 5])
    counts[0, :, ROWS.index("large")], counts[0, :, ROWS.index("large found")] = 10, 4
    found = compare(counts, np.arange(3))
    rec15, rec5 = (FIGURES.index(name) for name in ("rec15", "rec5"))
    assert found.figure[0, rec15, 0] == pytest.approx(0.4)
    assert np.isnan(found.figure[:, rec15, 1:]).all()
    assert np.isnan(found.difference[:, rec15, 1:]).all()
    assert (found.figure[:, rec5, 1] < found.figure[:, rec5, 2]).all()


def test_figures_without_objects_are_unknown():
    found = compare(np.zeros((3, 2, len(ROWS), 4)), np.arange(3))
    assert np.isnan(found.figure).all()
    assert found.counts.tolist() == [[0, 0, 0]] * 2
