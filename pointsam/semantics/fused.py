"""The source of classes `fusion`: several networks, listed in a file (docs/onnx.md), as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pointsam.base.config import parse
from pointsam.base.document import canonical_json, json_object, read_document
from pointsam.base.errors import SchemaError
from pointsam.base.hub import ModelOrigin, near_or_hub
from pointsam.base.ranges import require, require_between
from pointsam.semantics.base import NoOptions, SemanticsContext, SemanticsPlugin
from pointsam.semantics.described import file_beside, plugin_named, plugin_of_file
from pointsam.semantics.joined import JoinedSemantics, Member, known_classes
from pointsam.semantics.mapping import (
    built_in_for,
    default_mapping,
    load_mapping,
    mapping_in_package,
    stated_mapping,
)
from pointsam.semantics.places import ImageName
from pointsam.taxonomy import BACKGROUND, LabelMapping

_HINT = "docs/onnx.md describes the file"


@dataclass(frozen=True)
class Source:
    """One of the networks.

    Args:
        semantics: plug-in that is one network (`ssd`); the description of a network, or prompts, in a file beside this
            one; or `hf:SOURCE`, where SOURCE is a folder, from that of the file, or an id of the hub.
        mapping: file beside this one, or name of a mapping of the package; None for the run's mapping.
        classes: the classes that are taken from it; None for all.
        weight: weight in the fusion.
        curve: slope and offset of the logit of the probability against that of the score; None leaves the scores.
        options: its options, such as `{"tile_px": 640}`.
    """

    semantics: str
    mapping: str | None = None
    classes: tuple[str, ...] | None = None
    weight: float = 1.0
    curve: tuple[float, float] | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 < self.weight <= 1e3, "sources.weight", self.weight, "a value in (0, 1000]")
        require_between(self, "sources", -1e3, 1e3, ("curve",))


@dataclass(frozen=True)
class FusionFile:
    """The file.

    Args:
        sources: the networks.
        fusion_iou: boxes of a class with a higher IoU are one object.
        score_threshold: keep fused boxes with a higher score.
    """

    sources: tuple[Source, ...]
    fusion_iou: float = 0.5
    score_threshold: float = 0.2

    def __post_init__(self) -> None:
        require(len(self.sources) > 0, "sources", self.sources, "at least one network")
        require_between(self, "fusion", 0, 0.999, ("fusion_iou", "score_threshold"))


@dataclass(frozen=True, eq=False)
class _Opened:
    """A network of the file, before it is loaded."""

    source: Source
    plugin: SemanticsPlugin[object]
    config: object
    path: Path | None
    mapping_file: Path | None

    @property
    def names(self) -> Sequence[str]:
        assert self.plugin.names is not None  # checked when it was opened
        return self.plugin.names(self.config, self.path)

    @property
    def stated(self) -> Mapping[str, str] | None:
        """Class of each label that is taken from it, if its file states them."""
        classes = None if self.plugin.classes is None else self.plugin.classes(self.config, self.path)
        return None if classes is None else self._taken(classes)

    def mapping(self, of_run: LabelMapping) -> LabelMapping:
        """Its mapping, reduced to the classes that are taken from it.

        Raises:
            SchemaError: SCH004 if its own mapping has other classes than the run, or its file asks for complete objects
                of a class that needs a rider in the run; SCH001 on an unknown class.
        """
        for name in self.source.classes or ():
            of_run.taxonomy.class_id(name)
        if (stated := self.stated) is not None:
            found = stated_mapping(of_run.taxonomy, stated, str(self.path))
            _require_same_riders(found, of_run, self.path)
            return found
        found = self._default(of_run) if self.mapping_file is None else load_mapping(self.mapping_file)
        if found.taxonomy != of_run.taxonomy:
            raise SchemaError(
                "SCH004",
                f"{self.mapping_file} maps to {', '.join(found.taxonomy.names)}, the run has "
                f"{', '.join(of_run.taxonomy.names)}",
                "give the run the mapping file with these classes (--mapping), or map to those of the run",
            )
        return replace(found, classes=self._taken(found.classes))

    def _taken(self, classes: Mapping[str, str]) -> Mapping[str, str]:
        only = self.source.classes
        return {label: name for label, name in classes.items() if only is None or name in only}

    def _default(self, of_run: LabelMapping) -> LabelMapping:
        """The run's mapping; if that is a built-in one, the one that suits the labels of this network."""
        for kind in ("coco", "same"):
            with suppress(SchemaError):  # no class states a COCO label
                if default_mapping(of_run.taxonomy, kind).classes == of_run.classes:
                    return default_mapping(of_run.taxonomy, built_in_for(self.names))
        return of_run


def _require_same_riders(stated: LabelMapping, of_run: LabelMapping, path: Path | None) -> None:
    """Refuse prompts for complete objects of a class whose objects are dropped without a rider."""
    for own, spec in zip(stated.taxonomy.classes, of_run.taxonomy.classes, strict=True):
        if own.needs_rider != spec.needs_rider:
            raise SchemaError(
                "SCH004",
                f"{path} asks for complete objects of class {spec.name!r}, other networks of the fusion find parts of "
                "them, which need a rider",
                f"leave {spec.name!r} out of the prompts, or give the run a mapping with a label of this name "
                "(--mapping, docs/mapping.md): then no object of the class needs a rider",
            )


