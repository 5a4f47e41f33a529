"""The interface of a source of 2D classes, and its plug-in (docs/plugins.md)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.hub import ModelOrigin
from pointsam.semantics.places import ImageName
from pointsam.taxonomy import LabelMapping
from pointsam.types import CameraView, Detections, Frame

if TYPE_CHECKING:
    from PIL import Image

C = TypeVar("C")
LabelNames = Literal["coco", "same"]
"""Label names that the built-in mappings know: those of COCO, or the same as the classes."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a network finds in an image.

    Args:
        boxes: (N,4) left, top, right, bottom in pixels of the image.
        scores: (N,C) score of each label.
        masks: gives the (H,W) mask of a row, in the size of the image; None for a network that finds boxes only. It is
            called for the boxes that are kept.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    masks: Callable[[int], NDArray[np.bool_]] | None = None


class Detector(Protocol):
    """A network that finds boxes, with or without masks, in an image of any size."""

    @property
    def names(self) -> Sequence[str]:
        """Name of each label, "" for a column that is none."""

    def look(self, image: Image.Image) -> Look:
        """What it finds in an RGB image."""


class SemanticModel(Protocol):
    """Finds the classes in an image: a network, or files that a network wrote.

    Attributes:
        name: name of its plug-in: "ssd", "precomputed", "oracle".
        weights_sha256: digest of the weights, "" without weights.
        riders_apart: True if a rider and the cycle may be two objects, which `ride` joins. False if every object is
            complete already; then a person in front of a bicycle must stay separate from it.

    With an attribute `concurrent = True`, several threads may call `detect` at once; without it, they take turns.
    """

    name: str
    weights_sha256: str
    riders_apart: bool

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) uint8 RGB image, with classes of the run's taxonomy and without background."""


def is_concurrent(model: SemanticModel) -> bool:
    """Whether several threads may call `detect` at once."""
    return bool(getattr(model, "concurrent", False))


class InTurn:
    """A source of classes for several threads, of which it answers one at a time.

    Args:
        model: the source.
    """

    def __init__(self, model: SemanticModel) -> None:
        self.name, self.weights_sha256, self.riders_apart = model.name, model.weights_sha256, model.riders_apart
        self._model, self._turn = model, threading.Lock()

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """What the source finds."""
        with self._turn:
            return self._model.detect(image_rgb, frame, view)


@dataclass(frozen=True)
class SemanticsContext:
    """What a source of classes is loaded with, besides its own options.

    Args:
        mapping: label names to the run's classes.
        masks_dir: folder or file that it reads, results of another network or the description of a model:
            `--masks-dir`, else `SemanticsPlugin.folder` in the data root, else None.
        seed: seed of the run; random draws depend on it, the frame and the camera.
        threads: CPU threads of one inference; results must not depend on it.
        device: torch device.
        data_root: root of the data set, which the paths of its images start with.
        needs_masks: whether the recipe needs the mask of every object, and a file with boxes alone is not enough.
    """

    mapping: LabelMapping
    masks_dir: Path | None = None
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    data_root: str = ""
    needs_masks: bool = False


@dataclass(frozen=True)
class SemanticsPlugin(Generic[C]):
    """A source of classes, named by an entry point of the group `pointsam.semantics`.

    Its module should import networks only when `load` is called.

    Args:
        config: frozen dataclass of its options (`--set masks.NAME.FIELD=VALUE`). Every field has a default, and
            `__post_init__` checks the values. `NoOptions` if there are no options.
        load: builds the source.
        fingerprint: hex digest of what determines its detections besides options and images, such as weights, from
            the options and the folder of files. A run may continue one with the same digest.
        labels: its label names if the user gives no mapping: "coco" names, or the "same" as the classes. A source with
            `names` needs none.
        folder: folder in the data root that it reads unless the user names another.
        files: from the folder, a function that lists the files of an image; runs notice if one changes. None if there
            are none of single images.
        survey: checks the mapping, and its files against the images of the run and of the data set, before any model is
            loaded, and returns what is suspicious; None if there is nothing to check. The images of one frame of every
            scene come first. It need not take all images, and raises `DatasetError` or `SchemaError`.
        takes_folder: False for a source that reads no folder, with which `--masks-dir` is refused.
        names: the names of its labels, from its options and the folder; None if they are not known beforehand.
        classes: the class of each label, from its options and the folder, if a file that it reads states them, as
            prompts do: the run's mapping is then not asked. None, or a function that returns None, if the mapping
            decides.
        detector: for `pointsam-label try-2d`: the network itself, whose boxes have labels and no classes yet. None if
            there is none.
        origins: where its models are from, from its options and the folder, for run.json; None if only the digest is
            known.
    """

    config: type[C]
    load: Callable[[C, SemanticsContext], SemanticModel]
    fingerprint: Callable[[C, Path | None], str]
    labels: LabelNames = "same"
    folder: str | None = None
    files: Callable[[Path], Callable[[ImageName], list[Path]]] | None = None
    survey: Callable[[C, SemanticsContext, Iterable[ImageName]], tuple[str, ...]] | None = None
    takes_folder: bool = True
    names: Callable[[C, Path | None], Sequence[str]] | None = None
    classes: Callable[[C, Path | None], Mapping[str, str] | None] | None = None
    detector: Callable[[C, SemanticsContext], Detector] | None = None
    origins: Callable[[C, Path | None], tuple[ModelOrigin, ...]] | None = None


@dataclass(frozen=True)
class NoOptions:
    """Options of a source without options."""


def required_folder(name: str, masks_dir: Path | None) -> Path:
    """`masks_dir` of source `name`, which reads files.

    Raises:
        DatasetError: DAT001 if it is None.
    """
    if masks_dir is None:
        raise DatasetError(
            "DAT001", f"semantics {name} has no folder", "give one with --masks-dir (docs/precomputed_masks.md)"
        )
    return masks_dir
