"""Commands of the trainer on data with two LiDARs."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.folder_root import make_folder  # noqa: E402
from helpers.mounted import BOTH, make_two_lidars  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_labels  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.budget import objects_of  # noqa: E402
from pipelines.training.recipe_file import document_of  # noqa: E402
from pipelines.training.score import truth_of  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect.data.cloud import read_cloud  # noqa: E402
from pointsam.detect.data.sample import PointsConfig  # noqa: E402


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root of two LiDARs, labels of both, and a recipe."""
    folder = tmp_path_factory.mktemp("made")
    world = make_two_lidars(folder / "root")
    make_labels(folder / "labels", world)
    (folder / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1, eval_epochs=1))))
    return folder


def test_the_points_of_both_count(made):
    both, one = NuScenes(made / "root", lidar=BOTH), NuScenes(made / "root")
    assert (objects_of(both, None, True).num_points == 2 * objects_of(one, None, True).num_points).all()
    frame_id = one.frame_ids()[1]
    assert (truth_of(both, frame_id).score == 2 * truth_of(one, frame_id).score).all()
    config = PointsConfig(past_sweeps=2)
    points, num_key = read_cloud(both, both.frame(frame_id), config)
    alone, alone_key = read_cloud(one, one.frame(frame_id), config)
    assert num_key == 2 * alone_key
    np.testing.assert_allclose(points[alone_key:num_key], alone[:alone_key], atol=1e-4)
    assert len(points) > 1.9 * len(alone)  # each loses returns of the vehicle near the other too


def test_every_command_reads_both_and_the_run_remembers_them(made, tmp_path):
    data = ["--data", made / "root", "--lidar", BOTH]
    drawn = train("budget", *data[1:], "--fraction", 0.4, "--rule", "class", "--dest", tmp_path / "budget.parquet")
    assert drawn.exit_code == 0, drawn.output
    assert f"--lidar {BOTH}" in drawn.output
    fit = ["fit", made / "tiny.json", "--budget", tmp_path / "budget.parquet", "--val", "mini_val"]
    labels, out = ["--labels", made / "labels"], tmp_path / "run"
    result = train(*fit, *data, *labels, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"--lidar {BOTH}" in result.output
    alone = train(*fit, "--data", made / "root", "--lidar", "LIDAR_TOP", *labels, "--out", tmp_path / "other")
    refused(alone, "SCH004", "made from another data set", "--lidar")
    for command, *options in (("eval", "--json", tmp_path / "scores"), ("predict", "--dest", tmp_path / "found")):
        result = train(command, out, "--data", made / "root", "--split", "mini_val", "--workers", 0, *options)
        assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "scores").read_text())["quality"]["num_frames"] == 4
    assert "in 4 frames" in result.output
    read = NuScenes(made / "root", lidar=BOTH).fingerprint().encode()
    assert read in pq.read_schema(tmp_path / "found" / "detections.parquet").metadata[b"pointsam.about"]


def test_frames_of_a_folder_without_the_second_sweep_are_named_and_left_out(tmp_path):
    """Its clouds have no rings either."""
    root = tmp_path / "root"
    make_folder(root, drives=("mon", "tue"), lidars=("top", "side"), frames=5)
    gone = sorted((root / "mon" / "clouds" / "side").iterdir())[2]
    gone.unlink()
    top = sorted((root / "mon" / "clouds" / "top").iterdir())[2].stem
    lacking = f"frame mon_{top} was left out: [DAT011] "
    recipe, budget = tmp_path / "recipe.json", tmp_path / "budget.parquet"
    made = train("suggest", root, "--base", "synthetic-small", "--dest", recipe)
    assert (made.exit_code, lacking in made.stderr) == (3, True), made.output
    drawn = train("budget", root, "--split", "mon", "--fraction", 1, "--dest", budget)
    assert (drawn.exit_code, lacking in drawn.stderr) == (3, True), drawn.output
    assert "Labelled frames: 4 of 4" in drawn.stdout
    small = ("--set", "train.batch_size=2", "--set", "train.epochs=1", "--set", "train.workers=0")
    fit = ("fit", recipe, "--data", root, "--budget", budget, "--out", tmp_path / "run", *small)
    dry = train(*fit, "--val", "mon", "--dry-run")
    assert "warning: 1 of 5 frames of the validation split 'mon'" in dry.stderr
    assert f"they are not scored; mon_{top}: [DAT011]" in dry.stderr
    done = train(*fit, "--val", "tue")
    assert done.exit_code == 0, done.output
    assert ": 2 steps in" in done.output
