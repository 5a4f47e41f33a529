"""The three layouts of a folder of precomputed masks; docs/precomputed_masks.md describes them for users."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.arrays import IntArray
from pointsam.base.document import read_json
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.images import DAMAGED, MASK_FORMATS, open_image
from pointsam.taxonomy import BACKGROUND, LabelMapping

DOCS = "docs/precomputed_masks.md"
LABELS = "labels.json"

_EIGHT_BIT = ("L", "P")
_SIXTEEN_BIT = ("I;16", "I;16B", "I")

Found = tuple[bytes, int, float]
"""COCO RLE, class_id and score of one mask that is not background."""


class Layout(Protocol):
    """Reads the masks of an image.

    Attributes:
        suffixes: suffixes of the files of an image, with their dots.
        instances: False if one mask holds all pixels of a class.
    """

    suffixes: tuple[str, ...]
    instances: bool

    def read(self, stem: Path, size: tuple[int, int]) -> list[Found]:
        """The masks in the files `stem` + suffix of an image of `size` (height_px, width_px).

        Raises:
            DatasetError: DAT011 on a damaged or malformed file, or one of another size.
            SchemaError: SCH001 on an id without a label.
        """


class SemanticPng:
    """`<stem>.png` of label ids, and one `labels.json` in the masks folder: {"0": "background", "1": "car"}."""

    suffixes: tuple[str, ...] = (".png",)
    instances = False

    def __init__(self, labels: Path, mapping: LabelMapping) -> None:
        self._labels = labels
        self._class_of_id = np.full(256, BACKGROUND, dtype=np.uint8)
        self._known = np.zeros(256, dtype=np.bool_)
        for key, label in _object(labels, document(labels), "the file").items():
            label_id = _id(labels, key, 0, 255)
            if not isinstance(label, str):
                raise malformed(labels, f"[{key!r}] is {label!r}", "a label name")
            self._class_of_id[label_id] = mapping.class_id(label)
            self._known[label_id] = True

    def read(self, stem: Path, size: tuple[int, int]) -> list[Found]:
        """One mask per class, with score 1."""
        path = stem.with_name(stem.name + ".png")
        pixels = _png(path, size, _EIGHT_BIT)
        ids = np.unique(pixels)
        if not self._known[ids].all():
            raise _unnamed(path, ids[~self._known[ids]], self._labels)
        classes = self._class_of_id[pixels]
        return [
            (rle.encode_mask(classes == c), int(c), 1.0) for c in np.unique(self._class_of_id[ids]) if c != BACKGROUND
        ]


class InstancePng:
    """`<stem>.png` of instance ids, 0 = none, with `<stem>.json`: {"1": {"label": "car", "score": 0.9}}."""

    suffixes: tuple[str, ...] = (".png", ".json")
    instances = True

    def __init__(self, mapping: LabelMapping) -> None:
        self._mapping = mapping

    def read(self, stem: Path, size: tuple[int, int]) -> list[Found]:
        """One mask per id, by rising id."""
        path, names = (stem.with_name(stem.name + suffix) for suffix in self.suffixes)
        objects: dict[int, tuple[str, float]] = {}
        for key, value in _object(names, document(names), "the file").items():
            instance_id, entry = _id(names, key, 1, 65535), _object(names, value, f"[{key!r}]")
            objects[instance_id] = (_label(names, entry, f"[{key!r}]"), _score(names, entry, f"[{key!r}]"))
        pixels = _png(path, size, _EIGHT_BIT + _SIXTEEN_BIT)
        ids = np.setdiff1d(pixels, [0])
        unnamed = np.setdiff1d(ids, list(objects))
        if len(unnamed):
            raise _unnamed(path, unnamed, names)
        found = []
        for instance_id in ids:
            label, score = objects[int(instance_id)]
            class_id = self._mapping.class_id(label)
            if class_id != BACKGROUND:
                found.append((rle.encode_mask(pixels == instance_id), class_id, score))
        return found


class RleJson:
    """`<stem>.json`: [{"segmentation": {"size": [h, w], "counts": "..."}, "label": "car", "score": 0.9}]."""

    suffixes: tuple[str, ...] = (".json",)
    instances = True

    def __init__(self, mapping: LabelMapping) -> None:
        self._mapping = mapping

    def read(self, stem: Path, size: tuple[int, int]) -> list[Found]:
        """One mask per entry, in the order of the entries."""
        path = stem.with_name(stem.name + ".json")
        entries = document(path)
        if not isinstance(entries, list):
            raise malformed(path, "the file is not a list", "a list of masks, [] for an image without objects,")
        found = []
        for i, value in enumerate(entries):
            entry = _object(path, value, f"[{i}]")
            label, score = _label(path, entry, f"[{i}]"), _score(path, entry, f"[{i}]")
            counts = _counts(path, entry, f"[{i}].segmentation", size)
            class_id = self._mapping.class_id(label)
            if class_id != BACKGROUND and rle.area_px(counts, *size) > 0:
                found.append((counts, class_id, score))
        return found


def document(path: Path) -> object:
    """The JSON of a file.

    Raises:
        DatasetError: DAT004 if it is missing, DAT011 if it is malformed.
    """
    try:
        return read_json(path)
    except FileNotFoundError:
        raise DatasetError("DAT004", f"no {path}", f"write it next to the masks ({DOCS})") from None
    except ValueError as error:
        raise malformed(path, str(error), "the JSON") from error


def malformed(path: Path, problem: str, wanted: str) -> DatasetError:
    """DAT011 for a file that exists but is not as it should be; `wanted` is what to write."""
    return DatasetError("DAT011", f"{path}: {problem}", f"write {wanted} as {DOCS} says")


def _png(path: Path, size: tuple[int, int], modes: tuple[str, ...]) -> NDArray[np.int32]:
    try:
        with open_image(path, MASK_FORMATS) as image:
            # Before the pixels are decoded: checking the size is cheap and stops decompression bombs.
            if (image.height, image.width) != size:
                raise _other_size(path, (image.height, image.width), size)
            if image.mode not in modes:
                bits = "8 or 16 bits" if len(modes) > len(_EIGHT_BIT) else "8 bits"
                raise malformed(path, f"pixels of mode {image.mode!r}", f"one channel of {bits} or a palette")
            return np.asarray(image).astype(np.int32)
    except DAMAGED as error:
        raise malformed(
            path, f"not a readable PNG ({error})", "the file again: it is damaged or incomplete,"
        ) from error


def _counts(path: Path, entry: dict[str, object], where: str, size: tuple[int, int]) -> bytes:
    segmentation = _object(path, entry.get("segmentation"), where)
    height_width, counts = segmentation.get("size"), segmentation.get("counts")
    if not (isinstance(height_width, list) and len(height_width) == 2 and all(type(n) is int for n in height_width)):
        raise malformed(path, f"{where}.size is {height_width!r}", "[height, width] of the image")
    if tuple(height_width) != size:
        raise _other_size(path, (height_width[0], height_width[1]), size, f"{where}.size ")
    if not isinstance(counts, str):
        kind = type(counts).__name__
        raise malformed(path, f"{where}.counts is a {kind}", "compressed run lengths (pycocotools.mask.encode)")
    try:
        raw = counts.encode("ascii")
        rle.check(raw, size[0] * size[1])
    except ValueError as error:
        problem = "not ASCII" if isinstance(error, UnicodeError) else str(error)
        raise malformed(path, f"{where}.counts: {problem}", "what pycocotools.mask.encode gives,") from error
    return raw


def _object(path: Path, value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise malformed(path, f"{where} is not a JSON object", "{...}")
    return value


def _label(path: Path, entry: dict[str, object], where: str) -> str:
    label = entry.get("label", entry.get("category"))
    if not isinstance(label, str):
        raise malformed(path, f"{where}.label is {label!r}", "a label name")
    return label


def _score(path: Path, entry: dict[str, object], where: str) -> float:
    score = entry.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise malformed(path, f"{where}.score is {score!r}", "a number from 0 to 1")
    return float(score)


def _id(path: Path, key: str, smallest: int, largest: int) -> int:
    digits = key.isascii() and key.isdigit() and len(key) <= 5
    if not (digits and smallest <= int(key) <= largest and str(int(key)) == key):
        raise malformed(path, f"the key {key!r} is not an id", f'an id from "{smallest}" to "{largest}"')
    return int(key)


def _other_size(path: Path, given: tuple[int, int], size: tuple[int, int], what: str = "") -> DatasetError:
    return DatasetError(
        "DAT011",
        f"{path}: {what}{given[1]} x {given[0]} px, but the image has {size[1]} x {size[0]} px",
        "write masks in the size of the image",
    )


def _unnamed(path: Path, ids: IntArray, names: Path) -> SchemaError:
    some = ", ".join(str(i) for i in ids[:5]) + (" ..." if len(ids) > 5 else "")
    return SchemaError(
        "SCH001", f"{path}: pixels with id {some}, which {names} does not name", f"name every id ({DOCS})"
    )
