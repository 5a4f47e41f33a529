"""From the label names of a 2D network to the classes of a run: built in, or a user's JSON file (docs/mapping.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from pointsam.base.errors import SchemaError
from pointsam.semantics.jsonfile import read_json
from pointsam.taxonomy import COCO_TO, TAXONOMIES, ClassSpec, LabelMapping, Taxonomy

_EXAMPLE = '{"taxonomy": "nuscenes", "labels": {"person": "pedestrian"}}'


def default_mapping(taxonomy: Taxonomy, source: Literal["coco", "same"] = "coco") -> LabelMapping:
    """The built-in mapping to a taxonomy.

    Args:
        taxonomy: the target.
        source: "coco" for networks with COCO's label names, "same" for labels named like the classes.

    Raises:
        SchemaError: SCH001 if the taxonomy has no built-in mapping from COCO.
    """
    if source == "same":
        return _settled(taxonomy, {name: name for name in taxonomy.names})
    mapping = COCO_TO.get(taxonomy.name)
    if mapping is None or mapping.taxonomy != taxonomy:
        raise SchemaError(
            "SCH001",
            f"no built-in mapping takes COCO labels to taxonomy {taxonomy.name!r}, only to {', '.join(COCO_TO)}",
            f"write a mapping file such as {_EXAMPLE} and give it with --mapping (docs/mapping.md)",
        )
    return mapping


def load_mapping(path: Path) -> LabelMapping:
    """A user's mapping file.

    Args:
        path: JSON with "taxonomy", the name of a built-in one or {"name", "classes"}, and "labels", label to class.

    Raises:
        SchemaError: SCH002 if the file is missing or malformed, SCH001 if a label goes to a class that is not there;
            both name the file and the field.
    """
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise SchemaError("SCH002", f"{path}: no such mapping file", "check the path given with --mapping") from None
    except ValueError as error:
        raise SchemaError("SCH002", f"{path}: {error}", f"write JSON such as {_EXAMPLE}") from error
    _keys(document, {"taxonomy", "labels"}, {"taxonomy", "labels"}, f"{path}: the file")
    taxonomy = _taxonomy(document["taxonomy"], path)
    labels = document["labels"]
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
        if value not in TAXONOMIES:
            raise SchemaError(
                "SCH002",
                f"{where}: no built-in taxonomy {value!r}",
                f"use one of: {', '.join(TAXONOMIES)}, or write the classes out (docs/mapping.md)",
            )
        return TAXONOMIES[value]
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
    traits = [field.name for field in fields(ClassSpec)]
    _keys(value, {"name"}, set(traits), where)
    types = get_type_hints(ClassSpec)
    for trait, given in value.items():
        kind = types[trait]
        if kind is bool:
            fits, wanted = isinstance(given, bool), "true or false"
        elif kind is float:
            number = isinstance(given, (int, float)) and not isinstance(given, bool)
            fits, wanted = number and math.isfinite(given) and given > 0, "a positive number of metres"
        elif kind is str:
            fits, wanted = isinstance(given, str) and given != "", "a name"
        else:
            fits, wanted = given in get_args(kind), f"one of {', '.join(map(repr, get_args(kind)))}"
        if not fits:
            raise _malformed(f"{where}.{trait}", wanted, given)
    return ClassSpec(**value)


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
