"""`pointsam-label eval`: an output folder against the truth of its data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.files import require_free, write_together
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.evaluate.judge import FrameVerdict, Judge
from pointsam.evaluate.quality import Report, compare
from pointsam.evaluate.verdicts import verdict_writer
from pointsam.store.reader import Labels


def run_eval(
    out: Path,
    dataset: Dataset,
    json_file: Path | None = None,
    markdown: Path | None = None,
    parquet: Path | None = None,
    against: Path | None = None,
    truth: str | None = None,
    overwrite: bool = False,
) -> str:
    """Score a folder, or two, and write what was asked for.

    Args:
        out: the folder.
        dataset: with the truth.
        json_file: for the figures of both.
        markdown: for the tables.
        parquet: for one row an object and a cluster of `out`.
        against: a second folder.
        truth: what to compare with, the best there is if None.
        overwrite: replace files that are there.

    Returns:
        The tables.

    Raises:
        StoreError: OUT003 if a file is there already or cannot be written; and what `evaluate` raises.
    """
    for path in (json_file, markdown, parquet):
        if path is not None:
            require_free(path, overwrite)
    with ExitStack() as stack:
        rows = stack.enter_context(verdict_writer(parquet)) if parquet is not None else None
        reports = [evaluate(out, dataset, truth, rows.add if rows is not None else lambda _: None)]
    if against is not None:
        reports.append(evaluate(against, dataset, truth))
    pages = [report.text() for report in reports]
    page = "\n\n".join(report.markdown() for report in reports)
    if against is not None:
        beside = compare(*reports)
        pages.append(beside.text())
        page += "\n" + beside.markdown() + "\n"
    if json_file is not None:
        figures = json.dumps([report.as_dict() for report in reports], indent=1, allow_nan=False) + "\n"
        write_together([(json_file, figures.encode())])
    if markdown is not None:
        write_together([(markdown, page.encode())])
    return "\n\n".join(pages)


def evaluate(
    out: Path, dataset: Dataset, truth: str | None = None, watch: Callable[[FrameVerdict], None] = lambda _: None
) -> Report:
    """Score every finished frame of an output folder.

    Args:
        out: the folder.
        dataset: with the truth.
        truth: its source (Dataset.point_truth).
        watch: is shown every frame's verdict.

    Raises:
        SchemaError: SCH004 if the labels are of other classes than the truth.
        DatasetError: DAT009 if no frame can be scored.
    """
    labels = Labels(out)
    _check_classes(labels, dataset)
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
        watch(judge.add(labels.labels(frame.frame_id), true))
        sources.add(true.source)
    if judge is None:
        raise DatasetError(
            "DAT009",
            f"no frame of {out} can be scored: {failed} quarantined, {without_truth} without "
            f"{truth or 'truth'} in {dataset.root}",
            "score a split that has boxes or panoptic labels" if truth is None else "leave out --truth",
        )
    return Report(out, "+".join(sorted(sources)), judge.result(), failed, without_truth)


def _check_classes(labels: Labels, dataset: Dataset) -> None:
    if labels.taxonomy.names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"{labels.out} has classes {list(labels.taxonomy.names)}, the truth of {dataset.root} has "
            f"{list(dataset.taxonomy.names)}",
            "score labels against the data set they were made of, with a mapping to its classes",
        )
