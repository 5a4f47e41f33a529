"""The label names of public data sets that 2D networks are trained on, in the order in which networks number them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from pointsam.base.document import parse_json
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.base.words import did_you_mean
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


def names_of(labels: tuple[str, ...] | str) -> tuple[str, ...]:
    """The names of a description's `labels`: the names themselves, or the name of a vocabulary.

    Raises:
        SchemaError: SCH005 on an unknown vocabulary, or without any name.
    """
    if isinstance(labels, str) and labels not in VOCABULARIES:
        raise SchemaError(
            "SCH005",
            f"labels is {labels!r}{did_you_mean(labels, VOCABULARIES)}",
            f"give a list of names, or one of {', '.join(VOCABULARIES)}",
        )
    names = VOCABULARIES[labels] if isinstance(labels, str) else labels
    require(any(names), "labels", labels, "at least one name")
    return names
