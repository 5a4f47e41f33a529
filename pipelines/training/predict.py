"""Detect, evaluate and write: `mixsup-train predict` and `eval`, and the validation of `fit`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from pipelines.training.checkpoints import BEST, load_run
from pipelines.training.official import Official, official, posed
from pipelines.training.scores import ClassScore, FailureScore, QualityScore, ScoreDocument, number, numbers
from pipelines.training.splits import split_frames
from pointsam.base.document import json_object
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.files import require_free
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasLidarTokens
from pointsam.datasets.mapped import truth_notes
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.detector import Detector
from pointsam.detect.devices import Processes
from pointsam.detect.infer import InferConfig, detect_frames, gathered
from pointsam.detect.predictions_file import FramePredictions, nuscenes_results, write_json, write_predictions
from pointsam.detect.recipe import Recipe
from pointsam.evaluate.detection import RANGE_BINS_M, DetectionAccumulator, DetectionQuality, FrameBoxes
from pointsam.evaluate.failures import KINDS, Failures, failures
from pointsam.geometry.boxes import count_points, rows
from pointsam.taxonomy import BACKGROUND


def predict_frames(
    detector: Detector,
    recipe: Recipe,
    dataset: Dataset,
    frame_ids: Sequence[str],
    workers: int,
    bad: dict[str, str],
    processes: Processes | None = None,
) -> Iterator[FramePredictions]:
    """Predict frames in order, in batches and in the precision of the recipe.

    Args:
        detector: the detector.
        recipe: its recipe.
        dataset: the data set.
        frame_ids: the frames.
        workers: number of processes that read.
        bad: frames that cannot be read are added, with the reason.
        processes: the processes of a run, which share the frames; the first one yields the predictions of all.
    """
    config = InferConfig(recipe.data.points, recipe.train.batch_size, recipe.train.precision, workers)
    rank, count = (0, 1) if processes is None else (processes.rank, processes.count)
    found = detect_frames(detector, dataset, frame_ids, config, rank, count)
    results = progress(found, desc="detect", unit="frame", total=-(-len(frame_ids) // count), disable=rank > 0)
    for result in results if processes is None else gathered(list(results), frame_ids, processes):
        if isinstance(result, FramePredictions):
            yield result
        else:
            bad[result[0]] = result[1]


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
    """

    quality: DetectionQuality
    failures: tuple[Failures, ...]
    official: Official
    bad: dict[str, str]
    untrained: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
        )

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return json_object(self.document)

    def text(self) -> str:
        """For the terminal."""
        ranges = [f"{low:.0f}-{high:.0f} m" if high < 1000 else f"> {low:.0f} m" for low, high in RANGE_BINS_M]
        header = ("class", "objects", "AP", *ranges, "trans. m", "scale", "yaw rad", "axis rad", "turned")
        lines_of: list[tuple[object, ...]] = [
            (c.name, c.num_objects, c.ap, *c.by_range, c.translation_m, c.scale, c.yaw_rad, c.axis_rad, c.turned)
            for c in self.quality.classes
        ]
        count = sum(c.num_objects for c in self.quality.classes)
        lines_of.append(("all", count, self.quality.mean_ap, *[float("nan")] * (5 + len(ranges))))
        lines = [
            text_table(header, lines_of),
            f"{counted(self.quality.num_frames, 'frame')}. AP by centre distance: mean over 0.5, 1, 2 and 4 m, within "
            "the range of nuScenes for each class. Axis: heading modulo half a turn; turned: share of headings that "
            "are wrong by more than a quarter turn." + self._interval(),
            *self._untrained(),
            *self.notes,
            self._failures(),
            self.official.text,
        ]
        if self.bad:
            lines.append(
                f"not evaluated: {counted(len(self.bad), 'frame')} that cannot be read or without ground truth, the "
                f"first: {next(iter(self.bad))}"
            )
        return "\n".join(lines)

    def _untrained(self) -> list[str]:
        found = [c for c in self.quality.classes if c.name in self.untrained and c.num_objects]
        listed = ", ".join(f"{c.name} ({counted(c.num_objects, 'object')})" for c in found)
        return [f"Not trained, and not part of the mean: {listed}."] if found else []

    def _interval(self) -> str:
        low, high = self.quality.interval
        if np.isnan(low):
            return ""
        return f" 95 % confidence interval of mAP, bootstrapped over {self.quality.unit}: {low:.3f} to {high:.3f}."

    def _failures(self) -> str:
        rows: list[tuple[object, ...]] = [(one.name, *one.gains) for one in self.failures]
        counted = [one.gains for one in self.failures if not np.isnan(one.gains[0])]
        rows.append(("all", *(np.mean(counted, axis=0) if counted else [float("nan")] * len(KINDS))))
        title = "Gain in AP if one type of error were fixed"
        return f"\n{title}\n{text_table(('class', *KINDS), rows)}\n"


