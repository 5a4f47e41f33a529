"""Classes of the ground truth are known by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsam.checks.base import Problem, Rule
from pointsam.datasets.base import Dataset
from pointsam.datasets.unknown_classes import unknown_classes


def _check(dataset: Dataset, frame_ids: Sequence[str]) -> Iterator[Problem]:
    for name, what in unknown_classes(dataset, frame_ids):
        yield Problem(repr(name), what)


RULE = Rule(
    id="unknown-classes",
    severity="warning",
    title="The classes of the ground truth are classes that the data set knows.",
    remedy="Objects of unknown classes are void: they are neither scored nor trained on. Rename the classes, or "
    "map them with a mapping file (docs/mapping.md).",
    of_dataset=_check,
)
