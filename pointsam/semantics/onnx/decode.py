"""The outputs of a detector as corners and scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.semantics.onnx.description import BoxForm, ScoreForm

Array = NDArray[np.float32]


def table(output: NDArray[np.generic], transposed: bool) -> Array:
    """(N,K) rows of an output of one image, whatever axes of length 1 it has besides."""
    values = np.asarray(output, dtype=np.float32)
    values = values[0] if values.ndim > 2 else values
    values = values.reshape(-1, values.shape[-1])
    return values.T if transposed else values


def corners(values: Array, form: BoxForm, size_px: tuple[int, int]) -> Array:
    """(N,4) left, top, right, bottom of boxes, in pixels of the network's input or in fractions of it.

    Args:
        values: (N,4) numbers of each box; with `grid="distances"` (N,4*B), a distribution of B values for each side.
        form: their meaning.
        size_px: width and height of the input.
    """
    if form.grid == "distances":
        return _from_distances(values, form, size_px)
    if form.grid == "exponential":
        corner, stride_px = cells(form.strides_px, size_px)
        values = np.concatenate([values[:, :2] + corner, np.exp(values[:, 2:])], axis=1) * stride_px
    if form.form == "yxyx":
        return values[:, [1, 0, 3, 2]]
    if form.form == "xywh":
        return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)
    if form.form == "cxcywh":
        half = values[:, 2:] / 2
        return np.concatenate([values[:, :2] - half, values[:, :2] + half], axis=1)
    return values


def cells(strides_px: tuple[int, ...], size_px: tuple[int, int]) -> tuple[Array, Array]:
    """(N,2) column and row of every cell of the grids, grid by grid and row by row, and (N,1) their sides in pixels.

    Cells at the right and lower border may be cut.
    """
    width, height = size_px
    grids = [np.mgrid[: -(-height // px), : -(-width // px)].reshape(2, -1) for px in strides_px]
    stride_px = np.repeat(strides_px, [grid.shape[1] for grid in grids])[:, None].astype(np.float32)
    y, x = np.concatenate(grids, axis=1).astype(np.float32)
    return np.stack([x, y], axis=1), stride_px


def _from_distances(logits: Array, form: BoxForm, size_px: tuple[int, int]) -> Array:
    """Corners from the mean distance to each side (Li et al., "Generalized Focal Loss", arXiv 2006.04388)."""
    bins = logits.shape[1] // 4
    weight = np.exp(logits.reshape(-1, 4, bins) - logits.reshape(-1, 4, bins).max(axis=2, keepdims=True))
    strides = weight @ np.arange(bins, dtype=np.float32) / weight.sum(axis=2)
    corner, stride_px = cells(form.strides_px, size_px)
    centre = np.tile(corner + np.float32(form.cell_middle), 2)
    box: Array = (centre + strides * np.array([-1, -1, 1, 1], dtype=np.float32)) * stride_px
    return box


def scores(values: Array, form: ScoreForm, count: int) -> Array:
    """(N,count) score of each label.

    Args:
        values: (N,K) rows of the output.
        form: their meaning.
        count: number of labels.
    """
    if form.activation == "softmax":
        weight = np.exp(values - values.max(axis=1, keepdims=True))
        found: Array = weight / weight.sum(axis=1, keepdims=True)
    else:
        found = _sigmoid(values) if form.activation == "sigmoid" else values
    first, end = form.columns or (0, values.shape[1])
    of_labels = found[:, first:end]
    return of_labels if form.objectness is None else of_labels * found[:, form.objectness, None]


def spread(score: Array, label: NDArray[np.generic], form: ScoreForm, count: int) -> Array:
    """(N,count) scores of boxes that have one label each; 0 for all other labels.

    Args:
        score: (N,).
        label: (N,) number of the label; boxes of numbers that are no label get no score.
        form: gives the number of the first label.
        count: number of labels.
    """
    column = np.rint(np.asarray(label, dtype=np.float64)).astype(np.int64) - form.first_label
    found = np.zeros((len(score), count), dtype=np.float32)
    known = np.flatnonzero((column >= 0) & (column < count))
    found[known, column[known]] = score[known]
    return found


def _sigmoid(values: Array) -> Array:
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))
