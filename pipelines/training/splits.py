"""The frames of a split that the user named by an option, or that is the default of one."""

from __future__ import annotations

from pointsam.base.errors import DatasetError
from pointsam.datasets.base import Dataset


def other_frames(dataset: Dataset) -> str:
    """How to draw a budget from frames that are not validated: the options of `mixsup-train budget`."""
    try:
        dataset.frame_ids("train")
    except DatasetError:
        return "draw the budget from frames of another split: --split SPLIT"
    return "draw the budget with --split train"


def split_frames(dataset: Dataset, split: str, way: str) -> list[str]:
    """The frame ids of a split.

    Args:
        dataset: the data set.
        split: name of the split.
        way: what to do if it has none, with the option that names the split.

    Raises:
        DatasetError: DAT009 or DAT010 as `Dataset.frame_ids`, with `way` at the end of the hint.
    """
    try:
        return dataset.frame_ids(split)
    except DatasetError as error:
        if error.code not in ("DAT009", "DAT010"):
            raise
        raise DatasetError(error.code, error.message, f"{error.hint}; {way}") from error
