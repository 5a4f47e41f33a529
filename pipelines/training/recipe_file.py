"""Recipes of detectors: by name, from a file, and with fields changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pointsam.base.config import assign, parse, require_finite
from pointsam.base.document import document_from, json_object, read_document
from pointsam.base.errors import SchemaError
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.recipe import Recipe
from pointsam.detect.recipes import RECIPES
from pointsam.taxonomy import KITTI, NUSCENES, SEMANTICKITTI, Taxonomy

_HEADS_0_1_0 = ("center", "anchor")
"""Fields of `detector` in version 0.1.0; one of them held the head."""

_FIELDS = "mixsup-train recipes NAME prints every field"
_BUILT_IN = {taxonomy.names for taxonomy in (NUSCENES, KITTI, SEMANTICKITTI)}


def load_recipe(name: str, assignments: Sequence[str] = (), classes: Taxonomy | None = None) -> Recipe:
    """A named recipe, or one of a JSON file, with fields changed.

    Args:
        name: a key of RECIPES, or the path of a file that `mixsup-train recipes NAME` printed.
        assignments: fields to change, as `train.epochs=5`; values are JSON, bare words are strings. The names that
            version 0.1.0 gave the fields of the head still work, with a warning.
        classes: classes of the labels. If they are the user's own and a named recipe has others, it is changed to them
            (`Recipe.for_classes`) before the assignments. Recipes of files are taken as they are.

    Raises:
        SchemaError: SCH005 on an unknown name or field, a file that holds no recipe, or a value out of range.
    """
    where = f"recipe {name}"
    if name in RECIPES:
        recipe = RECIPES[name]()
        own = classes is not None and classes.names not in _BUILT_IN
        if classes is not None and own and not set(recipe.detector.class_names) <= set(classes.names):
            recipe = recipe.for_classes(classes.classes)
    elif Path(name).suffix == ".json":
        recipe = read_document(Path(name), Recipe, _refuse(where), lambda values: upgraded(values, where), partial=True)
    else:
        raise SchemaError("SCH005", f"no recipe {name!r}", f"give a .json file or one of: {', '.join(RECIPES)}")
    document = document_of(recipe)
    assign(document, _renamed(assignments, document))
    changed: Recipe = parse(Recipe, document, where, hint=_FIELDS)
    if changed.data.coarse.min_confidence > 0:
        warnings.warn(
            "data.coarse.min_confidence goes away: use data.coarse.min_probability", FutureWarning, stacklevel=2
        )
    require_finite(document_of(changed), assignments)
    return changed


@dataclass(frozen=True)
class Network:
    """Recipe and classes of a trained network, as its checkpoint holds them.

    Args:
        recipe: the recipe that the network was trained with.
        taxonomy: taxonomy of the data set that it was trained on.
    """

    recipe: Recipe
    taxonomy: Taxonomy

    @staticmethod
    def of(checkpoint: Checkpoint) -> Network:
        """Read it from a checkpoint of this version or of 0.1.0.

        Raises:
            SchemaError: SCH003 if a field is wrong, with the file and the field.
        """
        values = with_recipe_upgraded(checkpoint.about, str(checkpoint.path))
        return document_from(values, Network, checkpoint.refused)


def with_recipe_upgraded(values: object, where: str) -> object:
    """A document that holds a recipe, with the recipe in the form of this version."""
    if not isinstance(values, Mapping) or "recipe" not in values:
        return values
    return {**values, "recipe": upgraded(values["recipe"], where)}


def _refuse(where: str) -> Callable[[str], SchemaError]:
    return lambda why: SchemaError("SCH005", f"{where}: {why}", _FIELDS)


def upgraded(document: object, where: str) -> dict[str, object]:
    """The document of a recipe in the form of this version.

    Version 0.1.0 had two fields for the head, `detector.center` and `detector.anchor`, one of them null. Now
    `detector.head` holds it, and its `kind` states which head it is.

    Args:
        document: recipe document of either version; it is not changed.
        where: name of the document for the error.

    Raises:
        SchemaError: SCH005 if it is not a JSON object, or a recipe of 0.1.0 with two heads or none.
    """
    if not isinstance(document, Mapping):
        raise SchemaError("SCH005", f"{where} is not a recipe", "mixsup-train recipes NAME prints one")
    detector = document.get("detector")
    if not isinstance(detector, Mapping) or "head" in detector or detector.keys().isdisjoint(_HEADS_0_1_0):
        return dict(document)
    heads = [(kind, detector[kind]) for kind in _HEADS_0_1_0 if detector.get(kind) is not None]
    if len(heads) != 1:
        raise SchemaError(
            "SCH005",
            f"{where}: detector has {len(heads)} heads",
            "give one head, as detector.head with its kind",
        )
    kind, head = heads[0]
    others = {name: value for name, value in detector.items() if name not in _HEADS_0_1_0}
    return {**document, "detector": {**others, "head": {"kind": kind, **head} if isinstance(head, Mapping) else head}}


def _renamed(assignments: Sequence[str], document: Mapping[str, object]) -> list[str]:
    """Assignments with names of 0.1.0 for fields of the head (`detector.center.reach=1`) replaced by today's."""
    detector = document.get("detector")
    head = detector.get("head") if isinstance(detector, Mapping) else None
    kind = head.get("kind") if isinstance(head, Mapping) else None
    old, new = f"detector.{kind}.", "detector.head."
    if kind not in _HEADS_0_1_0 or not any(text.strip().startswith(old) for text in assignments):
        return list(assignments)
    warnings.warn(f"--set {old}NAME is now {new}NAME; the old name still works", FutureWarning, stacklevel=3)
    return [new + text.strip().removeprefix(old) if text.strip().startswith(old) else text for text in assignments]


def document_of(recipe: Recipe) -> dict[str, object]:
    """A recipe as JSON values, tuples as lists."""
    return json_object(recipe)
