"""Detectors of classes of the user's own, and data sets whose ground truth is damaged in part."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_budget, make_labels, make_world  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.recipe_file import document_of, load_recipe  # noqa: E402
from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.datasets.mapped import with_classes  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect.data.budget_file import read_budget, write_budget  # noqa: E402
from pointsam.taxonomy import NUSCENES, ClassSpec, Taxonomy  # noqa: E402

OWN = Taxonomy(
    "own",
    (ClassSpec("vehicle", vehicle=True, size_lwh_m=(4.5, 1.9, 1.7)), ClassSpec("worker", size_lwh_m=(0.7, 0.7, 1.8))),
    {"car": "vehicle", "pedestrian": "worker"},
)


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("own") / "root", samples=2)


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    path = tmp_path_factory.mktemp("mapping") / "mapping.json"
    path.write_text(
        json.dumps(
            {"taxonomy": {**OWN.as_dict(), "truth": None}, "labels": {"a": "worker"}} | {"truth": dict(OWN.truth)}
        )
    )
    return path


def test_named_recipes_are_changed_to_own_classes(mapping):
    named = load_recipe("synthetic-small", [], OWN)
    assert named.detector.head.groups == (("vehicle",), ("worker",))
    assert named.detector.head.smallest_radius == {"worker": 2}
    assert named.data.paste.counts == {"vehicle": 2, "worker": 2}
    second = load_recipe("kitti-second", [], OWN).detector.head.anchors
    assert [(a.name, a.size_lwh_m, a.center_z_m) for a in second] == [
        ("vehicle", (4.5, 1.9, 1.7), -0.93),
        ("worker", (0.7, 0.7, 1.8), -0.88),
    ]
    assert [a.box_iou for a in second] == [(0.6, 0.45), (0.5, 0.35)]  # of the car, of the pedestrian
    both = load_recipe("synthetic-small", [], replace(OWN, classes=(*OWN.classes, NUSCENES.classes[1])))
    assert both.detector.head.groups == (("truck",), ("vehicle",), ("worker",))
    bare = Taxonomy("bare", (ClassSpec("gnome"),))
    with pytest.raises(SchemaError, match=r"no typical size[^.]*size_lwh_m"):
        load_recipe("kitti-second", [], bare)
    assert load_recipe("synthetic-small", [], bare).detector.head.class_names == ("gnome",)
    printed = train("recipes", "synthetic-small", "--mapping", mapping)
    assert json.loads(printed.stdout) == document_of(named)
    for known in (None, NUSCENES):
        assert load_recipe("synthetic-small", [], known) == load_recipe("synthetic-small")


def test_what_suggest_and_budget_print_to_type_next_has_the_mapping(world, mapping, tmp_path):
    recipe, drawn = tmp_path / "recipe.json", tmp_path / "budget.parquet"
    made = train("suggest", world.root, "--mapping", mapping, "--base", "synthetic-small", "--dest", recipe)
    assert made.exit_code == 0, made.output
    assert load_recipe(str(recipe)).detector.class_names == ("vehicle", "worker")
    assert "note: ground truth that no class of the labels stands for is void" in made.stderr
    assert f"--mapping {mapping}" in train("budget", world.root, "--dest", drawn, "--mapping", mapping).output
    words = made.output.partition("next: mixsup-train ")[2].splitlines()[0]
    words = words.replace("BUDGET", str(drawn)).replace("RUN", str(tmp_path / "run")).split()
    assert "--mapping" in words
    dry = train(*words, "--val", "", "--set", "data.paste.counts={}", "--set", "train.batch_size=1")
    assert dry.exit_code == 0, dry.output
    assert train("budget", world.root, "--dest", tmp_path / "other").exit_code == 0
    without = [str(tmp_path / "other") if word == str(drawn) else word for word in words]
    without = [word for word in without if word not in ("--mapping", str(mapping))]
    refused(train(*without, "--val", ""), "SCH001", "'vehicle'", "those of a mapping file need --mapping FILE")


def test_budget_fit_eval_and_predict_in_own_classes(world, mapping, tmp_path):
    make_labels(tmp_path / "labels", with_classes(world, OWN))
    budget = train("budget", world.root, "--out", tmp_path / "b", "--rule", "class", "--mapping", mapping)
    assert budget.exit_code == 0, budget.output
    assert "void: " in budget.stderr
    assert "bicycle" in budget.stderr
    assert list(read_budget(tmp_path / "b").description.classes) == ["vehicle", "worker"]
    recipe = tiny(epochs=1).for_classes(OWN.classes)
    (tmp_path / "tiny.json").write_text(json.dumps(document_of(recipe)))
    command = ("fit", tmp_path / "tiny.json", "--data", world.root, "--labels", tmp_path / "labels")
    command += ("--budget", tmp_path / "b", "--out", tmp_path / "run", "--val", "mini_val")
    fitted = train(*command)
    assert fitted.exit_code == 0, fitted.output
    assert fitted.stdout.splitlines()[2].split()[:2] == ["vehicle", "4"]
    assert "The nuScenes devkit was not run: it has no class vehicle, worker" in fitted.stdout
    again = train("eval", tmp_path / "run", "--data", world.root, "--split", "mini_val", "--workers", 0)
    assert again.exit_code == 0, again.output
    assert "worker" in again.stdout
    made = train("predict", tmp_path / "run", "--data", world.root, "--dest", tmp_path / "found", "--workers", 0)
    assert made.exit_code == 0, made.output
    names = set(pq.read_table(tmp_path / "found" / "detections.parquet")["class_name"].to_pylist())
    assert names <= {"vehicle", "worker"}
    write_budget(tmp_path / "plain", make_budget(world))
    other = list(command)
    other[other.index(tmp_path / "b")] = tmp_path / "plain"
    refused(train(*other), "SCH003", "by the classes barrier", "--mapping FILE")


def damage(world, path, frames):
    """A copy of the root in which a box of each frame has no size."""
    import shutil

    shutil.copytree(world.root, path)
    table = path / world.version / "sample_annotation.json"
    rows = json.loads(table.read_text())
    for frame_id in frames:
        next(row for row in rows if row["sample_token"] == frame_id)["size"] = [0, 1, 1]
    table.write_text(json.dumps(rows))
    return NuScenes(path)


def test_a_wrong_box_sets_the_truth_of_its_frame_aside_and_nothing_else(world, tmp_path):
    val, training = world.frame_ids("mini_val"), world.frame_ids("mini_train")
    bad = damage(world, tmp_path / "root", [val[0], training[0]])
    make_labels(tmp_path / "labels", world)
    budget = train("budget", bad.root, "--out", tmp_path / "b", "--split", "mini_train", "--rule", "class")
    assert budget.exit_code == 3, budget.output
    assert f"frame {training[0]} was left out" in budget.stderr
    assert list(read_budget(tmp_path / "b").frames) == training[1:]
    (tmp_path / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1, batch_size=1))))
    command = ["fit", tmp_path / "tiny.json", "--data", bad.root, "--labels", tmp_path / "labels"]
    command += ["--budget", tmp_path / "b", "--out", tmp_path / "run", "--val"]
    fitted = train(*command, "mini_val")
    assert fitted.exit_code == 3, fitted.output
    assert "warning: 1 of 2 frames of the validation split 'mini_val' have no ground truth" in fitted.stderr
    assert "not evaluated: 1 frame that cannot be read" in fitted.stdout
    every = damage(world, tmp_path / "worse", world.frame_ids())
    command[command.index(bad.root)] = every.root
    refused(
        train(*command[:-3], "--out", tmp_path / "run2", "--val", "mini_val"), "SCH005", "2 of 2 frames", "--val ''"
    )
    assert not (tmp_path / "run2").exists()


def test_classes_that_are_not_trained_are_not_counted_as_zero(world, tmp_path):
    """Boxes and predictions are perfect, so the mean is 1 only without the untrained class."""
    from pipelines.training.score import score
    from pointsam.detect.predictions_file import FramePredictions
    from pointsam.geometry.boxes import rows

    found = []
    for frame_id in world.frame_ids():
        boxes = world.boxes(frame_id)
        car = boxes.class_id == world.taxonomy.class_id("car")
        count = int(car.sum())
        parts = (torch.ones(count).numpy(), boxes.class_id[car].astype(int), torch.zeros(count, 2).numpy())
        found.append(FramePredictions(frame_id, rows(boxes)[car].astype("f4"), *parts))
    result = score(world, found, {}, ("car",))
    assert result.quality.mean_ap == pytest.approx(1.0)
    assert "Not trained, and not part of the mean: bicycle (" in result.text()
    every = score(world, found, {}, world.taxonomy.names)
    assert every.quality.mean_ap == pytest.approx(1 / 3)
