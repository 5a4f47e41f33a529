"""The layouts of a folder with the 2D results of each image; docs/precomputed_masks.md describes them for users."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.arrays import IntArray
from pointsam.base.errors import DatasetError, UnnamedIdError
from pointsam.base.images import DAMAGED, MASK_FORMATS, open_image
from pointsam.base.mask_files import (
    DOCS,
    as_object,
    id_of,
    malformed,
    read_instances,
    read_masks,
)
from pointsam.base.remote import read_bytes
from pointsam.semantics.labelme import has_boxes, is_labelme, labelme_objects
from pointsam.semantics.objects import Found, Size, needs_masks_error, object_of, other_size
from pointsam.semantics.places import ImageName, image_files, require_unshared
from pointsam.taxonomy import BACKGROUND, LabelMapping

LABELS = "labels.json"

_EIGHT_BIT = ("L", "P")
_SIXTEEN_BIT = ("I;16", "I;16B", "I")

_PROBED = 20
"""Files that are read before a run to see whether they hold masks."""


class Layout(Protocol):
    """Reads the 2D results of an image.

    Attributes:
        title: name of the layout, which the digest of a run holds.
        instances: False if one mask holds all pixels of a class.
    """

    title: str
    instances: bool

    def files(self, image: ImageName) -> list[Path]:
        """The files of an image, whether they are there or not.

        Raises:
            DatasetError: DAT011 if the names of the image cannot be part of a path.
        """

    def read(self, image: ImageName, size: Size) -> list[Found]:
        """The objects of an image. Those whose label is background may have neither mask nor box.

        Args:
            image: the image.
            size: (height_px, width_px) of the image.

        Raises:
            DatasetError: DAT004 on a file that is missing or cannot be read, DAT011 on a damaged or malformed file, or
                one of another size.
            UnnamedIdError: SCH001 on an id without a label.
        """

    def survey(self, images: Iterable[ImageName], needs_masks: bool) -> tuple[str, ...]:
        """Check the files against the images of a run, before anything is written.

        Args:
            images: the images of the run and of the data set, those of one frame of every scene first; they need not
                all be taken.
            needs_masks: whether boxes alone are not enough.

        Returns:
            What is suspicious.

        Raises:
            DatasetError: DAT002 if a file would be used for several images, or holds boxes where masks are needed.
        """


class _ByImage:
    """A layout in which the files of an image have its stem.

    Args:
        folder: the folder of the results.
        mapping: label names to the run's classes.
    """

    title: str
    suffixes: tuple[str, ...]

    def __init__(self, folder: Path, mapping: LabelMapping) -> None:
        self._folder, self._mapping = folder, mapping

    def files(self, image: ImageName) -> list[Path]:
        """As `Layout.files`."""
        return image_files(self._folder, image, self.suffixes)

    def survey(self, images: Iterable[ImageName], needs_masks: bool) -> tuple[str, ...]:
        """As `Layout.survey`."""
        require_unshared(self._folder, images, self.suffixes)
        return ()

    def _existing(self, image: ImageName) -> list[Path]:
        files = self.files(image)
        for path in files:
            if not path.is_file():
                raise DatasetError(
                    "DAT004",
                    f"no {path}: {image.full[-1]} of {image.camera} has no precomputed masks "
                    f"({self.title}: <masks dir>/<camera>/<image stem>{path.suffix}, or the same below "
                    f"<masks dir>/{image.scene})",
                    f"write one for every image, also for images without objects ({DOCS})",
                )
        return files


class SemanticPng(_ByImage):
    """`<stem>.png` of label ids, and one `labels.json` in the folder: {"0": "background", "1": "car"}."""

    title = "SemanticPng"
    suffixes = (".png",)
    instances = False

    def __init__(self, folder: Path, mapping: LabelMapping) -> None:
        super().__init__(folder, mapping)
        self._labels = folder / LABELS
        self._class_of_id = np.full(256, BACKGROUND, dtype=np.uint8)
        self._label_of_id: dict[int, str] = {}
        for key, label in _label_list(self._labels).items():
            label_id = id_of(self._labels, key, 0, 255)
            if not isinstance(label, str):
                raise malformed(self._labels, f"[{key!r}] is {label!r}", "a label name")
            self._class_of_id[label_id] = mapping.class_id(label)
            self._label_of_id[label_id] = label

    def read(self, image: ImageName, size: Size) -> list[Found]:
        """One mask per class, with score 1."""
        (path,) = self._existing(image)
        pixels = _png(path, size, _EIGHT_BIT)
        ids = np.unique(pixels)
        unnamed = [label_id for label_id in ids.tolist() if label_id not in self._label_of_id]
        if unnamed:
            raise _unnamed(path, np.array(unnamed), self._labels)
        found: dict[int, Found] = {}
        classes = self._class_of_id[pixels]
        for label_id in ids.tolist():
            label, class_id = self._label_of_id[label_id], int(self._class_of_id[label_id])
            if class_id == BACKGROUND:
                found[-1 - label_id] = Found(label, 1.0, None)
            elif class_id not in found:
                found[class_id] = Found(label, 1.0, rle.encode_mask(classes == class_id))
        return [found[key] for key in sorted(found)]


class InstancePng(_ByImage):
    """`<stem>.png` of instance ids, 0 = none, with `<stem>.json`: {"1": {"label": "car", "score": 0.9}}."""

    title = "InstancePng"
    suffixes = (".png", ".json")
    instances = True

    def read(self, image: ImageName, size: Size) -> list[Found]:
        """One mask per id, by rising id."""
        path, names = self._existing(image)
        instances = read_instances(names)
        pixels = _png(path, size, _EIGHT_BIT + _SIXTEEN_BIT)
        ids = np.setdiff1d(pixels, [0])
        unnamed = np.setdiff1d(ids, list(instances))
        if len(unnamed):
            raise _unnamed(path, unnamed, names)
        found = []
        for instance_id in ids:
            one = instances[int(instance_id)]
            known = self._mapping.class_id(one.label) != BACKGROUND
            found.append(Found(one.label, one.score, rle.encode_mask(pixels == instance_id) if known else None))
        return found


class ObjectsJson(_ByImage):
    """`<stem>.json`: a list of objects with label, score, and mask or box (`objects.object_of`), or a LabelMe file."""

    title = "RleJson"  # of version 0.1.0, in the digests of its runs
    suffixes = (".json",)
    instances = True

    def read(self, image: ImageName, size: Size) -> list[Found]:
        """One object per entry, in the order of the entries."""
        (path,) = self._existing(image)
        entries = read_masks(path)
        if is_labelme(entries):
            return labelme_objects(path, entries, size)
        if not isinstance(entries, list):
            raise malformed(
                path,
                "the file is not a list, nor a LabelMe file with `shapes`",
                "a list of objects, [] for an image without any,",
            )
        return [object_of(path, as_object(path, entry, f"[{i}]"), f"[{i}]", size) for i, entry in enumerate(entries)]

    def survey(self, images: Iterable[ImageName], needs_masks: bool) -> tuple[str, ...]:
        """As `Layout.survey`; reads the first files if masks are needed. Later boxes quarantine their frame."""
        given = iter(images)
        head = list(islice(given, _PROBED)) if needs_masks else []
        for image in (image for image in head if image.of_run):
            try:
                (path,) = self._existing(image)
                entries = read_masks(path)
            except DatasetError:
                continue  # its frame is quarantined
            if is_labelme(entries) and has_boxes(entries):
                raise needs_masks_error(path, "`shapes`")
            for i, entry in enumerate(entries if isinstance(entries, list) else []):
                if isinstance(entry, dict) and not (entry.get("segmentation") or entry.get("segments")):
                    raise needs_masks_error(path, f"[{i}]")
        require_unshared(self._folder, (*head, *given), self.suffixes)
        return ()


def _label_list(path: Path) -> dict[str, object]:
    """Names by id of labels.json: an object, or one in the field `labels`, or a list whose positions are the ids."""
    values = read_masks(path)
    if isinstance(values, dict) and isinstance(values.get("labels"), dict | list):
        values = values["labels"]
    if isinstance(values, list):
        return {str(k): label for k, label in enumerate(values)}
    return dict(as_object(path, values, "the file"))


def _png(path: Path, size: Size, modes: tuple[str, ...]) -> NDArray[np.int32]:
    try:
        with open_image(io.BytesIO(read_bytes(path, "mask file")), MASK_FORMATS) as image:
            # Before the pixels are decoded: checking the size is cheap and stops decompression bombs.
            if (image.height, image.width) != size:
                raise other_size(path, (image.height, image.width), size)
            if image.mode not in modes:
                bits = "8 or 16 bits" if len(modes) > len(_EIGHT_BIT) else "8 bits"
                raise malformed(path, f"pixels of mode {image.mode!r}", f"one channel of {bits} or a palette")
            return np.asarray(image).astype(np.int32)
    except DAMAGED as error:
        raise malformed(
            path, f"not a readable PNG ({error})", "the file again: it is damaged or incomplete,"
        ) from error


def _unnamed(path: Path, ids: IntArray, names: Path) -> UnnamedIdError:
    some = ", ".join(str(i) for i in ids[:5]) + (" ..." if len(ids) > 5 else "")
    return UnnamedIdError(
        "SCH001", f"{path}: pixels with id {some}, which {names} does not name", f"name every id ({DOCS})"
    )
