"""What heads share."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pointsam.detect.nets.norm import conv_norm_relu

Losses = dict[str, Tensor]
"""Terms by name, weighted; their sum is trained on."""

PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)
"""What a class logit begins with: almost everywhere is nothing (RetinaNet's prior of 0.01)."""


def branch(channels: int, width: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    """Two convolutions to some outputs, the last with a bias."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(*conv_norm_relu(channels, width), last)
