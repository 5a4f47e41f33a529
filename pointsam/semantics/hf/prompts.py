"""Prompt files: the phrases that a network is asked for, by class (docs/classes_hf.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from pointsam.base.document import parse_json, read_document
from pointsam.base.errors import SchemaError
from pointsam.base.hub import near_or_hub
from pointsam.base.words import did_you_mean

_HINT = "docs/classes_hf.md describes the file"


@dataclass(frozen=True)
class PromptFile:
    """The fields of the file.

    Args:
        source: folder of the model, from the folder of the file, or an id of the hub.
        prompts: phrases by class; or the name of prompts of the package.
    """

    source: str
    prompts: dict[str, tuple[str, ...]] | str


@dataclass(frozen=True)
class Prompts:
    """What a network is asked for.

    Args:
        path: the file.
        source: the model, a folder or an id of the hub.
        classes: class by phrase, in the order of the file. No phrase is empty, and none is there twice.
    """

    path: Path
    source: Path
    classes: Mapping[str, str]


def read_prompts(path: Path) -> Prompts:
    """Read a prompt file.

    Raises:
        SchemaError: SCH005 naming the file, the field, and the class and phrase.
    """

    def refuse(problem: str) -> SchemaError:
        return SchemaError("SCH005", f"{path}: {problem}", _HINT)

    file = read_document(path, PromptFile, refuse)
    if not file.source.strip():
        raise refuse("source is empty")
    asked = _in_package(file.prompts, refuse) if isinstance(file.prompts, str) else file.prompts
    classes, seen = dict[str, str](), dict[str, str]()
    for name, phrase in _phrases(asked):
        if not phrase:
            raise refuse(f"prompts.{name} has an empty phrase")
        if phrase.casefold() in seen:
            raise refuse(f"prompts.{name}: the phrase {phrase!r} is that of {seen[phrase.casefold()]!r} already")
        seen[phrase.casefold()] = classes[phrase] = name
    silent = [name for name, phrases in asked.items() if not phrases]
    if silent or not asked:
        raise refuse(f"prompts.{silent[0]} has no phrase" if silent else "prompts names no class")
    return Prompts(path, near_or_hub(path.parent, file.source), MappingProxyType(classes))


def _phrases(asked: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Class and phrase, with one space between words."""
    for name, phrases in asked.items():
        for phrase in phrases:
            yield name, " ".join(phrase.split())


def _in_package(name: str, refuse: Callable[[str], SchemaError]) -> Mapping[str, tuple[str, ...]]:
    content = (resources.files("pointsam.semantics") / "data" / "prompts.json").read_bytes()
    ours = parse_json(content)
    assert isinstance(ours, dict)
    if name not in ours:
        raise refuse(
            f"prompts is {name!r}, not phrases by class, nor one of {', '.join(ours)}{did_you_mean(name, ours)}"
        )
    return {of: tuple(phrases) for of, phrases in ours[name].items()}