def unscorable(dataset: Dataset, frame_id: str) -> str | None:
    """Why predictions in a frame cannot be scored, None if its boxes can be read; the sweep is not read."""
    try:
        return "it has no boxes" if dataset.boxes(frame_id) is None else None
    except PointSamError as error:
        if not error.of_frame:
            raise
        return str(error)


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


def score(dataset: Dataset, found: Sequence[FramePredictions], bad: dict[str, str], trained: Collection[str]) -> Score:
    """Evaluate predictions by centre distance, and by the official evaluation where there is one.

    Frames whose ground truth cannot be read are left out.

    Args:
        dataset: a data set with boxes.
        found: predictions in all frames that could be read.
        bad: frame_id -> why the frame could not be read. Frames whose ground truth cannot be read are added.
        trained: classes that the detector predicts.

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
        accumulator.add(frame.frame_boxes(), truth, dataset.scene(frame.frame_id))
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
    return Score(accumulator.result(), costs, result, bad, untrained, notes)


def _unknown(one: Failures) -> Failures:
    return replace(one, gains=(float("nan"),) * len(one.gains))


class Predicted(TypedDict):
    """What `predict` wrote: numbers of frames and boxes, why frames could not be read, and the files."""

    frames: int
    boxes: int
    bad: dict[str, str]
    files: list[str]


def predict(
    run: Path, dataset: Dataset, split: str | None, dest: Path, device: str, workers: int, overwrite: bool = False
) -> Predicted:
    """Predict a split and write `detections.parquet`, and `results_nusc.json` for data in nuScenes' tables.

    Raises:
        StoreError: OUT003 if a file exists already; and what `load_run` raises.
    """
    files = [dest / "detections.parquet"]
    if isinstance(dataset, HasLidarTokens):
        files.append(dest / "results_nusc.json")
    for path in files:
        require_free(path, overwrite)
    detector, recipe = load_run(run, dataset, device)
    bad: dict[str, str] = {}
    found = list(predict_frames(detector, recipe, dataset, dataset.frame_ids(split), workers, bad))
    about = {"recipe": recipe.name, "dataset": dataset.fingerprint(), "split": split}
    placed = ((one, MapFrame.of(read_cloud_frame(dataset, one.frame_id))) for one in found)
    write_predictions(files[0], placed, dataset.taxonomy.names, about)
    if isinstance(dataset, HasLidarTokens):
        results = nuscenes_results(posed(dataset, found), dataset.taxonomy.names, tuple(bad))
        write_json(files[1], results)
    boxes = sum(len(frame.score) for frame in found)
    return {"frames": len(found), "boxes": boxes, "bad": bad, "files": [str(path) for path in files]}


def evaluate_run(run: Path, dataset: Dataset, split: str, device: str, workers: int, first: str = BEST) -> Score:
    """Predict a split with a checkpoint of a run, as `load_run` chooses it, and evaluate the predictions."""
    detector, recipe = load_run(run, dataset, device, first)
    bad: dict[str, str] = {}
    frame_ids = split_frames(dataset, split, "name the split to score with --split SPLIT")
    found = list(predict_frames(detector, recipe, dataset, frame_ids, workers, bad))
    return score(dataset, found, bad, recipe.detector.class_names)
