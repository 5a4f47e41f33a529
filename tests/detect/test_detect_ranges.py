"""Every number of a detector's configuration has a range, whose ends are in it or not."""

import math
from functools import partial

import pytest

pytest.importorskip("torch", reason="needs torch")

from pointsam.base.errors import SchemaError
from pointsam.detect.assign.anchor_map import AnchorClass
from pointsam.detect.assign.roi import RoiConfig
from pointsam.detect.data.augment import AugmentConfig
from pointsam.detect.data.budget import BudgetConfig
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.paste import PasteConfig
from pointsam.detect.data.sample import PointsConfig
from pointsam.detect.data.training_set import DataConfig
from pointsam.detect.heads.anchor import AnchorHeadConfig
from pointsam.detect.heads.center import CenterHeadConfig
from pointsam.detect.heads.refine import RefineConfig
from pointsam.detect.heads.roi import RoiHeadConfig
from pointsam.detect.nets.encoders import EncoderConfig
from pointsam.detect.recipe import TrainConfig

ABOVE_0 = ((1e-9,), (0.0, -1.0, math.nan))
FROM_1 = ((1,), (0,))
COUNT = ((1, 10**6), (0, 10**6 + 1))
FRACTION = ((0.0, 1.0), (-0.01, 1.01, math.nan))
WEIGHT = ((0.0, 1e9), (-1.0, 2e9, math.nan))
CHANNELS = ((1, 65_536), (0, 65_537))
CAR = partial(AnchorClass, name="car", size_lwh_m=(4.0, 1.7, 1.5), center_z_m=0.0, box_iou=(0.6, 0.4))
CAR = partial(CAR, cluster_iou=(0.8, 0.1))
ANCHORS, CENTERS = partial(AnchorHeadConfig, (CAR(),)), partial(CenterHeadConfig, (("car",),), smallest_radius={})
IOUS = (((1.0, 1.0), (0.6, 0.01)), ((1.01, 0.5), (0.4, 0.5), (0.5, 0.0)))
RANGES = {
    (CAR, "size_lwh_m"): (((0.1, 0.1, 0.1),), ((0.0, 1.0, 1.0),)),
    (CAR, "box_iou"): IOUS,
    (CAR, "cluster_iou"): IOUS,
    **{(ANCHORS, name): COUNT for name in ("candidates", "most", "proposals")},
    **{(ANCHORS, f"{name}proposal_candidates"): ((None, 1, 10**6), (0, 10**6 + 1)) for name in ("", "test_")},
    **{(ANCHORS, name): FRACTION for name in ("score_threshold", "nms_iou", "proposal_nms_iou")},
    (ANCHORS, "test_proposal_nms_iou"): ((None, 0.0, 1.0), (-0.01, 1.01, math.nan)),
    **{(ANCHORS, f"{name}_weight"): WEIGHT for name in ("class", "box", "direction", "velocity")},
    (ANCHORS, "channels"): ((0, 65_536), (-1, 65_537)),
    **{(CENTERS, name): COUNT for name in ("candidates", "most", "proposals")},
    (CENTERS, "most_of_group"): ((None, 1, 10**6), (0, 10**6 + 1)),
    **{(CENTERS, name): FRACTION for name in ("score_threshold", "nms_iou", "proposal_nms_iou")},
    **{(CENTERS, f"{name}_weight"): WEIGHT for name in ("class", "box", "facing")},
    (CENTERS, "code_weights"): (((0.0,) * 10, (1e9,) * 10), ((1.0,) * 9, (1.0,) * 9 + (-1.0,), (math.nan,) * 10)),
    (CENTERS, "smallest_radius"): (({}, {"car": 0}, {"car": 1000}), ({"car": -1}, {"car": 1001})),
    (CENTERS, "default_radius"): ((0, 1000), (-1, 1001)),
    (CENTERS, "reach"): ((0, 1000), (-1, 1001)),
    (CENTERS, "channels"): CHANNELS,
    (CENTERS, "heat_bias"): ((-100.0, 100.0), (-101.0, 101.0, math.nan)),
    **{(RoiHeadConfig, name): COUNT for name in ("test_proposals", "most")},
    **{(RoiHeadConfig, name): FRACTION for name in ("score_threshold", "nms_iou")},
    **{(RoiHeadConfig, f"{name}_weight"): WEIGHT for name in ("confidence", "box", "corner", "point")},
    **{(RoiHeadConfig, name): CHANNELS for name in ("point_channels", "channels")},
    (RoiHeadConfig, "cells"): ((1, 32), (0, 33)),
    (RoiHeadConfig, "enlarge_m"): ((0.0, 100.0), (-0.1, 100.1, math.nan)),
    (EncoderConfig, "first_layers"): ((0, 100), (-1, 101)),
    (RoiConfig, "most_foreground"): ((1, 128), (0, 129)),
    (RoiConfig, "easy_iou"): ((0.0, 0.54), (-0.01, 0.55)),
    (RoiConfig, "hard_share"): ((0.0, 1.0), (-0.01, 1.01)),
    (RoiConfig, "confidence_iou"): (((0.0, 1.0),), ((-0.01, 0.5), (0.5, 0.5), (0.5, 1.01))),
    (RefineConfig, "cells"): (((1, 1), (64, 20)), ((0, 6), (12, -1), (65, 1))),
    (RefineConfig, "samples"): ((1, 21), (0, -1, 22)),
    (RefineConfig, "cell_m"): ((0.01, 10.0), (0.009, 10.1, math.nan)),
    (RefineConfig, "enlarge"): ((0.1, 10.0), (0.0, -1.0, 10.1, math.nan)),
    (RefineConfig, "channels"): CHANNELS,
    (RefineConfig, "passes"): ((1, 100), (0, 101)),
    **{(RefineConfig, f"{name}_weight"): WEIGHT for name in ("box", "front")},
    (AugmentConfig, "rotation_rad"): ((0.0, math.pi), (-0.01, 3.15)),
    (AugmentConfig, "scale"): (((1.0, 1.0), (0.1, 2.0)), ((0.0, 1.0), (1.1, 1.0))),
    (AugmentConfig, "shift_m"): ((0.0,), (-0.01,)),
    (BudgetConfig, "fraction"): ((0.001, 1.0), (0.0, 1.01)),
    (BudgetConfig, "box_share"): ((0.001, 1.0), (0.0, 1.01)),
    (CoarseConfig, "enlarge"): (((1.0, 1.0), (1.0, 1.5)), ((0.99, 1.1), (1.2, 1.1))),
    (CoarseConfig, "seed"): ((0, 2**63 - 1), (-1, 2**63)),
    (PasteConfig, "counts"): (({}, {"car": 0}), ({"car": 1, "bus": -1},)),
    (PasteConfig, "min_points"): FROM_1,
    (PasteConfig, "off_last_epochs"): ((0,), (-1,)),
    (PointsConfig, "past_sweeps"): ((0, 100), (-1, 101)),
    (PointsConfig, "intensity_full"): ABOVE_0,
    (DataConfig, "repeat"): ((1, 10_000), (0, 10_001)),
    (DataConfig, "samples"): ((1, None, 10**8), (0, 10**8 + 1)),
    **{(TrainConfig, name): FROM_1 for name in ("epochs", "batch_size", "eval_epochs")},
    **{
        (TrainConfig, name): ABOVE_0
        for name in ("learning_rate", "start_division", "end_division", "grad_clip", "checkpoint_minutes")
    },
    (TrainConfig, "weight_decay"): ((0.0, 1e9), (-0.1, 2e9, math.nan)),
    (TrainConfig, "seed"): ((0, 2**63 - 1), (-1, 2**63)),
    (TrainConfig, "warm_share"): ((0.001, 0.999), (0.0, 1.0)),
    (TrainConfig, "workers"): ((0,), (-1,)),
    (TrainConfig, "momentum"): (((0.001, 0.999),), ((0.0, 0.9), (0.9, 1.0))),
}


@pytest.mark.parametrize(("kind", "field"), RANGES)
def test_a_range_has_its_ends_and_no_more(kind, field):
    inside, outside = RANGES[kind, field]
    for value in inside:
        assert getattr(kind(**{field: value}), field) == value
    for value in outside:
        with pytest.raises(SchemaError, match=f"SCH005.*{field}"):
            kind(**{field: value})
