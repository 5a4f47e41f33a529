"""JSON documents: read into dataclasses with every value checked, and written from them.

The dataclasses are plain ones, so that only reading loads pydantic.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pointsam.base.errors import PointSamError
from pointsam.base.files import page_bytes, require_file, write_together
from pointsam.base.words import did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

_LEFT_OUT = "left out"
LEFT_OUT: Mapping[str, bool] = {_LEFT_OUT: True}
"""`field(default=None, metadata=LEFT_OUT)`: a field that is not written if its value is None."""

_OPTIONAL = "optional"
OPTIONAL: Mapping[str, bool] = {_OPTIONAL: True}
"""`field(default=..., metadata=OPTIONAL)`: a field that stored documents may lack, for example those of 0.1.0."""

UNKNOWN_FIELD = "unexpected_keyword_argument"
"""Type of pydantic's error for a field that a dataclass does not have."""


def read_document(
    path: Path,
    kind: type[T],
    refuse: Callable[[str], PointSamError],
    upgrade: Callable[[object], object] | None = None,
    *,
    partial: bool = False,
) -> T:
    """Read a JSON file into a dataclass. Unknown fields, missing fields and values of another type are errors.

    A field with a default must be there too, unless it is marked with `LEFT_OUT` or `OPTIONAL`: a stored configuration
    means what it meant when it was written, whatever the defaults are today.

    Args:
        path: the file.
        kind: the dataclass; nested dataclasses are checked likewise.
        refuse: makes the error from a description of the problem, which names the field.
        upgrade: converts the JSON values of an older version to today's; it may raise on an unknown version.
        partial: whether every field with a default may be missing: for files that people write.

    Raises:
        PointSamError: from `refuse`, also if the file is missing or cannot be read; from `upgrade`.
    """
    try:
        require_file(path)
        content = path.read_bytes()
    except OSError as error:
        raise refuse(f"cannot be read ({error.strerror})") from error
    return parse_document(content, kind, refuse, upgrade, partial=partial)


def parse_document(
    content: bytes | str,
    kind: type[T],
    refuse: Callable[[str], PointSamError],
    upgrade: Callable[[object], object] | None = None,
    *,
    partial: bool = False,
) -> T:
    """As `read_document`, from the content of a file."""
    try:
        values = parse_json(content)
    except ValueError as error:
        raise refuse(f"not valid JSON: {error}") from error
    return document_from(values if upgrade is None else upgrade(values), kind, refuse, partial=partial)


def document_from(values: object, kind: type[T], refuse: Callable[[str], PointSamError], *, partial: bool = False) -> T:
    """As `read_document`, from JSON values."""
    from pydantic import ValidationError

    text = json.dumps([values], ensure_ascii=False).encode("utf-8", "replace")  # pydantic rejects lone surrogates
    try:
        document = cast(T, _adapter(cast(Hashable, kind)).validate_json(text)[0])
    except ValidationError as error:
        # A misspelt field is also a missing one.
        first = min(error.errors(include_url=False), key=lambda one: one["type"] != UNKNOWN_FIELD)
        place = _place(first["loc"][1:], values)
        near = did_you_mean(place[-1], _fields_at(kind, place[:-1])) if first["type"] == UNKNOWN_FIELD else ""
        problem = _problem(first["type"], first["msg"], first["input"])
        raise refuse(f"{'.'.join(place) or 'the document'} {problem}{near}") from None
    except PointSamError as error:  # from the check of a dataclass
        raise refuse(error.message) from error
    for name in () if partial else _missing(document, values):
        raise refuse(f"{name} is missing")
    return document