def _opened(path: Path | None) -> tuple[FusionFile, list[_Opened]]:
    """The file, and its networks.

    Raises:
        SchemaError: SCH005 naming the file and the field.
    """
    if path is None:
        raise SchemaError("SCH005", "semantics fusion has no file", "give one: --semantics FILE.json (docs/onnx.md)")

    def refuse(problem: str) -> SchemaError:
        return SchemaError("SCH005", f"{path}: {problem}", _HINT)

    file = read_document(path, FusionFile, refuse, partial=True)
    found = []
    for k, source in enumerate(file.sources):
        where = f"sources.{k}"
        name, model = source.semantics, None
        of_hub, file_name = name.startswith("hf:"), name.removeprefix("hf:")
        if name.endswith(".json"):
            model = file_beside(path, file_name, f"{where}.semantics")
            name = "hf" if of_hub else plugin_of_file(model)
        elif of_hub:
            name, model = "hf", near_or_hub(path.parent, file_name)
        plugin = plugin_named(name)
        if plugin.names is None or name == "fusion":
            raise refuse(f"{where}.semantics: {name!r} is not one network")
        config = parse(plugin.config, source.options, str(path), f"{where}.options.", _HINT)
        own = None
        if source.mapping is not None:
            is_file = source.mapping.endswith(".json")
            field = f"{where}.mapping"
            own = file_beside(path, source.mapping, field) if is_file else mapping_in_package(source.mapping, refuse)
        opened = _Opened(source, plugin, config, model, own)
        if own is not None and opened.stated is not None:
            raise refuse(f"{where}.mapping: {source.semantics} states the classes of its labels itself")
        found.append(opened)
    return file, found


def _load(_config: NoOptions, context: SemanticsContext) -> JoinedSemantics:
    file, found = _opened(context.masks_dir)
    members = []
    for one in found:
        mapping = one.mapping(context.mapping)
        model = one.plugin.load(one.config, replace(context, mapping=mapping, masks_dir=one.path))
        members.append(Member(model, one.source.weight, one.source.curve, known_classes(mapping, one.names)))
    digest = _fingerprint(NoOptions(), context.masks_dir)
    taxonomy = context.mapping.taxonomy
    return JoinedSemantics("fusion", digest, members, taxonomy, file.fusion_iou, file.score_threshold)


def _fingerprint(_config: NoOptions, path: Path | None) -> str:
    """Digest of the networks, their options and mappings, and of the fusion; names of files do not count."""
    file, found = _opened(path)
    parts = [canonical_json([file.fusion_iou, file.score_threshold])]
    for one in found:
        source = json_object(replace(one.source, semantics="", mapping=None))
        own = None if one.mapping_file is None else dict(load_mapping(one.mapping_file).classes)
        options = json_object(one.config)
        parts += [canonical_json([source, own, options]), one.plugin.fingerprint(one.config, one.path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _origins(_config: NoOptions, path: Path | None) -> tuple[ModelOrigin, ...]:
    known = [(one, one.plugin.origins) for one in _opened(path)[1]]
    return tuple(found for one, origins in known if origins is not None for found in origins(one.config, one.path))


def _classes(_config: NoOptions, path: Path | None) -> Mapping[str, str] | None:
    """What the files of the networks state, if all of them do."""
    classes = dict[str, str]()
    for one in _opened(path)[1]:
        if (stated := one.stated) is None:
            return None
        for label, name in stated.items():
            if classes.setdefault(label, name) != name:
                raise SchemaError(
                    "SCH005",
                    f"{path}: {one.path} asks for {label!r} as {name}, another source as {classes[label]}",
                    "use one class for a phrase in all prompt files of a fusion",
                )
    return classes


def _names(_config: NoOptions, path: Path | None) -> Sequence[str]:
    return [label for one in _opened(path)[1] if one.mapping_file is None and one.stated is None for label in one.names]


def _survey(_config: NoOptions, context: SemanticsContext, images: Iterable[ImageName]) -> tuple[str, ...]:
    known = np.zeros(256, dtype=bool)
    for k, one in enumerate(_opened(context.masks_dir)[1]):
        mapping = one.mapping(context.mapping)
        try:
            if one.plugin.survey is not None:
                one.plugin.survey(one.config, replace(context, mapping=mapping, masks_dir=one.path), images)
        except SchemaError as error:
            place = f"{context.masks_dir}: sources.{k} ({one.source.semantics})"
            raise SchemaError(error.code, f"{place}: {error.message}", error.hint) from error
        known |= known_classes(mapping, one.names)
    if _classes(NoOptions(), context.masks_dir) is None:
        wanted = {
            name for label, name in context.mapping.classes.items() if context.mapping.class_id(label) != BACKGROUND
        }
    else:
        wanted = {*context.mapping.taxonomy.names}
    lost = sorted(name for name in wanted if not known[context.mapping.taxonomy.class_id(name)])
    return (f"no network of the fusion finds {', '.join(lost)}",) if lost else ()


PLUGIN = SemanticsPlugin(
    NoOptions, _load, _fingerprint, names=_names, survey=_survey, classes=_classes, origins=_origins
)
