"""Evaluates the labels of an output folder against the ground truth of its data set."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from pointsam.base.errors import CalibrationError, DatasetError, NothingToScoreError, PointSamError, SchemaError
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.datasets.mapped import MappedDataset, truth_notes, with_classes
from pointsam.evaluate.judge import FrameVerdict, Judge
from pointsam.evaluate.quality import FolderQuality
from pointsam.store.reader import Labels
from pointsam.store.sources import require_unchanged
from pointsam.types import FrameLabels, PointTruth


def evaluate_labels(
    out: Labels | Path | str,
    dataset: Dataset,
    truth: str | None = None,
    on_verdict: Callable[[FrameVerdict], None] = lambda _: None,
    frame_ids: Collection[str] | None = None,
    on_scored: Callable[[FrameLabels, PointTruth], None] = lambda _found, _truth: None,
) -> FolderQuality:
    """Score the finished frames of an output folder.

    A frame that cannot be scored, for malformed ground truth or because its sweep has changed since, is left out and
    named in the result.

    Args:
        out: the folder, or a reader of its labels; of a folder, those of single frames are scored.
        dataset: data set with ground truth.
        truth: source of the ground truth (Dataset.point_truth), None for the best one.
        on_verdict: called with the verdict of every frame.
        frame_ids: the frames to score, None for all.
        on_scored: called with the labels and the ground truth of every frame that is scored.

    Raises:
        SchemaError: SCH004 if the labels were made from other data.
        NothingToScoreError: DAT009 if no frame has ground truth, or no class of the ground truth is one of the labels'.
        DatasetError: DAT009 if no frame can be scored and the ground truth of some cannot be read.
    """
    labels = out if isinstance(out, Labels) else Labels(out)
    require_same_data(labels, labels.stage, dataset)
    if labels.taxonomy.names != dataset.taxonomy.names:
        dataset = with_classes(dataset, labels.taxonomy)
    require_some_truth(dataset)
    failed = without_truth = 0
    not_scored: dict[str, str] = {}
    scored: list[str] = []
    hint = "score a split that has boxes or panoptic labels"
    sources: set[str] = set()
    judge = None
    chosen = [frame for frame in labels.frames() if frame_ids is None or frame.frame_id in frame_ids]
    for frame in progress(chosen, desc="eval", unit="frame"):
        if frame.status != "ok":
            failed += 1
            continue
        found = labels.labels(frame.frame_id)
        try:
            _require_unchanged(labels, dataset, frame.frame_id)
            true = dataset.point_truth(frame.frame_id, truth)
            if true is None:
                if truth is not None and not without_truth:
                    best = dataset.point_truth(frame.frame_id)
                    hint = "leave out --truth" + (f", which then is {best.source}" if best else "")
                without_truth += 1
                continue
            if judge is None:
                first = dataset.frame(frame.frame_id)
                cameras, sensors = (tuple(view.name for view in first.cameras), tuple(s.sensor for s in first.sweeps))
                judge = Judge(dataset, labels.taxonomy, cameras, sensors)
            verdict = judge.add(found, true)
        except PointSamError as error:
            if not error.of_frame:
                raise
            not_scored[frame.frame_id] = f"[{error.code}] {error.message}"
            continue
        on_verdict(verdict)
        on_scored(found, true)
        scored.append(frame.frame_id)
        sources.add(true.source)
    if judge is None or not scored:
        example = "".join(f"; frame {frame_id}: {why}" for frame_id, why in list(not_scored.items())[:1])
        kind = DatasetError if not_scored else NothingToScoreError
        raise kind(
            "DAT009",
            f"no frame of {labels.out} can be scored: {failed} quarantined, {without_truth} without "
            f"{truth or 'ground truth'} in {dataset.root}, {len(not_scored)} that cannot be scored{example}",
            hint,
        )
    return FolderQuality(
        labels.out,
        "+".join(sorted(sources)),
        judge.result(),
        failed,
        without_truth,
        not_scored,
        labels.unfinished(),
        tuple(scored),
        tuple(truth_notes(dataset)),
    )


def _require_unchanged(labels: Labels, dataset: Dataset, frame_id: str) -> None:
    """Refuse a sweep that has changed since it was labelled; a frame that cannot be read is not compared."""
    try:
        frame = dataset.frame(frame_id)
    except (DatasetError, CalibrationError):  # ground truth of points may need no frame
        return
    require_unchanged(labels.sources("clusters", frame_id), frame, "clusters")


def require_some_truth(dataset: Dataset) -> None:
    """Refuse ground truth of which no class is one of the labels' (docs/mapping.md).

    Raises:
        NothingToScoreError: DAT009.
    """
    if isinstance(dataset, MappedDataset) and not dataset.mapped:
        raise NothingToScoreError(
            "DAT009",
            f"no class of the ground truth in {dataset.root} is a class of the labels: they have "
            f"{', '.join(dataset.taxonomy.names)}, the ground truth has {', '.join(dataset.unmapped)}",
            "state in `truth` of a mapping file which class each of them is, and pass it with --mapping "
            "(docs/mapping.md)",
        )


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


def require_same_data(labels: Labels, stage: str, dataset: Dataset) -> None:
    """Refuse a data set that a stage was not made from. A data set may have moved.

    Raises:
        SchemaError: SCH004.
    """
    made, recorded = labels.dataset(stage), labels.data_root(stage)
    if made.fingerprint != dataset.fingerprint():
        place = "" if recorded is None else f" at {recorded}"
        raise SchemaError(
            "SCH004",
            f"the {stage} in {labels.out} were made from another data set ({made.name}{place}) than {dataset.root}, "
            "or its tables or calibration have changed since: the fingerprints differ",
            "pass the root, --version and --lidar that they were made from, or label this data set: "
            f"pointsam-label run {dataset.root} --out OTHER",
        )
