"""Losses: every object teaches its class, boxes alone teach geometry, each normalised by what it counts.

All are summed here and divided by counts over the whole batch, across processes too: N processes then give the losses
of one with N times the batch. Source: method.md B.5, B.7, B.8.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.nn import functional

_HEAT_FLOOR = 1e-4
"""Heat is kept this far from 0 and 1 (method.md B.5)."""


def divisor(count: Tensor | float, like: Tensor) -> Tensor:
    """What to divide a sum by: the count over all processes, 1 at least, divided by their number.

    The mean of the processes' gradients then is the gradient of the whole.

    Args:
        count: this process'.
        like: a tensor on the device of the losses.
    """
    value = torch.as_tensor(count, dtype=torch.float32, device=like.device).detach().clone()
    if not (distributed.is_available() and distributed.is_initialized()):
        return value.clamp(min=1)
    distributed.all_reduce(value)
    return value.clamp(min=1) / distributed.get_world_size()


def heat_focal(logits: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """Scalar, the sum of CornerNet's focal loss over the cells that count.

    Args:
        logits: (S,C,H,W).
        heat: (S,C,H,W) target, 1 at peaks.
        counted: (S,H,W) bool.
    """
    p = logits.float().sigmoid().clamp(_HEAT_FLOOR, 1 - _HEAT_FLOOR)
    at_peak = (1 - p) ** 2 * p.log()
    elsewhere = (1 - heat) ** 4 * p**2 * (1 - p).log()
    return -(torch.where(heat == 1, at_peak, elsewhere) * counted[:, None]).sum()


def masked_l1(predicted: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Scalar: the weighted sum of absolute differences, without the entries that have no target.

    Args:
        predicted: (K,D).
        target: (K,D), NaN where there is no target.
        weights: (D,).
    """
    known = target.isfinite()
    return ((predicted.float() - torch.where(known, target, 0)).abs() * known * weights).sum()


def masked_smooth_l1(predicted: Tensor, target: Tensor, weights: Tensor, beta: float = 1 / 9) -> Tensor:
    """As `masked_l1`, rounded off below beta."""
    known = target.isfinite()
    apart = functional.smooth_l1_loss(
        predicted.float(), torch.where(known, target, predicted.float()), reduction="none", beta=beta
    )
    return (apart * known * weights).sum()


def sigmoid_focal(logits: Tensor, positive: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """(...) focal loss of each entry.

    Args:
        logits: (...).
        positive: (...) bool.
        alpha: share of the positive ones' weight.
        gamma: the larger, the less what is sure counts.
    """
    logits, target = logits.float(), positive.float()
    cross = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    off = torch.where(positive, 1 - logits.sigmoid(), logits.sigmoid())
    return torch.where(positive, alpha, 1 - alpha) * off**gamma * cross
