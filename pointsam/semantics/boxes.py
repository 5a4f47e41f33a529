"""Axis-aligned boxes in an image: overlap and non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray


def area(box_xyxy_px: FloatArray) -> NDArray[np.float64]:
    """(N,) areas in square pixels of (N,4) boxes; 0 if right <= left or bottom <= top."""
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    extent: NDArray[np.float64] = np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=1)
    return extent


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of an (H,W) mask, right and bottom exclusive; zeros for an empty mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def intersection(a_xyxy_px: FloatArray, b_xyxy_px: FloatArray) -> NDArray[np.float64]:
    """(N,M) areas of overlap in square pixels of (N,4) and (M,4) boxes."""
    a, b = np.asarray(a_xyxy_px, dtype=np.float64)[:, None], np.asarray(b_xyxy_px, dtype=np.float64)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return shared


def iou(a_xyxy_px: FloatArray, b_xyxy_px: FloatArray) -> NDArray[np.float64]:
    """(N,M) intersection over union of (N,4) and (M,4) boxes; 0 for two empty boxes."""
    shared = intersection(a_xyxy_px, b_xyxy_px)
    union = area(a_xyxy_px)[:, None] + area(b_xyxy_px)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def by_score(box_xyxy_px: FloatArray, class_id: IntArray, score: NDArray[np.float32]) -> NDArray[np.intp]:
    """(N,) indices by falling score. Class and box break ties, so the result does not depend on the input's order."""
    order: NDArray[np.intp] = np.lexsort((*box_xyxy_px.T[::-1], class_id, -score))
    return order


def nms(box_xyxy_px: FloatArray, class_id: IntArray, score: NDArray[np.float32], max_iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class.

    Args:
        box_xyxy_px: (N,4) left, top, right, bottom.
        class_id: (N,) classes; boxes of different classes never suppress each other.
        score: (N,) scores; of two overlapping boxes the one with the higher score stays.
        max_iou: a box is dropped if its IoU with a kept one is greater.

    Returns:
        (K,) indices of the kept boxes by falling score.
    """
    left, kept = by_score(box_xyxy_px, class_id, score), list[np.intp]()
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        # One row at a time: all pairs of the boxes that a low threshold lets through do not fit into memory.
        overlap = iou(box_xyxy_px[first : first + 1], box_xyxy_px[left])[0]
        left = left[(overlap <= max_iou) | (class_id[left] != class_id[first])]
    return np.array(kept, dtype=np.intp)
