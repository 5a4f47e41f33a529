"""Run a named experiment: train the missing runs, evaluate them, and write the page.

Each setting and seed has its own run folder, so that an interrupted experiment resumes. All runs take the same number
of steps: an epoch has as many samples as the split has frames, whatever the budget is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from pipelines.data import DataSpec
from pipelines.opened import open_labels
from pipelines.training.budget import draw_budget, objects_of
from pipelines.training.checkpoints import LAST
from pipelines.training.experiment_page import HOME, OTHER, Page, SettingScores, write_page
from pipelines.training.fit import finished, fit
from pipelines.training.predict import evaluate_run
from pipelines.training.request import FitRequest
from pipelines.training.scores import ScoreDocument
from pipelines.training.settings import EXPERIMENTS, Experiment, Inputs, Setting
from pipelines.training.splits import split_frames
from pipelines.training.truth import read_truth
from pointsam.base.document import document_bytes, read_document
from pointsam.base.errors import BackendError, PointSamError, SchemaError, StoreError
from pointsam.base.files import write_together
from pointsam.base.locks import claimed
from pointsam.base.runtime import require_device
from pointsam.datasets.mapped import truth_notes
from pointsam.detect.data.budget import Budget, Objects
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.data.labelled import require_labelled
from pointsam.detect.nets.sparse import require_sparse
from pointsam.detect.readers import IN_RECIPE
from pointsam.store.layout import damaged
from pointsam.store.reader import LabelStage


@dataclass(frozen=True)
class ExperimentRequest:
    """One call.

    Args:
        name: a key of EXPERIMENTS.
        inputs: detector, labels and amounts that the settings use.
        data: the data set.
        out: folder of all runs and the page.
        seeds: seeds of the runs; each draws a budget and seeds a training.
        splits: the training split and the validation split.
        device: device of the network, as `fit` takes it.
        only: positions of the settings to train; all if empty.
        other: the other world: a data set with the same classes on which every detector is evaluated too.
        other_split: split of `other` to evaluate on; the validation split if empty.
        command: the command line, for the page.
        stage: the stage whose labels are trained on, None for the last one that is finished.
    """

    name: str
    inputs: Inputs
    data: DataSpec
    out: Path
    seeds: Sequence[int] = (0,)
    splits: tuple[str, str] = ("train", "val")
    device: str = "cpu"
    only: Sequence[int] = ()
    other: DataSpec | None = None
    other_split: str = ""
    command: str = ""
    stage: LabelStage | None = None


def run_experiment(request: ExperimentRequest) -> Page:
    """Train every setting and seed that is not finished, and write the page of all finished runs.

    Raises:
        SchemaError: SCH003 to SCH005 if the inputs do not fit together (before training), or if no setting can be
            trained.
        PointSamError: what `fit` raises.
    """
    experiment, chosen, worlds = _checked(request)
    rows, left_out, notes = [], dict[str, str](), hidden(request)
    for index, setting in enumerate(chosen):
        scores, costs = dict[int, dict[str, ScoreDocument]](), []
        asked = not request.only or index in request.only
        for seed in request.seeds:
            path, budget = worlds[setting.in_other_world].budget(request, setting, seed)
            wanted = _request(request, worlds, setting, seed, path, budget)
            run = f"{setting.name}, seed {seed}"
            why = _unfit(request, budget)
            bare = _without_boxes(request, budget)
            if why is None and asked:
                why = _trained(wanted)
            if why is not None:
                if asked:
                    left_out[run] = why
                continue
            own = finished(wanted)
            if own is not None:
                if bare:
                    notes.append(f"Not trained for want of boxes, and not part of the mAP of {run}: {', '.join(bare)}.")
                scores[seed] = {OTHER if setting.in_other_world else HOME: own}
                frames = {**own.left_out, **own.bad}
                if len(worlds) == 2:
                    crossed = _crossed(request, worlds, setting, wanted)
                    scores[seed][HOME if setting.in_other_world else OTHER] = crossed
                    frames |= crossed.bad
                left_out |= {f"{run}, frame {frame_id}": problem for frame_id, problem in frames.items()}
                if own.quarantined:
                    left_out[run] = f"{own.quarantined} quarantined frames have no labels"
                for frame_id, problem in (budget.description.left_out or {}).items():
                    left_out[f"{run}, frame {frame_id}"] = problem
                costs.append(_cost(setting, budget))
        if scores:
            rows.append(SettingScores(setting, sum(costs) / len(costs), scores))
    if left_out and not rows:
        what, why = next(iter(left_out.items()))
        raise SchemaError("SCH005", f"nothing can be trained: {what}: {why}", "correct this first")
    seeds = ", ".join(map(str, request.seeds))
    about = [f"`{request.command}`"] if request.command else []
    about.append(f"Seeds (each sets the budget and the training): {seeds}. Device: {request.device}.")
    for world in worlds:
        notes += truth_notes(world.dataset)
    return write_page(request.name, experiment, rows, request.out, about, left_out, notes)


def planned(request: ExperimentRequest) -> list[tuple[int, str, str]]:
    """Position, name and finished seeds of each setting, for --dry-run; nothing is written.

    Raises:
        SchemaError: SCH003 to SCH005 if the inputs do not fit together.
    """
    _, chosen, worlds = _checked(request)
    rows = []
    for index, setting in enumerate(chosen):
        done = []
        for seed in request.seeds:
            path = worlds[setting.in_other_world].budget_path(request, setting, seed)
            if path.exists():
                budget = worlds[setting.in_other_world].drawn(request, path)
                if finished(_request(request, worlds, setting, seed, path, budget)):
                    done.append(str(seed))
        rows.append((index, setting.name, ",".join(done) or "-"))
    return rows


def hidden(request: ExperimentRequest) -> list[str]:
    """A sentence about settings that need PointSAM's labels, if the call has none."""
    inputs = request.inputs
    if inputs.labels is not None or inputs.wrong:
        return []
    settings = EXPERIMENTS[request.name].settings
    more = {setting.name for setting in settings(replace(inputs, labels=request.out))}
    names = sorted(more - {setting.name for setting in settings(inputs)})
    return [f"Left out, because they need --labels OUT of pointsam-label: {'; '.join(names)}."] if names else []


