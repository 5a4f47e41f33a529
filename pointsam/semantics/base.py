"""What a source of 2D classes must offer, and how it is plugged in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.taxonomy import LabelMapping
from pointsam.types import CameraView, Detections, Frame

C = TypeVar("C")


class SemanticModel(Protocol):
    """Says what class is where in an image: a network, or files that one wrote.

    Attributes:
        name: of its plug-in: "ssd", "precomputed", "oracle".
        weights_sha256: of the weights in use, "" where there are none.
        riders_apart: a rider and what he rides may be two objects, which `ride` is to join; False where every object
            is whole, so that whoever stands before a bicycle must not become a part of it.
    """

    name: str
    weights_sha256: str
    riders_apart: bool

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) RGB image, classes of the run's taxonomy, background left out."""


@dataclass(frozen=True)
class SemanticsContext:
    """What a source of classes is loaded with, besides its own configuration.

    Args:
        mapping: label names to the run's classes.
        masks_dir: folder of files that it reads (`--masks-dir`, else `SemanticsPlugin.folder` in the data root), None
            where nothing names one.
        seed: of the run, for random draws together with frame and camera.
        threads: CPU threads of one inference; results must not depend on it.
        device: as torch names it.
    """

    mapping: LabelMapping
    masks_dir: Path | None = None
    seed: int = 0
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class SemanticsPlugin(Generic[C]):
    """A kind of source, as an entry point of the group `pointsam.semantics` names it.

    The module that holds it should import networks only when `load` is called.

    Args:
        config: frozen dataclass of its options (`--set masks.NAME.FIELD=VALUE`), every field with a default, the
            values checked in `__post_init__`; `NoOptions` for a source without any.
        load: builds the source.
        fingerprint: hex digest of what decides its detections besides options and images, such as weights, given the
            options and the folder of files: runs with equal digests may continue each other.
        labels: its label names where the user gives no mapping: "coco" names, or the "same" as the classes.
        folder: name of a folder in the data root that it reads where the user names none.
    """

    config: type[C]
    load: Callable[[C, SemanticsContext], SemanticModel]
    fingerprint: Callable[[C, Path | None], str]
    labels: Literal["coco", "same"] = "same"
    folder: str | None = None


@dataclass(frozen=True)
class NoOptions:
    """Of a source that has none."""


def required_folder(name: str, masks_dir: Path | None) -> Path:
    """The folder of a source that reads files.

    Raises:
        DatasetError: DAT001 if there is none.
    """
    if masks_dir is None:
        raise DatasetError(
            "DAT001", f"semantics {name} has no folder", "give one with --masks-dir (docs/precomputed_masks.md)"
        )
    return masks_dir
