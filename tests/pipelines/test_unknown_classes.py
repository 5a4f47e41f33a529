"""Categories that nuScenes does not have are named by `eval` and `budget`, and never scored as nothing."""

import json

import pytest
from click.testing import CliRunner
from helpers.commands import label, refused

from pipelines.cli import train
from pointsam.datasets import open_dataset


@pytest.fixture
def renamed(root):
    """Give categories of the copy other names; returns its root."""

    def rename(**names):
        path = root / "v1.0-mini" / "category.json"
        rows = json.loads(path.read_text())
        for row in rows:
            row["name"] = names.get(row["name"].replace(".", "_"), row["name"])
        path.write_text(json.dumps(rows))
        return root

    return rename


def test_eval_names_them_once(renamed, run, scissors, tmp_path):
    root = renamed(vehicle_car="own.vehicle.car")
    assert run().exit_code == 0
    output = label("eval", tmp_path / "out", root).output
    note = "note: classes of the ground truth that nuscenes does not know: 'own.vehicle.car' (2 objects; nearest: "
    assert output.count(note) == 1
    assert "they are void and not scored" in output


def test_eval_says_nothing_where_all_are_known(run, scissors, root, tmp_path):
    assert run().exit_code == 0
    assert "does not know" not in label("eval", tmp_path / "out", root).output


def test_budget_names_them_where_nothing_is_left(renamed, tmp_path):
    root = renamed(vehicle_car="car", human_pedestrian_adult="Person", vehicle_bicycle="bike")
    arguments = ["budget", str(root), "--out", str(tmp_path / "budget.parquet")]
    result = CliRunner().invoke(train.main, arguments, catch_exceptions=False)
    refused(result, "SCH005", "none of 2 frames has a box of car", "'Person' (2 objects", "'car' (2 objects; nearest: ")


def test_categories_in_other_letters_are_known(renamed):
    dataset = open_dataset(renamed(vehicle_car="Vehicle.Car"))
    assert dataset.unknown_classes(dataset.frame_ids()) == {}
    assert dataset.taxonomy.names[dataset.boxes(dataset.frame_ids()[0]).class_id[0]] == "car"
