"""TinyViT's forward pass: the function of timm's modules, from their parameters, with less time and memory on a CPU.

Batch norms are folded into the convolutions before them, and attention gets its bias in the form that torch's fused
kernel takes: a fifth of the time. Each block works on a strip of the image at a time, so that what it computes in
between stays small. `tests/masks/test_tiny_vit.py` compares it with timm's modules.

Each `part` is a module of timm (PatchEmbed, MBConv, PatchMerging, TinyVitBlock or a part of them) with folded norms.
Shapes: B images, H rows, W columns, C channels; tensors are (B,H,W,C).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.models.tiny_vit import ConvNorm
from torch import Tensor, nn
from torch.nn import functional

_CPU_VALUES = 1 << 21
"""Most numbers of a tensor between two steps on a CPU: 8 MB. Smaller strips repeat more rows at their edges."""


def fold_norms(network: nn.Module) -> None:
    """Replace each convolution with a batch norm behind it by one convolution, which gives the same in evaluation."""
    for name, part in network.named_children():
        if isinstance(part, ConvNorm):
            setattr(network, name, part.fuse())  # type: ignore[no-untyped-call]
        else:
            fold_norms(part)


def stem(part: Any, image: Tensor) -> Tensor:
    """(B,3,H,W) normalised image to (B,H/4,W/4,C)."""
    return _conv(part.conv2, functional.gelu(part.conv1(image)).permute(0, 2, 3, 1))


def mb_conv(part: Any, x: Tensor) -> Tensor:
    """Inverted bottleneck with its shortcut."""

    def compute(strip: Tensor) -> Tensor:
        wide = functional.gelu(_linear(part.conv1, strip))
        narrow = _linear(part.conv3, functional.gelu(_conv(part.conv2, wide)))
        return functional.gelu(narrow + strip)

    return _by_strips(compute, x, part.conv1.out_channels)


def merging(part: Any, x: Tensor) -> Tensor:
    """Change the channels, and halve height and width if the part's stride is two."""

    def compute(strip: Tensor) -> Tensor:
        wide = functional.gelu(_linear(part.conv1, strip))
        return _linear(part.conv3, functional.gelu(_conv(part.conv2, wide)))

    return _by_strips(compute, x, part.conv1.out_channels, part.conv2.stride[0])


def block(part: Any, x: Tensor) -> Tensor:
    """Attention in windows, a local convolution, and an MLP."""

    def compute(strip: Tensor) -> Tensor:
        local = _conv(part.local_conv, strip)
        return local + _mlp(part.mlp, local)

    return _by_strips(compute, _attend(part, x), part.mlp.fc1.out_features)


def _attend(part: Any, x: Tensor) -> Tensor:
    """Attention in windows with its shortcut, for some rows of windows at a time."""
    side, (_, height, width, _) = part.window_size, x.shape
    count = _rows(x, part.attn.qkv.out_features * (width + -width % side), side) * side
    if count >= height:
        return _attend_strip(part, x)
    return torch.cat([_attend_strip(part, x[:, top : top + count]) for top in range(0, height, count)], dim=1)


def _attend_strip(part: Any, x: Tensor) -> Tensor:
    """The same at once. Zeros fill the last row and column of windows, as in timm."""
    side, (b, height, width, c) = part.window_size, x.shape
    padded = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    down, across = padded.shape[1] // side, padded.shape[2] // side
    windows = padded.view(b, down, side, across, side, c).transpose(2, 3).reshape(-1, side * side, c)
    found = _attention(part.attn, windows).view(b, down, across, side, side, c).transpose(2, 3)
    return x + found.reshape(padded.shape)[:, :height, :width]


def _attention(part: Any, windows: Tensor) -> Tensor:
    """(n,N,C) windows to (n,N,C)."""
    n, tokens, _ = windows.shape
    heads = part.qkv(part.norm(windows)).view(n, tokens, part.num_heads, -1).transpose(1, 2)
    q, k, v = heads.split([part.key_dim, part.key_dim, part.val_dim], dim=3)
    bias = part.get_attention_biases(windows.device)[None]  # of four axes: torch is three times slower with three
    found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    out: Tensor = part.proj(found.transpose(1, 2).reshape(n, tokens, -1))
    return out


def _mlp(part: Any, x: Tensor) -> Tensor:
    out: Tensor = part.fc2(functional.gelu(part.fc1(part.norm(x))))
    return out


def _by_strips(compute: Callable[[Tensor], Tensor], x: Tensor, channels: int, stride: int = 1) -> Tensor:
    """Apply a function in which each output pixel depends on 3 x 3 input pixels, to some rows at a time.

    Args:
        compute: the function, which pads its input with zeros.
        x: (B,H,W,C).
        channels: channels of its largest tensor.
        stride: its stride.
    """
    height = x.shape[1]
    count = _rows(x, channels * x.shape[2], stride)
    if count * stride >= height:
        return compute(x)
    parts = []
    for top in range(0, -(-height // stride), count):
        first, last = max(stride * (top - 1), 0), stride * (top + count - 1) + 2
        skipped = top - first // stride
        parts.append(compute(x[:, first:last])[:, skipped : skipped + count])
    return torch.cat(parts, dim=1)


def _rows(x: Tensor, values: int, stride: int) -> int:
    """Output rows of a strip, when `values` are the numbers of an input row (B = 1) in the largest tensor."""
    if x.device.type != "cpu":
        return x.shape[1]
    return max(1, _CPU_VALUES // (x.shape[0] * values * stride))


def _linear(part: nn.Conv2d, x: Tensor) -> Tensor:
    return functional.linear(x, part.weight.flatten(1), part.bias)


def _conv(part: nn.Conv2d, x: Tensor) -> Tensor:
    out: Tensor = part(x.permute(0, 3, 1, 2))
    return out.permute(0, 2, 3, 1)
