"""Sparse convolutions by the Triton kernels of the optional package spconv-triton, on a GPU.

Layers, rulebooks and parameters stay those of `nets/sparse`, so that checkpoints do not depend on what computes. The
package's own layers are not used: under autocast they compute in fp16, whatever type is asked for, and they refuse a
sweep without points. Its kernels take fp32 (without TF32) and bf16 (sums in fp32). They use no atomic operations; but
Triton chooses the sizes of their blocks by measuring, and sums of other blocks differ by rounding.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from pointsam.base.errors import BackendError
from pointsam.detect.nets.rulebook import OffsetTable, Rulebook

_OTHERWISE = "--set detector.sparse=torch"
_ONE_MASK = [np.array([0xFFFFFFFF], np.uint32)]
"""The package can split offsets into several masks; here there is one, of all offsets."""


def kernels_on(device: torch.device) -> ModuleType:
    """The package's operators, if they can run on a device.

    Raises:
        BackendError: BCK006 if the device is no GPU, BCK005 without the package.
    """
    if device.type != "cuda":
        raise BackendError(
            "BCK006", f"detector.sparse=triton needs a GPU, not {str(device)!r}", f"use --device cuda, or {_OTHERWISE}"
        )
    try:
        return import_module("spconv_triton.pytorch.ops")
    except (ImportError, RuntimeError) as error:
        raise BackendError(
            "BCK005",
            f"detector.sparse=triton: cannot import spconv_triton ({error})",
            f"pip install 'pointsam[triton]', or {_OTHERWISE}",
        ) from error


def product(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve.

    Args:
        features: (V,C) on a GPU, fp32, bf16 or fp16.
        weight: (D,K,C) of the same type.
        rulebook: neighbours of the voxels.

    Returns:
        (N,D) of the same type.

    Raises:
        BackendError: as `kernels_on`.
    """
    source, _ = rulebook.by_offset
    count, submanifold = len(rulebook.source), rulebook.geometry.submanifold
    convolve = kernels_on(features.device).implicit_gemm
    out: Tensor = convolve(features, weight, source.row, *_sorted(source), count, _ONE_MASK, True, submanifold)[0]
    return out


def gradients(features: Tensor, weight: Tensor, rulebook: Rulebook, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of features and weight, (V,C) and (D,K,C), of a (N,D) gradient of the output."""
    source, target = rulebook.by_offset
    (bits, order), (bits_back, order_back) = _sorted(source), _sorted(target)
    masks = (bits, bits_back, order, order_back)
    back, submanifold = kernels_on(grad.device).implicit_gemm_backward, rulebook.geometry.submanifold
    found: tuple[Tensor, Tensor] = back(
        features, weight, grad, source.row, target.row, *masks, None, _ONE_MASK, -1, submanifold
    )
    return found


def _sorted(table: OffsetTable) -> tuple[list[Tensor], list[Tensor]]:
    """Bits and order as the package takes them: lists with an entry for each mask."""
    return ([], []) if table.bits is None or table.order is None else ([table.bits], [table.order])
