"""Definitions that all heads share."""

from __future__ import annotations

import math
from dataclasses import fields

from torch import Tensor, nn

from pointsam.base.ranges import require_between
from pointsam.detect.nets.norm import conv_norm_relu

Losses = dict[str, Tensor]
"""Weighted loss terms by name; training minimises their sum."""

PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)
"""Initial bias of class logits: RetinaNet's prior probability of 0.01, because most locations hold no object."""

_FRACTIONS = ("score_threshold", "nms_iou", "proposal_nms_iou", "test_proposal_nms_iou")
_COUNTS = (
    "candidates",
    "most",
    "most_of_group",
    "proposals",
    "proposal_candidates",
    "test_proposals",
    "test_proposal_candidates",
)


def require_head(config: object, prefix: str) -> None:
    """Refuse weights, fractions and counts of a head that are out of range; heads give them the same names.

    Raises:
        SchemaError: SCH005 naming the field.
    """
    names = [each.name for each in fields(config)]  # type: ignore[arg-type]
    weights = [name for name in names if name.endswith(("_weight", "_weights"))]
    require_between(config, prefix, 0, 1e9, weights)
    require_between(config, prefix, 0, 1, [name for name in _FRACTIONS if name in names])
    require_between(config, prefix, 1, 10**6, [name for name in _COUNTS if name in names])


def branch(channels: int, width: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    """Two convolutions of 3x3, from `channels` over `width` to `outputs` channels; the last has an initial bias."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(*conv_norm_relu(channels, width), last)
