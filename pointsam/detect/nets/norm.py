"""Batch normalisation over all processes, on any backend; on CUDA the trainer uses torch's SyncBatchNorm instead."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

EPS, MOMENTUM = 1e-3, 0.05
"""The published momentum is 0.01, with which the statistics of a run of a few thousand steps lag behind."""


class BatchNorm(_BatchNorm):
    """Batch normalisation of rows (N,C) or maps (N,C,H,W); with one process, torch's implementation.

    Several processes give the same result as one process with all of their rows. A process may have no rows.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected (N,C) or (N,C,H,W), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        alone = not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1
        if not self.training or (alone and input.numel() // self.num_features > 1):
            return super().forward(input)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        count = torch.full_like(values.sum(axes)[:1], input.numel() // self.num_features)
        # Squares are summed about the mean of all processes: in single precision, their sums about 0 would not do.
        sums = _summed(torch.cat([values.sum(axes), count]), alone)
        count = sums[-1:]
        mean = sums[:-1] / count.clamp(min=1)
        apart = values - mean.view(shape)
        variance = _summed((apart**2).sum(axes), alone) / count.clamp(min=1)
        self._remember(mean.detach(), variance.detach(), count.detach())
        out = apart * (self.weight * (variance + self.eps).rsqrt()).view(shape) + self.bias.view(shape)
        return out.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        unbiased = variance * count / (count - 1).clamp(min=1)
        momentum = MOMENTUM * (count > 0)  # without rows, the statistics stay as they are
        with torch.no_grad():
            for running, value in ((self.running_mean, mean), (self.running_var, unbiased)):
                assert running is not None  # always tracked
                running.lerp_(value.to(running.dtype), momentum.to(running.dtype))


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> Tensor:
        return _Sum.forward(ctx, grads[0])


def _summed(values: Tensor, alone: bool) -> Tensor:
    """The values, summed over the processes."""
    summed: Tensor = values if alone else _Sum.apply(values)
    return summed


def norm_relu(channels: int) -> list[nn.Module]:
    """Batch normalisation and ReLU, which follow every convolution."""
    return [BatchNorm(channels), nn.ReLU(inplace=True)]


def conv_norm_relu(channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    """A 3x3 convolution, batch normalisation and ReLU."""
    return [nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False), *norm_relu(width)]
