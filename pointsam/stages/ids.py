"""Canonical numbers of the objects of a sweep, so that equal partitions give equal bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import IntArray
from pointsam.types import NO_INSTANCE


def canonical_ids(instance_id: IntArray) -> NDArray[np.int32]:
    """Renumber instances 0..K-1 by falling size; of two equal sizes the one with the earlier first point comes first.

    Args:
        instance_id: (N,) any integers; NO_INSTANCE stays.

    Returns:
        (N,) int32.

    Source: the label contract (docs/labels.md).
    """
    out = np.full(instance_id.shape, NO_INSTANCE, dtype=np.int32)
    labelled = np.flatnonzero(instance_id != NO_INSTANCE)
    _, first, index, count = np.unique(
        instance_id[labelled], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.lexsort((first, -count))] = np.arange(len(first), dtype=np.int32)
    out[labelled] = rank[index]
    return out
