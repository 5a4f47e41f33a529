"""The documents that hold scores of detectors: `scores.json` of a run, and the files of an experiment's other world."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pointsam.base.document import LEFT_OUT, OPTIONAL, read_document
from pointsam.store.layout import damaged

Figures = Mapping[str, str | float | Mapping[str, float | None] | None]
"""Figures of an official evaluation by name: values, or values by class or level. None for NaN."""


@dataclass(frozen=True)
class ClassScore:
    """Average precision of one class, as in `ClassAP`; None for NaN; older documents lack `axis_rad` and `turned`."""

    name: str
    num_objects: int
    ap: float | None
    by_distance: tuple[float | None, ...]
    by_range: tuple[float | None, ...]
    translation_m: float | None
    scale: float | None
    yaw_rad: float | None
    axis_rad: float | None = field(default=None, metadata=OPTIONAL)
    turned: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class QualityScore:
    """Average precision of all classes, as in `DetectionQuality`; None for NaN."""

    classes: tuple[ClassScore, ...]
    mean_ap: float | None
    num_frames: int
    draws: tuple[float | None, ...]
    unit: str


@dataclass(frozen=True)
class FailureScore:
    """Gains and counts of one class by type of error, as in `Failures`; None for NaN."""

    name: str
    gains: tuple[float | None, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class IouScore:
    """Average precision of one class by overlap in 3D, as in `ClassIouAP`; None for NaN."""

    name: str
    num_objects: int
    min_iou: float
    by_iou: tuple[float | None, ...]
    by_range: tuple[float | None, ...]


@dataclass(frozen=True)
class Reason:
    """A possible reason for a low score, as in `Finding`."""

    what: str
    count: int
    total: int
    of: str
    likely: bool


@dataclass(frozen=True)
class ScoreDocument:
    """Scores of a detector on one split; `mixsup-train eval --json` writes them too.

    Args:
        quality: average precision.
        failures: gain in average precision if one type of error were fixed, by class.
        official: figures of the data set's official evaluation; None if it was not run.
        bad: frame_id -> why the frame could not be read.
        iou: average precision by overlap in 3D; None in older documents.
        reasons: possible reasons for a low score; None if it is not low, and in older documents.
        truth: digest of the boxes of all frames; None in older documents, and in those that no later call reads.
        notes: with --json only, what readers of the scores should know, such as frames that were trained on.
    """

    quality: QualityScore
    failures: tuple[FailureScore, ...]
    official: Figures | None
    bad: Mapping[str, str]
    iou: tuple[IouScore, ...] | None = field(default=None, metadata=LEFT_OUT)
    reasons: tuple[Reason, ...] | None = field(default=None, metadata=LEFT_OUT)
    truth: str | None = field(default=None, metadata=LEFT_OUT)
    notes: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)

    def is_of(self, truth: str | None) -> bool:
        """Whether the frames have the boxes of a digest, as far as is known."""
        return self.truth is None or truth is None or self.truth == truth


@dataclass(frozen=True)
class _Trained:
    epochs: int
    left_out: Mapping[str, str]
    quarantined: int
    machine: str


@dataclass(frozen=True)
class ValidationDocument(ScoreDocument, _Trained):
    """One validation of a training run, as in `scores.json`.

    Args:
        epochs: number of epochs trained before it.
        left_out: frame_id -> why the frame could not be trained on.
        quarantined: number of frames that the labelling run quarantined, which are not trained on.
        machine: the computer that it ran on.
    """


def read_validations(path: Path) -> dict[str, ValidationDocument]:
    """The validations of a run by step, of version 0.1.0 too; none if the file does not exist.

    Raises:
        StoreError: OUT004 if the file is damaged, with the field.
    """
    if not path.exists():
        return {}
    scores = read_document(path, dict[str, ValidationDocument], lambda why: damaged(path, why))
    if not scores:
        raise damaged(path, "it holds no validation")
    for step in scores:
        if not (step.isascii() and step.isdecimal()):
            raise damaged(path, f"the field {step!r} is not the number of a step")
    return scores


def number(value: float) -> float | None:
    """A value for a document: None for NaN."""
    return None if math.isnan(value) else value


def numbers(values: Sequence[float]) -> tuple[float | None, ...]:
    """Values for a document: None for NaN."""
    return tuple(map(number, values))
