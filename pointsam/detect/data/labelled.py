"""A check that a labelling run covers the frames of a budget."""

from __future__ import annotations

from collections.abc import Sequence

from pointsam.base.errors import SchemaError
from pointsam.datasets.base import Dataset
from pointsam.store.reader import Labels


def require_labelled(labels: Labels, dataset: Dataset, frame_ids: Sequence[str]) -> None:
    """Refuse a labelling run that lacks some frames of a budget; quarantined frames count as labelled.

    Raises:
        SchemaError: SCH003, naming the first missing frame.
    """
    done = set(labels.frame_ids())
    missing = [frame_id for frame_id in frame_ids if frame_id not in done]
    if missing:
        raise SchemaError(
            "SCH003",
            f"{labels.out} has no labels of {len(missing)} of the budget's {len(frame_ids)} frames, the first is "
            f"{missing[0]!r}",
            f"label them: pointsam-label run {dataset.root} --out {labels.out}, or draw a budget for the split that "
            "is labelled",
        )


def quarantined(labels: Labels | None) -> set[str]:
    """Ids of quarantined frames: they have no labels, which does not mean that they have no objects."""
    return set() if labels is None else {row.frame_id for row in labels.frames() if row.status != "ok"}
