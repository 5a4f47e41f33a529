"""Recipes of detectors by name, from a file, and changed by name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pointsam.base.config import assign, parse, require_finite
from pointsam.base.errors import SchemaError
from pointsam.detect.recipe import Recipe
from pointsam.detect.recipes import RECIPES

_HEADS_0_1_0 = ("center", "anchor")
"""The fields of `detector` of which one held the head."""


def load_recipe(name: str, assignments: Sequence[str] = ()) -> Recipe:
    """A named recipe, or one of a JSON file, with fields changed.

    Args:
        name: a key of RECIPES, or the path of a file that `mixsup-train recipes NAME` printed.
        assignments: `train.epochs=5`; values are JSON, bare words are strings. Version 0.1.0's names of the head's
            fields still work, with a warning.

    Raises:
        SchemaError: SCH005 on an unknown name or field, a file that is no recipe, or a value out of range.
    """
    if name in RECIPES:
        document = document_of(RECIPES[name]())
    elif Path(name).suffix == ".json":
        document = _read(Path(name))
    else:
        raise SchemaError("SCH005", f"no recipe {name!r}", f"give a .json file or one of: {', '.join(RECIPES)}")
    document = upgraded(document, f"recipe {name}")
    assign(document, _renamed(assignments, document))
    recipe = recipe_of(document, f"recipe {name}")
    require_finite(document_of(recipe), assignments)
    return recipe


def recipe_of(document: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from its document, of this version or 0.1.0; a field that no recipe has is an error, not a comment.

    Raises:
        SchemaError: SCH005 naming `where` and the field.
    """
    document = upgraded(document, where)
    recipe: Recipe = parse(Recipe, document, where)
    unknown = sorted(_fields(document) - _fields(document_of(recipe)))
    if unknown:
        raise SchemaError("SCH005", f"{where}: no field {unknown[0]!r}", "mixsup-train recipes NAME prints every field")
    return recipe


def upgraded(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recipe's document in today's form.

    Version 0.1.0 had two fields for the head, `detector.center` and `detector.anchor`, one of them null. Today
    `detector.head` holds it, and its `kind` says which it is.

    Args:
        document: as it was read, of either version; it is not changed.
        where: it was read, for the error.

    Raises:
        SchemaError: SCH005 on what is no document, or one of 0.1.0 with two heads or none.
    """
    if not isinstance(document, Mapping):
        raise SchemaError("SCH005", f"{where} is no recipe", "mixsup-train recipes NAME prints one")
    detector = document.get("detector")
    if not isinstance(detector, Mapping) or "head" in detector or detector.keys().isdisjoint(_HEADS_0_1_0):
        return dict(document)
    heads = [(kind, detector[kind]) for kind in _HEADS_0_1_0 if detector.get(kind) is not None]
    if len(heads) != 1:
        raise SchemaError(
            "SCH005",
            f"{where}: detector has {len(heads)} heads",
            "give one, as detector.head with its kind",
        )
    kind, head = heads[0]
    others = {name: value for name, value in detector.items() if name not in _HEADS_0_1_0}
    return {**document, "detector": {**others, "head": {"kind": kind, **head} if isinstance(head, Mapping) else head}}


def _renamed(assignments: Sequence[str], document: Mapping[str, Any]) -> list[str]:
    """Assignments with today's names of the head's fields in place of 0.1.0's, as `detector.center.reach=1`."""
    detector = document.get("detector")
    head = detector.get("head") if isinstance(detector, Mapping) else None
    kind = head.get("kind") if isinstance(head, Mapping) else None
    old, new = f"detector.{kind}.", "detector.head."
    if kind not in _HEADS_0_1_0 or not any(text.strip().startswith(old) for text in assignments):
        return list(assignments)
    warnings.warn(f"--set {old}NAME is now {new}NAME; the old name still works", FutureWarning, stacklevel=3)
    return [new + text.strip().removeprefix(old) if text.strip().startswith(old) else text for text in assignments]


def document_of(recipe: Recipe) -> dict[str, Any]:
    """JSON values only, tuples as lists."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return document


def _fields(node: Any, prefix: str = "") -> set[str]:
    if isinstance(node, Mapping):
        return {path for key, item in node.items() for path in ({prefix + key} | _fields(item, f"{prefix}{key}."))}
    return set()


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SchemaError("SCH005", f"{path}: no recipe ({error})", "mixsup-train recipes NAME prints one") from error
    return document
