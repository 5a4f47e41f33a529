"""Runs with classes of the user's own: scored and exported, the truth mapped by the run's own file."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.training import make_labels, make_world

from pointsam.base.errors import NothingToScoreError, SchemaError
from pointsam.datasets.mapped import with_classes
from pointsam.evaluate.labels import evaluate_labels
from pointsam.export.classes import Renaming
from pointsam.export.nuscenes_panoptic import CHALLENGE_CLASS
from pointsam.store.reader import Labels
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


def objects(world, *names, of=None):
    classes = [world.taxonomy.class_id(name) for name in names]
    frames = world.frame_ids() if of is None else of
    return sum(int((world.boxes(frame_id).class_id == k).sum()) for frame_id in frames for k in classes)


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
    (tmp_path / "mapping.json").write_text(json.dumps({**file, "taxonomy": "kitti", "labels": [], "truth": {}}))
    refused(label(*command), "SCH002", tmp_path / "mapping.json")
    (tmp_path / "mapping.json").write_text(json.dumps({"taxonomy": "kitti", "labels": {"a": "car"}}))
    refused(label(*command), "SCH004", "car", "gnome")


def test_a_format_with_its_own_classes_takes_what_truth_says_or_names_the_option(world, out, tmp_path):
    """A worker is the only pedestrian of `truth`; a vehicle is a car or a truck."""
    wide = replace(OWN, truth={"car": "vehicle", "truck": "vehicle", "pedestrian": "worker"})
    make_labels(tmp_path / "out", with_classes(world, wide))
    split = ("--eval-set", "mini_val")
    command = ("export", tmp_path / "out", world.root, "--to", "nuscenes-boxes", "--dest", tmp_path / "dest", *split)
    refused(label(*command), "SCH004", "no class for vehicle of", "--class vehicle=NAME", "construction_vehicle")
    refused(label(*command, "--class", "vehicle=lorry"), "SCH001", "no class 'lorry'", "car, ")
    refused(label(*command, "--class", "van=car"), "SCH001", "'van'")
    assert label(*command, "--class", "vehicle").exit_code == 2
    assert not (tmp_path / "dest").exists()
    assert label(*command, "--class", "vehicle=truck").exit_code == 0
    results = json.loads((tmp_path / "dest" / "results_nusc.json").read_text())["results"]
    names = Counter(box["detection_name"] for boxes in results.values() for box in boxes)
    frames = world.frame_ids("mini_val")
    assert names == {"truck": objects(world, "car", of=frames), "pedestrian": objects(world, "pedestrian", of=frames)}
    left_out = label(*command[:-3], tmp_path / "cars", *split, "--class", "vehicle=background")
    assert f"clusters left out by --class: {names['truck']} vehicle" in left_out.output
    results = json.loads((tmp_path / "cars" / "results_nusc.json").read_text())["results"]
    assert {box["detection_name"] for boxes in results.values() for box in boxes} == {"pedestrian"}


@pytest.mark.parametrize("form", ["nuscenes-panoptic", "nuscenes-lidarseg", "semantickitti", "openpcdet", "mmdet3d"])
def test_every_format_has_own_classes(world, out, tmp_path, form):
    command = ("export", out, world.root, "--to", form, "--dest", tmp_path, "--eval-set", "mini_val")
    result = label(*command)
    assert result.exit_code == 0, result.output
    if form == "openpcdet":
        lines = [line.split() for path in (tmp_path / "labels").iterdir() for line in path.read_text().splitlines()]
        assert {line[-1] for line in lines} == {"vehicle", "worker"}  # a format with free names keeps them
        assert min(float(line[3]) for line in lines if line[-1] == "vehicle") >= 4.5
    if form == "mmdet3d":
        info = json.loads((tmp_path / "pointsam_infos_mini_val.json").read_text())
        assert info["metainfo"]["categories"] == {"vehicle": 0, "worker": 1}
    if form == "nuscenes-panoptic":
        (path, *_) = (tmp_path / "panoptic" / "mini_val").iterdir()
        assert set(np.load(path)["data"] // 1000) == {0, CHALLENGE_CLASS["car"], CHALLENGE_CLASS["pedestrian"]}


def test_joined_and_left_out_classes_keep_their_points(world, out):
    labels = Labels(out)
    found = labels.labels(labels.frame_ids()[0])
    found = replace(found, grown=found.labels.instance_id >= 0)
    joined = Renaming(labels.taxonomy, {"vehicle": "thing", "worker": "thing"}, (), "any")
    assert joined.taxonomy.names == ("thing",)
    same = joined(found)
    assert np.array_equal(same.labels.instance_id, found.labels.instance_id)
    assert np.array_equal(same.grown, found.grown)
    assert {cluster.class_name for cluster in same.clusters} == {"thing"}
    fewer = Renaming(labels.taxonomy, {"vehicle": "background"}, (), "any")
    some = fewer(found)
    assert [c.num_points for c in some.clusters] == [c.num_points for c in found.clusters if c.class_name == "worker"]
    worker = found.labels.class_id == 1
    assert np.array_equal(some.labels.instance_id >= 0, worker)
    assert np.array_equal(some.grown, worker)
    assert np.bincount(some.labels.instance_id[worker]).tolist() == [c.num_points for c in some.clusters]
    with pytest.raises(SchemaError, match="leaves out all"):
        Renaming(labels.taxonomy, {"vehicle": "background", "worker": "background"}, (), "any")
