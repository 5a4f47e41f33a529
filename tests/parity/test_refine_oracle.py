"""The fast refinement against the plain one of `sar_oracle`: equal ids and classes, point by point."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.sar_oracle import refine_slowly
from helpers.scenes import BUILDERS, scene

from pointsam.stages import contraction as contract
from pointsam.stages.refine import refine

SMALL_SEEDS = 40 * len(BUILDERS)


def same(a_scene, config=None):
    got = refine(*a_scene.arguments)
    config = a_scene.config if config is None else config
    xyz, labels, taxonomy, _, cameras, ring_gap_rad = a_scene.arguments
    instance_id, class_id = refine_slowly(
        xyz, labels.instance_id, labels.class_id, taxonomy, config, cameras, ring_gap_rad
    )
    return np.array_equal(got.instance_id, instance_id) and np.array_equal(got.class_id, class_id)


def differing(seeds, **scene_options):
    scenes = (scene(seed, **scene_options) for seed in seeds)
    return [s.name for s in scenes if not same(s)]


@pytest.mark.parametrize("kind", range(len(BUILDERS)), ids=[b.__name__[1:] for b in BUILDERS])
def test_small_scenes_of_each_kind_are_equal(kind):
    assert differing(range(kind, SMALL_SEEDS, len(BUILDERS))) == []


@pytest.mark.parametrize("kind", range(len(BUILDERS)), ids=[b.__name__[1:] for b in BUILDERS])
def test_thousand_point_scenes_are_equal(kind):
    assert differing(range(kind + SMALL_SEEDS, 2 * len(BUILDERS) + SMALL_SEEDS, len(BUILDERS)), num_points=1000) == []


def test_working_in_small_parts_changes_nothing(monkeypatch):
    monkeypatch.setattr(contract, "_MAX_CANDIDATES", 20)
    monkeypatch.setattr(contract, "_MAX_UNDECIDED", 3)
    assert differing(range(len(BUILDERS)), num_points=200) == []


@pytest.mark.parametrize(
    "other",
    [
        {"range_coef": 0.08},
        {"dims": 2},
        {"min_points": 6},
        {"split_classes": False},
        {"same_image_veto": True},
        {"rings": 5},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_comparison_would_notice_another_rule(other):
    scenes = [scene(seed, num_points=60) for seed in range(6 * len(BUILDERS))]
    changed = [(s, replace(s.config, **other)) for s in scenes if replace(s.config, **other) != s.config]
    assert not all(same(a_scene, config) for a_scene, config in changed)
