"""`mixsup-train fit`: train, log, save, validate, and end with the table."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from pipelines.training import outlook
from pipelines.training.checkpoints import BEST, LAST
from pipelines.training.fit_document import begun, for_processes
from pipelines.training.initial import start_from
from pipelines.training.inputs import OTHER_VAL, Inputs, open_data, open_inputs, training_set
from pipelines.training.pace import measured
from pipelines.training.predict import predict_frames
from pipelines.training.request import FitRequest
from pipelines.training.run_folder import SCORES, RunFolder
from pipelines.training.score import Score, score
from pipelines.training.scores import ValidationDocument
from pipelines.training.splits import split_frames
from pipelines.training.together import require_same_in_all
from pipelines.training.truth import read_truth
from pointsam.base.errors import StoreError
from pointsam.base.locks import claimed
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.detect.checkpoint import TrainingProgress
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.data.loader import Key, Steps, TrainingItems
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.detector import Detector
from pointsam.detect.devices import Processes
from pointsam.detect.nets.sparse import require_sparse
from pointsam.detect.readers import local_processes, named_failures, nbytes, require_shared_memory
from pointsam.detect.recipe import TrainConfig
from pointsam.detect.train import Trainer, count_steps


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


def fit(request: FitRequest, advise: Callable[[str], None] = lambda _: None) -> Fitted:
    """Train to the end of the recipe, from where an earlier call stopped.

    Args:
        request: the call.
        advise: told how a call goes on that is interrupted from now on.

    Raises:
        SchemaError: SCH003 to SCH005 if data, labels, budget and recipe do not fit together.
        StoreError: OUT001 if the folder holds another run, or other processes begin from another state, OUT002 or
            OUT003 if it cannot be written, OUT004 if a file of an earlier call is damaged.
        BackendError: BCK006 if the device is absent; BCK005 or BCK006 if `detector.sparse` cannot run here.
        TrainingError: TRN001, TRN002, TRN003.
    """
    with Processes.join(request.device) as processes, ExitStack() as held:
        waiting = partial(_say_that_it_waits, request)
        if processes.first and request.out.is_dir():  # before the frames are counted, which may take minutes
            held.enter_context(claimed(request.out, waiting))
        processes.wait()  # until no other run changes what the folder holds
        recipe = for_processes(request.recipe, begun(request.out), processes.count)
        inputs = _looked_at(replace(request, recipe=recipe), processes)
        data, dataset, labels = inputs.data, inputs.data.dataset, inputs.data.labels
        trainer = Trainer(inputs.recipe, data, dataset.taxonomy, processes.device, processes.rank, processes.count)
        if processes.first and not request.out.is_dir():
            held.enter_context(claimed(request.out, waiting))
        stored = replace(inputs.recipe, train=request.recipe.train)
        run = RunFolder(request, dataset, labels, processes.first, stored, data.digest, trainer.steps_per_epoch)
        processes.wait()  # until the first one has cleared the folder
        notes = [*run.taken(data.frame_ids, inputs.val_ids, inputs.truth), *run.notes, *_begun(request, run, trainer)]
        require_same_in_all(trainer)
        _say("note", notes if processes.first else [])
        advise(trainer.saved)
        with named_failures(lambda: trainer.saved):
            if not processes.first:
                processes.wait()  # until the first process has cut the paste bank and saved it
            data.bank = run.bank(data)
            if processes.first:
                processes.wait()
            fitted = _train(request, trainer, run, inputs, processes, advise)
        return replace(fitted, quarantined=data.num_failed, first=processes.first)


def _say_that_it_waits(request: FitRequest) -> None:
    """Say that another process trains in the folder; refuse at once if that is another run.

    Raises:
        StoreError: OUT001.
    """
    dataset, labels = open_data(request)
    RunFolder(request, dataset, labels, writes=False)
    _say(
        "note", [f"another process is training in {request.out}: this one waits for its end, then continues from there"]
    )


def _say(kind: str, texts: list[str]) -> None:
    for text in texts:
        print(f"{kind}: {text}", file=sys.stderr, flush=True)


def _begun(request: FitRequest, run: RunFolder, trainer: Trainer) -> list[str]:
    """Load the weights that a run starts or continues from; what changes by that."""
    checkpoint = run.checkpoint()
    if checkpoint is not None:
        trainer.load(checkpoint)
        trainer.progress = TrainingProgress(trainer.progress.step, run.best_value())
        return []
    return [] if request.init is None else start_from(request.init, trainer.model, run.recipe)


def _looked_at(request: FitRequest, processes: Processes, shows_progress: bool = True) -> Inputs:
    """The inputs of a training, after a look at all that it will need; the first process warns of what looks wrong."""
    require_sparse(request.recipe.detector.sparse, processes.device)
    inputs = open_inputs(request, processes.first and shows_progress)
    if processes.first:
        data, train = inputs.data, request.recipe.train
        _say("warning", [*inputs.warnings, *outlook.look(data)])
        _say("note", inputs.notes)
        require_shared_memory(_sample_bytes(data), train.batch_size, train.workers * local_processes())
    return inputs


def _sample_bytes(data: TrainingSet) -> float:
    """Bytes of the largest of some samples."""
    items, last = TrainingItems(data), len(data.frame_ids) - 1
    return max(nbytes(items[Key(last * k // 4, 0, k, False)]) for k in range(5))


def training_plan(request: FitRequest) -> str:
    """What `fit` would train on, and what it would take by some timed steps, for --dry-run; nothing is written.

    Raises:
        PointSamError: as `fit`.
    """
    if request.out.exists() and not request.out.is_dir():
        raise StoreError("OUT003", f"{request.out} is a file", "give the name of a folder with --out")
    with Processes.join(request.device) as processes:
        recipe = for_processes(request.recipe, begun(request.out), processes.count)
        inputs = _looked_at(replace(request, recipe=recipe), processes, shows_progress=False)
        data, config = inputs.data, recipe.train
        steps = count_steps(Steps(data, config.batch_size, 0, processes.count))
        if begun(request.out):
            RunFolder(request, data.dataset, data.labels, False, boxes=data.digest, steps_per_epoch=steps)
        started = []
        if request.init is not None and not begun(request.out):
            started = start_from(request.init, Detector(inputs.recipe.detector, data.dataset.taxonomy), inputs.recipe)
        with named_failures(lambda: "nothing was written"):
            of_process = (processes.device, processes.rank, processes.count)
            trainer = Trainer(inputs.recipe, data, data.dataset.taxonomy, *of_process)
            pace = measured(trainer, processes).text(inputs.recipe, steps)
    samples = len(data.order(0))
    rows = [(name, *counts, "{} of {}".format(*data.in_map[name])) for name, counts in data.frames_by_class().items()]
    lines = [
        text_table(("class", "frames with boxes", "with boxes or clusters", "boxes inside the map"), rows),
        f"{counted(len(data.frame_ids), 'frame')}, {data.num_failed} quarantined; {counted(samples, 'sample')} per "
        f"epoch, {counted(steps, 'step')} of batch size {config.batch_size} in {counted(processes.count, 'process')}, "
        f"{counted(config.epochs, 'epoch')}",
        f"{counted(len(inputs.val_ids), 'frame')} to validate",
        pace,
        *started,
    ]
    return "\n".join(lines)


def finished(request: FitRequest) -> ValidationDocument | None:
    """The validation after a run's last step; None if the run is not finished, or if it was scored by other boxes.

    Raises:
        StoreError: OUT001 if the folder holds another run, or one that was trained on other boxes, OUT004 if its
            scores.json is damaged; and what opening data and labels raises.
        SchemaError: SCH003 if the budget's boxes have changed.
    """
    if not (request.out / SCORES).exists():
        return None
    dataset, labels = open_data(request)
    data = training_set(request.recipe, dataset, labels, read_budget(request.budget), shows_progress=False)
    run = RunFolder(request, dataset, labels, writes=False, boxes=data.digest)
    scores = {} if run.new_split else run.scores()
    if not scores:
        return None
    last = scores[max(scores, key=int)]
    frame_ids = [] if request.val is None else split_frames(dataset, request.val, OTHER_VAL)
    same = last.is_of(read_truth(dataset, frame_ids).digest)
    return last if same and last.epochs == request.recipe.train.epochs else None


def _train(
    request: FitRequest,
    trainer: Trainer,
    run: RunFolder,
    inputs: Inputs,
    processes: Processes,
    advise: Callable[[str], None],
) -> Fitted:
    config, bad = request.recipe.train, {**run.left_out(), **trainer.data.bad}
    result: Score | None = None
    begin, validating, saved, done = time.perf_counter(), 0.0, time.perf_counter(), 0
    validates = bool(inputs.val_ids)
    validate = partial(_validate, request, trainer, run, inputs, processes)
    bar = progress(
        initial=trainer.progress.step, total=trainer.num_steps, desc="train", unit="step", disable=not processes.first
    )
    with bar, run.logs(trainer.progress.step) as log:
        if validates and _is_owed(trainer, run, config):  # an earlier call saved its weights and ended
            validate(trainer.progress.step // trainer.steps_per_epoch, bad)
        processes.wait()
        for report in trainer.run():
            done += 1
            bad.update(report.bad)
            bar.update()
            bar.set_postfix(epoch=report.epoch + 1, loss=f"{report.losses['loss']:.3f}", refresh=False)
            log.step(report)
            late = processes.first and time.perf_counter() - saved > 60 * config.checkpoint_minutes
            if report.last_of_epoch or late:
                trainer.save(run.last, run.about)
                advise(trainer.saved)
                saved = time.perf_counter()
            if validates and report.last_of_epoch and _is_due(report.epoch + 1, config):
                began = time.perf_counter()
                result = validate(report.epoch + 1, bad)
                if result is not None:
                    log.validated(report.step, _curves(result))
                validating += time.perf_counter() - began
            if report.last_of_epoch:
                processes.wait()
        if done == 0 and validates:  # the run was finished before
            result = validate(config.epochs, bad)
    return Fitted(result, done, time.perf_counter() - begin - validating, bad)


def _is_due(epochs: int, config: TrainConfig) -> bool:
    """Whether the network is validated after so many epochs."""
    return epochs % config.eval_epochs == 0 or epochs == config.epochs


def _is_owed(trainer: Trainer, run: RunFolder, config: TrainConfig) -> bool:
    """Whether the checkpoint that a run continues from was to be validated, and was not. The last one always is."""
    step = trainer.progress.step
    epochs, rest = divmod(step, trainer.steps_per_epoch)
    due = step > 0 and not rest and epochs < config.epochs and _is_due(epochs, config)
    return due and str(step) not in run.scores()


def _validate(
    request: FitRequest,
    trainer: Trainer,
    run: RunFolder,
    inputs: Inputs,
    processes: Processes,
    epochs: int,
    left_out: dict[str, str],
) -> Score | None:
    """Evaluate the network, whose weights are saved, in all processes.

    The first one keeps the score, and saves the network again if it is the best so far.
    """
    bad: dict[str, str] = {}
    dataset, workers = inputs.data.dataset, request.recipe.train.workers
    found = list(predict_frames(trainer.model, request.recipe, dataset, inputs.val_ids, workers, bad, processes))
    if not processes.first:
        return None
    detector = run.recipe.detector
    result = score(dataset, found, bad, detector.class_names, detector.grid.range_m)
    if inputs.leaks:
        result = replace(result, notes=(*result.notes, f"Warning: {inputs.leaks}."))
    value, before = result.quality.mean_ap, trainer.progress.best
    if not math.isnan(value) and (before is None or value >= before):  # of equal networks, the one trained longer
        trainer.save(run.best, run.about, best=value)
    if not trainer.progress.best:
        result = replace(result, notes=(*result.notes, _unproven(trainer.progress.best)))
    run.keep_score(trainer, epochs, left_out, result, inputs.truth)
    return result


def _unproven(best: float | None) -> str:
    """A sentence that no validation has told the networks of a run apart yet."""
    if best is None:
        return (
            f"Warning: no validation of this run has a mAP: no object of a trained class was scored. It has no {BEST} "
            f"of this split; without one, eval and predict use {LAST}."
        )
    return f"Warning: no validation of this run found an object, so that {BEST} is the network of the last one."


def _curves(result: Score) -> dict[str, float]:
    """Figures of a validation for TensorBoard."""
    curves = {"val/mean_ap": result.quality.mean_ap}
    figures = result.official.figures or {}
    official = {f"val/{name}": value for name, value in figures.items() if isinstance(value, float)}
    return curves | official
