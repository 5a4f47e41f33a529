"""2D results of any network, read from files; docs/precomputed_masks.md describes the formats for users."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import DOCS
from pointsam.base.remote import read_bytes
from pointsam.semantics.base import NoOptions, SemanticsContext, SemanticsPlugin, required_folder
from pointsam.semantics.coco_set import CocoSet
from pointsam.semantics.layouts import LABELS, InstancePng, Layout, ObjectsJson, SemanticPng
from pointsam.semantics.objects import Found
from pointsam.semantics.places import ImageName, image_files
from pointsam.taxonomy import BACKGROUND, LabelMapping
from pointsam.types import CameraView, Detections, Frame

_NO_OBJECT = frozenset({"background", "ignore", "ignored", "void", "unlabeled", "unlabelled", "unlabelled area"})
"""Names that say themselves that they are no class."""


class PrecomputedSemantics:
    """Masks or boxes with labels, from files.

    Args:
        mapping: label names to the run's classes; labels that it leaves out are background.
        masks_dir: the folder, whose contents select the layout, or a COCO file.
        data_root: root of the data set, which the paths of images start with.
        needs_masks: whether boxes alone are not enough.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture, DAT011 on a
            malformed labels.json or COCO file.
    """

    name = "precomputed"
    weights_sha256 = ""
    riders_apart = True
    concurrent = True

    def __init__(self, mapping: LabelMapping, masks_dir: Path, data_root: str = "", needs_masks: bool = False) -> None:
        self._mapping, self._data_root, self._needs_masks = mapping, data_root, needs_masks
        self._layout = _layout(masks_dir, mapping)

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects of the view's image, without empty masks; the box of a mask is its bounding box.

        Raises:
            DatasetError: DAT004 if the image has no file here, DAT011 if the file is damaged, malformed, of another
                size than the image, or holds boxes where masks are needed.
            UnnamedIdError: SCH001 on an id without a label.
        """
        height, width = image_rgb.shape[:2]
        image = ImageName.of(frame, view, self._data_root)
        known, unmapped = list[Found](), Counter[str]()
        for one in self._layout.read(image, (height, width)):
            if self._mapping.class_id(one.label) == BACKGROUND:
                unmapped[one.label] += not (self._mapping.lists(one.label) or one.label.casefold() in _NO_OBJECT)
            elif one.rle is None or rle.area_px(one.rle, height, width) > 0:
                known.append(one)
        masks = tuple(one.rle for one in known if one.rle is not None)
        if len(masks) < len(known) and (masks or self._needs_masks):
            raise DatasetError(
                "DAT011",
                f"{' and '.join(str(path) for path in self._layout.files(image))}: {len(known) - len(masks)} of "
                f"{len(known)} objects of {image.full[-1]} have a box and no mask"
                + ("" if masks else ", but the recipe needs masks"),
                f"write masks for all objects{' or for none' if masks else ''} ({DOCS})",
            )
        boxes = [rle.bbox_xyxy_px(one.rle, height, width) if one.rle is not None else one.box_xyxy_px for one in known]
        return Detections(
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array([self._mapping.class_id(one.label) for one in known], dtype=np.uint8),
            np.array([one.score for one in known], dtype=np.float32),
            masks if masks or not known else None,
            self._layout.instances,
            {label: count for label, count in unmapped.items() if count},
        )


def files(masks_dir: Path) -> Callable[[ImageName], list[Path]]:
    """A function that lists the files of an image, whether they are there or not; none for COCO files.

    The function raises DatasetError DAT011 if the names of the image cannot be part of a path.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture.
    """
    kind = layout_kind(masks_dir)
    if issubclass(kind, CocoSet):
        return lambda _image: []  # their content is in the fingerprint
    return lambda image: image_files(masks_dir, image, kind.suffixes)


