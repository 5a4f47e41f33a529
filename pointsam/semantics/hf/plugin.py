"""The source of classes `hf`: a detector of transformers (docs/classes_hf.md).

`--semantics hf:SOURCE`, where SOURCE is a folder or an id of the hub. Code of a hub is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pointsam.base.errors import SchemaError
from pointsam.base.hub import hub_model
from pointsam.base.hub_models import PRECISIONS, model_type, open_model, settings_of
from pointsam.base.ranges import require
from pointsam.semantics.base import Detector, SemanticsContext
from pointsam.semantics.hf.answers import Runner
from pointsam.semantics.hf.closed import CLOSED, ClosedDetector
from pointsam.semantics.hf.labels import label_names
from pointsam.semantics.tiled import TiledConfig, tiled_plugin


@dataclass(frozen=True)
class HfConfig(TiledConfig):
    """Thresholds, tiling and precision of a detector of transformers.

    Args:
        precision: number type of the network; its scores and boxes are always float32.
    """

    precision: str = "float32"

    section: ClassVar[str] = "hf"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.precision in PRECISIONS, "hf.precision", self.precision, f"one of {', '.join(PRECISIONS)}")


def _source(path: Path | None) -> Path:
    if path is None:
        raise SchemaError(
            "SCH005",
            "semantics hf has no source",
            "name a folder or an id of the hub: --semantics hf:PekingU/rtdetr_v2_r50vd (docs/classes_hf.md)",
        )
    return path


def _names(_config: HfConfig, path: Path | None) -> Sequence[str]:
    found = hub_model(_source(path))
    model_type(found, CLOSED, "detector")
    return label_names(settings_of(found), _source(path))


def _open(config: HfConfig, context: SemanticsContext) -> Detector:
    source = _source(context.masks_dir)
    found = hub_model(source)
    kind = CLOSED[model_type(found, CLOSED, "detector")]
    opened = open_model(found, source, kind.class_name, "AutoImageProcessor", context.device, context.threads)
    names = label_names(settings_of(found), source)
    return ClosedDetector(Runner(*opened, config.precision), names, kind.no_object, source)


def _fingerprint(_config: HfConfig, path: Path | None) -> str:
    return hub_model(_source(path)).digest


PLUGIN = tiled_plugin("hf", HfConfig, _open, _fingerprint, _names, network="the network", takes_folder=True)
