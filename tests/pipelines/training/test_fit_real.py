"""The KITTI recipes on real frames, through the commands."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402

from pipelines.cli.train import main  # noqa: E402


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


NEAR = "detector.grid.range_m=[0,-12.8,-3,25.6,12.8,1]"


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("kitti-two-stage", (NEAR,)),
        pytest.param("kitti-second", (), marks=pytest.mark.heavy),
        pytest.param("kitti-two-stage", (), marks=pytest.mark.heavy),
    ],
)
def test_three_frames_are_trained_on_and_scored(recipe, more, kitti_root, tmp_path):
    budget, run = tmp_path / "budget.parquet", tmp_path / "run"
    result = train("budget", kitti_root, "--split", "training", "--fraction", 0.5, "--rule", "class", "--out", budget)
    assert result.exit_code == 0, result.output
    changes = [
        "data.coarse.kind=simulated",
        "data.repeat=1",
        "train.epochs=1",
        "train.batch_size=2",
        "train.workers=0",
        *more,
    ]
    options = [part for change in changes for part in ("--set", change)]
    where = ["--data", kitti_root, "--budget", budget, "--val", "training", "--out", run]
    result = train("fit", recipe, *where, *options)
    assert result.exit_code == 0, result.output
    assert "KITTI AP R40" in result.output
    assert "Car 3d, IoU 0.7" in result.output
    said = train("predict", run, "--data", kitti_root, "--split", "training", "--dest", tmp_path, "--workers", 0)
    assert said.exit_code == 0, said.output
    assert "in 3 frames" in said.output
    assert not (tmp_path / "results_nusc.json").exists()
