"""Mappings from the label names of a 2D network to a run's classes: built in, or a JSON file (docs/mapping.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pointsam.base import plugins
from pointsam.base.document import document_from, read_document
from pointsam.base.errors import SchemaError
from pointsam.base.words import counted, did_you_mean
from pointsam.semantics.coco import COCO_NAMES
from pointsam.taxonomy import BACKGROUND, NO_CLASS, BringsTaxonomy, ClassSpec, LabelMapping, Taxonomy

_SHOWN = 10
"""Labels that a warning names."""

_IN_PACKAGE = Path(__file__).with_name("data") / "mappings"
"""Mapping files from labels of public data sets to classes of others (`scripts/write_mappings.py`)."""
_EXAMPLE = '{"taxonomy": "nuscenes", "labels": {"person": "pedestrian"}}'


def default_mapping(taxonomy: Taxonomy, source: Literal["coco", "same"] = "coco") -> LabelMapping:
    """The built-in mapping to a taxonomy.

    Args:
        taxonomy: the target.
        source: "coco" for networks with COCO's label names, "same" for labels that are the names of the classes, or
            the other words that they state in `coco`.

    Raises:
        SchemaError: SCH001 if no class of the taxonomy states COCO labels.
    """
    stated = taxonomy.coco
    if source == "same":
        # COCO's person and bicycle may be parts of one cyclist: no other words for a class.
        parts = {spec.name for spec in taxonomy.classes if spec.role}
        others = {label: name for label, name in stated.items() if name not in parts and label not in taxonomy.names}
        return _settled(taxonomy, {name: name for name in taxonomy.names} | others)
    known = {label: name for label, name in stated.items() if label in COCO_NAMES.values()}
    if not known:
        raise SchemaError(
            "SCH001",
            f"no class of taxonomy {taxonomy.name!r} states its COCO labels",
            f"write a mapping file such as {_EXAMPLE} and give it with --mapping (docs/mapping.md)",
        )
    return LabelMapping(taxonomy, known)


def built_in_for(labels: Iterable[str]) -> Literal["coco", "same"]:
    """Which built-in mapping suits the labels of a network: "coco" if all of them are COCO's."""
    return "coco" if {label for label in labels if label} <= set(COCO_NAMES.values()) else "same"


@dataclass(frozen=True)
class MappingFile:
    """Fields of a mapping file.

    Args:
        taxonomy: name of a data set, or the JSON values of a `Taxonomy`.
        labels: label name -> class name, or "background"; None = the COCO labels that the classes state.
        truth: name of a ground-truth class or category -> class name, or "background"; None = ground truth has the
            names of the classes. It becomes `Taxonomy.truth`.
    """

    taxonomy: object
    labels: dict[str, str] | None = None
    truth: dict[str, str] | None = None


def load_mapping(path: Path, *, labels: bool = True) -> LabelMapping:
    """Read a user's mapping file.

    Args:
        path: JSON file with the fields of `MappingFile`; or the name of a mapping of the package, such as
            `objects365_to_nuscenes`, unless there is a file of that name.
        labels: whether it must map a label to a class; False if only its classes count, and no label is mapped.

    Raises:
        SchemaError: SCH002 if the file is missing or malformed, SCH001 if a label is mapped to an unknown class. Both
            name the file and the field.
    """

    def refuse(problem: str) -> SchemaError:
        return SchemaError(
            "SCH002", f"{path}: {problem}", f"write JSON such as {_EXAMPLE}; docs/mapping.md lists the fields"
        )

    if not path.exists() and path.suffix == "" and len(path.parts) == 1:
        path = mapping_in_package(path.name, refuse)
    file = read_document(path, MappingFile, refuse, partial=True)
    taxonomy = _taxonomy(file.taxonomy, lambda problem: refuse(f"in `taxonomy`: {problem}"))
    mapped = taxonomy.coco if file.labels is None else file.labels
    none = f'; or "{NO_CLASS}" for what is none of them'
    for name, targets in (("labels", mapped), ("truth", file.truth or {})):
        for label, target in targets.items():
            if target != NO_CLASS:
                _require_class(target, taxonomy, f"{path}: {name}.{label}", none)
    if labels and (not mapped or (set(mapped.values()) == {NO_CLASS} and NO_CLASS not in taxonomy.names)):
        raise refuse("`labels` maps nothing: list label names there, or state COCO labels in the `coco` of a class")
    taxonomy = taxonomy if file.truth is None else replace(taxonomy, truth=file.truth)
    return _settled(taxonomy, mapped if labels else {})


def stated_mapping(taxonomy: Taxonomy, classes: Mapping[str, str], where: str) -> LabelMapping:
    """The mapping of a source that states the classes of its labels itself.

    Args:
        taxonomy: the run's classes.
        classes: class by label.
        where: the file that states them, for messages.

    Raises:
        SchemaError: SCH001 on a class that the run does not have.
    """
    for label, target in classes.items():
        _require_class(target, taxonomy, f"{where}: {label!r}", "; --mapping gives a run classes of your own")
    return _settled(taxonomy, classes)


