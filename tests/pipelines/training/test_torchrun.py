"""Two processes that torchrun starts make one run folder."""

import csv
import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_budget, make_labels, make_world  # noqa: E402

from pipelines.training.recipe_file import document_of  # noqa: E402
from pointsam.detect.data.budget_file import write_budget  # noqa: E402


def test_two_processes_train_and_one_writes(tmp_path):
    world = make_world(tmp_path / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(tmp_path / "labels", world)
    write_budget(tmp_path / "budget.parquet", make_budget(world))
    (tmp_path / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1))))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "pipelines.cli.train", "fit", "tiny.json", "--data", "root", "--labels", "labels"]
    options = ["--budget", "budget.parquet", "--out", "run", "--val", "mini_val"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*torchrun, *command, *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("AP by distance") == 1
    assert result.stdout.count("next: ") == 1
    steps = [row["step"] for row in csv.DictReader((tmp_path / "run" / "losses.csv").open())]
    assert steps == ["1", "2"]  # eight frames, two in each of two processes
    assert (tmp_path / "run" / "best.safetensors").exists()
