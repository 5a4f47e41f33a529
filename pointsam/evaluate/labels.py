"""Evaluates the labels of an output folder against the ground truth of its data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pointsam.base.errors import NothingToScoreError, SchemaError
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.evaluate.judge import FrameVerdict, Judge
from pointsam.evaluate.quality import FolderQuality
from pointsam.store.reader import Labels


def evaluate_labels(
    out: Path | str,
    dataset: Dataset,
    truth: str | None = None,
    on_verdict: Callable[[FrameVerdict], None] = lambda _: None,
) -> FolderQuality:
    """Score every finished frame of an output folder.

    Args:
        out: the folder.
        dataset: data set with ground truth.
        truth: source of the ground truth (Dataset.point_truth), None for the best one.
        on_verdict: called with the verdict of every frame.

    Raises:
        SchemaError: SCH004 if labels and ground truth have different classes.
        NothingToScoreError: DAT009 if no frame can be scored.
    """
    labels = Labels(out)
    require_same_classes(labels, dataset)
    failed = without_truth = 0
    sources: set[str] = set()
    judge = None
    for frame in progress(labels.frames(), desc="eval", unit="frame"):
        if frame.status != "ok":
            failed += 1
            continue
        true = dataset.point_truth(frame.frame_id, truth)
        if true is None:
            without_truth += 1
            continue
        if judge is None:
            cameras = tuple(view.name for view in dataset.frame(frame.frame_id).cameras)
            judge = Judge(dataset, labels.taxonomy, cameras)
        on_verdict(judge.add(labels.labels(frame.frame_id), true))
        sources.add(true.source)
    if judge is None:
        raise NothingToScoreError(
            "DAT009",
            f"no frame of {out} can be scored: {failed} quarantined, {without_truth} without "
            f"{truth or 'ground truth'} in {dataset.root}",
            "score a split that has boxes or panoptic labels" if truth is None else "leave out --truth",
        )
    return FolderQuality(labels.out, "+".join(sorted(sources)), judge.result(), failed, without_truth)


def require_same_classes(labels: Labels, dataset: Dataset) -> None:
    """Check that labels have the classes of a data set's ground truth.

    Raises:
        SchemaError: SCH004 if they do not.
    """
    if labels.taxonomy.names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"{labels.out} has classes {list(labels.taxonomy.names)}, {dataset.root} {list(dataset.taxonomy.names)}",
            "label with a mapping to the data set's classes: pointsam-label run --mapping (docs/mapping.md)",
        )
