"""The source of classes `hf`: a detector or segmenter of transformers (docs/classes_hf.md).

`--semantics hf:SOURCE`, where SOURCE is a folder or an id of the hub, for a model with labels of its own; `--semantics
FILE.json` for one that is asked in words, which are in the file. Code of a hub is never run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pointsam.base.document import canonical_json
from pointsam.base.errors import SchemaError
from pointsam.base.hub import HubModel, ModelOrigin, hub_model
from pointsam.base.hub_models import PRECISIONS, model_type, open_model, settings_of
from pointsam.base.ranges import require
from pointsam.semantics.base import Detector, SemanticModel, SemanticsContext
from pointsam.semantics.hf.answers import Runner
from pointsam.semantics.hf.closed import CLOSED, ClosedDetector
from pointsam.semantics.hf.concepts import ConceptDetector
from pointsam.semantics.hf.grounded import GroundedDetector
from pointsam.semantics.hf.labels import label_names
from pointsam.semantics.hf.maps import MAPS, MapDetector, MapSemantics
from pointsam.semantics.hf.owl import OwlDetector
from pointsam.semantics.hf.phrases import require_tokenizer
from pointsam.semantics.hf.prompts import Prompts, read_prompts
from pointsam.semantics.hf.universal import UNIVERSAL, UniversalDetector
from pointsam.semantics.mapping import require_labels
from pointsam.semantics.places import ImageName
from pointsam.semantics.tiled import TiledConfig, tiled_plugin

_NETWORK = "the network"
_TASKS = ("instance", "panoptic", "semantic")


@dataclass(frozen=True)
class HfConfig(TiledConfig):
    """Thresholds, tiling and precision of a network of transformers.

    Args:
        precision: number type of the network; its scores and boxes are always float32.
        task: what a universal segmenter is asked for: objects whose masks may overlap ("instance"), objects that share
            no pixel ("panoptic"), or the class of every pixel ("semantic").
    """

    precision: str = "float32"
    task: str = "instance"

    section: ClassVar[str] = "hf"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.precision in PRECISIONS, "hf.precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        require(self.task in _TASKS, "hf.task", self.task, f"one of {', '.join(_TASKS)}")


@dataclass(frozen=True)
class Asked:
    """A model that is asked in words.

    Args:
        class_name: its class in transformers.
        detector: makes the detector from the model, the phrases and the prompt file.
    """

    class_name: str
    detector: Callable[[Runner, Sequence[str], Path], Detector]


ASKED: Mapping[str, Asked] = MappingProxyType(
    {
        "grounding-dino": Asked("GroundingDinoForObjectDetection", GroundedDetector),
        "mm-grounding-dino": Asked("MMGroundingDinoForObjectDetection", GroundedDetector),
        "owlv2": Asked("Owlv2ForObjectDetection", OwlDetector),
        "owlvit": Asked("OwlViTForObjectDetection", OwlDetector),
        "sam3": Asked("Sam3Model", ConceptDetector),
        "sam3_video": Asked("Sam3Model", ConceptDetector),
    }
)
"""Models by `model_type` of config.json; SAM 3 for videos, as it is published, holds one for images."""


@dataclass(frozen=True)
class _Named:
    """What --semantics names, before it is loaded.

    Args:
        source: the model, a folder or an id of the hub.
        prompts: what it is asked for; None for a model with labels of its own.
        found: its folder.
        kind: its `model_type`.
    """

    source: Path
    prompts: Prompts | None
    found: HubModel
    kind: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its labels: the phrases, or those of config.json."""
        return label_names(settings_of(self.found), self.source) if self.prompts is None else (*self.prompts.classes,)


def _prompts(path: Path | None) -> Prompts | None:
    return read_prompts(path) if path is not None and path.suffix == ".json" else None


def _named(path: Path | None) -> _Named:
    """What --semantics names.

    Raises:
        SchemaError: SCH005 if there is none, on a malformed prompt file, or a model that needs prompts and has none or
            takes none and has some. BackendError: as `hub_model` and `model_type`.
    """
    if path is None:
        raise SchemaError(
            "SCH005",
            "semantics hf has no source",
            "name a folder or an id of the hub: --semantics hf:PekingU/rtdetr_v2_r50vd (docs/classes_hf.md)",
        )
    prompts = _prompts(path)
    source = path if prompts is None else prompts.source
    found = hub_model(source)
    kind = model_type(found, (*CLOSED, *UNIVERSAL, *MAPS, *ASKED), "detector or segmenter with classes")
    if prompts is None and kind in ASKED:
        raise SchemaError(
            "SCH005",
            f"{source} holds a model of type {kind!r}, which is asked in words",
            f'write a file such as {{"source": "{source}", "prompts": {{"car": ["car", "van"]}}}} and give it with '
            "--semantics FILE.json (docs/classes_hf.md)",
        )
    if prompts is not None and kind not in ASKED:
        raise SchemaError(
            "SCH005",
            f"{path}: {source} holds a model of type {kind!r}, which has labels of its own and takes no prompts",
            f"use --semantics hf:{source}, and map its labels with --mapping (docs/mapping.md)",
        )
    return _Named(source, prompts, found, kind)


