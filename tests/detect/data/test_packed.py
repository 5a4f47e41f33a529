"""Clusters that were packed are those that were added, for the same points."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")

from helpers.detect_samples import sample_of
from helpers.recipes import tiny
from helpers.training import CLASSES

from pointsam.detect.data.packed import PackedClusters
from pointsam.detect.data.training_set import TrainingSet
from pointsam.store.reader import Labels

NAMES = ("cluster_id", "class_id", "center_m", "radius_m", "num_points", "unknown")


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in NAMES)


@pytest.mark.parametrize("clusters", [0, 1, 9])
def test_clusters_come_back_as_they_were(clusters):
    sample = sample_of(1, clusters=clusters)
    packed, xyz = PackedClusters(), sample.points[: sample.num_key, :3]
    assert packed.get("frame", xyz) is None
    known = sample.clusters.unknown & (sample.clusters.cluster_id < 0)  # an unknown point belongs to no cluster
    sample.clusters.unknown[:] = known
    packed.add("frame", sample.clusters)
    assert "frame" in packed
    assert same(packed.get("frame", xyz), sample.clusters)


def test_what_does_not_fit_is_not_kept():
    packed = PackedClusters(most_bytes=10)
    packed.add("frame", sample_of(0).clusters)
    assert "frame" not in packed


def test_tables_are_decoded_once_and_samples_stay_the_same(world, budget, labels, monkeypatch):
    recipe = tiny()
    data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data)
    first = [data.raw(k) for k in range(len(data.frame_ids))]
    monkeypatch.setattr(Labels, "labels", None)
    monkeypatch.setattr(Labels, "sources", None)
    for k, sample in enumerate(first):
        again = data.raw(k)
        assert same(again.clusters, sample.clusters)
        assert np.array_equal(again.points, sample.points)
    assert sum(len(sample.clusters) for sample in first) > 0
