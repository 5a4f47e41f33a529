"""`pointsam-label eval`: labels against the ground truth of their data set, and what they show without it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pipelines.data import AS_FOUND, Reading
from pipelines.opened import OpenedRun, open_run, stage_words
from pipelines.remarks import label_notes
from pipelines.review.checked import check_run, compare_runs
from pipelines.review.scored import scored
from pointsam.base.errors import NothingToScoreError
from pointsam.base.files import page_bytes, require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.datasets.mapped import MappedDataset
from pointsam.datasets.unknown_classes import unknown_text
from pointsam.evaluate.quality import FolderQuality, compare, compare_tracking
from pointsam.evaluate.verdicts import verdict_writer
from pointsam.store.reader import Labels, LabelStage


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
    stage: LabelStage | None = None,
    self_check: bool = False,
    masks_from: Path | None = None,
) -> Evaluation:
    """Score one folder, or two, and write the requested files.

    Without ground truth, the figures of `pointsam.evaluate.selfcheck` take its place.

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
        stage: the stage whose labels are scored, None for the last one that is finished.
        self_check: give the figures that need no ground truth also where there is some.
        masks_from: folder of the masks that labels without own masks were made from, None if it is not there.

    Returns:
        The metrics of both folders.

    Raises:
        StoreError: OUT003 if a file exists or cannot be written; and what `open_run` and `evaluate_labels`
            raise; without ground truth only as `_against_truth` does.
    """
    for path in (markdown, parquet):
        if path is not None:
            require_free(path, overwrite)
    folders = [folder for folder in (out, against) if folder is not None]
    runs = [open_run(folder, data, _masks_of(folder, masks_from), reading, mapping, stage=stage) for folder in folders]
    for run in runs:
        if masks_from is not None and "masks" not in run.labels.stages:
            _ = run.masks  # refuse other masks before anything is scored
    reports = _against_truth(runs, truth, parquet)
    checked = [check_run(run) for run in runs] if self_check or not reports else []
    pair = compare_runs(*checked) if len(checked) == 2 else None
    without_truth = [table for one in checked for table in one.tables()] + ([] if pair is None else pair.tables())
    beside = [compare(*reports), *compare_tracking(*reports)] if len(reports) == 2 else []

    pages = [report.text() for report in reports]
    pages += [f"note: {run.labels.out}: {note}" for run in runs for note in label_notes(run.labels)]
    unknown = unknown_text(runs[0].truth, reports[0].scored) if reports else ""
    if unknown:
        pages.append(f"note: {unknown}: they are void and not scored")
    pages += [table.text() for table in (*beside, *without_truth)]
    pages += [f"note: {one.out}: {note}" for one in checked for note in one.notes]
    if not reports:
        pages.append(f"note: {data} has no ground truth of these frames: nothing here is a measured quality")
    if markdown is not None:
        parts = [report.markdown() for report in reports] or ["# Labels without ground truth\n"]
        page = "\n\n".join(parts) + "".join(f"\n{table.markdown()}\n" for table in (*beside, *without_truth))
        write_together([(markdown, page_bytes(page))])
    masks = [] if "masks" in runs[0].labels.stages or masks_from is None else ["--masks-from", str(masks_from)]
    pictures = reports and ("masks" in runs[0].labels.stages or masks)
    if pictures:  # of a frame with labels
        first = next(k for k, frame in enumerate(runs[0].labels.frames()) if frame.status == "ok")
        words = ["inspect", str(out), str(first), "--png", "frame.png", "--data", str(data), *masks]
    else:
        words = ["inspect", str(out), "0"] if reports else ["queue", str(out), str(data)]
    words += [*stage_words(stage), *([] if reports and not pictures else reading.words())]
    figures = [report.as_dict() for report in reports] or [{"out": str(one.out), "truth": None} for one in checked]
    for entry, one in zip(figures, checked, strict=False):
        entry["self_check"] = one.as_dict()
    if pair is not None:
        figures[0]["self_check_against"] = pair.as_dict()
    whole = not any(report.not_scored for report in reports)
    return Evaluation("\n\n".join(pages), figures, whole, shlex.join(["pointsam-label", *words]))


def _masks_of(folder: Path, masks_from: Path | None) -> Path | None:
    """The folder of the masks of a run: its own, if it has any."""
    return None if "masks" in Labels(folder).stages else masks_from


def _against_truth(runs: Sequence[OpenedRun], truth: str | None, parquet: Path | None) -> list[FolderQuality]:
    """The quality of each run; none if there is no ground truth, and nothing was asked for that needs it.

    Raises:
        NothingToScoreError: DAT009 if there is none and the user names a source or a file of rows, if the ground truth
            has no class of the labels, or if all frames are quarantined.
    """
    try:
        with ExitStack() as stack:
            rows = stack.enter_context(verdict_writer(parquet)) if parquet is not None else None
            reports = [scored(runs[0], truth, rows.add if rows is not None else lambda _: None)]
        return reports + [scored(run, truth) for run in runs[1:]]
    except NothingToScoreError:
        unmapped = any(isinstance(run.truth, MappedDataset) and not run.truth.mapped for run in runs)
        usable = all(any(frame.status == "ok" for frame in run.labels.frames()) for run in runs)
        if truth is not None or parquet is not None or unmapped or not usable:
            raise
        return []
