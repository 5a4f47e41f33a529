"""The JSON files of precomputed masks and of ground-truth instances (docs/precomputed_masks.md).

Files may have other fields too, which are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pointsam.base.document import parse_json
from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, read_bytes

DOCS = "docs/precomputed_masks.md"

TRUTH = "truth2d"
"""Folder of a data root that holds the ground-truth instances of its images, as instance maps."""

_LARGEST_ID = 65535
_LABELS = ("label", "category", "category_name", "class_name", "name")


@dataclass(frozen=True)
class Instance:
    """One instance of an instance map.

    Args:
        label: label name.
        score: from 0 to 1.
        visible: unoccluded fraction of its pixels in the image; only ground truth states it.
    """

    label: str
    score: float
    visible: float = 1.0


def read_instances(path: DataPath, truth: bool = False) -> dict[int, Instance]:
    """The instances of an instance map by their id, which is above 0, in the order of the file.

    Args:
        path: the JSON file: {"1": {"label": "car", "score": 0.9, "visible": 1.0}}.
        truth: whether it is ground truth: `visible` is read, and both numbers are 1 where they are absent.

    Raises:
        DatasetError: DAT004 if the file is missing or cannot be read, DAT011 if it is malformed, naming the field.
    """
    found: dict[int, Instance] = {}
    for key, value in as_object(path, read_masks(path), "the file").items():
        where = f"[{key!r}]"
        instance_id, entry = id_of(path, key, 1, _LARGEST_ID), as_object(path, value, where)
        if truth:
            entry = {"score": 1.0, "visible": 1.0, **entry}
        label, score = label_of(path, entry, where), fraction(path, entry, "score", where)
        visible = fraction(path, entry, "visible", where) if truth else 1.0
        found[instance_id] = Instance(label, score, visible)
    return found


def read_masks(path: DataPath) -> object:
    """The JSON values of a file.

    Raises:
        DatasetError: DAT004 if it is missing or cannot be read, DAT011 if it is not JSON.
    """
    content = read_bytes(path, "mask file", f"write a readable one next to the masks ({DOCS})")
    try:
        return parse_json(content)
    except ValueError as error:
        raise malformed(path, str(error), "the JSON") from error


def malformed(path: DataPath, problem: str, wanted: str) -> DatasetError:
    """DAT011 for a file that exists but is not as it should be; `wanted` is what to write."""
    return DatasetError("DAT011", f"{path}: {problem}", f"write {wanted} as {DOCS} says")


def as_object(path: DataPath, value: object, where: str) -> Mapping[str, object]:
    """A value that must be a JSON object; DAT011 if it is not."""
    if not isinstance(value, dict):
        raise malformed(path, f"{where} is not a JSON object", "{...}")
    return value


def label_of(path: DataPath, entry: Mapping[str, object], where: str) -> str:
    """The label name of an entry, in one of the fields `_LABELS`; DAT011 if it has none."""
    label = next((entry[name] for name in _LABELS if name in entry), None)
    if label is None and "category_id" in entry:
        problem = f"{where}.category_id is {entry['category_id']!r:.60}, and no file states the names of categories"
        raise malformed(path, problem, "the label name as `label`, or one COCO file of all images,")
    if not isinstance(label, str):
        raise malformed(path, f"{where}.label is {label!r:.60}", "a label name")
    return label


def fraction(path: DataPath, entry: Mapping[str, object], name: str, where: str) -> float:
    """A field from 0 to 1 of an entry; DAT011 if it is absent or has any other value."""
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise malformed(path, f"{where}.{name} is {value!r}", "a number from 0 to 1")
    return float(value)


def id_of(path: DataPath, key: str, smallest: int, largest: int) -> int:
    """The id that a key of an object states; DAT011 if it is out of range or written otherwise ("01")."""
    digits = key.isascii() and key.isdecimal() and len(key) <= 5
    if not (digits and smallest <= int(key) <= largest and str(int(key)) == key):
        raise malformed(path, f"the key {key!r} is not an id", f'an id from "{smallest}" to "{largest}"')
    return int(key)
