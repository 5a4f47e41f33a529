"""`pointsam-label eval`: an output folder against the truth of its data set."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.progress import progress
from pipelines.tables import text_table
from pointsam.datasets.base import Dataset
from pointsam.errors import DatasetError, SchemaError
from pointsam.evaluate.agnostic import AgnosticAccumulator, AgnosticQuality
from pointsam.evaluate.panoptic import PanopticAccumulator, PanopticQuality
from pointsam.store.reader import Labels


@dataclass(frozen=True)
class Report:
    """Figures of one output folder.

    Args:
        out: the folder.
        truth: what it was compared with: "panoptic", "lidarseg" or "boxes"; several are joined by "+".
        panoptic: PQ, SQ, RQ by class.
        agnostic: IoU and recall of objects whatever their class.
        failed: quarantined frames, not scored.
        without_truth: frames that the data set has no truth for, not scored.
    """

    out: Path
    truth: str
    panoptic: PanopticQuality
    agnostic: AgnosticQuality
    failed: int
    without_truth: int

    def as_dict(self) -> dict[str, Any]:
        """For --json: NaN, a share of nothing, becomes null."""
        values: dict[str, Any] = without_nan({**asdict(self), "out": str(self.out)})
        return values

    def text(self) -> str:
        """For the terminal."""
        quality, objects = self.panoptic, self.agnostic
        rows: list[tuple[object, ...]] = [
            (c.name, c.pq, c.sq, c.rq, c.tp, c.fp, c.fn, o.num_objects, o.mean_iou, o.recall, o.precision)
            for c, o in zip(quality.classes, objects.classes, strict=True)
        ]
        whole = objects.overall
        counts = [sum(getattr(c, name) for c in quality.classes) for name in ("tp", "fp", "fn")]
        mean = (quality.pq, quality.sq, quality.rq)
        rows.append(("all", *mean, *counts, whole.num_objects, whole.mean_iou, whole.recall, whole.precision))
        header = ("class", "PQ", "SQ", "RQ", "TP", "FP", "FN", "objects", "IoU", "recall", "precision")
        notes = [
            f"{self.out}: {quality.num_frames} frames against {self.truth}",
            text_table(header, rows),
            f"PQ counts unmatched segments of {quality.min_points} points or more; objects, IoU, recall and precision "
            f"are class-agnostic, from {objects.min_points} points on.",
            f"foreground points: precision {objects.point_precision:.3f}, recall {objects.point_recall:.3f}",
        ]
        if self.failed:
            notes.append(f"{self.failed} quarantined frames were not scored")
        if self.without_truth:
            notes.append(f"{self.without_truth} frames have no truth and were not scored")
        return "\n".join(notes)


def without_nan(value: Any) -> Any:
    """JSON values with null for NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def evaluate(out: Path, dataset: Dataset) -> Report:
    """Score every finished frame of an output folder.

    Raises:
        SchemaError: SCH004 if the labels are of other classes than the truth.
        DatasetError: DAT009 if no frame can be scored.
    """
    labels = Labels(out)
    taxonomy = labels.taxonomy
    if taxonomy.names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"{out} has classes {list(taxonomy.names)}, the truth of {dataset.root} has {list(dataset.taxonomy.names)}",
            "score labels against the data set they were made of, with a mapping to its classes",
        )
    panoptic, agnostic = PanopticAccumulator(taxonomy), AgnosticAccumulator(taxonomy)
    failed = without_truth = 0
    sources: set[str] = set()
    for frame in progress(labels.frames(), desc="eval", unit="frame"):
        if frame.status != "ok":
            failed += 1
            continue
        truth = dataset.point_truth(frame.frame_id)
        if truth is None:
            without_truth += 1
            continue
        found = labels.labels(frame.frame_id).labels
        panoptic.add(found, truth)
        agnostic.add(found, truth)
        sources.add(truth.source)
    if not sources:
        raise DatasetError(
            "DAT009",
            f"no frame of {out} can be scored: {failed} quarantined, {without_truth} without truth in {dataset.root}",
            "score a split that has boxes or panoptic labels",
        )
    return Report(out, "+".join(sorted(sources)), panoptic.result(), agnostic.result(), failed, without_truth)
