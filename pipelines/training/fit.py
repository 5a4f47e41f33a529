"""`mixsup-train fit`: train, log, save, validate, and end with the table."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from pipelines.opened import open_labels, read_as_in
from pipelines.training.predict import Score, predict_frames, score, unscorable
from pipelines.training.run_folder import SCORES, FitRequest, RunFolder
from pipelines.training.scores import ValidationDocument
from pipelines.training.splits import split_frames
from pointsam.base.errors import SchemaError
from pointsam.base.files import claimed
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.data.loader import Steps
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.devices import Processes
from pointsam.detect.recipe import Recipe
from pointsam.detect.train import Trainer, count_steps
from pointsam.store.reader import Labels

_OTHER_VAL = "name a split that has boxes with --val SPLIT, or give --val '' to train without validation"


@dataclass(frozen=True)
class Fitted:
    """The result of a call of `fit`.

    Args:
        score: score of the network after the last step; None without validation.
        steps: number of steps done by this call.
        seconds: duration of the steps, without validation.
        bad: frame_id -> why the frame could not be read; it was replaced by another frame.
        quarantined: number of frames that the labelling run quarantined; they were not trained on.
        first: whether this process prints the result, where there are several.
    """

    score: Score | None
    steps: int
    seconds: float
    bad: dict[str, str]
    quarantined: int = 0
    first: bool = True


def fit(request: FitRequest) -> Fitted:
    """Train to the end of the recipe, from where an earlier call stopped.

    Raises:
        SchemaError: SCH003 to SCH005 if data, labels, budget and recipe do not fit together.
        StoreError: OUT001 if the folder holds another run, OUT002 or OUT003 if it cannot be written, OUT004 if a file
            of an earlier call is damaged.
        BackendError: BCK006 if the device is absent.
        TrainingError: TRN001, TRN002.
    """
    with Processes.join(request.device) as processes:
        data, val_ids, recipe = _opened(request, processes.first)
        dataset, labels = data.dataset, data.labels
        trainer = Trainer(recipe, data, dataset.taxonomy, processes.device, processes.rank, processes.count)
        with claimed(request.out) if processes.first else nullcontext():  # another call waits, and continues from there
            run = RunFolder(request, dataset, labels, processes.first, recipe)
            if not processes.first:
                processes.wait()  # until the first process has cut the paste bank and saved it
            data.bank = run.bank(data)
            if processes.first:
                processes.wait()
            if run.last.exists():
                trainer.load(Checkpoint(run.last))
            fitted = _train(request, trainer, run, dataset, val_ids, processes)
        return replace(fitted, quarantined=data.num_failed, first=processes.first)


def _opened(request: FitRequest, is_first: bool, shows_progress: bool = True) -> tuple[TrainingSet, list[str], Recipe]:
    """The training set, the ids of the validation frames, and the recipe without classes that have no box.

    Inputs that do not fit together are rejected here. The first process warns of what is left out, and of frames that
    are both in the budget and among the validation frames.
    """
    dataset, labels = _inputs(request)
    val_ids = [] if request.val is None else split_frames(dataset, request.val, _OTHER_VAL)
    recipe = request.recipe
    budget = read_budget(request.budget)
    _require_same_names(budget, dataset)
    warnings = []
    shared = len(budget.frames.keys() & set(val_ids))
    if shared:
        counts = f"{shared} of {counted(len(val_ids), 'validation frame')} are in the budget"
        warnings.append(f"{counts}; draw the budget with --split train")
    if request.val is not None:
        warnings += _without_truth(dataset, request.val, val_ids)
    data = TrainingSet(
        dataset,
        budget,
        labels,
        recipe.detector.class_names,
        recipe.detector.grid.range_m,
        recipe.data,
        recipe.train.seed,
        lambda frames: progress(frames, desc="budget", unit="frame", disable=not (is_first and shows_progress)),
    )
    if data.missing:
        recipe = recipe.without(data.missing)
        warnings.append(_not_trained(budget, data.missing))
    if data.outside:
        listed = ", ".join(f"{name} ({counted(count, 'box')})" for name, count in data.outside.items())
        warnings.append(
            f"no box is inside of the detector's grid, detector.grid.range_m {recipe.detector.grid.range_m}: {listed}; "
            "check this range, and the height of the LiDAR above ground"
        )
    if is_first:
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
    return data, val_ids, recipe


def _not_trained(budget: Budget, names: Sequence[str]) -> str:
    """A warning of classes without a usable box."""
    counts = budget.description.classes
    drawable = [name for name in names if name in counts and counts[name].objects]
    way = f"; --rule class draws boxes of {', '.join(drawable)}" if drawable else ""
    return f"not trained, because {budget.name} has no usable box of them: {', '.join(names)}{way}"


def _require_same_names(budget: Budget, dataset: Dataset) -> None:
    """Refuse a budget that was drawn by other classes.

    Raises:
        SchemaError: SCH003.
    """
    drawn = budget.description.classes
    if set(drawn) != set(dataset.taxonomy.names):
        raise SchemaError(
            "SCH003",
            f"{budget.name} was drawn by the classes {', '.join(drawn)}, but the labels have "
            f"{', '.join(dataset.taxonomy.names)}",
            "draw it with the mapping file of the labels: mixsup-train budget DATA --mapping FILE --dest BUDGET",
        )


def _without_truth(dataset: Dataset, split: str, val_ids: Sequence[str]) -> list[str]:
    """A warning of validation frames without ground truth that can be read.

    Raises:
        SchemaError: SCH005 if no frame has any: it would end the training at its first validation.
    """
    bad = {frame_id: why for frame_id in val_ids if (why := unscorable(dataset, frame_id))}
    if not bad:
        return []
    first = next(iter(bad.items()))
    counts = f"{len(bad)} of {counted(len(val_ids), 'frame')} of the validation split {split!r} have no ground truth"
    if len(bad) == len(val_ids):
        raise SchemaError("SCH005", f"{counts}; {first[0]}: {first[1]}", _OTHER_VAL)
    return [f"{counts}; they are not scored; {first[0]}: {first[1]}"]


def _inputs(request: FitRequest) -> tuple[Dataset, Labels | None]:
    data = request.data if request.labels is None else read_as_in(request.labels, request.data)
    dataset = data.open()
    labels = None if request.labels is None else open_labels(request.labels, dataset, request.allow_noise)
    return dataset, labels


def training_plan(request: FitRequest) -> str:
    """What `fit` would train on, for --dry-run; nothing is written.

    Raises:
        PointSamError: as `fit`.
    """
    with Processes.join(request.device) as processes:
        data, val_ids, _ = _opened(request, processes.first, shows_progress=False)
    config = request.recipe.train
    samples, steps = len(data.order(0)), count_steps(Steps(data, config.batch_size, 0, processes.count))
    rows = [(name, *counts) for name, counts in data.frames_by_class().items()]
    lines = [
        text_table(("class", "frames with boxes", "with boxes or clusters"), rows),
        f"{counted(len(data.frame_ids), 'frame')}, {data.num_failed} quarantined; {counted(samples, 'sample')} per "
        f"epoch, {counted(steps, 'step')} of batch size {config.batch_size} in {counted(processes.count, 'process')}, "
        f"{counted(config.epochs, 'epoch')}",
        f"{counted(len(val_ids), 'frame')} to validate",
    ]
    return "\n".join(lines)


def finished(request: FitRequest) -> ValidationDocument | None:
    """The validation after a run's last step; None if the run is not finished.

    Raises:
        StoreError: OUT001 if the folder holds another run, OUT004 if its scores.json is damaged; and what opening data
            and labels raises.
    """
    if not (request.out / SCORES).exists():
        return None
    dataset, labels = _inputs(request)
    scores = RunFolder(request, dataset, labels, writes=False).scores()
    last = scores[max(scores, key=int)]
    return last if last.epochs == request.recipe.train.epochs else None


def _train(
    request: FitRequest, trainer: Trainer, run: RunFolder, dataset: Dataset, val_ids: list[str], processes: Processes
) -> Fitted:
    config, bad = request.recipe.train, {**run.left_out(), **trainer.data.bad}
    result: Score | None = None
    begin, validating, saved, done = time.perf_counter(), 0.0, time.perf_counter(), 0
    bar = progress(
        initial=trainer.progress.step, total=trainer.num_steps, desc="train", unit="step", disable=not processes.first
    )
    with bar, run.logs(trainer.progress.step) as log:
        for report in trainer.run():
            done += 1
            bad.update(report.bad)
            bar.update()
            bar.set_postfix(epoch=report.epoch + 1, loss=f"{report.losses['loss']:.3f}", refresh=False)
            log.step(report)
            epochs = report.epoch + 1
            due = report.last_of_epoch and (epochs % config.eval_epochs == 0 or epochs == config.epochs)
            validates = due and bool(val_ids)
            if validates:
                began = time.perf_counter()
                result = _validate(request, trainer, run, dataset, val_ids, processes)
                if result is not None:
                    log.validated(report.step, _curves(result))
                validating += time.perf_counter() - began
            late = time.perf_counter() - saved > 60 * config.checkpoint_minutes
            if processes.first and (report.last_of_epoch or late):
                trainer.save(run.last, run.about)
                saved = time.perf_counter()
            if validates and result is not None:  # after `save`, so that the weights of every score exist
                run.keep_score(trainer, epochs, bad, result)
            if report.last_of_epoch:
                processes.wait()
        if done == 0 and val_ids:  # the run was finished before
            result = _validate(request, trainer, run, dataset, val_ids, processes)
            if result is not None:
                run.keep_score(trainer, config.epochs, bad, result)
    return Fitted(result, done, time.perf_counter() - begin - validating, bad)


def _validate(
    request: FitRequest, trainer: Trainer, run: RunFolder, dataset: Dataset, val_ids: list[str], processes: Processes
) -> Score | None:
    """Evaluate the network in all processes; the first one scores it, and saves it if it is the best so far."""
    bad: dict[str, str] = {}
    workers = request.recipe.train.workers
    found = list(predict_frames(trainer.model, request.recipe, dataset, val_ids, workers, bad, processes))
    if not processes.first:
        return None
    result = score(dataset, found, bad, run.recipe.detector.class_names)
    value = 0.0 if math.isnan(result.quality.mean_ap) else result.quality.mean_ap
    if trainer.progress.best is None or value > trainer.progress.best:
        trainer.save(run.best, run.about, best=value)
    return result


def _curves(result: Score) -> dict[str, float]:
    """Figures of a validation for TensorBoard."""
    curves = {"val/mean_ap": result.quality.mean_ap}
    figures = result.official.figures or {}
    official = {f"val/{name}": value for name, value in figures.items() if isinstance(value, float)}
    return curves | official
