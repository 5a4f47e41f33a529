"""By torchrun: a run that is killed goes on in another number of processes, to the losses of one that was not."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.recipes import make_inputs  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SECONDS = 200


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, labels, a budget, a recipe of four epochs of two steps, and a run of it in one process."""
    folder = make_inputs(
        tmp_path_factory.mktemp("processes"), epochs=4, batch_size=4, eval_epochs=1, learning_rate=1e-4
    )
    result = CliRunner().invoke(main, arguments(folder, folder / "run"), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def arguments(made, out, *more):
    options = {"data": "root", "labels": "labels", "budget": "budget.parquet"}
    paths = [part for name, value in options.items() for part in (f"--{name}", made / value)]
    return [str(part) for part in ("fit", made / "tiny.json", *paths, "--out", out, "--val", "mini_val", *more)]


def started(processes, words):
    """`mixsup-train` in so many processes."""
    group = TORCHRUN if processes > 1 else []
    return subprocess.Popen(
        [sys.executable, *group, "-m", "pipelines.cli.train", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process):
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def killed(process, run):
    """Kill all processes when the first epoch is saved; those of torchrun are not in its process group."""
    end = time.monotonic() + SECONDS
    while not (run / "last.safetensors").exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    subprocess.run(["pkill", "-KILL", "-f", str(run)], check=True)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < Checkpoint(run / "last.safetensors").progress.step < 8


def rows(run):
    return list(csv.DictReader((run / "losses.csv").open()))


@pytest.mark.heavy
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
def test_a_killed_run_goes_on_in_another_number_of_processes(first, then, made, tmp_path):
    run = tmp_path / "run"
    size = ["--set", f"train.batch_size={4 // first}"]
    killed(started(first, arguments(made, run, *size)), run)
    code, said = ended(started(then, arguments(made, run, *size)))
    assert code == 0, said
    assert said.count(f"in place of {first}: each takes {4 // then} of the 4 samples of a step") == 1
    whole, found = rows(made / "run"), rows(run)
    assert [row["step"] for row in found] == [row["step"] for row in whole] == [str(k) for k in range(1, 9)]
    for name in ("heat", "box", "loss", "learning_rate"):
        values = [[float(row[name]) for row in some] for some in (found, whole)]
        assert values[0] == pytest.approx(values[1], rel=0.005), name  # rounding grows in every step
        assert values[0][:1] == pytest.approx(values[1][:1], rel=1e-5), name
    scores = json.loads((run / "scores.json").read_text())
    assert sorted(scores) == ["2", "4", "6", "8"]
    assert all(one["quality"]["num_frames"] == 4 for one in scores.values())
