"""2D results of any network, read from files; docs/precomputed_masks.md describes the format for users."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import DOCS
from pointsam.base.remote import read_bytes
from pointsam.semantics.base import NoOptions, SemanticsPlugin, required_folder
from pointsam.semantics.layouts import LABELS, InstancePng, Layout, RleJson, SemanticPng
from pointsam.taxonomy import LabelMapping
from pointsam.types import CameraView, Detections, Frame


class PrecomputedSemantics:
    """Masks with labels; the files of an image are `<masks_dir>/<camera>/<image stem>` with the layout's suffixes.

    Args:
        mapping: label names to the run's classes; labels that it leaves out are background.
        masks_dir: the folder; its contents select the layout.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture, DAT011 on a
            malformed labels.json.
    """

    name = "precomputed"
    weights_sha256 = ""
    riders_apart = True

    def __init__(self, mapping: LabelMapping, masks_dir: Path) -> None:
        self._dir = masks_dir
        self._layout = _layout(masks_dir, mapping)

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Masks of the view's image, without empty ones; each box is the bounding box of its mask.

        Raises:
            DatasetError: DAT004 if the image has no file here, DAT011 if the file is damaged, malformed or of another
                size than the image.
            SchemaError: SCH001 on an id without a label.
        """
        stem = self._dir / view.name / view.stem
        for suffix in self._layout.suffixes:
            path = stem.with_name(stem.name + suffix)
            if not path.is_file():
                raise DatasetError(
                    "DAT004",
                    f"no {path}: {view.source.file_name} of {view.name} has no precomputed masks "
                    f"({type(self._layout).__name__}: <masks dir>/<camera>/<image stem>{suffix})",
                    f"write one for every image, also for images without objects ({DOCS})",
                )
        height, width = image_rgb.shape[:2]
        found = self._layout.read(stem, (height, width))
        masks = tuple(counts for counts, _, _ in found)
        return Detections(
            np.array([rle.bbox_xyxy_px(counts, height, width) for counts in masks], dtype=np.float32).reshape(-1, 4),
            np.array([class_id for _, class_id, _ in found], dtype=np.uint8),
            np.array([score for _, _, score in found], dtype=np.float32),
            masks,
            self._layout.instances,
        )


def fingerprint(masks_dir: Path) -> str:
    """Hex digest of the layout and the content of labels.json. It does not depend on the folder's path.

    The digest leaves out mask files, so that a missing or damaged one can be corrected for `--retry-failed`. New masks
    for frames that are done are therefore not noticed: they need a new output folder.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture, DAT004 if labels.json
            cannot be read.
    """
    kind = layout_kind(masks_dir)
    labels = read_bytes(masks_dir / LABELS, "list of labels") if issubclass(kind, SemanticPng) else b""
    return hashlib.sha256(kind.__name__.encode() + b"\n" + labels).hexdigest()


def layout_kind(masks_dir: Path) -> type[SemanticPng] | type[InstancePng] | type[RleJson]:
    """The layout that the files of a folder have.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it has no layout or a mixture.
    """
    there = _folder(masks_dir)
    labels = (there / LABELS).is_file()
    png, json = (next(there.glob(f"*/*{suffix}"), None) is not None for suffix in (".png", ".json"))
    if labels and png and not json:
        return SemanticPng
    if png and json and not labels:
        return InstancePng
    if json and not png and not labels:
        return RleJson
    held = [name for name, held in ((LABELS, labels), ("<camera>/*.png", png), ("<camera>/*.json", json)) if held] or [
        "no masks"
    ]
    raise DatasetError(
        "DAT002",
        f"{masks_dir} holds {' and '.join(held)}: not one of the layouts of precomputed masks",
        f"keep {LABELS} with PNGs (semantic), or a JSON with every PNG (instances), or JSONs alone (RLE): {DOCS}",
    )


def _layout(masks_dir: Path, mapping: LabelMapping) -> Layout:
    kind = layout_kind(masks_dir)
    return SemanticPng(masks_dir / LABELS, mapping) if issubclass(kind, SemanticPng) else kind(mapping)


def _folder(masks_dir: Path) -> Path:
    if not masks_dir.is_dir():
        raise DatasetError("DAT001", f"no folder {masks_dir}", "give the folder of the precomputed masks")
    return masks_dir


PLUGIN = SemanticsPlugin(
    NoOptions,
    lambda _, context: PrecomputedSemantics(context.mapping, required_folder("precomputed", context.masks_dir)),
    lambda _, masks_dir: fingerprint(required_folder("precomputed", masks_dir)),
)
