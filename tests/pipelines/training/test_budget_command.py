"""`mixsup-train budget` on a small nuScenes root."""

import json
import shlex
import sys

import pytest
from click.testing import CliRunner
from helpers.commands import refused
from helpers.nuscenes_root import make_root

from pipelines.cli.train import main
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.detect.data.budget_file import read_budget


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("budget") / "root", samples_per_scene=4, boxes_per_sample=3)


def test_it_writes_the_tokens_of_the_boxes_and_says_what_they_cost(root, tmp_path):
    out = tmp_path / "budget.parquet"
    result = train("budget", root, "--out", out, "--fraction", 0.5, "--min-points", 0)
    assert result.exit_code == 0, result.output
    dataset, budget = NuScenes(root), read_budget(out)
    assert list(budget.frames) == dataset.frame_ids()
    tokens = {token for frame_id in dataset.frame_ids() for token in dataset.boxes(frame_id).token}
    chosen = {token for some in budget.frames.values() for token in some}
    assert chosen < tokens
    assert "these boxes cost 50.0%" in result.output
    assert "57.0%" in result.output  # 0.5 + 0.14 x 0.5


def test_the_next_command_has_the_given_values(root, tmp_path):
    where = ("--version", NuScenes(root).version)
    result = train("budget", root, "--dest", tmp_path / "my budget", *where)
    words = ("--data", str(root), *where, "--labels", "OUT", "--budget", str(tmp_path / "my budget"), "--out", "RUN")
    assert result.stdout.splitlines()[-1] == f"next: mixsup-train fit RECIPE {shlex.join(words)}"


def test_frames_that_are_validated_by_default_are_noted(tmp_path):
    root = make_root(tmp_path / "root", scenes=("scene-0061", "scene-0103"), samples_per_scene=2)
    result = train("budget", root, "--dest", tmp_path / "a", "--min-points", 0)
    note = "note: 2 frames of the split 'val' are in the budget: draw the budget with --split train\n"
    assert result.stderr.count(note) == 1
    result = train("budget", root, "--dest", tmp_path / "b", "--min-points", 0, "--split", "train")
    assert "note:" not in result.stderr


def test_objects_without_points_are_left_out(root, tmp_path):
    said = []
    for least in (0, 1):
        result = train("budget", root, "--out", tmp_path / f"{least}", "--fraction", 1, "--min-points", least, "--json")
        assert result.exit_code == 0, result.output
        said.append(json.loads(result.stdout)["objects"])
    assert 0 < said[1] <= said[0]


def test_a_budget_is_never_replaced(root, tmp_path):
    out = tmp_path / "budget.parquet"
    out.write_text("mine")
    refused(train("budget", root, "--out", out), "OUT001", out)
    assert out.read_text() == "mine"


def test_a_data_set_without_boxes_has_nothing_to_draw_from(tmp_path):
    bare = make_root(tmp_path / "root", samples_per_scene=1, boxes_per_sample=0)
    assert train("budget", bare, "--out", tmp_path / "b").exit_code == 2
    assert not (tmp_path / "b").exists()


def test_an_unknown_rule_is_refused_before_anything_is_read(tmp_path):
    refused(train("budget", tmp_path, "--out", tmp_path / "b", "--rule", "luck"), "SCH005", "luck", "stratified")


@pytest.mark.parametrize("command", [["recipes"], ["fit", "x", "--data", "d", "--budget", "b", "--out", "o"]])
def test_training_without_its_packages_says_which_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "torch", sys.modules.get("torch", sys))
    refused(train(*command), "BCK005", "safetensors", "pointsam[detect]")