def write_document(path: Path, value: object, *, indent: int | None = None, sort_keys: bool = True) -> None:
    """Write a dataclass as JSON, atomically.

    Args:
        path: the file.
        value: a value for `json_values`.
        indent: indentation for files that people read; None for the canonical text.
        sort_keys: False keeps the order of the fields; only with an indent.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    write_together([(path, document_bytes(value, indent=indent, sort_keys=sort_keys))])


def document_bytes(value: object, *, indent: int | None = None, sort_keys: bool = True) -> bytes:
    """A dataclass as JSON in UTF-8.

    Args:
        value: a value for `json_values`.
        indent: indentation for files that people read; None for the canonical text.
        sort_keys: False keeps the order of the fields; only with an indent.
    """
    if indent is None:
        text = canonical_json(value)
    else:
        values = json_values(value)
        text = json.dumps(values, indent=indent, sort_keys=sort_keys, allow_nan=False, ensure_ascii=False) + "\n"
    return page_bytes(text)


def json_values(value: object) -> object:
    """JSON values: dataclasses become objects (by their `as_dict`, if any), tuples become lists."""
    if is_dataclass(value) and not isinstance(value, type):
        if callable(as_dict := getattr(value, "as_dict", None)):
            return json_values(as_dict())
        named = ((field, getattr(value, field.name)) for field in fields(value))
        return {
            field.name: json_values(item)
            for field, item in named
            if item is not None or not field.metadata.get(_LEFT_OUT)
        }
    if isinstance(value, Mapping):
        return {str(name): json_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    return value


def json_object(value: object) -> dict[str, object]:
    """As `json_values`, for a dataclass or a mapping."""
    return cast("dict[str, object]", json_values(value))


def parse_json(content: bytes | str) -> object:
    """Values of JSON text, read strictly.

    Raises:
        ValueError: if it is not JSON, repeats a key, holds NaN or is nested too deeply; the message says where.
    """
    try:
        values: object = json.loads(
            content, object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return values


def canonical_json(value: object) -> str:
    """One text for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(json_values(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(value: object) -> str:
    """Hex sha256 of the canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def differences(old: object, new: object) -> list[str]:
    """Fields in which two documents differ, as `config.sar.kappa: 0.04 -> 0.05`, sorted by name."""
    before, after = dict(_flatten(json_values(old))), dict(_flatten(json_values(new)))
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [f"{name}: {before.get(name, 'unset')} -> {after.get(name, 'unset')}" for name in names]


def dotted(location: Sequence[int | str], values: object) -> str:
    """The dotted name of a field, without what pydantic inserts for a union: its `kind`, or the name of a type."""
    return ".".join(_place(location, values))


def _place(location: Sequence[int | str], values: object) -> list[str]:
    """The parts of a dotted name."""
    names: list[str] = []
    node = values
    for part in location:
        if isinstance(node, Mapping) and part not in node and part == node.get("kind"):
            continue
        if isinstance(part, str) and "[" in part and not (isinstance(node, Mapping) and part in node):
            continue  # pydantic's name of a type of a union, such as dict[str,int]
        names.append(str(part))
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list | tuple) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            node = None
    return names


def _fields_at(kind: object, place: Sequence[str]) -> Iterator[str]:
    """Names of the fields at a place of a document, those of all kinds of a union."""
    if isinstance(kind, type) and is_dataclass(kind):
        if place:
            yield from _fields_at(get_type_hints(kind).get(place[0]), place[1:])
        else:
            yield from (field.name for field in fields(kind) if field.init)
        return
    inside = place if get_origin(kind) in (Union, UnionType, Annotated) else place[1:]
    for inner in get_args(kind):
        yield from _fields_at(inner, inside)


@cache
def _adapter(kind: Hashable) -> TypeAdapter[tuple[object]]:
    from pydantic import ConfigDict, TypeAdapter

    # The configuration reaches plain dataclasses through a tuple only: their own may not be set from outside.
    inside: type[tuple[object]] = tuple[kind]  # type: ignore[assignment, valid-type]
    return TypeAdapter(inside, config=ConfigDict(extra="forbid", strict=True))


def _missing(document: object, values: object, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields of a document that its JSON values lack and must have."""
    pairs: Iterable[tuple[str, object, object]] = ()
    if is_dataclass(document) and isinstance(values, Mapping):
        there = [field for field in fields(document) if field.init]
        pairs = [(field.name, getattr(document, field.name), values.get(field.name)) for field in there]
        for field in there:
            if field.name not in values and not field.metadata.get(_LEFT_OUT) and not field.metadata.get(_OPTIONAL):
                yield prefix + field.name
    elif isinstance(document, Mapping) and isinstance(values, Mapping):
        pairs = [(str(name), *both) for name, *both in zip(values, document.values(), values.values(), strict=True)]
    elif isinstance(document, list | tuple) and isinstance(values, list | tuple):
        pairs = [(str(k), *both) for k, both in enumerate(zip(document, values, strict=True))]
    for name, inner, given in pairs:
        yield from _missing(inner, given, f"{prefix}{name}.")


def _problem(error: str, message: str, value: object) -> str:
    if error == "missing":
        return "is missing"
    if error == UNKNOWN_FIELD:
        return "is not a field"
    shown = "" if isinstance(value, Mapping) else f", got {value!r:.80}"
    return f"is wrong: {message[0].lower()}{message[1:]}{shown}"


def _flatten(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flatten(item, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, canonical_json(value)


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key!r} is there twice")
        values[key] = value
    return values


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON number")
