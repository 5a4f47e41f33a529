"""Configuration dataclasses: change fields by dotted name, and check every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeVar, cast

from pointsam.base.document import UNKNOWN_FIELD, canonical_json, dotted, parse_json
from pointsam.base.errors import SchemaError
from pointsam.base.words import did_you_mean

T = TypeVar("T")


def assign(document: dict[str, T], assignments: Sequence[str], option: str = "--set") -> None:
    """Change fields of a configuration's `asdict` form, in place.

    A field that holds fields takes null, or an object, which changes the fields that it names. Names of an object in
    place of null are not checked here, but by `parse`.

    Args:
        document: the fields.
        assignments: texts NAME=VALUE.
        option: the command-line option that they come from, for messages.

    Raises:
        SchemaError: SCH005 on an unknown field, or on true or false for a number.
    """
    added: list[str] = []
    for assignment in assignments:
        path, separator, text = (part.strip() for part in assignment.partition("="))
        *parents, leaf = path.split(".")
        node: object = document
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        anew = any(path.startswith(f"{name}.") for name in added)
        if not separator or not isinstance(node, dict) or not (leaf in node or anew):
            _refuse(document, assignment, path, option)
        value, held = _value(text), node.get(leaf)
        if isinstance(held, dict) and not isinstance(value, dict | None):
            _refuse(document, assignment, path, option)
        if isinstance(value, bool) and isinstance(held, int | float) and not isinstance(held, bool):
            raise SchemaError("SCH005", f"{option} {assignment}: {text} is no number", "give a number")
        if held is None and isinstance(value, dict):
            added.append(path)
        node[leaf] = _merged(held, value)


def _refuse(document: Mapping[str, object], assignment: str, path: str, option: str) -> NoReturn:
    """Refuse an assignment that names no field, or all fields of a part.

    Raises:
        SchemaError: SCH005.
    """
    known = sorted(_leaves(document))
    null = [name for name in known if path.startswith(f"{name}.") and _at(document, name) is None]
    if null:
        raise SchemaError(
            "SCH005",
            f"{option} {assignment!r}: {null[0]} is null and has no fields",
            f"give it fields first: {option} {null[0]}={{}}, for their default values",
        )
    raise SchemaError(
        "SCH005",
        f"{option} {assignment!r} names no field{did_you_mean(path, known)}",
        f"write NAME=VALUE with one of: {', '.join(known)}",
    )


def _at(document: Mapping[str, object], path: str) -> object:
    node: object = document
    for name in path.split("."):
        node = cast("Mapping[str, object]", node)[name]
    return node


def _merged(held: object, value: object) -> object:
    """A value in place of another; of two objects, all fields, those of the second where both have them."""
    if not isinstance(held, dict) or not isinstance(value, dict):
        return value
    return {**held, **{name: _merged(held.get(name), inner) for name, inner in value.items()}}


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


def parse(
    kind: type[T],
    document: Mapping[str, object],
    where: str,
    prefix: str = "",
    hint: str = "see docs/recipes.md for every field",
) -> T:
    """A configuration dataclass from its `asdict` form, with every value checked.

    Args:
        kind: the class.
        document: its fields.
        where: the file or option that they come from, for messages.
        prefix: prefix of the field names in messages ("masks.ssd.").
        hint: where the fields are listed.

    Raises:
        SchemaError: SCH005 naming `where` and the field.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    # The configuration reaches plain dataclasses through a tuple only: their own may not be set from outside.
    inside: type[tuple[T]] = tuple[kind]  # type: ignore[assignment,valid-type]
    try:
        return TypeAdapter(inside, config=ConfigDict(extra="forbid")).validate_python((document,))[0]
    except ValidationError as error:
        first = error.errors()[0]
        field = dotted(first["loc"][1:], document)
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        why = "no such field" if first["type"] == UNKNOWN_FIELD else f"{first['msg']}{got}"
        raise SchemaError("SCH005", f"{where}: {prefix}{field}: {why}", hint) from None


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
