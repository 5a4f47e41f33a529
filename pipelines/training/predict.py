"""Detect, evaluate and write: `mixsup-train predict` and `eval`, and the validation of `fit`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from pipelines.training.checkpoints import BEST, load_run
from pipelines.training.clouds import Cloud, odd_points, read_key, read_some
from pipelines.training.official import posed
from pipelines.training.score import Score, score
from pipelines.training.splits import split_frames
from pointsam.base.errors import PointSamError
from pointsam.base.files import make_folder, require_free, store_errors
from pointsam.base.progress import progress
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasLidarTokens
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.detector import Detector
from pointsam.detect.devices import Processes
from pointsam.detect.infer import InferConfig, detect_frames, gathered
from pointsam.detect.predictions_file import FramePredictions, nuscenes_results, write_json, write_predictions
from pointsam.detect.readers import IN_COMMAND, IN_RECIPE, named_failures
from pointsam.detect.recipe import Recipe

_AGAIN = "then run the same command again"


def predict_frames(
    detector: Detector,
    recipe: Recipe,
    dataset: Dataset,
    frame_ids: Sequence[str],
    workers: int,
    bad: dict[str, str],
    processes: Processes | None = None,
    shows_progress: bool = True,
    option: str = IN_RECIPE,
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
        shows_progress: whether a bar shows it.
        option: what sets the number of readers.

    Raises:
        TrainingError: TRN003.
    """
    config = InferConfig(recipe.data.points, recipe.train.batch_size, recipe.train.precision, workers, option)
    rank, count = (0, 1) if processes is None else (processes.rank, processes.count)
    found = detect_frames(detector, dataset, frame_ids, config, rank, count)
    hidden = rank > 0 or not shows_progress
    results = progress(found, desc="detect", unit="frame", total=-(-len(frame_ids) // count), disable=hidden)
    for result in results if processes is None else gathered(list(results), frame_ids, processes):
        if isinstance(result, FramePredictions):
            yield result
        else:
            bad[result[0]] = result[1]


class Predicted(TypedDict):
    """What `predict` wrote: numbers of frames and boxes, why frames could not be read, and the files."""

    frames: int
    boxes: int
    bad: dict[str, str]
    files: list[str]


def predict(
    run: Path,
    dataset: Dataset,
    split: str | None,
    dest: Path,
    device: str,
    workers: int,
    overwrite: bool = False,
    min_score: float | None = None,
) -> Predicted:
    """Predict a split and write `detections.parquet`, and `results_nusc.json` for data in nuScenes' tables.

    Raises:
        StoreError: OUT003 if a file exists already or the folder cannot be made; and what `load_run` raises.
        TrainingError: TRN003.
    """
    files = [dest / "detections.parquet"]
    if isinstance(dataset, HasLidarTokens):
        files.append(dest / "results_nusc.json")
    for path in files:
        require_free(path, overwrite)
    with store_errors(dest, 0):  # before hours of work that could not be written
        make_folder(dest)
    detector, recipe = load_run(run, dataset, device, min_score=min_score)
    found, bad = _found(detector, recipe, dataset, split_frames(dataset, split), workers, IN_COMMAND)
    about = {"recipe": recipe.name, "dataset": dataset.fingerprint(), "split": split}
    placed = ((one, MapFrame.of(read_cloud_frame(dataset, one.frame_id))) for one in found)
    write_predictions(files[0], placed, dataset.taxonomy.names, about)
    if isinstance(dataset, HasLidarTokens):
        results = nuscenes_results(posed(dataset, found), dataset.taxonomy.names, tuple(bad))
        write_json(files[1], results)
    boxes = sum(len(frame.score) for frame in found)
    return {"frames": len(found), "boxes": boxes, "bad": bad, "files": [str(path) for path in files]}


def evaluate_run(
    run: Path,
    dataset: Dataset,
    frame_ids: Sequence[str],
    device: str,
    workers: int,
    first: str = BEST,
    option: str = IN_COMMAND,
    min_score: float | None = None,
) -> Score:
    """Predict frames with a checkpoint of a run, as `load_run` chooses it, and evaluate the predictions.

    Args:
        run: the run folder.
        dataset: a data set with its classes.
        frame_ids: the frames.
        device: device of the network, as `fit` takes it.
        workers: number of processes that read.
        first: the preferred checkpoint.
        option: what sets the number of readers.
        min_score: as of `load_run`.

    Raises:
        TrainingError: TRN003; and what `load_run` and `score` raise.
    """
    detector, recipe = load_run(run, dataset, device, first, min_score)
    found, bad = _found(detector, recipe, dataset, frame_ids, workers, option)
    return score(dataset, found, bad, recipe.detector.class_names, recipe.detector.grid.range_m)


def _found(
    detector: Detector, recipe: Recipe, dataset: Dataset, frame_ids: Sequence[str], workers: int, option: str
) -> tuple[list[FramePredictions], dict[str, str]]:
    """Predictions, and why frames could not be read; it warns first of points that do not fit the detector."""
    config = replace(recipe.data.points, past_sweeps=0)
    clouds = list[Cloud]()
    with suppress(PointSamError):  # what cannot be read is told with the predictions
        clouds, _ = read_some(frame_ids, lambda index: read_key(dataset, frame_ids[index], config))
    for text in odd_points(clouds, recipe.detector.grid.range_m, config) if clouds else ():
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    bad: dict[str, str] = {}
    with named_failures(lambda: _AGAIN, option):
        found = list(predict_frames(detector, recipe, dataset, frame_ids, workers, bad, option=option))
    return found, bad
