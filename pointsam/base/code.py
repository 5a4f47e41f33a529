"""Digests of source code and versions of libraries, to tell whether two runs were made by the same code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable

_COMPILED = (".so", ".pyd", ".pyc")
"""Suffixes of modules without source. Those in __pycache__ have their source beside them and are left out."""


@cache
def source_digest(package: str, parts: tuple[str, ...]) -> str:
    """Hex digest of parts of a package. Line endings do not count; comments and docstrings do.

    It works for packages in folders and in archives, also where only compiled modules are installed.

    Args:
        package: the package.
        parts: modules or folders of it, such as "rle.py" or "stages"; a missing one has no influence.
    """
    found = hashlib.sha256()
    for part in sorted(parts):
        for name, content in _modules(part, files(package).joinpath(part)):
            found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:16]


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution, "none" if it is not installed."""
    return {name: _version(name) for name in sorted(set(distributions))}


def requirements(distribution: str) -> set[str]:
    """Names of the distributions that a distribution requires, in any of its extras."""
    try:
        listed = requires(distribution) or []
    except PackageNotFoundError:
        return set()
    return {name[0] for text in listed if (name := re.match(r"[\w.-]+", text))}


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"


def _modules(name: str, place: Traversable) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the modules at a place, in the order of their names."""
    if place.is_dir():
        for entry in sorted(place.iterdir(), key=lambda one: one.name):
            if entry.name != "__pycache__":
                yield from _modules(f"{name}/{entry.name}", entry)
    elif place.is_file() and name.endswith(".py"):
        yield name, place.read_bytes().replace(b"\r\n", b"\n")
    elif place.is_file() and name.endswith(_COMPILED):
        yield name, place.read_bytes()
