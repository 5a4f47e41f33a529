"""From the label names of a 2D network to the classes of a run: built in, or a user's JSON file (docs/mapping.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from pointsam.base import plugins
from pointsam.base.document import read_json
from pointsam.base.errors import SchemaError
from pointsam.taxonomy import BringsTaxonomy, ClassSpec, LabelMapping, Taxonomy

_EXAMPLE = '{"taxonomy": "nuscenes", "labels": {"person": "pedestrian"}}'


def default_mapping(taxonomy: Taxonomy, source: Literal["coco", "same"] = "coco") -> LabelMapping:
    """The built-in mapping to a taxonomy.

    Args:
        taxonomy: the target.
        source: "coco" for networks with COCO's label names, "same" for labels named like the classes.

    Raises:
        SchemaError: SCH001 if no class of the taxonomy states COCO labels.
    """
    if source == "same":
        return _settled(taxonomy, {name: name for name in taxonomy.names})
    if not taxonomy.coco:
        raise SchemaError(
            "SCH001",
            f"no class of taxonomy {taxonomy.name!r} states which COCO labels mean it",
            f"write a mapping file such as {_EXAMPLE} and give it with --mapping (docs/mapping.md)",
        )
    return LabelMapping(taxonomy, taxonomy.coco)


def load_mapping(path: Path) -> LabelMapping:
    """A user's mapping file.

    Args:
        path: JSON with "taxonomy", the name of a data set or {"name", "classes"}, and "labels", label to class; without
            "labels", the COCO labels that the classes state.

    Raises:
        SchemaError: SCH002 if the file is missing or malformed, SCH001 if a label goes to a class that is not there;
            both name the file and the field.
    """
    try:
        document: Any = read_json(path)
    except FileNotFoundError:
        raise SchemaError("SCH002", f"{path}: no such mapping file", "check the path given with --mapping") from None
    except ValueError as error:
        raise SchemaError("SCH002", f"{path}: {error}", f"write JSON such as {_EXAMPLE}") from error
    _keys(document, {"taxonomy"}, {"taxonomy", "labels"}, f"{path}: the file")
    taxonomy = _taxonomy(document["taxonomy"], path)
    if "labels" not in document and not taxonomy.coco:
        raise SchemaError(
            "SCH002",
            f"{path}: the file lacks: labels",
            "map label names to classes in `labels`, or state the COCO labels of a class in its `coco`",
        )
    labels = document.get("labels", taxonomy.coco)
    if not isinstance(labels, dict) or not labels:
        raise _malformed(f"{path}: labels", "an object of label name to class name, not empty", labels)
    for label, target in labels.items():
        where = f"{path}: labels[{label!r}]"
        if not isinstance(target, str):
            raise _malformed(where, "a class name; a label that is background is left out", target)
        if target not in taxonomy.names:
            raise SchemaError(
                "SCH001",
                f"{where}: no class {target!r} in taxonomy {taxonomy.name!r}",
                f"use one of: {', '.join(taxonomy.names)}",
            )
    return _settled(taxonomy, labels)


def _settled(taxonomy: Taxonomy, labels: Mapping[str, str]) -> LabelMapping:
    # A network that knows the class by its own name finds it whole ("cyclist"); only parts ("bicycle") need a rider.
    whole = {target for label, target in labels.items() if label == target}
    classes = tuple(replace(spec, needs_rider=spec.needs_rider and spec.name not in whole) for spec in taxonomy.classes)
    return LabelMapping(replace(taxonomy, classes=classes), labels)


def _taxonomy(value: Any, path: Path) -> Taxonomy:
    where = f"{path}: taxonomy"
    if isinstance(value, str):
        if value not in plugins.names("datasets"):
            raise SchemaError(
                "SCH002",
                f"{where}: no built-in taxonomy {value!r}",
                f"use one of: {', '.join(plugins.names('datasets'))}, or write the classes out (docs/mapping.md)",
            )
        return plugins.load("datasets", value, BringsTaxonomy).taxonomy
    _keys(value, {"name", "classes"}, {"name", "classes"}, where)
    if not isinstance(value["name"], str) or not value["name"]:
        raise _malformed(f"{where}.name", "a name", value["name"])
    if not isinstance(value["classes"], list):
        raise _malformed(f"{where}.classes", "a list of classes", value["classes"])
    classes = tuple(_class(item, f"{where}.classes[{i}]") for i, item in enumerate(value["classes"]))
    try:
        return Taxonomy(value["name"], classes)
    except SchemaError as error:
        raise SchemaError(error.code, f"{path}: {error.message}", error.hint) from None


def _class(value: Any, where: str) -> ClassSpec:
    _keys(value, {"name"}, {trait.name for trait in fields(ClassSpec)}, where)
    types = get_type_hints(ClassSpec)
    for trait, given in value.items():
        fits, wanted = _fits(types[trait], given)
        if not fits:
            raise _malformed(f"{where}.{trait}", wanted, given)
    # JSON has lists where a class holds tuples
    traits: dict[str, Any] = {
        trait: tuple(given) if isinstance(given, list) else given for trait, given in value.items()
    }
    return ClassSpec(**traits)


def _fits(kind: object, given: Any) -> tuple[bool, str]:
    """Whether a JSON value is one of a trait, and what would be."""
    if kind is bool or kind == (bool | None):
        return isinstance(given, bool), "true or false"
    if kind is float:
        return _is_length(given), "a positive number of metres"
    if kind is str:
        return isinstance(given, str) and given != "", "a name"
    if kind == tuple[str, ...]:
        fits = isinstance(given, list) and all(isinstance(label, str) and label for label in given)
        return fits, "a list of label names"
    if kind == (tuple[float, float, float] | None):
        fits = isinstance(given, list) and len(given) == 3 and all(map(_is_length, given))
        return fits, "length, width and height in metres: [4.6, 1.9, 1.7]"
    choices = get_args(kind)
    return given in choices, f"one of {', '.join(map(repr, choices))}"


def _is_length(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _keys(value: Any, required: set[str], allowed: set[str], where: str) -> None:
    if not isinstance(value, dict):
        raise _malformed(where, f"an object with {', '.join(sorted(required))}", value)
    for problem, names in (("lacks", required - value.keys()), ("has an unknown field", value.keys() - allowed)):
        if names:
            raise SchemaError(
                "SCH002",
                f"{where} {problem}: {', '.join(sorted(names))}",
                f"its fields are: {', '.join(sorted(allowed))}",
            )


def _malformed(where: str, wanted: str, given: Any) -> SchemaError:
    return SchemaError("SCH002", f"{where} is {given!r}", f"write {wanted}")
