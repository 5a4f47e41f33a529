"""The scores of predictions: computed, printed, and as documents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.training.official import Official, official
from pipelines.training.scores import (
    ClassScore,
    FailureScore,
    IouScore,
    QualityScore,
    Reason,
    ScoreDocument,
    number,
    numbers,
)
from pointsam.base.document import json_object
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.mapped import truth_notes
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.predictions_file import FramePredictions, box_overlaps
from pointsam.evaluate.box_iou import MIN_IOUS, ClassIouAP, IouFrame, class_iou_ap
from pointsam.evaluate.detection import RANGE_BINS_M, DetectionAccumulator, DetectionQuality, FrameBoxes
from pointsam.evaluate.diagnosis import LOW_AP, Finding, diagnose
from pointsam.evaluate.failures import KINDS, Failures, failures
from pointsam.geometry.boxes import count_points, rows
from pointsam.taxonomy import BACKGROUND

_RANGES = [f"{low:.0f}-{high:.0f} m" if high < 1000 else f"> {low:.0f} m" for low, high in RANGE_BINS_M]


@dataclass(frozen=True)
class Score:
    """Scores of predictions.

    Args:
        quality: average precision by centre distance.
        failures: gain in average precision if one type of error were fixed, by class.
        official: result of the official evaluation.
        bad: frame_id -> why the frame or its ground truth could not be read.
        untrained: classes that the detector does not predict; they are not part of the mean.
        notes: what of the ground truth is void because of the classes of the detector.
        iou: average precision by overlap in 3D, by class.
        findings: possible reasons, if classes score nearly nothing.
    """

    quality: DetectionQuality
    failures: tuple[Failures, ...]
    official: Official
    bad: dict[str, str]
    untrained: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    iou: tuple[ClassIouAP, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def document(self) -> ScoreDocument:
        """As files hold it."""
        quality = self.quality
        classes = tuple(
            ClassScore(
                one.name,
                one.num_objects,
                number(one.ap),
                numbers(one.by_distance),
                numbers(one.by_range),
                number(one.translation_m),
                number(one.scale),
                number(one.yaw_rad),
                number(one.axis_rad),
                number(one.turned),
            )
            for one in quality.classes
        )
        return ScoreDocument(
            QualityScore(classes, number(quality.mean_ap), quality.num_frames, numbers(quality.draws), quality.unit),
            tuple(FailureScore(one.name, numbers(one.gains), one.counts) for one in self.failures),
            self.official.figures,
            self.bad,
            tuple(
                IouScore(one.name, one.num_objects, one.min_iou, numbers(one.by_iou), numbers(one.by_range))
                for one in self.iou
            ),
            tuple(Reason(one.what, one.count, one.total, one.of, one.likely) for one in self.findings) or None,
        )

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return json_object(replace(self.document, notes=self.notes or None))

    def text(self) -> str:
        """For the terminal."""
        header = ("class", "objects", "AP", *_RANGES, "trans. m", "scale", "yaw rad", "axis rad", "turned")
        lines_of: list[tuple[object, ...]] = [
            (c.name, c.num_objects, c.ap, *c.by_range, c.translation_m, c.scale, c.yaw_rad, c.axis_rad, c.turned)
            for c in self.quality.classes
            if c.name not in self.empty
        ]
        count = sum(c.num_objects for c in self.quality.classes)
        lines_of.append(("all", count, self.quality.mean_ap, *[float("nan")] * (5 + len(_RANGES))))
        lines = [
            text_table(header, lines_of),
            f"{counted(self.quality.num_frames, 'frame')}. AP by centre distance: mean over 0.5, 1, 2 and 4 m, within "
            "the range of nuScenes for each class, from the vehicle. Axis: heading modulo half a turn; turned: share "
            "of headings that are wrong by more than a quarter turn." + self._interval(),
            *self._empty(),
            *self._untrained(),
            *self.notes,
            *self._iou(),
            self._failures(),
            self.official.text,
            *self._findings(),
        ]
        if self.bad:
            lines.append(
                f"not evaluated: {counted(len(self.bad), 'frame')} that cannot be read or without ground truth, the "
                f"first: {next(iter(self.bad))}"
            )
        return "\n".join(lines)

    @property
    def empty(self) -> dict[str, int]:
        """Classes without an object in the frames, and the number of their predictions."""
        seen = {one.name for one in self.quality.classes if one.num_objects}
        seen |= {one.name for one in self.iou if one.num_objects}
        return {one.name: sum(one.counts) for one in self.failures if one.name not in seen}  # each is an error

    def _empty(self) -> list[str]:
        listed = [
            f"{name} ({counted(number, 'prediction')})" if number else name for name, number in self.empty.items()
        ]
        return [f"Not in the tables, without an object in these frames: {', '.join(listed)}."] if listed else []

    def _untrained(self) -> list[str]:
        found = [c for c in self.quality.classes if c.name in self.untrained and c.num_objects]
        listed = ", ".join(f"{c.name} ({counted(c.num_objects, 'object')})" for c in found)
        return [f"Not trained, and not part of the mean: {listed}."] if found else []

    def _interval(self) -> str:
        low, high = self.quality.interval
        if np.isnan(low):
            return ""
        return f" 95 % confidence interval of mAP, bootstrapped over {self.quality.unit}: {low:.3f} to {high:.3f}."

    def _iou(self) -> list[str]:
        """A table of average precision by overlap."""
        if not self.iou:
            return []
        rows: list[tuple[object, ...]] = [
            (one.name, one.num_objects, *one.by_iou, f"{one.min_iou:g}", *one.by_range)
            for one in self.iou
            if one.name not in self.empty
        ]
        values = np.array([(*one.by_iou, *one.by_range) for one in self.iou])
        mean = [float(np.nanmean(column)) if np.isfinite(column).any() else float("nan") for column in values.T]
        count = sum(one.num_objects for one in self.iou)
        rows.append(("all", count, *mean[: len(MIN_IOUS)], "", *mean[len(MIN_IOUS) :]))
        header = ("class", "objects", *(f"IoU {limit:g}" for limit in MIN_IOUS), "by range at", *_RANGES)
        return [f"\nAP by overlap in 3D, at 40 recalls and any range\n{text_table(header, rows)}"]

    def _findings(self) -> list[str]:
        """A table of possible reasons for a low score."""
        if not self.findings:
            return []
        rows = [
            ("likely" if one.likely else "", one.what, f"{one.count} of {one.total} {one.of}") for one in self.findings
        ]
        low = ", ".join(low_classes(self.quality, self.iou))
        lines = [f"\nWhy AP is nearly 0 ({low})", text_table(("", "found", "count"), rows)]
        return [*lines, *(f"{one.what}: {one.way}" for one in self.findings if one.likely)]

    def _failures(self) -> str:
        rows: list[tuple[object, ...]] = [(one.name, *one.gains) for one in self.failures if one.name not in self.empty]
        counted = [one.gains for one in self.failures if not np.isnan(one.gains[0])]
        rows.append(("all", *(np.mean(counted, axis=0) if counted else [float("nan")] * len(KINDS))))
        title = "Gain in AP if one type of error were fixed"
        return f"\n{title}\n{text_table(('class', *KINDS), rows)}\n"


def low_classes(quality: DetectionQuality, iou: Sequence[ClassIouAP]) -> list[str]:
    """Classes with objects that score nearly nothing, by distance or by a small overlap in 3D."""
    overlap = {one.name: one.by_iou[-1] for one in iou}
    return [
        one.name
        for one in quality.classes
        if one.num_objects and (one.ap < LOW_AP or overlap.get(one.name, 1.0) < LOW_AP)
    ]


def truth_of(dataset: Dataset, frame_id: str) -> FrameBoxes:
    """Ground-truth boxes of a frame in its map frame; their score is the number of their points.

    Raises:
        DatasetError: DAT011 if the data set has none.
    """
    boxes = dataset.boxes(frame_id)
    if boxes is None:
        raise DatasetError("DAT011", f"{dataset.root}: frame {frame_id!r} has no boxes", "choose a split with boxes")
    frame = read_cloud_frame(dataset, frame_id)
    points = count_points(read_frame_points(frame).xyz_lidar_m, boxes)
    ours = boxes.class_id != BACKGROUND
    true = rows(MapFrame.of(frame).boxes(boxes))[ours]
    classes, score = boxes.class_id[ours].astype(np.int64), points[ours].astype(np.float64)
    return FrameBoxes(true[:, :3], true[:, 3:6], true[:, 6], classes, score)


def score(
    dataset: Dataset,
    found: Sequence[FramePredictions],
    bad: dict[str, str],
    trained: Collection[str],
    range_m: tuple[float, ...] | None = None,
) -> Score:
    """Evaluate predictions by centre distance, and by the official evaluation where there is one.

    Frames whose ground truth cannot be read are left out.

    Args:
        dataset: a data set with boxes.
        found: predictions in all frames that could be read.
        bad: frame_id -> why the frame could not be read. Frames whose ground truth cannot be read are added.
        trained: classes that the detector predicts.
        range_m: range of the detector's grid, for the reasons of a low score; None if it is not known.

    Raises:
        DatasetError: if no frame has ground truth that can be read: DAT011 if it has none, and what reading raises.
    """
    accumulator = DetectionAccumulator(dataset.taxonomy.names, trained)
    scored, true, first = list[FramePredictions](), list[FrameBoxes](), None
    for frame in found:
        try:
            truth = truth_of(dataset, frame.frame_id)
        except PointSamError as error:
            if not error.of_frame:
                raise
            first = first or error
            bad[frame.frame_id] = f"[{error.code}] {error.message}"
            continue
        key = read_cloud_frame(dataset, frame.frame_id)
        ego_SE3_map = MapFrame.of(key).pose(key.sweep.ego_SE3_lidar)
        accumulator.add(frame.frame_boxes(), truth, dataset.scene(frame.frame_id), ego_SE3_map)
        scored.append(frame)
        true.append(truth)
    if first is not None and not scored:
        raise first
    names = dataset.taxonomy.names
    costs = failures(*accumulator.frames, names)
    costs = tuple(one if one.name in trained else _unknown(one) for one in costs)
    untrained = tuple(name for name in names if name not in trained)
    notes = tuple(truth_notes(dataset))
    result = official(dataset, scored, true, bad, untrained)
    quality, iou = accumulator.result(), _iou_ap(dataset, scored, true, trained)
    low = low_classes(quality, iou)
    findings = _diagnosed(scored, true, [names.index(name) for name in low], names, range_m) if low else ()
    return Score(quality, costs, result, bad, untrained, notes, iou, findings)


def _iou_ap(
    dataset: Dataset, found: Sequence[FramePredictions], true: Sequence[FrameBoxes], trained: Collection[str]
) -> tuple[ClassIouAP, ...]:
    """Average precision by overlap of each class; objects without points do not count."""
    specs = dataset.taxonomy.classes
    frames: list[list[IouFrame]] = [[] for _ in specs]
    for one, objects in zip(found, true, strict=True):
        seen, boxes = objects[objects.score >= 1], one.frame_boxes()
        overlap = box_overlaps(one.boxes, np.column_stack([seen.center_m, seen.size_lwh_m, seen.yaw_rad]))["3d"]
        for k, some in enumerate(frames):
            some.append(IouFrame.of(overlap, boxes, seen, k))
    return tuple(class_iou_ap(spec, some, spec.name in trained) for spec, some in zip(specs, frames, strict=True))


def _diagnosed(
    found: Sequence[FramePredictions],
    true: Sequence[FrameBoxes],
    low: Collection[int],
    names: Sequence[str],
    range_m: tuple[float, ...] | None,
) -> tuple[Finding, ...]:
    """Possible reasons for the low scores of some classes: predictions of all classes beside their objects."""
    objects = [one[np.isin(one.class_id, list(low)) & (one.score >= 1)] for one in true]
    return diagnose([one.frame_boxes() for one in found], objects, names, range_m)


def _unknown(one: Failures) -> Failures:
    return replace(one, gains=(float("nan"),) * len(one.gains))
