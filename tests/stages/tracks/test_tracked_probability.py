"""The features of tracked clusters, and the probability that they give."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.store_samples import frame_labels

from pointsam.base.errors import SchemaError
from pointsam.stages.probability import (
    BUNDLED,
    FEATURES,
    TRACKED_FEATURES,
    FeatureEffect,
    FittedOn,
    ProbabilityModel,
    read_probability,
    tracked_probability,
)
from pointsam.stages.tracks.probability import TrackTraits, share_of_votes, tracked_features, with_tracked_probability
from pointsam.types import NO_TRACK, Membership

TRAITS = {3: TrackTraits(8, 0.8, 0.9, 0.75), 4: TrackTraits(1, 1.0, 1.0, 0.2)}


def labels():
    found = frame_labels("f", num_points=60, num_clusters=3)
    return replace(found, clusters=tuple(replace(c, probability=0.9, range_m=20.0) for c in found.clusters))


def members():
    return Membership(3, "kept", 0), Membership(4, "recovered", -1), Membership(NO_TRACK, "extended", 2)


def named(row):
    return dict(zip(TRACKED_FEATURES, row.tolist(), strict=True))


def test_each_feature():
    found = labels()
    kept, recovered, alone = map(named, tracked_features(found.clusters, members(), [0.9, 0.0, 1.0], TRAITS))
    assert kept["single"] == pytest.approx(np.log(9))
    assert recovered["single"] == pytest.approx(np.log(0.25))
    assert alone["single"] == pytest.approx(np.log(999))
    assert (kept["frames"], kept["share"], kept["votes"]) == pytest.approx((np.log(8), 0.8, 0.9))
    assert (alone["frames"], alone["share"], alone["votes"]) == (0.0, 1.0, 1.0)
    assert [one["recovered"] for one in (kept, recovered, alone)] == [0, 1, 0]
    assert [one["extended"] for one in (kept, recovered, alone)] == [0, 0, 1]
    assert kept["points"] == pytest.approx(np.log(found.clusters[0].num_points))
    assert kept["range"] == pytest.approx(np.log(20))


def test_votes_without_weight_agree():
    assert share_of_votes({"car": 3.0, "bus": 1.0}) == 0.75
    assert share_of_votes({"car": 0.0}) == share_of_votes({}) == 1.0


def model(name="frames", values=(-1.0, 1.0)):
    effect = FeatureEffect(name, -10.0, 10.0, 1.0, (1.0,), values)
    return ProbabilityModel(1, 0.0, 0.5, (effect,), FittedOn(10, 5, 1, ("x",)))


def test_a_longer_track_is_more_probable():
    done = with_tracked_probability(labels(), members(), TRAITS, model())
    low, high = 1 / (1 + np.e), np.e / (1 + np.e)
    np.testing.assert_allclose([one.probability for one in done.clusters], [high, low, low], atol=1e-6)
    assert with_tracked_probability(frame_labels("f", failed=True), (), {}, model()).clusters == ()


def test_the_single_probability_never_counts_against_a_cluster():
    with pytest.raises(SchemaError, match="steps in the feature's direction"):
        model("single", (1.0, -1.0))


def test_files_of_the_two_stages_are_not_confused(tmp_path):
    with pytest.raises(SchemaError, match="features of the other stage"):
        read_probability(BUNDLED, TRACKED_FEATURES)
    found = tracked_probability()
    if found is not None:
        assert {one.name for one in found.model.features} <= set(TRACKED_FEATURES)
    assert {one.name for one in read_probability().model.features} <= set(FEATURES)
    with pytest.raises(SchemaError, match="is not a probability file"):
        tracked_probability(tmp_path / "gone.json")
