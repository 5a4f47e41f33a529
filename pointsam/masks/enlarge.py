"""Enlarges the decoder's 256 x 256 logits to the pixels of the image, but only where the mask can be.

SAM enlarges by four, removes the padding, and resizes to the image, both bilinear. SAM 2 and 3 pad nothing and resize
once. Along each axis, this is one matrix with two to four non-zero entries per row. A mask covers part of its image, so
only the block of rows and columns near it is computed. The result equals `Sam.postprocess_masks` up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

_SLACK = 1e-3  # so that rounding cannot raise a pixel outside of the block above the level


@dataclass(frozen=True, eq=False)
class Crop:
    """A block of enlarged logits; all pixels outside of it are below the requested level.

    Args:
        v_px, u_px: row and column of its first pixel.
        logits: (h,w) float32; h and w may be 0.
    """

    v_px: int
    u_px: int
    logits: Tensor


class Enlarger:
    """Enlarges logits to images of one size.

    Args:
        low_px: side of the decoder's output, 256.
        model_px: side of the network's padded input, 1024; None if nothing is padded.
        input_hw: height and width in pixels of the resized image within that input.
        image_hw: height and width of the image in pixels.
    """

    def __init__(self, low_px: int, model_px: int | None, input_hw: tuple[int, int], image_hw: tuple[int, int]) -> None:
        self._rows = _axis(low_px, model_px, input_hw[0], image_hw[0])
        self._columns = _axis(low_px, model_px, input_hw[1], image_hw[1])

    def crops(self, logits: Tensor, level: float) -> Iterator[Crop]:
        """Enlarge (K,256,256) logits of the host one after another, each only where it can exceed `level`."""
        hot = logits > level - _SLACK
        bounds = torch.cat([span(hot.any(2)), span(hot.any(1))], dim=1).tolist()
        for logit, (top, bottom, left, right) in zip(logits, bounds, strict=True):
            v, rows = self._rows.block(top, bottom)
            u, columns = self._columns.block(left, right)
            matrix_v, matrix_u = self._rows.matrix[v, rows], self._columns.matrix[u, columns]
            yield Crop(v.start, u.start, matrix_v @ logit[rows, columns] @ matrix_u.T)


class _Axis:
    """(image_px, low_px) matrix of both resizings along one axis, with the range of inputs of each output."""

    def __init__(self, low_px: int, model_px: int | None, input_px: int, image_px: int) -> None:
        shown = torch.eye(low_px)[None]
        if model_px is not None:
            shown = functional.interpolate(shown, model_px, mode="linear", align_corners=False)[..., :input_px]
        image = functional.interpolate(shown, image_px, mode="linear", align_corners=False)[0].T.contiguous()
        inputs = span(image != 0)
        self.matrix = image
        self._first, self._end = inputs[:, 0].contiguous(), inputs[:, 1].contiguous()

    def block(self, start: int, stop: int) -> tuple[slice, slice]:
        """The outputs that inputs start..stop contribute to, and all inputs that contribute to these outputs."""
        low = int(torch.searchsorted(self._end, start, right=True))
        high = int(torch.searchsorted(self._first, stop))
        if low >= high:
            return slice(0, 0), slice(0, 0)
        return slice(low, high), slice(int(self._first[low]), int(self._end[high - 1]))


@lru_cache(maxsize=8)  # the images of a run have few sizes, and a matrix takes milliseconds
def _axis(low_px: int, model_px: int | None, input_px: int, image_px: int) -> _Axis:
    return _Axis(low_px, model_px, input_px, image_px)


def span(flags: Tensor) -> Tensor:
    """Index of the first true of (...,n) flags and one past the last, as (...,2); zeros if all are false."""
    n = flags.shape[-1]
    if n == 0:
        return torch.zeros(*flags.shape[:-1], 2, dtype=torch.int64, device=flags.device)
    first = flags.int().argmax(dim=-1)
    end = n - flags.flip(-1).int().argmax(dim=-1)
    return torch.stack([first, end], dim=-1) * flags.any(dim=-1, keepdim=True)
