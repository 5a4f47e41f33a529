"""Runs with classes of the user's own: scored and exported, the truth mapped by the run's own file."""

import json

import pytest
from helpers.commands import label, refused
from helpers.training import make_labels, make_world

from pointsam.base.errors import NothingToScoreError
from pointsam.datasets.mapped import with_classes
from pointsam.evaluate.labels import evaluate_labels
from pointsam.taxonomy import ClassSpec, Taxonomy

CLASSES = (ClassSpec("vehicle", vehicle=True, size_lwh_m=(4.5, 1.9, 1.7)), ClassSpec("worker", crowd=True))
OWN = Taxonomy("own", CLASSES, {"car": "vehicle", "pedestrian": "worker"})
STRANGE = Taxonomy("strange", (ClassSpec("gnome"), ClassSpec("unicorn")))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world") / "root", samples=1)


@pytest.fixture(scope="module")
def out(world, tmp_path_factory):
    """Labels of every car and pedestrian, as vehicles and workers."""
    folder = tmp_path_factory.mktemp("own") / "out"
    make_labels(folder, with_classes(world, OWN))
    return folder


def objects(world, *names):
    classes = [world.taxonomy.class_id(name) for name in names]
    return sum(int((world.boxes(frame_id).class_id == k).sum()) for frame_id in world.frame_ids() for k in classes)


def test_eval_scores_own_classes_against_mapped_truth(world, out, tmp_path):
    result = label("eval", out, world.root, "--json", tmp_path / "e.json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads((tmp_path / "e.json").read_text())
    assert {c["name"]: c["tp"] for c in report["panoptic"]["classes"]} == {
        "vehicle": objects(world, "car"),
        "worker": objects(world, "pedestrian"),
    }
    assert [c["fn"] for c in report["panoptic"]["classes"]] == [0, 0]
    assert f"void: {objects(world, 'bicycle')} bicycle; `truth` of a mapping file" in result.output
    assert evaluate_labels(out, world).quality.panoptic.pq == pytest.approx(1.0)


def test_truth_that_no_class_stands_for_is_named_with_the_way_out(world, tmp_path):
    make_labels(tmp_path / "out", with_classes(world, STRANGE))
    result = label("eval", tmp_path / "out", world.root)
    refused(result, "DAT009", "gnome, unicorn", "car, truck", "--mapping")
    with pytest.raises(NothingToScoreError, match="no class of the ground truth"):
        evaluate_labels(tmp_path / "out", world)
    file = {"taxonomy": STRANGE.as_dict(), "labels": {"a": "gnome"}, "truth": {"Car": "gnome"}}
    (tmp_path / "mapping.json").write_text(json.dumps(file))
    command = ("eval", tmp_path / "out", world.root, "--mapping", tmp_path / "mapping.json")
    assert label(*command).exit_code == 0
    (tmp_path / "mapping.json").write_text(json.dumps({**file, "taxonomy": "kitti", "labels": {}, "truth": {}}))
    refused(label(*command), "SCH002", tmp_path / "mapping.json")
    (tmp_path / "mapping.json").write_text(json.dumps({"taxonomy": "kitti", "labels": {"a": "car"}}))
    refused(label(*command), "SCH004", "car", "gnome")
