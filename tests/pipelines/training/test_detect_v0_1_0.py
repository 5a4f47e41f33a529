"""Recipes, checkpoints and run folders of mixsup-train 0.1.0 still open (tests/data/v0_1_0/detect/README.md)."""

import csv
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.training import make_world  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.checkpoints import load_run  # noqa: E402
from pipelines.training.recipe_file import document_of, load_recipe  # noqa: E402
from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.boxes import wrapped  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint, TrainingProgress, save_checkpoint  # noqa: E402
from pointsam.detect.detector import Batch  # noqa: E402
from pointsam.detect.nets.encoders import EncoderConfig  # noqa: E402
from pointsam.detect.nets.grid import Grid  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402

OLD = Path(__file__).parents[2] / "data" / "v0_1_0" / "detect"
EXPECTED = json.loads((OLD / "expected.json").read_text())
RUNS = ("center", "two_stage")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("v0_1_0") / "root")


@pytest.mark.parametrize("name", ["center", "anchor", "two_stage"])
def test_a_recipe_opens_and_prints_as_a_file_that_is_the_recipe(name, tmp_path):
    recipe = load_recipe(str(OLD / f"{name}.json"))
    assert recipe.name == name
    assert recipe.detector.class_names == ("car", "pedestrian", "bicycle")
    assert (recipe.detector.roi is None) == (name != "two_stage")
    (tmp_path / "again.json").write_text(json.dumps(document_of(recipe)))
    assert load_recipe(str(tmp_path / "again.json")) == recipe


def test_weights_of_the_wider_encoder_open_by_their_own_recipe_and_no_other(tmp_path):
    """The plain encoder of 0.1.0 had 128 channels in its last stage; that of kitti-second has 64 now."""
    grid = Grid((0.0, 0.0, -3.0, 3.2, 3.2, 1.0), (0.2, 0.2, 0.1))
    wide, narrow = EncoderConfig("voxel", residual=False), RECIPES["kitti-second"]().detector.encoder
    old = wide.build(grid, 5)
    save_checkpoint(tmp_path / "old.safetensors", old, torch.optim.AdamW(old.parameters()), TrainingProgress(), {})
    checkpoint = Checkpoint(tmp_path / "old.safetensors")
    checkpoint.load_model(wide.build(grid, 5))
    with pytest.raises(SchemaError, match=r"SCH003.*weights of another network") as raised:
        checkpoint.load_model(narrow.build(grid, 5))
    assert raised.value.hint == "use the recipe that the checkpoint was trained with"


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_predicts_the_same_boxes(name, world):
    expected = EXPECTED[name]
    points = torch.tensor([[*row, 0.0] for row in EXPECTED["points"]])
    detector, recipe = load_run(OLD / f"run_{name}", world, "cpu")
    with torch.no_grad():
        (found,) = detector.eval()(Batch(("frame",), (points,), (len(points),)))
    assert recipe == load_recipe(str(OLD / f"{name}.json"))
    assert len(found) == expected["count"]
    first = len(expected["score"])
    torch.testing.assert_close(found.score[:first], torch.tensor(expected["score"]), rtol=0, atol=1e-4)
    boxes = torch.tensor(expected["boxes"])
    boxes[:, 6] = wrapped(boxes[:, 6])  # yaws of 0.1.0 reached 9 pi / 4
    torch.testing.assert_close(found.boxes[:first], boxes, rtol=0, atol=1e-3)
    assert found.class_id[:first].tolist() == expected["class_id"]


def fit(name, world, run, *more, edit=json.dumps):
    """Call `fit` again on a copy of an old run, whose fit.json `edit` writes."""
    shutil.copytree(OLD / f"run_{name}", run)
    decides = json.loads((run / "fit.json").read_text())
    decides["dataset"] = world.fingerprint()  # poses are sines: the last bit may differ between machines
    (run / "fit.json").write_text(edit(decides))
    paths = ["--data", world.root, "--budget", OLD / "budget.parquet", "--out", run]
    arguments = [str(part) for part in ("fit", OLD / f"{name}.json", *paths, "--val", "", *more)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_a_run_of_another_head_is_refused_by_its_field_of_today(world, tmp_path):
    result = fit("center", world, tmp_path / "run", "--set", "detector.head.reach=0")
    refused(result, "OUT001", "holds another run: recipe.detector.head.reach: 1 -> 0\n")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda _: "", "not valid JSON"),
        (lambda _: "{}", "recipe is missing"),
        (lambda _: "[" * 100_000, "nested too deeply"),
        (lambda decides: json.dumps({**decides, "processes": "1"}), "processes is wrong"),
        (lambda decides: json.dumps({**decides, "splits": "val"}), "splits is not a field"),
    ],
)
def test_a_run_whose_record_is_damaged_is_refused_by_its_field(world, tmp_path, edit, told):
    refused(fit("center", world, tmp_path / "run", edit=edit), "OUT004", tmp_path / "run" / "fit.json", told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: {}, "about is missing"),
        (lambda said: {**said, "place": {"step": "1"}}, "place.step is wrong"),
        (lambda said: {**said, "about": {"recipe": said["about"]["recipe"]}}, "taxonomy is missing"),
        (lambda _: "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_checkpoint_with_other_words_is_refused_by_its_field(world, tmp_path, change, told):
    with safe_open(OLD / "run_center" / "last.safetensors", "pt") as file:
        said = change(json.loads(file.metadata()["pointsam"]))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    text = said if isinstance(said, str) else json.dumps(said)
    save_file(tensors, tmp_path / "last.safetensors", {"pointsam": text})
    with pytest.raises(SchemaError, match=rf"SCH003.*last\.safetensors: no readable checkpoint.*{told}"):
        load_run(tmp_path, world, "cpu")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_to_the_same_losses(name, world, tmp_path):
    run = tmp_path / "run"
    result = fit(name, world, run)
    assert result.exit_code == 0, result.output
    assert "4 steps" in result.output
    found = [float(row["loss"]) for row in csv.DictReader((run / "losses.csv").open())]
    assert found == pytest.approx(EXPECTED[name]["losses"][12:], rel=0.01)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_evaluated_predicted_and_shown(name, world, tmp_path):
    shutil.copytree(OLD / f"run_{name}", tmp_path / "run")
    commands = (["eval"], ["predict", "--dest", str(tmp_path / "found")], ["show", "--dest", str(tmp_path / "look")])
    for name, *words in commands:
        words += ["--data", str(world.root), "--split", "mini_val"]
        result = CliRunner().invoke(main, [name, str(tmp_path / "run"), *words])
        assert result.exit_code in (0, 3), result.output  # 3: the images of this root are empty files
    assert (tmp_path / "found" / "detections.parquet").exists()
    assert "detection" in (tmp_path / "look" / "index.html").read_text()
