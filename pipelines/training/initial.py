"""Weights that a training starts from: those of another run, where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.training.fit_document import weights_of
from pipelines.training.recipe_file import Network
from pointsam.base.errors import SchemaError
from pointsam.base.words import counted
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.detector import Detector
from pointsam.detect.heads.protocol import HeadConfig
from pointsam.detect.recipe import Recipe

_SHOWN = 12
"""Modules that are named where many do not fit."""


def start_from(path: Path, model: Detector, recipe: Recipe) -> list[str]:
    """Copy the weights of a checkpoint into a network, by name, where the shape is the same.

    Outputs by class are left as they are if those of the checkpoint are of other classes.

    Args:
        path: a checkpoint, or a run folder, whose best checkpoint is taken, else its last one.
        model: the network.
        recipe: its recipe.

    Returns:
        What was taken, what stays random, and what of the checkpoint is not used; a line each.

    Raises:
        SchemaError: SCH003 if nothing fits.
    """
    checkpoint = Checkpoint(weights_of(path))
    weights, own = checkpoint.weights(), model.state_dict()
    before, now = Network.of(checkpoint).recipe.detector.head, recipe.detector.head
    same = _classes(before) == _classes(now)
    fits = {
        name
        for name, value in own.items()
        if name in weights and weights[name].shape == value.shape and (same or not _is_output(name))
    }
    learned = {name for name, _ in model.named_parameters()}
    if not fits & learned:
        raise SchemaError(
            "SCH003",
            f"{checkpoint.path}: weights of another network: none of its {len(weights)} tensors fits",
            "give a checkpoint of a recipe with the same encoder, neck or head: mixsup-train recipes NAME prints them",
        )
    model.load_state_dict({name: weights[name] for name in fits}, strict=False)
    taken, every = (sum(own[name].numel() for name in names) for names in (fits & learned, learned))
    lines = [f"--init: {taken / every:.0%} of the weights are those of {checkpoint.path} ({len(fits)} tensors)"]
    new = sorted(set(own) - fits)
    if new:
        why = "" if same else f" (its head has the classes {', '.join(before.class_names)})"
        lines.append(f"--init: random, because the file has none of this name, shape and meaning{why}: {_modules(new)}")
    unused = sorted(set(weights) - fits)
    if unused:
        lines.append(f"--init: not used of the file: {_modules(unused)}")
    return lines


def _classes(head: HeadConfig) -> object:
    """The classes in the order of the outputs."""
    return getattr(head, "groups", head.class_names)


def _is_output(name: str) -> bool:
    """Whether a tensor belongs to outputs by class."""
    return name.startswith(("head.", "refine.outputs.")) and not name.startswith("head.shared.")


def _modules(names: Sequence[str]) -> str:
    """The modules of tensors, and how many there are."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    more = f" and {len(modules) - _SHOWN} more modules" if len(modules) > _SHOWN else ""
    return f"{', '.join(modules[:_SHOWN])}{more} ({counted(len(names), 'tensor')})"
