"""Whether a labelling run labels what a detector is to be trained on."""

from __future__ import annotations

from collections.abc import Sequence

from pointsam.base.errors import SchemaError
from pointsam.datasets.base import Dataset
from pointsam.store.reader import Labels


def check_labels(labels: Labels, dataset: Dataset, allow_noise: bool = False) -> None:
    """Refuse labels that do not belong to a data set.

    Args:
        labels: of a labelling run.
        dataset: to train on.
        allow_noise: take labels of a run with perturbed calibration, for experiments.

    Raises:
        SchemaError: SCH003 on labels of another data set or of a noise run, SCH004 on other classes.
        StoreError: OUT004 if there are no clusters.
    """
    made = labels.dataset()
    if made.fingerprint != dataset.fingerprint():
        raise SchemaError(
            "SCH003",
            f"{labels.out} labels another data set ({made.name}) than {dataset.root}: their fingerprints differ",
            f"label this one: pointsam-label run {dataset.root} --out OTHER",
        )
    if labels.taxonomy.names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"{labels.out} has classes {list(labels.taxonomy.names)}, {dataset.root} {list(dataset.taxonomy.names)}",
            "label with a mapping to the data set's classes",
        )
    noise = labels.metadata("clusters").calibration_perturbation
    if noise != "none" and not allow_noise:
        raise SchemaError(
            "SCH003",
            f"{labels.out} was made with a perturbed calibration ({noise})",
            "train on labels of a clean run, or give --allow-noise to study what noise does",
        )


def require_labelled(labels: Labels, dataset: Dataset, frame_ids: Sequence[str]) -> None:
    """Refuse labels that some frames of a budget have none of; frames that were set aside count as labelled.

    Raises:
        SchemaError: SCH003.
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
