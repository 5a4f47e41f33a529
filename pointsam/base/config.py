"""Configuration dataclasses: change fields by dotted name, and check every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pointsam.base.document import canonical_json, dotted, parse_json
from pointsam.base.errors import SchemaError
from pointsam.base.words import did_you_mean

T = TypeVar("T")


def assign(document: dict[str, T], assignments: Sequence[str], option: str = "--set") -> None:
    """Change fields of a configuration's `asdict` form, in place.

    Args:
        document: the fields.
        assignments: texts NAME=VALUE.
        option: the command-line option that they come from, for messages.

    Raises:
        SchemaError: SCH005 on an unknown field, or on true or false for a number.
    """
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        *parents, leaf = path.strip().split(".")
        node: object = document
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if not separator or not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict):
            known = sorted(_leaves(document))
            raise SchemaError(
                "SCH005",
                f"{option} {assignment!r} names no field{did_you_mean(path.strip(), known)}",
                f"write NAME=VALUE with one of: {', '.join(known)}",
            )
        value, held = _value(text.strip()), node[leaf]
        if isinstance(value, bool) and isinstance(held, int | float) and not isinstance(held, bool):
            raise SchemaError("SCH005", f"{option} {assignment}: {text.strip()} is no number", "give a number")
        node[leaf] = value


def assignments(before: Mapping[str, object], after: Mapping[str, object], prefix: str = "") -> list[str]:
    """The texts NAME=VALUE with which `assign` changes one configuration's `asdict` form to another.

    Args:
        before: the fields of the first.
        after: those of the second.
        prefix: prefix of the names ("clusters.").
    """
    texts: list[str] = []
    for name, value in after.items():
        old = before[name]
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            texts += assignments(old, value, f"{prefix}{name}.")
        elif value != old:
            texts.append(f"{prefix}{name}={canonical_json(value)}")
    return texts


def require_finite(document: Mapping[str, object], assignments: Sequence[str]) -> None:
    """Refuse NaN and infinity, which JSON cannot express.

    Raises:
        SchemaError: SCH005 naming the assignments.
    """
    try:
        canonical_json(document)
    except ValueError:
        raise SchemaError("SCH005", f"--set {' '.join(assignments)}: NaN or infinity", "give a finite number") from None


def parse(kind: type[T], document: Mapping[str, object], where: str, prefix: str = "") -> T:
    """A configuration dataclass from its `asdict` form, with every value checked.

    Args:
        kind: the class.
        document: its fields.
        where: the file or option that they come from, for messages.
        prefix: prefix of the field names in messages ("masks.ssd.").

    Raises:
        SchemaError: SCH005 naming `where` and the field.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = dotted(first["loc"], document)
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise SchemaError(
            "SCH005", f"{where}: {prefix}{field}: {first['msg']}{got}", "see docs/recipes.md for every field"
        ) from None


def require_kind(kind: type[T], config: object | None, what: str) -> T:
    """A configuration of a plug-in's class; None gives its defaults.

    Raises:
        SchemaError: SCH005 on a configuration of another class.
    """
    if config is None:
        return kind()
    if not isinstance(config, kind):
        raise SchemaError(
            "SCH005",
            f"{what} are a {type(config).__name__}",
            f"give a {kind.__module__}.{kind.__qualname__}",
        )
    return config


def _value(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _leaves(document: Mapping[str, object], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in document.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names