def _open(config: HfConfig, context: SemanticsContext) -> Detector:
    named = _named(context.masks_dir)
    kind, names, source, prompts = named.kind, named.names, named.source, named.prompts
    _require_fit(config, named)
    listed = ASKED if prompts is not None else CLOSED
    class_name = listed[kind].class_name if kind in listed else {**UNIVERSAL, **MAPS}[kind]
    processor = "AutoProcessor" if prompts is not None else "AutoImageProcessor"
    opened = open_model(named.found, source, class_name, processor, context.device, context.threads)
    runner = Runner(*opened, config.precision, config.score_threshold)
    if prompts is not None:
        require_tokenizer(runner.processor.tokenizer, runner.model.config.text_config.vocab_size, source)
        return ASKED[kind].detector(runner, names, prompts.path)
    if kind in CLOSED:
        return ClosedDetector(runner, names, CLOSED[kind].no_object, source)
    if _gives_map(config, kind):
        return MapDetector(runner, names, kind in UNIVERSAL, source)
    return UniversalDetector(runner, names, config.task, source)


def _gives_map(config: HfConfig, kind: str) -> bool:
    """Whether a type of model gives the class of every pixel, and no objects."""
    return kind in MAPS or (kind in UNIVERSAL and config.task == "semantic")


def _require_fit(config: HfConfig, named: _Named) -> None:
    """Refuse a task that a model cannot be asked for, and tiles for one that gives the class of every pixel: they show
    parts of areas.

    Raises:
        SchemaError: SCH005.
    """
    only = "semantic" if named.kind in MAPS else "instance"
    fits = named.kind in UNIVERSAL or config.task in ("instance", only)
    require(fits, "hf.task", config.task, f"{only}, all that {named.source}, of type {named.kind!r}, can do")
    fits = config.tile_px == 0 or not _gives_map(config, named.kind)
    require(fits, "hf.tile_px", config.tile_px, f"0 for {named.source}, which gives the class of every pixel")


def _load(config: HfConfig, context: SemanticsContext) -> SemanticModel:
    if not _gives_map(config, _named(context.masks_dir).kind):
        return _TILED.load(config, context)
    detector = _open(config, context)
    require_labels(context.mapping, detector.names, _NETWORK)
    return MapSemantics("hf", _fingerprint(config, context.masks_dir), detector, context.mapping)


def _fingerprint(_config: HfConfig, path: Path | None) -> str:
    """Digest of the model, and of the phrases with their classes; names of files do not count."""
    named = _named(path)
    if named.prompts is None:
        return named.found.digest
    asked = canonical_json([*named.prompts.classes.items()])
    return hashlib.sha256(f"{asked}\n{named.found.digest}".encode()).hexdigest()


def _origins(_config: HfConfig, path: Path | None) -> tuple[ModelOrigin, ...]:
    named = _named(path)
    return (named.found.origin(named.source),)


def _classes(_config: HfConfig, path: Path | None) -> Mapping[str, str] | None:
    prompts = _prompts(path)
    return None if prompts is None else prompts.classes


def _survey(config: HfConfig, context: SemanticsContext, images: Iterable[ImageName]) -> tuple[str, ...]:
    _require_fit(config, _named(context.masks_dir))
    assert _TILED.survey is not None
    told, prompts = _TILED.survey(config, context, images), _prompts(context.masks_dir)
    if prompts is None:
        return told
    silent = [name for name in context.mapping.taxonomy.names if name not in prompts.classes.values()]
    never = f"{prompts.path} has no prompt for {', '.join(silent)}: the network never finds them"
    return (*told, never) if silent else told


_TILED = tiled_plugin(
    "hf",
    HfConfig,
    _open,
    _fingerprint,
    lambda _config, path: _named(path).names,
    network=_NETWORK,
    takes_folder=True,
)
PLUGIN = replace(_TILED, load=_load, survey=_survey, classes=_classes, origins=_origins)
