"""The protocol of heads suffices: one that the package does not know does all that centres and anchors do.

What it takes besides the head itself are the two patches of the fixture: the lines in heads/union.py and recipes.py.
"""

import csv
import json
from dataclasses import replace
from typing import Annotated

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.toy_head import ToyHeadConfig, toy  # noqa: E402
from pydantic import Field  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.checkpoints import load_run  # noqa: E402
from pipelines.training.recipe_file import load_recipe  # noqa: E402
from pipelines.training.settings import EXPERIMENTS, Inputs  # noqa: E402
from pointsam.base import document  # noqa: E402
from pointsam.detect import detector  # noqa: E402
from pointsam.detect.data.budget_file import write_budget  # noqa: E402
from pointsam.detect.heads.roi import RoiHeadConfig  # noqa: E402
from pointsam.detect.heads.union import AnchorHeadConfig, CenterHeadConfig  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402


@pytest.fixture(autouse=True)
def known(monkeypatch):
    union = Annotated[CenterHeadConfig | AnchorHeadConfig | ToyHeadConfig, Field(discriminator="kind")]
    monkeypatch.setattr(detector, "HeadUnion", union)
    monkeypatch.setattr(document, "_adapter", document._adapter.__wrapped__)  # it keeps the heads that it saw first
    monkeypatch.setitem(RECIPES, "toy", toy)


def mixsup(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def two_stages():
    recipe = toy()
    roi = RoiHeadConfig(cells=2, point_channels=8, channels=16)
    return replace(recipe, name="toy-two-stage", detector=replace(recipe.detector, roi=roi))


def test_it_is_listed_by_its_kind_and_printed_as_a_file(tmp_path):
    line = next(line for line in mixsup("recipes").splitlines() if line.startswith("toy "))
    assert line.endswith("pillar 64 x 64 x 1, toy")
    (tmp_path / "toy.json").write_text(mixsup("recipes", "toy"))
    assert load_recipe(str(tmp_path / "toy.json")) == toy()
    assert load_recipe("toy", ["detector.head.most=5"]).detector.head.most == 5


@pytest.mark.parametrize("build", [toy, two_stages])
def test_it_is_trained_scored_and_predicts(build, world, labels, budget, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, build().name, build)
    write_budget(tmp_path / "budget.parquet", budget)
    paths = ["--data", world.root, "--labels", labels.out, "--budget", tmp_path / "budget.parquet"]
    run = tmp_path / "run"
    mixsup("fit", build().name, *paths, "--out", run, "--val", "mini_val", "--set", "train.epochs=4")
    losses = [float(row["loss"]) for row in csv.DictReader((run / "losses.csv").open())]
    assert len(losses) == 16
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    made = json.loads(mixsup("predict", run, "--data", world.root, "--dest", tmp_path, "--workers", 0, "--json"))
    assert made["frames"] == 8
    more = ["--workers", 0, "--overwrite", "--min-score", 1, "--json"]
    assert json.loads(mixsup("predict", run, "--data", world.root, "--dest", tmp_path, *more))["boxes"] == 0
    trained, recipe = load_run(run, world, "cpu")
    assert recipe.detector.head == toy().detector.head
    torch.manual_seed(recipe.train.seed)
    fresh = detector.Detector(recipe.detector, world.taxonomy).state_dict()
    moved = [name for name, value in trained.state_dict().items() if not torch.equal(value, fresh[name])]
    assert {"head.logits.weight", "head.boxes.weight"} <= set(moved)
    assert made["boxes"] > 0


def test_experiments_take_its_assignment_apart_and_give_it_centres():
    *_, last = EXPERIMENTS["assignment"].settings(Inputs(toy()))
    assert last.name.endswith(", no boxes")
    assert last.change(toy()).detector.head == replace(toy().detector.head, box_weight=0.0)
    assert "centers" in {setting.coarse["kind"] for setting in EXPERIMENTS["coarse"].settings(Inputs(toy()))}
