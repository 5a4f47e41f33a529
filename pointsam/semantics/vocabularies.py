"""The label names of public data sets that 2D networks are trained on, in the order in which networks number them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from pointsam.base.document import parse_json
from pointsam.semantics.coco import COCO_NAMES


def _listed() -> dict[str, tuple[str, ...]]:
    content = (resources.files("pointsam.semantics") / "data" / "vocabularies.json").read_bytes()
    lists = parse_json(content)
    assert isinstance(lists, dict)
    return {name: tuple(labels) for name, labels in lists.items()}


VOCABULARIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coco": tuple(COCO_NAMES.values()),
        "coco_ids": tuple(COCO_NAMES.get(k, "") for k in range(91)),
        "coco_ids_from_1": tuple(COCO_NAMES.get(k, "") for k in range(1, 91)),
        **_listed(),
    }
)
"""Names by vocabulary; "" for a number without a label. Cityscapes has the 19 labels that are evaluated, BDD100K those
of detection, and nuImages all of its categories, in alphabetical order."""
