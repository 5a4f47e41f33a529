"""The commands of docs/mapping.md and docs/training.md, one after another, with classes of the user's own."""

import json

import pyarrow.parquet as pq
import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.training import make_world

from pointsam.base.plugins import names

MAPPING = {
    "taxonomy": {
        "name": "yard",
        "classes": [
            {"name": "forklift", "vehicle": True, "size_lwh_m": [4.5, 1.9, 1.7]},
            {"name": "docker", "link_floor_m": 0.65, "crowd": True, "size_lwh_m": [0.7, 0.7, 1.8]},
        ],
    },
    "labels": {"car": "forklift", "Pedestrian": "docker"},
    "truth": {"car": "forklift", "pedestrian": "docker"},
}
NEEDS = {"rerun": "rerun", "ply": "open3d", "pcd": "pypcd4"}


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    path = tmp_path_factory.mktemp("mapping") / "mapping.json"
    path.write_text(json.dumps(MAPPING))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A root whose objects have points, and good 2D results for it."""
    folder = tmp_path_factory.mktemp("world")
    made = make_world(folder / "root", samples=1)
    write_masks(made, folder / "masks")
    return made.root, folder / "masks"


def ended(result, status=0):
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.heavy
def test_own_classes_from_the_run_to_the_detector(world, scissors, mapping, tmp_path):
    root, masks = world
    out = tmp_path / "labels"
    known = ("--semantics", "precomputed", "--masks-dir", masks, "--mapping", mapping, "--workers", 1)
    ended(label("run", root, "--out", out, *known))
    scored = tmp_path / "eval.json"
    ended(label("eval", out, root, "--json", scored))
    (figures,) = json.loads(scored.read_text())
    assert [one["name"] for one in figures["panoptic"]["classes"]] == ["forklift", "docker"]
    assert figures["agnostic"]["overall"]["num_objects"] > 0
    ended(label("report", out, "--dest", tmp_path / "page"))
    page = (tmp_path / "page" / "index.html").read_text()
    assert "forklift" in page
    assert "camera masks" in page or "docker" in page
    for form in sorted(set(names("exporters")) - {"kitti"}):
        try:
            __import__(NEEDS.get(form, "json"))
        except ImportError:
            continue
        ended(label("export", out, root, "--to", form, "--dest", tmp_path / form, "--eval-set", "mini_train"))
    coco = json.loads((tmp_path / "coco" / "instances_mini_train.json").read_text())
    assert {one["name"] for one in coco["categories"]} == {"forklift", "docker"}
    results = json.loads((tmp_path / "nuscenes-boxes" / "results_nusc.json").read_text())["results"]
    assert {box["detection_name"] for boxes in results.values() for box in boxes} <= {"car", "pedestrian"}
    _train(root, out, mapping, tmp_path)


def _train(root, out, mapping, folder):
    pytest.importorskip("torch", reason="needs torch")
    from click.testing import CliRunner
    from helpers.recipes import tiny
    from helpers.training import CLASSES

    from pipelines.cli.train import main
    from pipelines.training.recipe_file import document_of
    from pointsam.semantics.mapping import load_mapping

    def train(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)

    budget, run = folder / "budget.parquet", folder / "run"
    said = ended(train("budget", root, "--dest", budget, "--rule", "class", "--min-points", 0, "--mapping", mapping))
    assert "forklift" in said
    recipe = tiny(epochs=1, batch_size=1)
    assert set(recipe.detector.class_names) == set(CLASSES)
    (folder / "tiny.json").write_text(
        json.dumps(document_of(recipe.for_classes(load_mapping(mapping).taxonomy.classes)))
    )
    data, one = ("--data", root), ("--set", "train.batch_size=1")
    fit = ("fit", folder / "tiny.json", *data, "--labels", out, "--budget", budget, "--out", run, "--val", "mini_val")
    assert "docker" in ended(train(*fit))
    assert "forklift" in ended(train("fit", "synthetic-small", *fit[2:-2], "--val", "mini_val", "--dry-run", *one))
    ended(train("predict", run, *data, "--dest", folder / "found", "--workers", 0))
    found = pq.read_table(folder / "found" / "detections.parquet")["class_name"].to_pylist()
    assert set(found) <= {"forklift", "docker"}
    assert "forklift" in ended(train("eval", run, *data, "--split", "mini_val", "--workers", 0))
