"""Features and probabilities of clusters against a slow computation, point by point and cluster by cluster."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.store_samples import frame_labels, label_tables
from hypothesis import given
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.stages.probability import (
    BUNDLED,
    FEATURES,
    VERSION,
    FeatureEffect,
    FittedOn,
    ProbabilityModel,
    features,
    read_probability,
    with_probability,
)
from pointsam.store import rows
from pointsam.taxonomy import KITTI, NUSCENES, SEMANTICKITTI, ClassSpec, Taxonomy
from pointsam.types import Cluster

OWN = Taxonomy("yard", (ClassSpec("forklift", vehicle=True), ClassSpec("docker", link_floor_m=0.65)))
"""Classes without a typical size."""


def model(*features, intercept=0.3, base_rate=0.6):
    return ProbabilityModel(VERSION, intercept, base_rate, features, FittedOn(100, 60, 5, ("some",)))


SCORE = FeatureEffect("score", 0.2, 0.9, 0.2, (0.3, 0.6, 0.8), (-1.5, -0.2, 0.4, 1.6))
RANGE = FeatureEffect("range", 1.0, 4.0, 0.5, (2.0, 3.0), (0.6, 0.1, -0.7))
LENGTH = FeatureEffect("length", -1.0, 0.5, 0.3, (-0.4, 0.1), (-0.5, 0.3, 0.1))
GROWN = FeatureEffect("grown", 0.0, 0.5, 0.1, (), (0.0,))
FOUR = model(SCORE, RANGE, LENGTH, GROWN)


def slow_features(found, taxonomy):
    """One cluster after another, from its points."""
    table = []
    for one in found.clusters:
        spec = taxonomy.classes[one.class_id]
        masked = [
            k for k in range(len(found.labels)) if found.labels.instance_id[k] == one.cluster_id and not found.grown[k]
        ]
        views, covered = (sum(int(counts[k]) for k in masked) for counts in (found.views, found.covered))
        kept = one.num_points - one.num_points_grown
        size = spec.typical_lwh_m
        values = {
            "score": min(max(one.score, 0), 1),
            "pred_iou": min(max(one.pred_iou, 0), 1),
            "stability": one.stability,
            "class_share": one.class_share,
            "points": math.log(max(kept, 1)),
            "range": math.log(max(one.range_m, 1)),
            "cameras": len(set(one.cameras)),
            "agreement": covered / views if views else 0,
            "cut": one.num_points_cut / max(kept + one.num_points_cut, 1),
            "grown": one.num_points_grown / one.num_points if one.num_points else 0,
            "length": math.log(max(2 * one.radius_bev_m, 0.05) / math.hypot(*size[:2])) if size else math.nan,
            "height": math.log(max(one.size_aabb_m[2], 0.05) / size[2]) if size else math.nan,
            "large": float(spec.is_large),
        }
        table.append([values[name] for name in FEATURES])
    return np.array(table).reshape(-1, len(FEATURES))


def slow_probability(model, row):
    base, logit = math.log(model.base_rate / (1 - model.base_rate)), model.intercept
    unlike = worse = 0.0
    for one in model.features:
        value = row[FEATURES.index(one.name)]
        if math.isnan(value):
            continue
        logit += one.values[sum(edge < value for edge in one.edges)]
        above, below = max(value - one.high, 0) / one.scale, max(one.low - value, 0) / one.scale
        if one.name in ("grown", "length", "height", "large"):
            unlike += above + below
        elif one.name != "score":
            worse += above if one.name in ("range", "cut") else below
    drawn = 1 + unlike + (worse if logit > base else 0)
    return 1 / (1 + math.exp(-(base + (logit - base) / drawn)))


@pytest.mark.parametrize("taxonomy", [NUSCENES, KITTI, SEMANTICKITTI, OWN], ids=lambda one: one.name)
@pytest.mark.parametrize("seed", range(3))
def test_features_are_those_of_the_slow_computation(taxonomy, seed):
    found = frame_labels("f", num_points=60, num_clusters=4, seed=seed)
    np.testing.assert_allclose(features(found, taxonomy), slow_features(found, taxonomy), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_probabilities_are_those_of_the_slow_computation(seed, rng_of):
    values = rng_of(seed).normal(1, 2, (50, len(FEATURES)))
    values[rng_of(seed).random(values.shape) < 0.1] = np.nan
    fast, slow = FOUR.probability(values), [slow_probability(FOUR, row) for row in values]
    np.testing.assert_allclose(fast, slow, rtol=0, atol=6e-7)


def test_frames_without_clusters_have_no_features():
    assert features(frame_labels("f", failed=True), NUSCENES).shape == (0, len(FEATURES))
    assert with_probability(frame_labels("f", failed=True), NUSCENES).clusters == ()


def test_a_cluster_does_not_depend_on_the_others(rng_of):
    values = rng_of(1).normal(1, 2, (50, len(FEATURES)))
    found = read_probability().model
    alone = [found.probability(values[k : k + 1])[0] for k in range(50)]
    assert found.probability(values).tolist() == alone


def test_the_probability_of_stored_labels_is_the_same():
    found = with_probability(frame_labels("f", num_points=60, num_clusters=4), OWN)
    tables = label_tables([found])
    stored = replace(found, clusters=rows.read_clusters(tables["clusters"], range(4)))
    assert with_probability(stored, OWN).clusters == found.clusters == stored.clusters


@given(st.lists(st.floats(-2, 6), min_size=len(FEATURES), max_size=len(FEATURES)), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_never_lowers_the_probability(row, one, other):
    rows = np.array([row, row])
    rows[:, FEATURES.index("score")] = min(one, other), max(one, other)
    low, high = read_probability().model.probability(rows)
    assert 0 <= low <= high <= 1


def test_far_outside_of_the_fitted_clusters_it_is_the_base_rate():
    values = np.tile([0.9, *[0.0] * (len(FEATURES) - 1)], (3, 1))
    values[:, FEATURES.index("length")] = 0.5, 4.0, 4e6
    fits, long, longest = model(SCORE, LENGTH).probability(values)
    assert fits > long > longest == pytest.approx(0.6, abs=1e-5)


def test_a_feature_that_is_worse_than_all_fitted_ones_lowers_high_probabilities_only():
    values = np.zeros((4, len(FEATURES)))
    values[:, FEATURES.index("score")] = 0.9, 0.9, 0.2, 0.2
    values[:, FEATURES.index("range")] = 4.0, 6.0, 4.0, 6.0
    high, high_far, low, low_far = model(SCORE, replace(RANGE, values=(0.1, 0.0, 0.0))).probability(values)
    assert high > high_far > 0.6
    assert low == low_far < 0.6


def test_a_value_at_an_edge_belongs_to_the_step_before_it_and_nan_to_none():
    values = np.zeros((4, len(FEATURES)))
    values[:, FEATURES.index("score")] = 0.6, 0.61, 0.8, np.nan
    logits = [math.log(p / (1 - p)) for p in model(SCORE).probability(values)]
    assert logits == pytest.approx([0.3 - 0.2, 0.3 + 0.4, 0.3 + 0.4, 0.3], abs=1e-4)


def test_the_file_of_the_package_is_what_it_says():
    stored = read_probability()
    on = stored.model.fitted_on
    assert stored.model.base_rate == pytest.approx(on.right / on.clusters)
    assert {"score"} <= {one.name for one in stored.model.features}
    assert len(stored.sha256) == 64


@pytest.mark.parametrize("taxonomy", [NUSCENES, KITTI, SEMANTICKITTI, OWN], ids=lambda one: one.name)
def test_a_good_cluster_is_likelier_than_a_bad_one(taxonomy):
    good = Cluster(0, 0, "x", 300, (8, 0, 0), (4, 1.8, 1.5), 2.2, 8.0, ("a",), (0,), 0.95, 0.97, 1.0, 5, 0.9, 0, 0.95)
    bad = Cluster(1, 0, "x", 6, (40, 0, 0), (0.3, 0.3, 0.1), 0.2, 40.0, ("a",), (1,), 0.4, 0.5, 0.6, 30, 0.2, 0, 0.42)
    found = frame_labels("f", num_points=40, num_clusters=2)
    first, second = with_probability(replace(found, clusters=(good, bad)), taxonomy).clusters
    assert first.probability > 0.7 > 0.5 > second.probability


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:40], "SCH005.*not valid JSON"),
        (lambda text: text.replace('"version": 1', '"version": 9'), "SCH003.*has version 9"),
        (lambda text: text.replace('"intercept"', '"intercepted"'), "SCH005.*intercepted is not a field"),
        (lambda text: text.replace('"name": "score"', '"name": "scores"'), "SCH005.*scores"),
        (lambda text: json.dumps({**json.loads(text), "base_rate": 1.0}), "SCH005.*base_rate is 1.0"),
        (lambda text: json.dumps({**json.loads(text), "features": "none"}), "SCH005.*features is wrong"),
        (lambda text: json.dumps(json.loads(text) | {"features": json.loads(text)["features"] * 2}), "SCH005.*score"),
    ],
)
def test_a_damaged_file_is_named(change, told, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(change(BUNDLED.read_text()))
    with pytest.raises(SchemaError, match=told) as raised:
        read_probability(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SchemaError, match=r"SCH005.*gone\.json.*cannot be read"):
        read_probability(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "change",
    [
        {"values": (-1.5, -0.2, 0.4, 0.3)},
        {"values": (-1.5, -0.2, 0.4)},
        {"values": (-1.5, -0.2, 0.4, math.inf)},
        {"edges": (0.6, 0.3, 0.8)},
        {"edges": (0.3, 0.3, 0.8)},
        {"scale": 0.0},
        {"low": 1.0},
        {"name": "colour"},
    ],
)
def test_a_feature_that_is_not_possible_is_refused(change):
    with pytest.raises(SchemaError, match=r"SCH005.*features\."):
        replace(SCORE, **change)
