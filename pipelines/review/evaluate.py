"""`pointsam-label eval`: the labels of an output folder against the ground truth of its data set."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pipelines.data import AS_FOUND, Reading
from pipelines.opened import calibration_notes, open_run
from pointsam.base.files import page_bytes, require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.datasets.unknown_classes import unknown_text
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.quality import compare
from pointsam.evaluate.verdicts import verdict_writer


class Evaluation(NamedTuple):
    """Metrics of one folder, or of two.

    Args:
        text: the tables.
        figures: JSON values of the metrics of each folder.
        whole: whether all frames with ground truth could be scored.
        next_command: the command to run next.
    """

    text: str
    figures: list[dict[str, object]]
    whole: bool
    next_command: str


def run_eval(
    out: Path,
    data: DataPath,
    markdown: Path | None = None,
    parquet: Path | None = None,
    against: Path | None = None,
    truth: str | None = None,
    overwrite: bool = False,
    reading: Reading = AS_FOUND,
    mapping: Path | None = None,
) -> Evaluation:
    """Score one folder, or two, and write the requested files.

    Args:
        out: the output folder.
        data: root of its data set, which holds the ground truth.
        markdown: file for the tables.
        parquet: file with one row per object and cluster of `out`.
        against: a second output folder.
        truth: source of the ground truth, None for the best one.
        overwrite: replace existing files.
        reading: how the data set is read; what is left out is as in the run.
        mapping: a mapping file whose `truth` is used in place of the run's.

    Returns:
        The metrics of both folders.

    Raises:
        StoreError: OUT003 if a file exists or cannot be written; and what `open_run` and `evaluate_labels`
            raise.
    """
    for path in (markdown, parquet):
        if path is not None:
            require_free(path, overwrite)
    folders = [folder for folder in (out, against) if folder is not None]
    runs = [open_run(folder, data, reading=reading, mapping=mapping) for folder in folders]
    with ExitStack() as stack:
        rows = stack.enter_context(verdict_writer(parquet)) if parquet is not None else None
        on_verdict = rows.add if rows is not None else lambda _: None
        reports = [evaluate_labels(out, runs[0].truth, truth, on_verdict)]
    if against is not None:
        reports.append(evaluate_labels(against, runs[1].truth, truth))
    pages = [report.text() for report in reports]
    pages += [f"note: {run.labels.out}: {note}" for run in runs for note in calibration_notes(run.labels)]
    unknown = unknown_text(runs[0].truth, reports[0].scored)
    if unknown:
        pages.append(f"note: {unknown}: they are void and not scored")
    page = "\n\n".join(report.markdown() for report in reports)
    if against is not None:
        beside = compare(*reports)
        pages.append(beside.text())
        page += "\n" + beside.markdown() + "\n"
    if markdown is not None:
        write_together([(markdown, page_bytes(page))])
    whole = not any(report.not_scored for report in reports)
    words = ["pointsam-label", "inspect", str(out), "0"]
    if "masks" in runs[0].labels.stages:  # pictures need them
        words += ["--png", "frame.png", "--data", str(data)]
    return Evaluation("\n\n".join(pages), [report.as_dict() for report in reports], whole, shlex.join(words))