def _without_boxes(request: ExperimentRequest, budget: Budget) -> list[str]:
    """Classes of the recipe without a box in a budget; they are not trained."""
    drawn = budget.description.classes
    return [name for name in request.inputs.recipe.detector.class_names if name not in drawn or not drawn[name].boxes]


def _unfit(request: ExperimentRequest, budget: Budget) -> str | None:
    """Why a budget cannot be trained on."""
    names = request.inputs.recipe.detector.class_names
    return "its budget has no box of any class" if len(_without_boxes(request, budget)) == len(names) else None


def _trained(wanted: FitRequest) -> str | None:
    """Train a run to its end, and validate it again if a frame could not be read, which may be readable today.

    Returns:
        The error if it fails, so that the other settings continue.
    """
    try:
        before = finished(wanted)
        if before is None or before.bad:
            fit(wanted)
    except (StoreError, BackendError):  # all others would fail too
        raise
    except PointSamError as error:
        return f"{error.code}: {error.message}; {error.hint}"
    return None


class _World:
    """A data set, and the objects of its training split; they are counted when the first budget is drawn."""

    def __init__(self, spec: DataSpec) -> None:
        self.spec, self.dataset = spec, spec.open()
        self._objects: Objects | None = None

    def budget_path(self, request: ExperimentRequest, setting: Setting, seed: int) -> Path:
        """The file of the budget of a setting and seed."""
        config = setting.budget
        share = f"-{config.box_share:g}" if config.rule == "cost" else ""
        of = f"{'other-' * setting.in_other_world}{self.dataset.fingerprint()[:12]}"  # two worlds may share frame ids
        return request.out / f"budget-{of}-{config.rule}-{config.fraction:g}{share}-{seed}.parquet"

    def budget(self, request: ExperimentRequest, setting: Setting, seed: int) -> tuple[Path, Budget]:
        """The budget of a setting and its file; it is drawn if the file does not exist."""
        path = self.budget_path(request, setting, seed)
        with claimed(request.out):  # only one of two concurrent calls draws it
            if not path.exists():
                if self._objects is None:
                    self._objects = objects_of(self.dataset, request.splits[0], count=True)
                config = replace(setting.budget, seed=seed)
                draw_budget(self.dataset, request.splits[0], config, path, self._objects)
        return path, self.drawn(request, path)

    @staticmethod
    def drawn(request: ExperimentRequest, path: Path) -> Budget:
        """Read a budget.

        Raises:
            SchemaError: SCH003 if it was drawn from another split.
        """
        budget = read_budget(path)
        if budget.description.split != request.splits[0]:
            raise SchemaError(
                "SCH003",
                f"{path} was drawn from split {budget.description.split!r}, not {request.splits[0]!r}",
                "give another --out",
            )
        return budget


