"""The description of a detector of torchvision: its architecture, its weights and its labels (docs/torchvision.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pointsam.base.document import canonical_json, read_document
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require, require_between
from pointsam.base.words import did_you_mean
from pointsam.semantics.described import file_beside
from pointsam.semantics.vocabularies import names_of


@dataclass(frozen=True)
class Architecture:
    """A detector of torchvision.

    Args:
        background: whether its label 0 is the background.
        any_size: whether the size of its input can be chosen.
        published_eps: value that torchvision adds to the variances of the backbone for its published weights; None =
            that of all others. Published weights of these networks come from a time when it added nothing.
    """

    background: bool
    any_size: bool = True
    published_eps: float | None = None


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "maskrcnn_resnet50_fpn": Architecture(True, published_eps=0.0),
        "maskrcnn_resnet50_fpn_v2": Architecture(True),
        "fasterrcnn_resnet50_fpn": Architecture(True, published_eps=0.0),
        "fasterrcnn_resnet50_fpn_v2": Architecture(True),
        "fasterrcnn_mobilenet_v3_large_fpn": Architecture(True),
        "fasterrcnn_mobilenet_v3_large_320_fpn": Architecture(True),
        "retinanet_resnet50_fpn": Architecture(False, published_eps=0.0),
        "retinanet_resnet50_fpn_v2": Architecture(False),
        "fcos_resnet50_fpn": Architecture(False),
        "ssd300_vgg16": Architecture(True, any_size=False),
        "ssdlite320_mobilenet_v3_large": Architecture(True, any_size=False),
    }
)
"""Architectures by torchvision's name."""


@dataclass(frozen=True)
class VisionFile:
    """The file.

    Args:
        torchvision: one of `ARCHITECTURES`.
        weights: file of its tensors, relative to this file: .safetensors, or a state_dict that torch saved.
        labels: name of each of its labels, "" for one that is none, such as the background; or the name of a
            vocabulary. The published weights have those of `coco_ids`.
        min_px: its input is enlarged or reduced until the shorter side has this length; None = torchvision's.
        max_px: longest side of its input; None = torchvision's.
        licence: licence of the weights, a note.
    """

    torchvision: str
    weights: str
    labels: tuple[str, ...] | str
    min_px: int | None = None
    max_px: int | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        if self.torchvision not in ARCHITECTURES:
            raise SchemaError(
                "SCH005",
                f"torchvision is {self.torchvision!r}{did_you_mean(self.torchvision, ARCHITECTURES)}",
                f"give one of {', '.join(ARCHITECTURES)}",
            )
        require_between(self, "torchvision", 32, 8192, ("min_px", "max_px"))
        ordered = self.min_px is None or self.max_px is None or self.min_px <= self.max_px
        require(ordered, "max_px", self.max_px, f"at least min_px, {self.min_px}")
        if not self.architecture.any_size and (self.min_px, self.max_px) != (None, None):
            raise SchemaError(
                "SCH005", f"min_px, max_px: the input of {self.torchvision} has one size", "leave them out"
            )
        if self.architecture.background and self.names[0]:
            raise SchemaError(
                "SCH005",
                f"labels: the first is {self.names[0]!r}, but label 0 of {self.torchvision} is the background: "
                'put "" first, or "coco_ids" for COCO\'s',
                "correct the labels",
            )

    @property
    def architecture(self) -> Architecture:
        """Its architecture."""
        return ARCHITECTURES[self.torchvision]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each label."""
        return names_of(self.labels)


def read_vision_file(path: Path | None) -> tuple[VisionFile, Path]:
    """The file, and that of the weights.

    Raises:
        SchemaError: SCH005 if there is no path, or naming the file and the field.
    """
    if path is None:
        raise SchemaError(
            "SCH005", "semantics torchvision has no file", "give one: --semantics FILE.json (docs/torchvision.md)"
        )

    def refuse(problem: str) -> SchemaError:
        return SchemaError("SCH005", f"{path}: {problem}", "docs/torchvision.md lists the fields")

    found = read_document(path, VisionFile, refuse, partial=True)
    return found, file_beside(path, found.weights, "weights")


def canonical(found: VisionFile) -> bytes:
    """What determines the detections besides the weights, for a digest."""
    return canonical_json([found.torchvision, found.names, found.min_px, found.max_px]).encode()
