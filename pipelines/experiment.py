"""`mixsup-train experiment supervision`: the same detector on all boxes, on a tenth, and on a tenth with clusters.

Each setting and seed is a run folder of its own, so that a broken-off experiment goes on where it stopped. All take the
same number of steps: what has fewer frames repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.budget import draw_budget
from pipelines.fit import FitRequest, fit
from pipelines.tables import text_table
from pointsam.datasets import open_dataset
from pointsam.detect.budget import BudgetConfig
from pointsam.detect.coarse import CoarseConfig
from pointsam.detect.recipe import Recipe
from pointsam.errors import SchemaError

ALL = "all boxes"


@dataclass(frozen=True)
class Setting:
    """One kind of supervision.

    Args:
        name: for the table.
        budget: which boxes may be seen.
        coarse: what the other objects give.
        repeat: of the frames in an epoch.
    """

    name: str
    budget: BudgetConfig
    coarse: CoarseConfig
    repeat: int = 1

    @property
    def labels(self) -> bool:
        """Whether it needs those of a labelling run."""
        return self.coarse.kind == "tables"

    @property
    def folder(self) -> str:
        """Of its runs."""
        return self.name.replace(" ", "_").replace("%", "pc").replace(",", "")


def settings(fraction: float) -> tuple[Setting, ...]:
    """The rows of the table.

    Args:
        fraction: of the boxes.
    """
    share, none = f"{fraction:.0%}", CoarseConfig("none")
    some = BudgetConfig(fraction, "class")
    blind = CoarseConfig("tables", unknown_unseen=False, unknown_dropped=False)
    return (
        Setting(ALL, BudgetConfig(1.0), none),
        Setting(f"{share} of the frames", BudgetConfig(fraction, "frame"), none, repeat=round(1 / fraction)),
        Setting(f"{share} and simulated clusters", some, CoarseConfig("simulated")),
        Setting(f"{share} and PointSAM", some, blind),
        Setting(f"{share} and PointSAM, ignore regions", some, CoarseConfig("tables")),
    )


def supervision(
    recipe: Recipe,
    data: Path,
    labels: Path | None,
    out: Path,
    seeds: Sequence[int],
    fraction: float,
    splits: tuple[str, str],
    device: str,
    only: Sequence[int] = (),
) -> str:
    """Train every setting and seed that is not done, and give the table of what is.

    Args:
        recipe: the detector and its schedule.
        data: the root.
        labels: of a labelling run of the training split; without them the last two settings are left out.
        out: folder of all runs.
        seeds: of training; budgets are drawn once.
        fraction: of the boxes.
        splits: to train and to validate on.
        device: as `fit` takes it.
        only: positions of settings, all if none.

    Raises:
        SchemaError: SCH005 on a position that is none; and what `fit` raises.
    """
    chosen = [s for s in settings(fraction) if labels is not None or not s.labels]
    if any(not 0 <= k < len(chosen) for k in only):
        raise SchemaError("SCH005", f"--only {list(only)}: there are settings 0 to {len(chosen) - 1}", "give those")
    results: dict[str, list[dict[str, Any]]] = {}
    for index, setting in enumerate(chosen):
        for seed in seeds:
            run = out / f"{setting.folder}-{seed}"
            if not only or index in only:
                fit(_request(recipe, data, labels, out, run, setting, seed, splits, device))
            if (run / "scores.json").exists():
                results.setdefault(setting.name, []).append(_last(run / "scores.json"))
    return table(results)


def _request(
    recipe: Recipe,
    data: Path,
    labels: Path | None,
    out: Path,
    run: Path,
    setting: Setting,
    seed: int,
    splits: tuple[str, str],
    device: str,
) -> FitRequest:
    budget = out / f"budget-{setting.budget.rule}-{setting.budget.fraction:g}.parquet"
    if not budget.exists():
        out.mkdir(parents=True, exist_ok=True)
        draw_budget(open_dataset(data), splits[0], setting.budget, budget)
    food = replace(recipe.data, coarse=setting.coarse, repeat=recipe.data.repeat * setting.repeat)
    mine = replace(recipe, data=food, train=replace(recipe.train, seed=seed))
    return FitRequest(mine, data, budget, run, labels if setting.labels else None, val=splits[1], device=device)


def _last(path: Path) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return scores[max(scores, key=int)]


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Mean average precision of each setting, its share of that of all boxes, NDS, and AP by class; means of seeds.

    Args:
        results: scores of each seed by setting, as scores.json has them.
    """
    if not results:
        return "nothing was trained"
    names = [c["name"] for c in next(iter(results.values()))[0]["quality"]["classes"] if c["num_objects"]]
    whole = np.mean([s["quality"]["mean_ap"] for s in results[ALL]]) if ALL in results else float("nan")
    rows = []
    for setting, scores in results.items():
        maps = np.array([s["quality"]["mean_ap"] for s in scores])
        nds = [s["official"]["NDS"] for s in scores if s["official"]]
        by_class = [_mean_ap(scores, name) for name in names]
        spread = float(maps.max() - maps.min()) if len(maps) > 1 else float("nan")
        share = float(maps.mean() / whole) if whole else float("nan")
        mean_nds = float(np.mean(nds)) if nds else float("nan")
        rows.append((setting, len(maps), float(maps.mean()), spread, share, mean_nds, *by_class))
    return text_table(("supervision", "seeds", "mAP", "spread", "of all", "NDS", *names), rows)


def _mean_ap(scores: Sequence[dict[str, Any]], name: str) -> float:
    values = [c["ap"] for s in scores for c in s["quality"]["classes"] if c["name"] == name]
    return float(np.mean([float("nan") if value is None else value for value in values]))
