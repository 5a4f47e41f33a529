"""Every number of a stage's configuration has a range; NaN is in none."""

import math

import pytest

from pointsam.base.errors import SchemaError
from pointsam.stages.grow import GrowConfig
from pointsam.stages.lift import LiftConfig
from pointsam.stages.limit import LimitConfig
from pointsam.stages.merge import MergeConfig
from pointsam.stages.paint import PaintConfig
from pointsam.stages.prompt import PromptConfig
from pointsam.stages.refine import RefineConfig
from pointsam.stages.trim import TrimConfig

SHARE, DISTANCE = (-0.01, 1.01, math.nan), (-0.01, math.inf, math.nan)
BAD = {
    (PromptConfig, "sweeps"): ((), (2,), (0, -2)),
    (PromptConfig, "close_m"): DISTANCE,
    (PromptConfig, "max_prompts"): (0,),
    (PromptConfig, "min_depth_m"): (0, *DISTANCE),
    (LiftConfig, "min_depth_m"): (0, *DISTANCE),
    (PaintConfig, "cover_threshold"): SHARE,
    (PaintConfig, "duplicate_share"): SHARE,
    (MergeConfig, "ratio"): (0, *SHARE),
    (RefineConfig, "range_coef"): DISTANCE,
    (RefineConfig, "rings"): DISTANCE,
    (RefineConfig, "dims"): (1, 4),
    (RefineConfig, "min_points"): (-1,),
    (TrimConfig, "layer_m"): DISTANCE,
    (TrimConfig, "reach_m"): DISTANCE,
    (TrimConfig, "min_body"): (0,),
    (LimitConfig, "longest"): (0, *DISTANCE),
    (LimitConfig, "floor_m"): DISTANCE,
    (LimitConfig, "range_coef"): DISTANCE,
    (GrowConfig, "clearance_m"): DISTANCE,
    (GrowConfig, "highest_m"): DISTANCE,
    (GrowConfig, "vertical"): SHARE,
    (GrowConfig, "others"): SHARE,
    (GrowConfig, "largest"): (0, *DISTANCE),
}


@pytest.mark.parametrize(("kind", "field", "value"), [(*key, value) for key, values in BAD.items() for value in values])
def test_a_value_out_of_range_is_refused_by_name(kind, field, value):
    with pytest.raises(SchemaError, match=rf"SCH005.*\.{field} is "):
        kind(**{field: value})


@pytest.mark.parametrize("sweeps", [(0,), (-1,), (1, 0, -1)])
def test_the_key_sweep_and_those_beside_it_supply_prompts(sweeps):
    assert PromptConfig(sweeps=sweeps).sweeps == sweeps


ENDS = {
    (PromptConfig, "close_m"): (0.0,),
    (PromptConfig, "max_prompts"): (1,),
    (PromptConfig, "min_depth_m"): (0.001,),
    (LiftConfig, "min_depth_m"): (0.001,),
    (PaintConfig, "cover_threshold"): (0.0, 1.0),
    (PaintConfig, "duplicate_share"): (0.0, 1.0),
    (MergeConfig, "ratio"): (0.001, 1.0),
    (RefineConfig, "range_coef"): (0.0,),
    (RefineConfig, "rings"): (0.0,),
    (RefineConfig, "dims"): (2, 3),
    (RefineConfig, "min_points"): (0,),
    (TrimConfig, "layer_m"): (0.0,),
    (TrimConfig, "reach_m"): (0.0,),
    (TrimConfig, "min_body"): (1,),
    (LimitConfig, "longest"): (0.001,),
    (LimitConfig, "floor_m"): (0.0,),
    (LimitConfig, "range_coef"): (0.0,),
    (GrowConfig, "clearance_m"): (0.0, 4.999),
    (GrowConfig, "highest_m"): (0.201, 1000.0),
    (GrowConfig, "vertical"): (0.0, 1.0),
    (GrowConfig, "others"): (0.0, 1.0),
    (GrowConfig, "largest"): (0.001,),
}


@pytest.mark.parametrize(
    ("kind", "field", "value"), [(*key, value) for key, values in ENDS.items() for value in values]
)
def test_the_ends_of_a_range_are_in_it(kind, field, value):
    assert getattr(kind(**{field: value}), field) == value


def test_the_published_method_has_these_numbers():
    assert PromptConfig() == PromptConfig(sweeps=(0, 1, -1), close_m=1.0, max_prompts=256, min_depth_m=1.0)
    assert LiftConfig() == LiftConfig(min_depth_m=1.0, occlusion=False)
    paint = PaintConfig()
    assert (paint.cover_threshold, paint.order) == (0.3, "area")
    assert MergeConfig() == MergeConfig(rule="sequential", ratio=0.5)
    assert RefineConfig() == RefineConfig(
        enabled=True, range_coef=0.04, rings=0.0, dims=3, min_points=0, split_classes=True, same_image_veto=False
    )
    assert not TrimConfig().enabled
