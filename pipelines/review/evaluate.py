"""`pointsam-label eval`: the labels of an output folder against the ground truth of its data set."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from pipelines.opened import open_run
from pointsam.base.files import require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.quality import compare
from pointsam.evaluate.verdicts import verdict_writer


def run_eval(
    out: Path,
    data: DataPath,
    json_file: Path | None = None,
    markdown: Path | None = None,
    parquet: Path | None = None,
    against: Path | None = None,
    truth: str | None = None,
    overwrite: bool = False,
    dataset: str | None = None,
    version: str | None = None,
    mapping: Path | None = None,
) -> tuple[str, bool]:
    """Score one folder, or two, and write the requested files.

    Args:
        out: the output folder.
        data: root of its data set, which holds the ground truth.
        json_file: file for the metrics of both folders.
        markdown: file for the tables.
        parquet: file with one row per object and cluster of `out`.
        against: a second output folder.
        truth: source of the ground truth, None for the best one.
        overwrite: replace existing files.
        dataset: type of the data set, None for the run's.
        version: version folder of the tables, None for the run's.
        mapping: a mapping file whose `truth` is used in place of the run's.

    Returns:
        The tables, and whether all frames with ground truth could be scored.

    Raises:
        StoreError: OUT003 if a file exists or cannot be written; and what `open_run` and `evaluate_labels`
            raise.
    """
    for path in (json_file, markdown, parquet):
        if path is not None:
            require_free(path, overwrite)
    runs = [open_run(folder, data, None, dataset, version, mapping) for folder in (out, against) if folder is not None]
    with ExitStack() as stack:
        rows = stack.enter_context(verdict_writer(parquet)) if parquet is not None else None
        on_verdict = rows.add if rows is not None else lambda _: None
        reports = [evaluate_labels(out, runs[0].truth, truth, on_verdict)]
    if against is not None:
        reports.append(evaluate_labels(against, runs[1].truth, truth))
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
    return "\n\n".join(pages), not any(report.not_scored for report in reports)
