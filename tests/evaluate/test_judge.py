"""Which clusters count in the reliability of their confidence and probability."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.training import make_labels, make_world

from pointsam.evaluate.judge import Judge
from pointsam.types import PointLabels


@pytest.mark.parametrize(("left", "counted"), [(5, True), (4, False)])
def test_clusters_of_fewer_than_five_points_do_not_count(left, counted, tmp_path):
    world = make_world(tmp_path / "root", samples=1)
    labels = make_labels(tmp_path / "out", world, probability=0.75)
    (frame_id, *_) = labels.frame_ids()
    found = labels.labels(frame_id)
    ids, classes = (values.copy() for values in (found.labels.instance_id, found.labels.class_id))
    gone = np.flatnonzero(ids == len(found.clusters) - 1)[left:]
    ids[gone], classes[gone] = -1, 255
    judge = Judge(world, labels.taxonomy, tuple(view.name for view in world.frame(frame_id).cameras))
    verdict = judge.add(replace(found, labels=PointLabels(ids, classes)), world.point_truth(frame_id))
    assert verdict.large_clusters.sum() == len(found.clusters) - 1 + counted
    quality = judge.result()
    assert quality.probability.num_clusters == quality.confidence.num_clusters == len(found.clusters) - 1 + counted
    assert quality.probability.bins[7].num_clusters == quality.probability.num_clusters
