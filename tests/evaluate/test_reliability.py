"""The figures against plain ones over all clusters."""

import math

import numpy as np
import pytest

from pointsam.evaluate.reliability import ReliabilityAccumulator


def found(*batches, scenes=None):
    accumulator = ReliabilityAccumulator()
    for k, (confidence, iou) in enumerate(batches):
        scene = "one" if scenes is None else scenes[k]
        accumulator.add(np.asarray(confidence, dtype=float), np.asarray(iou, dtype=float), scene)
    return accumulator.result()


@pytest.fixture
def clusters(rng_of):
    rng = rng_of(3)
    iou = rng.random(1000)
    return np.abs(0.4 + 0.5 * iou + rng.normal(0, 0.15, 1000)) / 2, iou


def test_ranks_are_those_of_all_clusters_and_pairs(clusters):
    confidence, iou = clusters
    result = found(clusters)
    right = iou > 0.5
    pairs = confidence[right][:, None] - confidence[~right]
    ranks = np.argsort(np.argsort(confidence)), np.argsort(np.argsort(iou))
    assert result.spearman == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert result.auroc == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert 0.7 < result.auroc < 0.95


def test_bins_and_calibration_error_are_the_plain_ones(clusters):
    confidence, iou = clusters
    result, gaps = found(clusters), 0.0
    for k, one in enumerate(result.bins):
        inside = np.minimum((confidence * 10).astype(int), 9) == k
        assert one.num_clusters == inside.sum()
        if inside.any():
            plain = (confidence[inside].mean(), iou[inside].mean(), (iou[inside] > 0.5).mean())
            assert (one.mean_confidence, one.mean_iou, one.share_right) == pytest.approx(plain)
            gaps += inside.sum() * abs(plain[0] - plain[2])
    assert result.ece == pytest.approx(gaps / len(iou))


def test_the_order_and_number_of_sweeps_does_not_matter(clusters):
    confidence, iou = clusters
    parts = [(confidence[a : a + 250], iou[a : a + 250]) for a in range(0, 1000, 250)]
    assert found(*reversed(parts)).auroc == found(clusters).auroc


def test_confidence_that_tells_nothing_and_everything():
    iou = [0.1, 0.2, 0.9, 0.8]
    assert found(([0.7] * 4, iou)).auroc == 0.5
    assert found(([0.1, 0.2, 0.9, 0.8], iou)).auroc == 1.0
    assert found(([0.9, 0.8, 0.1, 0.2], iou)).spearman == pytest.approx(-1.0)


def test_ranks_with_ties_are_exact():
    confidence, iou = [0.31, 0.31, 0.52, 0.75, 0.75, 0.75, 0.98], [0.1, 0.6, 0.6, 0.2, 0.7, 0.9, 0.9]
    result = found((confidence, iou))
    ranks = [1.5, 1.5, 3, 5, 5, 5, 7], [1, 3.5, 3.5, 2, 5, 6.5, 6.5]
    assert result.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)
    assert result.auroc == pytest.approx((0.5 + 1 + 1.5 + 1.5 + 2) / 10)


def test_the_bins_share_out_all_confidences():
    result = found(([0.0, 0.0999, 0.1, 0.95, 1.0], [0.5, 0.51, 0.0, 1.0, 0.8]))
    assert [(one.low, one.high) for one in result.bins] == [(k / 10, (k + 1) / 10) for k in range(10)]
    assert [one.num_clusters for one in result.bins] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (result.bins[0].share_right, result.bins[9].mean_iou) == (0.5, pytest.approx(0.9))
    assert math.isnan(result.bins[2].mean_iou)
    assert result.num_clusters == 5
    assert result.ece == pytest.approx((2 * (0.5 - 0.04995) + 0.1 + 2 * 0.025) / 5)


def test_one_confidence_for_all_has_no_rank():
    assert math.isnan(found(([0.7, 0.7], [0.1, 0.9])).spearman)


def test_nothing_to_compare_is_nan():
    empty = found()
    assert empty.num_clusters == 0
    figures = (empty.ece, empty.ece_low, empty.ece_chance, empty.brier, empty.auroc, empty.spearman)
    assert all(math.isnan(value) for value in figures)
    assert math.isnan(found(([0.5, 0.6], [0.9, 0.8])).auroc)  # all right
    assert math.isnan(found(([0.5, 0.5], [0.1, 0.8])).spearman)


def test_a_bin_holds_its_lower_edge_and_the_last_one_both():
    counts = [one.num_clusters for one in found(([0.0, 0.1, 0.3, 0.6, 0.7, 1.0], [0.5] * 6)).bins]
    assert counts == [1, 1, 0, 1, 0, 0, 1, 1, 0, 1]


def test_the_band_is_that_of_plain_draws_of_scenes(rng_of):
    from pointsam.evaluate.bootstrap import times_drawn

    rng, batches, scenes = rng_of(5), [], []
    for k in range(12):
        value = rng.random(20)
        batches.append((value, (rng.random(20) < 0.7 * value).astype(float)))
        scenes.append(f"scene {k // 2}")
    result = found(*batches, scenes=scenes)
    draws = []
    for times in times_drawn(6, 1000, "reliability"):
        drawn = [batches[2 * k + half] for k in range(6) for half in (0, 1) for _ in range(times[k])]
        value, iou = np.concatenate(drawn, axis=1)
        gaps = [abs((value - (iou > 0.5))[(value * 10).astype(int) == k].sum()) for k in range(10)]
        draws.append(sum(gaps) / len(value))
    assert result.unit == "scenes"
    assert (result.ece_low, result.ece_high) == pytest.approx(np.percentile(draws, [2.5, 97.5]))


def test_few_scenes_draw_frames_and_one_frame_has_no_band(clusters):
    value, iou = clusters
    halves = [(value[:500], iou[:500]), (value[500:], iou[500:])]
    assert found(*halves).unit == "frames"
    assert found(*halves).ece_low < found(*halves).ece_high
    assert math.isnan(found(clusters).ece_low)


def test_exact_probabilities_have_the_error_of_chance(rng_of):
    rng = rng_of(7)
    errors, chance = [], []
    for _ in range(200):
        value = rng.random(300)
        result = found((value, (rng.random(300) < value).astype(float)))
        errors.append(result.ece)
        chance.append(result.ece_chance)
    assert np.mean(errors) == pytest.approx(np.mean(chance), rel=0.03)


def test_brier_is_the_mean_square():
    assert found(([0.9, 0.2], [0.8, 0.7])).brier == pytest.approx((0.1**2 + 0.8**2) / 2)


def test_clusters_without_the_value_are_left_out():
    result = found(([0.9, math.nan, 0.1], [0.8, 0.9, 0.2]))
    assert (result.num_clusters, result.ece) == (2, pytest.approx(0.1))
    assert found(([math.nan], [0.8])).num_clusters == 0
