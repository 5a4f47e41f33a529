"""The labels that a model of transformers states in its config.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pointsam.base.errors import BackendError
from pointsam.semantics.coco import COCO_NAMES

_NONE = frozenset({"", "n/a", "none", "null", "background"})
"""Names of columns that are no label, in lower case. COCO's numbers have gaps, and Objects365's begin at 1."""
_UNNAMED = re.compile(r"LABEL_\d+")
"""What transformers writes if nobody named the labels."""
_OLDER: Mapping[str, str] = MappingProxyType(
    {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "potted plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }
)
"""Labels of COCO by their names in Pascal VOC, which RT-DETR and D-FINE have."""


def label_names(settings: Mapping[str, object], source: Path) -> tuple[str, ...]:
    """Name of each label by number, "" for a number that is none.

    The 80 labels of COCO have COCO's names, also where a model has those of Pascal VOC for some.

    Args:
        settings: values of config.json.
        source: the model, for messages.

    Raises:
        BackendError: BCK003 if names are missing.
    """
    stated = settings.get("id2label")
    if not isinstance(stated, Mapping) or not stated:
        raise _refuse(source, "it has no id2label")
    numbers = [str(k) for k in range(len(stated))]
    if set(stated) != set(numbers):
        odd = sorted(set(map(str, stated)) ^ set(numbers))[0]
        raise _refuse(source, f"id2label has {len(stated)} names, but not one for each number from 0: see {odd!r}")
    found = []
    for number in numbers:
        name = stated[number]
        if not isinstance(name, str | None):
            raise _refuse(source, f"id2label.{number} is {name!r:.60}, no name")
        text = (name or "").strip()
        if _UNNAMED.fullmatch(text):
            raise _refuse(source, f"id2label.{number} is {text!r}: nobody named the labels")
        found.append("" if text.casefold() in _NONE else text)
    if not any(found):
        raise _refuse(source, "id2label names no label")
    coco = [_OLDER.get(name, name) for name in found]
    return tuple(coco if set(coco) - {""} <= set(COCO_NAMES.values()) else found)


def require_names(count: int, names: tuple[str, ...], source: Path) -> None:
    """Refuse a model with another number of labels than names.

    Raises:
        BackendError: BCK003.
    """
    if count != len(names):
        raise BackendError(
            "BCK003",
            f"{source} gives scores of {count} labels, its config.json names {len(names)}",
            "correct id2label in config.json",
        )


def _refuse(source: Path, problem: str) -> BackendError:
    return BackendError(
        "BCK003",
        f"the labels of {source} are not known: in config.json, {problem}",
        'write the names of all labels there: "id2label": {"0": "car", "1": "person"}',
    )
