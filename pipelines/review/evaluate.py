"""`pointsam-label eval`: an output folder against the truth of its data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pipelines.opened import OpenedRun, open_run, require_same_classes
from pointsam.base.errors import DatasetError
from pointsam.base.files import require_free, write_together
from pointsam.base.progress import progress
from pointsam.evaluate.judge import FrameVerdict, Judge
from pointsam.evaluate.quality import Report, compare
from pointsam.evaluate.verdicts import verdict_writer


def run_eval(
    out: Path,
    data: Path,
    json_file: Path | None = None,
    markdown: Path | None = None,
    parquet: Path | None = None,
    against: Path | None = None,
    truth: str | None = None,
    overwrite: bool = False,
    dataset: str | None = None,
    version: str | None = None,
) -> str:
    """Score a folder, or two, and write what was asked for.

    Args:
        out: the folder.
        data: root of its data set, which holds the truth.
        json_file: for the figures of both.
        markdown: for the tables.
        parquet: for one row an object and a cluster of `out`.
        against: a second folder.
        truth: what to compare with, the best there is if None.
        overwrite: replace files that are there.
        dataset: name of the data set module, None for the run's.
        version: version folder of the tables, None for the run's.

    Returns:
        The tables.

    Raises:
        StoreError: OUT003 if a file is there already or cannot be written; and what `open_run` and `evaluate` raise.
    """
    for path in (json_file, markdown, parquet):
        if path is not None:
            require_free(path, overwrite)
    runs = [open_run(folder, data, None, dataset, version) for folder in (out, against) if folder is not None]
    with ExitStack() as stack:
        rows = stack.enter_context(verdict_writer(parquet)) if parquet is not None else None
        reports = [evaluate(runs[0], truth, rows.add if rows is not None else lambda _: None)]
    reports += [evaluate(run, truth) for run in runs[1:]]
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
    run: OpenedRun, truth: str | None = None, watch: Callable[[FrameVerdict], None] = lambda _: None
) -> Report:
    """Score every finished frame of a run.

    Args:
        run: with its data.
        truth: its source (Dataset.point_truth).
        watch: is shown every frame's verdict.

    Raises:
        SchemaError: SCH004 if the labels are of other classes than the truth.
        DatasetError: DAT009 if no frame can be scored.
    """
    labels, dataset = run.labels, run.truth
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
        watch(judge.add(labels.labels(frame.frame_id), true))
        sources.add(true.source)
    if judge is None:
        raise DatasetError(
            "DAT009",
            f"no frame of {labels.out} can be scored: {failed} quarantined, {without_truth} without "
            f"{truth or 'truth'} in {dataset.root}",
            "score a split that has boxes or panoptic labels" if truth is None else "leave out --truth",
        )
    return Report(labels.out, "+".join(sorted(sources)), judge.result(), failed, without_truth)
