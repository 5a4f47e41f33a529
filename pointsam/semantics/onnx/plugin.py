"""The source of classes `onnx`: any ONNX detector, by its description (docs/onnx.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pointsam.base.hub import ModelOrigin
from pointsam.semantics.base import SemanticsContext
from pointsam.semantics.onnx.description import canonical, content_of, read_description
from pointsam.semantics.onnx.network import OnnxDetector
from pointsam.semantics.tiled import TiledConfig, tiled_plugin


@dataclass(frozen=True)
class OnnxConfig(TiledConfig):
    """Thresholds and tiling of an ONNX detector."""

    section: ClassVar[str] = "onnx"


def _open(_config: OnnxConfig, context: SemanticsContext) -> OnnxDetector:
    description, model = read_description(context.masks_dir)
    return OnnxDetector(description, content_of(model), str(context.masks_dir), context.threads)


def _fingerprint(_config: OnnxConfig, source: Path | None) -> str:
    description, model = read_description(source)
    return hashlib.sha256(canonical(description) + hashlib.sha256(content_of(model)).digest()).hexdigest()


def _names(_config: OnnxConfig, source: Path | None) -> Sequence[str]:
    return read_description(source)[0].names


def _origins(_config: OnnxConfig, source: Path | None) -> tuple[ModelOrigin, ...]:
    description, model = read_description(source)
    digest = hashlib.sha256(content_of(model)).hexdigest()
    return (ModelOrigin(str(source), "", description.licence, {model.name: digest}),)


PLUGIN = replace(
    tiled_plugin("onnx", OnnxConfig, _open, _fingerprint, _names, network="the network", takes_folder=True),
    origins=_origins,
)
