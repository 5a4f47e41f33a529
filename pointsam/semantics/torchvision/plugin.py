"""The source of classes `torchvision`: a detector of torchvision, by its description (docs/torchvision.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pointsam.base.digests import sha256_of
from pointsam.base.hub import ModelOrigin
from pointsam.semantics.base import SemanticsContext
from pointsam.semantics.tiled import TiledConfig, tiled_plugin
from pointsam.semantics.torchvision.description import canonical, read_vision_file
from pointsam.semantics.torchvision.network import VisionDetector


@dataclass(frozen=True)
class VisionConfig(TiledConfig):
    """Thresholds and tiling of a detector of torchvision."""

    section: ClassVar[str] = "torchvision"


def _open(_config: VisionConfig, context: SemanticsContext) -> VisionDetector:
    description, weights = read_vision_file(context.masks_dir)
    return VisionDetector(description, weights, context.device, context.threads)


def _fingerprint(_config: VisionConfig, source: Path | None) -> str:
    description, weights = read_vision_file(source)
    return hashlib.sha256(canonical(description) + sha256_of(weights).encode()).hexdigest()


def _names(_config: VisionConfig, source: Path | None) -> Sequence[str]:
    return read_vision_file(source)[0].names


def _origins(_config: VisionConfig, source: Path | None) -> tuple[ModelOrigin, ...]:
    description, weights = read_vision_file(source)
    return (ModelOrigin(str(source), "", description.licence, {weights.name: sha256_of(weights)}),)


PLUGIN = replace(
    tiled_plugin("torchvision", VisionConfig, _open, _fingerprint, _names, network="the network", takes_folder=True),
    origins=_origins,
)
