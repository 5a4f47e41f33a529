"""Definitions that all heads share."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pointsam.detect.nets.norm import conv_norm_relu

Losses = dict[str, Tensor]
"""Weighted loss terms by name; training minimises their sum."""

PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)
"""Initial bias of class logits: RetinaNet's prior probability of 0.01, because most locations hold no object."""


def branch(channels: int, width: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    """Two convolutions of 3x3, from `channels` over `width` to `outputs` channels; the last has an initial bias."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(*conv_norm_relu(channels, width), last)
