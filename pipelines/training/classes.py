"""The classes of a training: those of its labels, or of a mapping file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.opened import classes_of, mapped_anew, open_labels, read_as_in
from pointsam.datasets.base import Dataset
from pointsam.semantics.mapping import load_mapping
from pointsam.store.reader import Labels


def in_classes_of(data: DataSpec, labels: Path | None, mapping: Path | None) -> DataSpec:
    """The data set of a training, with ground truth in the classes of its labels.

    Args:
        data: the data set.
        labels: output folder of a labelling run, None without one.
        mapping: file with the classes if there are no labels, or with `truth` in place of that of the labels.

    Raises:
        StoreError: OUT004 if `labels` is not an output folder.
        SchemaError: as `load_mapping` and `mapped_anew`.
    """
    if labels is None:
        return data if mapping is None else replace(data, classes=load_mapping(mapping).taxonomy)
    classes = classes_of(labels)
    return replace(data, classes=classes if mapping is None else mapped_anew(classes, mapping))


def open_with_labels(
    data: DataSpec, labels: Path | None, mapping: Path | None, allow_noise: bool = False
) -> tuple[Dataset, Labels | None]:
    """A data set in the classes of its labels, read as they were made from it; and the labels.

    Args:
        data: the data set.
        labels: output folder of a labelling run; None without one.
        mapping: as in `in_classes_of`.
        allow_noise: whether labels may be those of a perturbed calibration.

    Raises:
        SchemaError, StoreError: as `in_classes_of` and `open_labels`.
    """
    if labels is None:
        return in_classes_of(data, None, mapping).open(), None
    dataset = in_classes_of(read_as_in(labels, data), labels, mapping).open()
    return dataset, open_labels(labels, dataset, allow_noise)


def labels_of(folder: Path | None, dataset: Dataset) -> Labels | None:
    """Labels to look at beside a data set, those of a perturbed calibration too; None without a folder.

    Raises:
        SchemaError, StoreError: as `open_labels`.
    """
    return None if folder is None else open_labels(folder, dataset, allow_noise=True)
