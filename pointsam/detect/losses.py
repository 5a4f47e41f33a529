"""Losses: every object trains the classification; only boxes train the regression.

Each loss is a sum that its head divides by a count over the whole batch, across all processes. N processes therefore
give the losses of one process with N times the batch. Source: docs/method.md B.5, B.7, B.8.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.nn import functional

_HEAT_FLOOR = 1e-4
"""Predicted heat is clamped to this distance from 0 and 1 (docs/method.md B.5)."""


def divisor(counts: Tensor) -> Tensor:
    """Divisors of summed losses: the counts over all processes, at least 1, divided by the number of processes.

    With them, the mean of the processes' gradients is the gradient over the whole batch.

    Args:
        counts: (...) counts of this process; all of them are summed over the processes at once.

    Returns:
        (...) float32.
    """
    value = counts.detach().to(torch.float32, copy=True)
    if not (distributed.is_available() and distributed.is_initialized()):
        return value.clamp(min=1)
    distributed.all_reduce(value)
    return value.clamp(min=1) / distributed.get_world_size()


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of the values of all processes: of losses by `divisor`, the loss over the whole batch."""
    mean = values.clone()
    distributed.all_reduce(mean)
    return mean / distributed.get_world_size()


def heat_focal(logits: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """(C,) sum of CornerNet's focal loss over the locations of each channel that count.

    Args:
        logits: (S,C,H,W) predicted heat.
        heat: (S,C,H,W) target, 1 at peaks.
        counted: (S,C,H,W) bool, False in ignore regions.
    """
    p = logits.float().sigmoid().clamp(_HEAT_FLOOR, 1 - _HEAT_FLOOR)
    at_peak = (1 - p) ** 2 * p.log()
    elsewhere = (1 - heat) ** 4 * p**2 * (1 - p).log()
    return -(torch.where(heat == 1, at_peak, elsewhere) * counted).sum(dim=(0, 2, 3))


def masked_l1(predicted: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """(K,) weighted sum of the absolute differences of each row, without the entries that have no target.

    Args:
        predicted: (K,D).
        target: (K,D), NaN where there is no target.
        weights: (D,) weight of each column.
    """
    known = target.isfinite()
    return ((predicted.float() - torch.where(known, target, 0)).abs() * known * weights).sum(dim=1)


def masked_smooth_l1(predicted: Tensor, target: Tensor, weights: Tensor, beta: float = 1 / 9) -> Tensor:
    """As `masked_l1`, but quadratic for differences below `beta`."""
    known = target.isfinite()
    apart = functional.smooth_l1_loss(
        predicted.float(), torch.where(known, target, predicted.float()), reduction="none", beta=beta
    )
    return (apart * known * weights).sum(dim=1)


def sigmoid_focal(logits: Tensor, positive: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """(...) focal loss of each entry (RetinaNet).

    Args:
        logits: (...).
        positive: (...) bool target.
        alpha: weight of positive entries; negative ones have 1 - alpha.
        gamma: exponent; a larger one lowers the weight of well-classified entries.
    """
    logits, target = logits.float(), positive.float()
    cross = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    off = torch.where(positive, 1 - logits.sigmoid(), logits.sigmoid())
    return torch.where(positive, alpha, 1 - alpha) * off**gamma * cross


def facing(vector: Tensor, direction: Tensor) -> Tensor:
    """(K,) logistic loss of choosing between a direction and its opposite.

    The log-odds of the direction are twice its product with the predicted vector. The vector is long only where front
    and back can be told apart, and no angle is special, unlike with bins of angles, whose edges cut through objects of
    one heading.

    Args:
        vector: (K,2) predicted.
        direction: (K,2) true unit vectors.
    """
    return functional.softplus(-2 * (vector.float() * direction).sum(dim=1))
