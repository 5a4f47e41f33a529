"""The classes of a training: those of its labels, or of a mapping file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.opened import classes_of, mapped_anew
from pointsam.semantics.mapping import load_mapping


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
