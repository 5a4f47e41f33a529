"""Run a named experiment: train what is not done, score it, and write its page.

Each setting and seed is a run folder of its own, so that a broken-off experiment goes on where it stopped. All take the
same number of steps: what has fewer frames repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.budget import draw_budget
from pipelines.experiment_page import Row, write_page
from pipelines.experiments import EXPERIMENTS, Inputs, Setting
from pipelines.fit import FitRequest, fit
from pipelines.predict import evaluate_run
from pointsam.datasets import open_dataset
from pointsam.datasets.base import Dataset
from pointsam.detect.budget import Budget
from pointsam.detect.budget_file import read_budget
from pointsam.errors import SchemaError
from pointsam.report.curves import matplotlib
from pointsam.store.files import make_folder, write_together


@dataclass(frozen=True)
class ExperimentRequest:
    """One call.

    Args:
        name: a key of EXPERIMENTS.
        inputs: what its settings are made of.
        data: the root.
        out: folder of all runs and the page.
        seeds: of training; budgets are drawn once.
        splits: to train and to validate on.
        device: as `fit` takes it.
        only: positions of settings, all if none.
        other: a root with the same classes whose validation split is scored as well.
        command: that asked for it, for the page.
    """

    name: str
    inputs: Inputs
    data: Path
    out: Path
    seeds: Sequence[int] = (0,)
    splits: tuple[str, str] = ("train", "val")
    device: str = "cpu"
    only: Sequence[int] = ()
    other: Path | None = None
    command: str = ""


@dataclass(frozen=True)
class Done:
    """What came of it.

    Args:
        text: the tables.
        page: the page's path.
        failed: by setting that cannot be trained, why.
    """

    text: str
    page: Path
    failed: dict[str, str]


def run_experiment(request: ExperimentRequest) -> Done:
    """Train every setting and seed that is not done, and write the page of what is.

    Raises:
        SchemaError: SCH005 on a position that is none, or if no setting can be trained; and what reading raises.
        BackendError: BCK005 without matplotlib; and what `fit` raises.
    """
    matplotlib()
    if request.name not in EXPERIMENTS:
        raise SchemaError("SCH005", f"no experiment {request.name!r}", f"use one of: {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[request.name]
    chosen = experiment.settings(request.inputs)
    if any(not 0 <= k < len(chosen) for k in request.only):
        told = f"--only {list(request.only)}: there are settings 0 to {len(chosen) - 1}"
        raise SchemaError("SCH005", told, "give those")
    if request.name == "transfer" and request.other is None:
        raise SchemaError("SCH005", "experiment transfer: in which other world?", "give --other ROOT")
    dataset = open_dataset(request.data)
    other = None if request.other is None else open_dataset(request.other)
    make_folder(request.out)
    rows, failed = [], {}
    for index, setting in enumerate(chosen):
        budget_path, budget = _budget(request, dataset, setting)
        scores = []
        for seed in request.seeds:
            run = request.out / f"{setting.folder}-{seed}"
            if not request.only or index in request.only:
                try:
                    fit(_request(request, setting, seed, run, budget_path, budget))
                except SchemaError as error:  # a budget without a box of some class, say: the others can be trained
                    failed[setting.name] = str(error)
                    break
            if (run / "scores.json").exists():
                scores.append(_last(run) | {"other": _elsewhere(run, other, request)})
        if scores:
            rows.append(Row(setting, _cost(setting, budget), scores))
    if failed and not rows:
        raise SchemaError("SCH005", f"nothing can be trained: {next(iter(failed.values()))}", "mend this first")
    text, page = write_page(request.name, experiment, rows, request.out, request.command)
    return Done(text, page, failed)


def _budget(request: ExperimentRequest, dataset: Dataset, setting: Setting) -> tuple[Path, Budget]:
    config = setting.budget
    share = f"-{config.box_share:g}" if config.rule == "cost" else ""
    path = request.out / f"budget-{config.rule}-{config.fraction:g}{share}.parquet"
    if not path.exists():
        draw_budget(dataset, request.splits[0], config, path)
    return path, read_budget(path)


def _request(
    request: ExperimentRequest, setting: Setting, seed: int, run: Path, budget_path: Path, budget: Budget
) -> FitRequest:
    recipe = request.inputs.recipe if setting.change is None else setting.change(request.inputs.recipe)
    boxed = sum(1 for boxes in budget.frames.values() if boxes)
    used = boxed if setting.coarse.kind == "none" else len(budget.frames)
    repeat = max(round(int(str(budget.description["frames"])) / max(used, 1)), 1)
    food = replace(recipe.data, coarse=setting.coarse, repeat=recipe.data.repeat * repeat)
    mine = replace(recipe, data=food, train=replace(recipe.train, seed=seed))
    return FitRequest(
        mine,
        request.data,
        budget_path,
        run,
        setting.labels,
        val=request.splits[1],
        device=request.device,
        allow_noise=setting.labels in request.inputs.wrong,
    )


def _cost(setting: Setting, budget: Budget) -> float:
    """Parts of boxing everything; what PointSAM labels costs nothing."""
    free = setting.coarse.kind in ("none", "tables")
    return float(str(budget.description["cost_boxes_only" if free else "cost_with_clusters"]))


def _last(run: Path) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = json.loads((run / "scores.json").read_text())
    return scores[max(scores, key=int)]


def _elsewhere(run: Path, other: Dataset | None, request: ExperimentRequest) -> dict[str, Any] | None:
    """Scores on the other root, made once."""
    if other is None:
        return None
    path = run / f"elsewhere-{other.fingerprint()[:12]}.json"
    if not path.exists():
        score = evaluate_run(run, other, request.splits[1], request.device, request.inputs.recipe.train.workers)
        write_together([(path, json.dumps(score.as_dict()).encode())])
    document: dict[str, Any] = json.loads(path.read_text())
    return document
