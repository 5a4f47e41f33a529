"""Every number of a stage's configuration has a range; NaN is in none."""

import math

import pytest

from pointsam.base.errors import SchemaError
from pointsam.stages.lift import LiftConfig
from pointsam.stages.merge import MergeConfig
from pointsam.stages.paint import PaintConfig
from pointsam.stages.prompt import PromptConfig
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
    (TrimConfig, "layer_m"): DISTANCE,
    (TrimConfig, "reach_m"): DISTANCE,
    (TrimConfig, "min_body"): (0,),
}


@pytest.mark.parametrize(("kind", "field", "value"), [(*key, value) for key, values in BAD.items() for value in values])
def test_a_value_out_of_range_is_refused_by_name(kind, field, value):
    with pytest.raises(SchemaError, match=rf"SCH005.*\.{field} is "):
        kind(**{field: value})


@pytest.mark.parametrize("sweeps", [(0,), (-1,), (1, 0, -1)])
def test_the_key_sweep_and_those_beside_it_supply_prompts(sweeps):
    assert PromptConfig(sweeps=sweeps).sweeps == sweeps


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_of_a_share_are_in_range(share):
    config = PaintConfig(cover_threshold=share, duplicate_share=share)
    assert (config.cover_threshold, config.duplicate_share) == (share, share)