def _checked(request: ExperimentRequest) -> tuple[Experiment, list[Setting], list[_World]]:
    """The experiment, its settings, and its one or two worlds; wrong inputs are rejected here."""
    if request.name not in EXPERIMENTS:
        raise SchemaError("SCH005", f"no experiment {request.name!r}", f"use one of: {', '.join(EXPERIMENTS)}")
    require_sparse(request.inputs.recipe.detector.sparse, require_device(request.device))
    experiment = EXPERIMENTS[request.name]
    if experiment.two_worlds and request.other is None:
        raise SchemaError("SCH005", f"experiment {request.name} needs another world", "give --other ROOT")
    if request.other_split and (experiment.two_worlds or request.other is None):
        why = "this experiment uses the validation split there" if experiment.two_worlds else "--other is missing"
        raise SchemaError("SCH005", f"--other-split {request.other_split}: {why}", "omit --other-split")
    if request.inputs.wrong and request.name != "noise":
        raise SchemaError("SCH005", f"experiment {request.name} does not use --wrong", "omit --wrong")
    if not request.seeds:
        raise SchemaError("SCH005", "--seeds is empty", "give --seeds 0, or 0,1,2")
    chosen = experiment.settings(request.inputs)
    if any(not 0 <= k < len(chosen) for k in request.only):
        raise SchemaError(
            "SCH005",
            f"--only {','.join(map(str, request.only))}: the settings are 0 to {len(chosen) - 1}",
            "give positions of settings; --dry-run lists them",
        )
    worlds = [_World(spec) for spec in (request.data, request.other) if spec is not None]
    dataset = worlds[0].dataset
    if request.other is not None:
        other = worlds[1].dataset
        if other.taxonomy.names != dataset.taxonomy.names:
            raise SchemaError(
                "SCH004",
                f"the classes of {other.root} are {list(other.taxonomy.names)}, those of {dataset.root} are "
                f"{list(dataset.taxonomy.names)}",
                "give an --other with the same classes",
            )
    for world in worlds if experiment.two_worlds else worlds[:1]:
        for split, option in zip(request.splits, ("--train-split", "--val-split"), strict=True):
            split_frames(world.dataset, split, f"name the split with {option} SPLIT")
    if not experiment.two_worlds:
        split_frames(worlds[-1].dataset, _other_split(request), "name the split with --other-split SPLIT")
    for folder in dict.fromkeys(setting.labels for setting in chosen if setting.labels is not None):
        labels = open_labels(folder, dataset, folder in request.inputs.wrong, request.stage)
        require_labelled(labels, dataset, split_frames(dataset, request.splits[0]))
    return experiment, chosen, worlds


def _request(
    request: ExperimentRequest,
    worlds: Sequence[_World],
    setting: Setting,
    seed: int,
    budget_path: Path,
    budget: Budget,
) -> FitRequest:
    recipe = request.inputs.recipe if setting.change is None else setting.change(request.inputs.recipe)
    coarse = replace(recipe.data.coarse, **setting.coarse)  # type: ignore[arg-type]
    data = replace(recipe.data, coarse=coarse, samples=budget.description.frames * recipe.data.repeat)
    return FitRequest(
        replace(recipe, data=data, train=replace(recipe.train, seed=seed)),
        worlds[setting.in_other_world].spec,
        budget_path,
        request.out / f"{setting.folder}-{seed}",
        setting.labels,
        val=request.splits[1],
        device=request.device,
        allow_noise=setting.labels in request.inputs.wrong,
        stage=request.stage,
    )


def _cost(setting: Setting, budget: Budget) -> float:
    """Cost of the labels relative to boxes for all objects; PointSAM labels cost nothing."""
    free = setting.coarse["kind"] in ("none", "tables")
    return budget.description.cost_boxes_only if free else budget.description.cost_with_clusters


def _other_split(request: ExperimentRequest) -> str:
    return request.other_split or request.splits[1]


def _crossed(request: ExperimentRequest, worlds: Sequence[_World], setting: Setting, run: FitRequest) -> ScoreDocument:
    """Scores of a finished run in the world that it was not trained in; computed once.

    Raises:
        StoreError: OUT004 if the file of an earlier call is damaged; and what `evaluate_run` raises.
    """
    dataset, split = worlds[not setting.in_other_world].dataset, _other_split(request)
    path = run.out / f"away-{dataset.fingerprint()[:12]}-{quote(split, safe='')}.json"
    with claimed(run.out):  # only one of two concurrent calls computes it
        frame_ids = split_frames(dataset, split)
        truth = read_truth(dataset, frame_ids).digest
        if path.exists():
            before = read_document(path, ScoreDocument, lambda why: damaged(path, why))
            if not before.bad and before.is_of(truth):  # frames that could not be read may be readable today
                return before
        workers = run.recipe.train.workers
        score = evaluate_run(run.out, dataset, frame_ids, request.device, workers, LAST, IN_RECIPE)
        document = replace(score.document, truth=truth)
        write_together([(path, document_bytes(document, indent=1, sort_keys=False))])
    return document
