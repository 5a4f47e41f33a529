"""The output of `pointsam-label eval` for one folder or for two: JSON, text for the terminal, Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pointsam.base.tables import Table, format_value, without_nan
from pointsam.base.words import counted
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC, Quality
from pointsam.evaluate.reliability import Reliability
from pointsam.evaluate.tracking_quality import TrackingQuality

_RATIOS = ("PQ", "SQ", "RQ")
_OBJECTS = ("objects", "IoU", "recall", "precision")
_TRACKING = ("PTQ", "sPTQ", "PAT", "TQ", "LSTQ", "S_assoc", "HOTA", "DetA", "AssA")
"""Measures through time in the order of the table; PQ is in another one."""


@dataclass(frozen=True)
class FolderQuality:
    """Metrics of an output folder.

    Args:
        out: the folder.
        truth: source of the ground truth: "panoptic", "lidarseg", "semantickitti" or "boxes"; several joined by "+".
        quality: the metrics.
        failed: number of quarantined frames, which are not scored.
        without_truth: number of frames without ground truth, which are not scored.
        not_scored: frame_id -> error, of frames that cannot be scored, for example for malformed ground truth.
        unfinished: number of frames in the plan of the run that it has not labelled yet.
        scored: ids of the scored frames.
        truth_notes: what of the ground truth is void because of the classes of the labels.
        tracking: measures through time, None if there are none.
        no_tracking: why tracked labels have none; empty for labels of single frames, which have no tracks.
    """

    out: Path
    truth: str
    quality: Quality
    failed: int
    without_truth: int
    not_scored: Mapping[str, str]
    unfinished: int
    scored: tuple[str, ...]
    truth_notes: tuple[str, ...] = ()
    tracking: TrackingQuality | None = None
    no_tracking: str = ""

    def as_dict(self) -> dict[str, object]:
        """JSON values for --json, with null for NaN (0 / 0)."""
        return {
            "out": str(self.out),
            "truth": self.truth,
            "failed": self.failed,
            "without_truth": self.without_truth,
            "not_scored": dict(self.not_scored),
            "unfinished": self.unfinished,
            **without_nan(asdict(self.quality)),
            "tracking": None if self.tracking is None else without_nan(asdict(self.tracking)),
        }

    def tables(self) -> list[Table]:
        """All tables, the most important first."""
        return [
            self._classes(),
            *([] if self.tracking is None else tracking_tables(self.tracking)),
            self._bins(),
            *(_reliability(name, found) for name, found in self._reliabilities() if found.num_clusters),
        ]

    def text(self) -> str:
        """Text for the terminal."""
        return "\n\n".join([*(table.text() for table in self.tables()), *self.notes()])

    def markdown(self) -> str:
        """A Markdown page."""
        return "\n\n".join(["# Label quality", *(table.markdown() for table in self.tables()), *self.notes()]) + "\n"

    def notes(self) -> list[str]:
        """Notes on frames that were not scored."""
        notes = []
        if self.quality.confidence.num_clusters > self.quality.probability.num_clusters:
            notes.append(
                "the labels have no probability: an older version made them. Make the clusters again: "
                "pointsam-label clusters DATA --out NEW --masks-from OUT"
            )
        if self.failed:
            notes.append(f"not scored: {counted(self.failed, 'quarantined frame')}")
        if self.without_truth:
            notes.append(f"not scored: {counted(self.without_truth, 'frame')} without ground truth")
        if self.not_scored:
            frame_id, why = next(iter(self.not_scored.items()))
            notes.append(
                f"{len(self.not_scored)} frames could not be scored and are not part of the figures; {frame_id}: {why}"
            )
        if not self.quality.agnostic.overall.num_objects:
            notes.append(
                f"no object of the ground truth has {MIN_POINTS_OBJECTS} points or more that a camera sees: score "
                "frames with objects, or check the calibration (pointsam-label check)"
            )
        if self.no_tracking:
            notes.append(f"no measures through time: {self.no_tracking}")
        return [*notes, *unfinished_notes(self.unfinished), *self.truth_notes]

    def _reliabilities(self) -> list[tuple[str, Reliability]]:
        return [("confidence", self.quality.confidence), ("probability", self.quality.probability)]

    def _classes(self) -> Table:
        panoptic, agnostic, semantic = self.quality.panoptic, self.quality.agnostic, self.quality.semantic
        rows: list[tuple[object, ...]] = [
            (c.name, c.pq, c.sq, c.rq, c.tp, c.fp, c.fn, o.num_objects, o.mean_iou, o.recall, o.precision, s)
            for c, o, s in zip(panoptic.classes, agnostic.classes, semantic.iou, strict=True)
        ]
        counts = [sum(getattr(c, name) for c in panoptic.classes) for name in ("tp", "fp", "fn")]
        whole = agnostic.overall
        shares = (whole.num_objects, whole.mean_iou, whole.recall, whole.precision, semantic.mean_iou)
        rows.append(("all", panoptic.pq, panoptic.sq, panoptic.rq, *counts, *shares))
        note = (
            f"PQ counts unmatched segments of {MIN_POINTS_PANOPTIC} points or more; objects, IoU, recall and precision "
            f"are class-agnostic, from {MIN_POINTS_OBJECTS} points on; semantic: IoU of all points of a class\n"
            "all: PQ, SQ, RQ and semantic are means over the classes with objects or clusters; TP, FP and FN are sums; "
            "IoU, recall and precision are over all objects and clusters\n"
            f"foreground points: precision {format_value(agnostic.point_precision)}, "
            f"recall {format_value(agnostic.point_recall)}"
        )
        title = f"{self.out}: {counted(panoptic.num_frames, 'frame')} against {self.truth}"
        return Table(title, ("class", *_RATIOS, "TP", "FP", "FN", *_OBJECTS, "semantic"), rows, note)

    def _bins(self) -> Table:
        rows = []
        for one in self.quality.bins:
            counts = [sum(getattr(c, name) for c in one.classes) for name in ("tp", "fp", "fn")]
            o = one.objects
            figures = (one.pq, one.sq, one.rq, *counts, o.num_objects, o.mean_iou, o.recall, o.precision)
            rows.append((f"{one.dimension}: {one.bin}", *figures))
        return Table("by properties of the objects", ("bin", *_RATIOS, "TP", "FP", "FN", *_OBJECTS), rows)


def _reliability(name: str, found: Reliability) -> Table:
    """The table of a value of clusters."""
    rows = [
        (f"{b.low:.1f}-{b.high:.1f}", b.num_clusters, b.mean_confidence, b.mean_iou, b.share_right)
        for b in found.bins
        if b.num_clusters
    ]
    band = f"{format_value(found.ece_low)} to {format_value(found.ece_high)} over {found.unit}; "
    right = round(sum(b.num_clusters * b.share_right for b in found.bins if b.num_clusters))
    note = (
        f"clusters of {MIN_POINTS_OBJECTS} points or more: {found.num_clusters}, of which {right} are right (IoU above "
        f"0.5)\nexpected calibration error (ECE) {format_value(found.ece)} ({'' if math.isnan(found.ece_low) else band}"
        f"exact probabilities of so many clusters would have {format_value(found.ece_chance)}); "
        f"Brier score {format_value(found.brier)}\n"
        f"AUROC {format_value(found.auroc)}: probability that a right cluster has a higher value than a wrong one; "
        f"rank correlation with IoU {format_value(found.spearman)}"
    )
    header = (name, "clusters", "mean", "IoU", "fraction right")
    return Table(f"does {name} tell right clusters from wrong ones?", header, rows, note)


def tracking_tables(found: TrackingQuality) -> list[Table]:
    """The tables of measures through time."""
    title = f"through time: {counted(found.num_scenes, 'scene')}, {counted(found.num_frames, 'frame')}"
    note = "low and high: 95 % of the bootstrap draws of scenes"
    figures = [(name, *found.figures[name]) for name in _TRACKING]
    classes = [
        (c.name, c.objects, c.switches, c.ptq, c.sptq, c.tq, c.hota, c.det_a, c.ass_a)
        for c in found.classes
        if c.objects or not math.isnan(c.hota)
    ]
    header = ("class", "objects", "switches", "PTQ", "sPTQ", "TQ", "HOTA", "DetA", "AssA")
    return [
        Table(title, ("measure", "value", "low", "high"), figures, note),
        Table("classes through time", header, classes, f"objects: with more than {found.min_points} points in a frame"),
    ]


def compare_tracking(ours: FolderQuality, other: FolderQuality) -> list[Table]:
    """Measures through time of two folders and their differences; no table if one of them has none."""
    if ours.tracking is None or other.tracking is None:
        return []
    pairs = [(name, ours.tracking.figures[name][0], other.tracking.figures[name][0]) for name in _TRACKING]
    header = ("measure", "value", "other", "+/-")
    return [Table("through time, side by side", header, [(name, a, b, a - b) for name, a, b in pairs])]


def unfinished_notes(unfinished: int) -> list[str]:
    """A note on a run that is not finished, empty for a finished one.

    Args:
        unfinished: number of frames in its plan that it has not labelled yet.
    """
    return [f"the run is unfinished: {unfinished} frames of its plan have no labels yet"] if unfinished else []


def compare(ours: FolderQuality, other: FolderQuality) -> Table:
    """Classes and bins of two folders, scored on one data set, and the differences `ours - other`."""
    theirs = _figures(other)
    rows: list[tuple[object, ...]] = []
    nan = (float("nan"),) * 3
    for name, mine in _figures(ours).items():
        row: list[object] = [name]
        for a, b in zip(mine, theirs.get(name, nan), strict=True):
            row += [a, b, a - b]
        rows.append(tuple(row))
    header = ["", *(f"{figure}{side}" for figure in ("PQ", "IoU", "recall") for side in ("", " other", " +/-"))]
    one, two = set(ours.scored), set(other.scored)
    note = ""
    if one != two:
        note = (
            f"warning: the folders are scored on different frames, {len(one)} and {len(two)}, "
            f"{len(one & two)} of them in both"
        )
    return Table(f"{ours.out} against {other.out}", header, rows, note)


def _figures(report: FolderQuality) -> dict[str, tuple[float, float, float]]:
    panoptic, agnostic = report.quality.panoptic, report.quality.agnostic
    rows = {"all": (panoptic.pq, agnostic.overall.mean_iou, agnostic.overall.recall)}
    for c, o in zip(panoptic.classes, agnostic.classes, strict=True):
        rows[c.name] = (c.pq, o.mean_iou, o.recall)
    for one in report.quality.bins:
        rows[f"{one.dimension}: {one.bin}"] = (one.pq, one.objects.mean_iou, one.objects.recall)
    return rows
