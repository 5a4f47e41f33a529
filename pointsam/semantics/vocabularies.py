"""The label names of public data sets that 2D networks are trained on, in the order in which networks number them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pointsam.semantics.coco import COCO_NAMES

VOCABULARIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coco": tuple(COCO_NAMES.values()),
        "coco_ids": tuple(COCO_NAMES.get(k, "") for k in range(91)),
        "coco_ids_from_1": tuple(COCO_NAMES.get(k, "") for k in range(1, 91)),
    }
)
"""Names by vocabulary; "" for a number without a label."""