def _require_class(name: str, taxonomy: Taxonomy, where: str, more: str) -> None:
    if name not in taxonomy.names:
        raise SchemaError(
            "SCH001",
            f"{where}: no class {name!r} in taxonomy {taxonomy.name!r}{did_you_mean(name, taxonomy.names)}",
            f"use one of: {', '.join(taxonomy.names)}{more}",
        )


def mapping_in_package(name: str, refuse: Callable[[str], SchemaError]) -> Path:
    """The file of a mapping of the package.

    Args:
        name: such as `objects365_to_nuscenes`.
        refuse: makes the error.

    Raises:
        SchemaError: from `refuse`, if there is none of this name.
    """
    ours = sorted(one.stem for one in _IN_PACKAGE.glob("*.json"))
    if name not in ours:
        near = did_you_mean(name, ours)
        raise refuse(f"{name!r} is no file, and no mapping of the package: {', '.join(ours)}{near}")
    return _IN_PACKAGE / f"{name}.json"


def unmapped_notices(mapping: LabelMapping, counts: Mapping[str, int]) -> tuple[str, ...]:
    """A warning on labels that a mapping does not list, with the labels or classes that were perhaps meant.

    Args:
        mapping: the mapping.
        counts: number of objects by label; none gives no warning.
    """
    if not counts:
        return ()
    known = (*mapping.classes, *mapping.taxonomy.names)
    others = mapping.taxonomy.coco
    shown = sorted(counts, key=lambda label: (-counts[label], label))
    names = [
        f"{label!r:.60} {counts[label]}{did_you_mean(others.get(label, label), known)}" for label in shown[:_SHOWN]
    ]
    more = f" and {len(shown) - _SHOWN} more labels" if len(shown) > _SHOWN else ""
    return (
        f"{counted(sum(counts.values()), 'detected object')} of labels that map to no class of "
        f"{mapping.taxonomy.name!r} (in a file for --mapping, map them to classes, or to {NO_CLASS!r} if they are to "
        f"be left out; docs/mapping.md): {'; '.join(names)}{more}",
    )


def require_labels(mapping: LabelMapping, names: Sequence[str], network: str) -> tuple[str, ...]:
    """Refuse a mapping with which a network could find nothing.

    Args:
        mapping: the mapping.
        names: names of the network's labels.
        network: what the network is called in messages.

    Returns:
        A warning if there are classes to which labels are mapped, but none of the network's: it never finds them.

    Raises:
        SchemaError: SCH001 if none of its labels is mapped to a class.
    """
    own = [name for name in names if name]
    found = {mapping.class_id(label) for label in own} - {BACKGROUND}
    if not found:
        raise SchemaError(
            "SCH001",
            f"the mapping to {mapping.taxonomy.name!r} names no label of {network} ({_few(own)}), only "
            f"{_few(sorted(mapping.classes)) or 'none'}",
            "write a file that maps its labels to classes (docs/mapping.md) for --mapping, or `mapping` in a fusion",
        )
    lost: dict[str, list[str]] = {}
    for label, name in mapping.classes.items():
        if mapping.class_id(label) not in {*found, BACKGROUND}:
            lost.setdefault(name, []).append(repr(label))
    if not lost:
        return ()
    stated = {name: label for label, name in mapping.taxonomy.coco.items() if label in own}
    told = [
        f"{name} (mapped from {', '.join(labels)}" + (f"; it says {stated[name]!r})" if name in stated else ")")
        for name, labels in lost.items()
    ]
    return (
        f"{network} never finds {', '.join(told)}: map its labels to these classes too (--mapping, docs/mapping.md), "
        "or use another network (docs/onnx.md, docs/precomputed_masks.md)",
    )


def _settled(taxonomy: Taxonomy, labels: Mapping[str, str]) -> LabelMapping:
    # A label with the name of the class ("cyclist") means the complete object; only a part ("bicycle") needs a rider.
    complete = {target for label, target in labels.items() if label == target}
    classes = tuple(
        replace(spec, needs_rider=spec.needs_rider and spec.name not in complete) for spec in taxonomy.classes
    )
    return LabelMapping(replace(taxonomy, classes=classes), labels)


def _taxonomy(value: object, refuse: Callable[[str], SchemaError]) -> Taxonomy:
    if isinstance(value, str):
        known = plugins.names("datasets")
        if value not in known:
            raise refuse(
                f"{value!r} is not one of {', '.join(known)}, and not a list of classes{did_you_mean(value, known)}"
            )
        return plugins.load("datasets", value, BringsTaxonomy).taxonomy
    taxonomy = document_from(value, Taxonomy, refuse, partial=True)
    if not taxonomy.name:
        raise refuse("name is empty")
    for i, spec in enumerate(taxonomy.classes):
        for field, problem in _problems(spec):
            raise refuse(f"classes.{i}.{field} is {getattr(spec, field)!r}, not {problem}")
    return taxonomy


def _problems(spec: ClassSpec) -> Iterator[tuple[str, str]]:
    """Fields whose value has the right type but is out of range, and what they should hold."""
    if not spec.name:
        yield "name", "a name"
    if not 0 < spec.link_floor_m < math.inf:
        yield "link_floor_m", "a positive number of metres"
    if not all(0 < length < math.inf for length in spec.size_lwh_m or ()):
        yield "size_lwh_m", "length, width and height in metres"
    if not all(spec.coco):
        yield "coco", "a list of label names"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more
