"""Digests of boxes, by which a budget and a run recognise the boxes that they were drawn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.taxonomy import BACKGROUND
from pointsam.types import Boxes

_CELL = 0.01
"""Values are compared to a centimetre, and cosines to a hundredth: the last bits of a position differ by machine."""
_SHIFT = 0.382
"""Shift of the cells' edges, so that they are no round numbers, which label files are full of."""
_LETTERS = 12


def box_digests(boxes: Boxes, names: Sequence[str]) -> tuple[str, ...]:
    """(M) 12 hex digits from the class, place, size and heading of each of M boxes.

    Args:
        boxes: boxes in the LiDAR frame, metres.
        names: class names by class_id.
    """
    values = np.concatenate([boxes.center_m, boxes.size_lwh_m, boxes.rotation[:, :2, 0]], axis=1)
    cells: NDArray[np.int64] = np.floor(values / _CELL + _SHIFT).astype("<i8")
    kinds = ["" if class_id == BACKGROUND else names[class_id] for class_id in boxes.class_id.tolist()]
    return tuple(
        hashlib.sha256(row.tobytes() + kind.encode()).hexdigest()[:_LETTERS]
        for row, kind in zip(cells, kinds, strict=True)
    )
