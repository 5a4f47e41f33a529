"""One call of `mixsup-train fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.training.splits import other_side
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.recipe import Recipe
from pointsam.store.reader import LabelStage


@dataclass(frozen=True)
class FitRequest:
    """One call of `fit`.

    Args:
        recipe: what to train.
        data: the data set.
        budget: the budget file.
        out: the run folder.
        labels: output folder of a labelling run, if the recipe uses one.
        val: split to validate on; None for no validation.
        device: "cpu", "cuda", "cuda:1".
        allow_noise: accept labels that were made with a perturbed calibration.
        init: weights to start from, a checkpoint or a run folder; None for random ones.
        changed: whether a run may be continued with another schedule (`fit_document.SCHEDULE`).
        stage: the stage whose labels are trained on, None for the last one that is finished.
    """

    recipe: Recipe
    data: DataSpec
    budget: Path
    out: Path
    labels: Path | None = None
    val: str | None = "val"
    device: str = "cpu"
    allow_noise: bool = False
    init: Path | None = None
    changed: bool = False
    stage: LabelStage | None = None


def val_split(budget: Path, given: str | None) -> str | None:
    """The split to validate on.

    Args:
        budget: the budget file.
        given: the split that the user names; None for the drives that the budget left out if it was drawn with
            --val-fraction, else "val"; "" for no validation.

    Raises:
        SchemaError: SCH003 if the budget cannot be read.
    """
    if given is None:
        return other_side(read_budget(budget).description.split) or "val"
    return given or None