def fingerprint(masks_dir: Path) -> str:
    """Hex digest of the layout and the content of labels.json or of the COCO files. It does not depend on the path.

    The digest leaves out the files of single images, so that a missing or damaged one can be corrected for
    `--retry-failed`. Runs store digests of these files by frame.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture, DAT004 if labels.json
            cannot be read.
    """
    kind = layout_kind(masks_dir)
    digest = hashlib.sha256(kind.title.encode() + b"\n")
    if kind is SemanticPng:
        digest.update(read_bytes(masks_dir / LABELS, "list of labels"))
    for file in _coco_files(masks_dir) if kind is CocoSet else ():
        digest.update(hashlib.sha256(read_bytes(file, "COCO file")).digest())
    return digest.hexdigest()


def layout_kind(masks_dir: Path) -> type[SemanticPng] | type[InstancePng] | type[ObjectsJson] | type[CocoSet]:
    """The layout that the files of a folder have.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture.
    """
    if masks_dir.is_file():
        return CocoSet
    if not masks_dir.is_dir():
        raise DatasetError("DAT001", f"no folder {masks_dir}", "give the folder of the precomputed masks")
    labels, coco = (masks_dir / LABELS).is_file(), bool(_coco_files(masks_dir))
    png, json = (_holds(masks_dir, suffix) for suffix in (".png", ".json"))
    kinds: dict[tuple[bool, ...], type[SemanticPng] | type[InstancePng] | type[ObjectsJson] | type[CocoSet]] = {
        (True, True, False, False): SemanticPng,
        (False, True, True, False): InstancePng,
        (False, False, True, False): ObjectsJson,
        (False, False, False, True): CocoSet,
    }
    if kind := kinds.get((labels, png, json, coco)):
        return kind
    there = {LABELS: labels, "<camera>/*.png": png, "<camera>/*.json": json, "*.json": coco}
    held = [name for name, is_there in there.items() if is_there] or ["no masks"]
    hint = (
        f"keep {LABELS} with PNGs (semantic), or a JSON with every PNG (instances), or JSONs alone (objects), or a "
        f"COCO file of all images alone: {DOCS}"
    )
    if held == ["no masks"] and _holds(masks_dir, ".txt"):
        held = ["text files, which state no label names"]
        hint = f"convert YOLO's text files to COCO JSON, for example with FiftyOne or Ultralytics' save_json: {DOCS}"
    raise DatasetError(
        "DAT002", f"{masks_dir} holds {' and '.join(held)}: not one of the layouts of precomputed masks", hint
    )


def _layout(masks_dir: Path, mapping: LabelMapping) -> Layout:
    kind = layout_kind(masks_dir)
    return CocoSet(_coco_files(masks_dir), mapping) if issubclass(kind, CocoSet) else kind(masks_dir, mapping)


def _coco_files(masks_dir: Path) -> list[Path]:
    """The JSON files of whole sets: `masks_dir` itself, or those at its top."""
    if masks_dir.is_file():
        return [masks_dir]
    files = (path for path in masks_dir.iterdir() if path.suffix.lower() == ".json" and path.name != LABELS)
    return sorted(path for path in files if not path.name.startswith(".") and path.is_file())


def _holds(masks_dir: Path, suffix: str) -> bool:
    """Whether there is a file `CAMERA/NAME` or `SCENE/CAMERA/NAME` with a suffix."""
    patterns = (f"{depth}/*{end}" for depth in ("*", "*/*") for end in (suffix, suffix.upper()))
    return any(not path.name.startswith(".") for pattern in patterns for path in masks_dir.glob(pattern))


def survey(folder: Path, context: SemanticsContext, images: Iterable[ImageName]) -> tuple[str, ...]:
    """As `SemanticsPlugin.survey`, for a folder.

    Raises:
        DatasetError: as `PrecomputedSemantics`, and DAT002 if a file would be used for several images, or holds boxes
            where masks are needed.
    """
    return _layout(folder, context.mapping).survey(images, context.needs_masks)


PLUGIN = SemanticsPlugin(
    NoOptions,
    lambda _, context: PrecomputedSemantics(
        context.mapping, required_folder("precomputed", context.masks_dir), context.data_root, context.needs_masks
    ),
    lambda _, masks_dir: fingerprint(required_folder("precomputed", masks_dir)),
    files=files,
    survey=lambda _, context, images: survey(required_folder("precomputed", context.masks_dir), context, images),
)
