"""The inputs of a training: opened, compared with each other, and looked at before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipelines.opened import open_labels, read_as_in
from pipelines.training import outlook
from pipelines.training.request import FitRequest
from pipelines.training.splits import split_frames, split_notes
from pipelines.training.truth import read_truth
from pointsam.base.errors import SchemaError
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.recipe import Recipe
from pointsam.store.reader import Labels

OTHER_VAL = (
    "name a split that has boxes with --val SPLIT, hold out drives with --val-fraction 0.2, or give --val '' to train "
    "without validation"
)


class Inputs(NamedTuple):
    """What a training is fed.

    Args:
        data: the training set.
        val_ids: validation frames.
        recipe: the recipe without classes that have no box.
        warnings: what is left out, and what looks wrong.
        notes: what is left out on purpose.
        truth: digest of the boxes of the validation frames; None without validation.
        leaks: a sentence for the scores, if frames are trained on and validated; else "".
    """

    data: TrainingSet
    val_ids: list[str]
    recipe: Recipe
    warnings: list[str]
    notes: list[str]
    truth: str | None
    leaks: str = ""


def open_data(request: FitRequest) -> tuple[Dataset, Labels | None]:
    """The data set and the labels of a training."""
    data = request.data if request.labels is None else read_as_in(request.labels, request.data)
    dataset = data.open()
    if request.labels is None:
        return dataset, None
    return dataset, open_labels(request.labels, dataset, request.allow_noise, request.stage)


def open_inputs(request: FitRequest, shows_progress: bool) -> Inputs:
    """The inputs of a training. Those that do not fit together are rejected.

    Raises:
        SchemaError: SCH003 to SCH005.
        TrainingError: TRN002 if too many frames of the budget are not here.
    """
    dataset, labels = open_data(request)
    recipe = request.recipe
    budget = read_budget(request.budget)
    _require_same_data(budget, dataset)
    warnings = [
        *outlook.unknown_classes(recipe, dataset.taxonomy.names),
        *outlook.idle(recipe, has_labels=labels is not None),
    ]
    val_ids = [] if request.val is None else split_frames(dataset, request.val, OTHER_VAL)
    leaks = outlook.overlap(dataset, budget, val_ids)
    warnings += [leaks] if leaks else []
    truth = None
    if request.val is not None:
        bare, truth = read_truth(dataset, val_ids)
        warnings += outlook.unscored(dataset, request.val, val_ids, bare, recipe.data.points, OTHER_VAL)
    data = training_set(recipe, dataset, labels, budget, shows_progress)
    warnings += outlook.absent_frames(data)
    if data.missing:
        recipe = recipe.without(data.missing)
        warnings.append(_not_trained(budget, data.missing))
    warnings += outlook.boxes_in_map(data)
    notes = [*split_notes(dataset, request.val), *_of_others(budget, request.recipe)]
    return Inputs(data, val_ids, recipe, warnings, notes, truth, leaks)


def training_set(
    recipe: Recipe, dataset: Dataset, labels: Labels | None, budget: Budget, shows_progress: bool
) -> TrainingSet:
    """The training set of a recipe.

    Raises:
        SchemaError: as `TrainingSet`.
    """
    return TrainingSet(
        dataset,
        budget,
        labels,
        recipe.detector.class_names,
        recipe.detector.grid.range_m,
        recipe.data,
        recipe.train.seed,
        lambda frames: progress(frames, desc="budget", unit="frame", disable=not shows_progress),
    )


def _of_others(budget: Budget, recipe: Recipe) -> list[str]:
    """A note of the budget's boxes of classes that the recipe does not have."""
    drawn, names = budget.description.classes, recipe.detector.class_names
    counts = [f"{name} {drawn[name].boxes}" for name in drawn if drawn[name].boxes and name not in names]
    if not counts:
        return []
    return [f"boxes of {budget.name} that are not trained, because the recipe has no such class: {', '.join(counts)}"]


def _not_trained(budget: Budget, names: Sequence[str]) -> str:
    """A warning of classes without a usable box."""
    counts = budget.description.classes
    drawable = [name for name in names if name in counts and counts[name].objects]
    way = f"; --rule class draws boxes of {', '.join(drawable)}" if drawable else ""
    return f"not trained, because {budget.name} has no usable box of them: {', '.join(names)}{way}"


def _require_same_data(budget: Budget, dataset: Dataset) -> None:
    """Refuse a budget that was drawn from another data set, or by other classes.

    Raises:
        SchemaError: SCH003.
    """
    source = budget.description.dataset
    if source is not None and source != dataset.name:
        raise SchemaError(
            "SCH003",
            f"{budget.name} was drawn from a data set of type {source}, but {dataset.root} is of type {dataset.name}",
            f"draw one from these data: mixsup-train budget {dataset.root} --dest BUDGET",
        )
    drawn = budget.description.classes
    if set(drawn) != set(dataset.taxonomy.names):
        raise SchemaError(
            "SCH003",
            f"{budget.name} was drawn by the classes {', '.join(drawn)}, but the labels have "
            f"{', '.join(dataset.taxonomy.names)}",
            "draw it with the mapping file of the labels: mixsup-train budget DATA --mapping FILE --dest BUDGET",
        )
