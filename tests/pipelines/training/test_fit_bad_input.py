"""A training that ends before its end says why and how to go on, and what it says works."""

import csv
import errno
import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused, temporaries  # noqa: E402
from helpers.recipes import make_inputs, tiny  # noqa: E402
from torch.utils.data import get_worker_info  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.initial import start_from  # noqa: E402
from pointsam.base import files  # noqa: E402
from pointsam.detect import train as loop  # noqa: E402
from pointsam.detect.checkpoint import (  # noqa: E402
    Checkpoint,
)
from pointsam.detect.data.loader import TrainingItems  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, labels, a budget and a recipe of two epochs of four steps."""
    return make_inputs(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def fit(made, tmp_path):
    """A function that calls `fit` into tmp_path/run."""
    options = {"data": "root", "labels": "labels", "budget": "budget.parquet"}
    paths = [part for name, value in options.items() for part in (f"--{name}", str(made / value))]
    recipe = str(made / "tiny.json")

    def call(*more, val="mini_val"):
        arguments = ["fit", recipe, *paths, "--out", str(tmp_path / "run"), "--val", val, *map(str, more)]
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return call


def rows(folder):
    return list(csv.DictReader((folder / "run" / "losses.csv").open()))


class TestLossThatIsNoNumber:
    @pytest.fixture
    def spoil(self, monkeypatch):
        """A function that makes the heat of a step NaN, if it is computed in a precision."""

        def at(step, precision):
            train = loop.Trainer._step

            def spoilt(self, batch):
                if self.progress.step == step and self.recipe.train.precision == precision:
                    with torch.no_grad():
                        self.model.head.heats[0][-1].bias.fill_(float("nan"))
                return train(self, batch)

            monkeypatch.setattr(loop.Trainer, "_step", spoilt)

        return at

    def advice(self, result):
        """The options that the hint says to add."""
        (said,) = re.findall(r"or add to the command (.*)\n", result.output)
        return [shlex.split(part) for part in said.split(", or ")]

    def test_under_bf16_the_advice_works(self, fit, tmp_path, spoil):
        spoil(5, "bf16")
        half = ("--set", "train.precision=bf16")
        result = fit(*half)
        refused(result, "TRN001", "step 6", "heat", "the checkpoint of step 4 is kept")
        in_fp32, slower = self.advice(result)
        assert in_fp32 == ["--set", "train.precision=fp32", "--changed"]
        assert slower == ["--set", "train.learning_rate=0.0002", "--changed"]
        again = fit(*half, *in_fp32)
        assert again.exit_code == 0, again.output
        assert "4 steps" in again.output
        assert [int(row["step"]) for row in rows(tmp_path)] == list(range(1, 9))

    def test_a_lower_rate_works(self, fit, tmp_path, spoil, monkeypatch):
        spoil(5, "fp32")
        (slower,) = self.advice(fit())
        monkeypatch.undo()
        again = fit(*slower)
        assert again.exit_code == 0, again.output
        assert float(rows(tmp_path)[5]["learning_rate"]) < 0.0003

    def test_before_the_first_checkpoint_the_run_begins_anew(self, fit, tmp_path, spoil, monkeypatch):
        spoil(1, "fp32")
        result = fit()
        refused(result, "TRN001", "step 2", "no checkpoint was written yet: the next call starts from the beginning")
        (slower,) = self.advice(result)
        assert "--changed" not in slower
        monkeypatch.undo()
        again = fit(*slower)
        assert again.exit_code == 0, again.output
        assert "8 steps" in again.output
        assert "earlier" not in json.loads((tmp_path / "run" / "fit.json").read_text())


class TestFullDisk:
    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")

    def require_that_it_goes_on(self, fit, tmp_path, result):
        refused(result, "OUT002", tmp_path / "run")
        assert temporaries(tmp_path / "run") == []
        again = fit("--set", "train.epochs=1")
        assert again.exit_code == 0, again.output
        assert [int(row["step"]) for row in rows(tmp_path)] == [1, 2, 3, 4]
        assert list(json.loads((tmp_path / "run" / "scores.json").read_text())) == ["4"]

    @pytest.mark.parametrize(
        "name", ["fit.json", "paste.npz", "losses.csv", "last.safetensors", "best.safetensors", "scores.json"]
    )
    def test_at_a_file_that_is_written_whole(self, fit, tmp_path, monkeypatch, name):
        write = files._write_synced

        def until_full(path, data):
            if path.name.startswith(f".{name}."):
                self.full()
            write(path, data)

        with monkeypatch.context() as until:
            until.setattr(files, "_write_synced", until_full)
            result = fit("--set", "train.epochs=1")
        self.require_that_it_goes_on(fit, tmp_path, result)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
    def test_at_the_rows_of_the_losses(self, fit, tmp_path, monkeypatch):
        opened = Path.open

        def appended(self, mode="r", *arguments, **options):
            path = Path("/dev/full") if self.name == "losses.csv" and mode == "a" else self
            return opened(path, mode, *arguments, **options)

        with monkeypatch.context() as until:
            until.setattr(Path, "open", appended)
            result = fit("--set", "train.epochs=1")
        self.require_that_it_goes_on(fit, tmp_path, result)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_at_the_events(self, fit, tmp_path, monkeypatch):
        from tensorboard.compat.tensorflow_stub.io import gfile

        with monkeypatch.context() as until:
            until.setattr(gfile.GFile, "write", self.full)
            result = fit("--set", "train.epochs=1")
        self.require_that_it_goes_on(fit, tmp_path, result)


def test_a_reader_that_is_killed(fit, tmp_path, monkeypatch):
    """The run goes on from its last checkpoint."""
    load = TrainingItems.__getitem__

    def killed(self, key):
        if get_worker_info() is not None and key.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, key)

    readers = ("--set", "train.workers=1")
    with monkeypatch.context() as until:
        until.setattr(TrainingItems, "__getitem__", killed)
        result = fit(*readers, val="")
    refused(result, "TRN003", "a process that loads data has died", "the checkpoint of step 4 is kept")
    assert "Traceback" not in result.output
    again = fit(*readers, val="")
    assert again.exit_code == 0, again.output
    assert "4 steps" in again.output


def test_more_processes_than_frames(made, monkeypatch):
    from types import SimpleNamespace

    from pointsam.base.errors import TrainingError
    from pointsam.detect.data.loader import Steps

    data = SimpleNamespace(order=lambda _: list(range(8)))
    with pytest.raises(
        TrainingError, match=r"TRN002.*8 samples per epoch, .* of batch size 1 in 16 processes"
    ) as caught:
        loop.count_steps(Steps(data, 1, 3, 16))
    assert "use fewer processes" in caught.value.hint


class TestWeightsToStartFrom:
    @pytest.fixture(scope="class")
    def trained(self, made, tmp_path_factory):
        """Run folder of one epoch."""
        out = tmp_path_factory.mktemp("trained") / "first"
        options = {"data": "root", "labels": "labels", "budget": "budget.parquet"}
        paths = [part for name, value in options.items() for part in (f"--{name}", str(made / value))]
        arguments = ["fit", str(made / "tiny.json"), *paths, "--out", str(out), "--val", "", "--set", "train.epochs=1"]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return out

    def test_the_same_network_takes_all(self, fit, trained, tmp_path):
        result = fit("--init", trained, "--set", "train.epochs=1", "--set", "train.learning_rate=1e-12", val="")
        assert result.exit_code == 0, result.output
        path = trained / "last.safetensors"
        assert f"note: --init: 100% of the weights are those of {path}" in result.stderr
        assert "random" not in result.stderr
        before, after = (Checkpoint(folder / "last.safetensors").weights() for folder in (trained, tmp_path / "run"))
        learned = [name for name in before if name.endswith(("weight", "bias"))]
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in learned)
        assert json.loads((tmp_path / "run" / "fit.json").read_text())["init"]

    def test_other_classes_take_what_is_not_theirs(self, fit, trained):
        groups = 'detector.head.groups=[["pedestrian","car"],["bicycle"]]'
        result = fit("--init", trained, "--set", groups, "--set", "train.epochs=1", val="")
        assert result.exit_code == 0, result.output
        (taken,) = re.findall(r"--init: (\d+)% of the weights", result.stderr)
        assert 20 < int(taken) < 100
        assert (
            "name, shape and meaning (its head has the classes car, pedestrian, bicycle): head.codes.0" in result.stderr
        )
        assert "--init: not used of the file: head.codes.0" in result.stderr
        plan = fit("--init", trained, "--set", groups, "--out", trained.parent / "plan", "--dry-run", val="")
        assert [line for line in result.stderr.splitlines() if "--init" in line] == [
            f"note: {line}" for line in plan.stdout.splitlines() if "--init" in line
        ]

    def test_another_width_is_listed(self, fit, trained):
        result = fit("--init", trained, "--set", "detector.head.channels=16", "--set", "train.epochs=1", val="")
        assert result.exit_code == 0, result.output
        (new,) = re.findall(r"random, because the file has none of this name, shape and meaning: (.*)", result.stderr)
        assert new.startswith("head.codes.0")
        assert new.endswith("tensors)")

    def test_weights_of_another_architecture(self, trained):
        from pointsam.base.errors import SchemaError

        with pytest.raises(SchemaError, match=r"SCH003.*weights of another network: none of its \d+ tensors fits"):
            start_from(trained, torch.nn.Linear(2, 2), tiny())

    @pytest.mark.parametrize("name", ["gone.safetensors", "text.safetensors"])
    def test_a_file_without_weights(self, fit, tmp_path, name):
        (tmp_path / "text.safetensors").write_text("text")
        refused(fit("--init", tmp_path / name), "SCH003", tmp_path / name)

    def test_a_run_goes_on_without_them(self, fit, trained, tmp_path):
        more = ("--set", "train.epochs=1")
        assert fit("--init", trained, *more, val="").exit_code == 0
        assert fit(*more, val="").exit_code == 0
        assert fit("--init", tmp_path / "gone", *more, val="").exit_code == 0

    def test_a_run_goes_on_although_they_were_trained_on(self, fit, made, trained, tmp_path):
        """The same command, after the run that gave the weights went on: the folder holds other weights now."""
        shutil.copytree(trained, tmp_path / "source")
        more = ("--init", tmp_path / "source", "--set", "train.epochs=1")
        first = fit(*more, val="")
        assert first.exit_code == 0, first.output
        began = json.loads((tmp_path / "run" / "fit.json").read_text())["init"]
        weights = (tmp_path / "run" / "last.safetensors").read_bytes()
        longer = fit("--out", tmp_path / "source", "--set", "train.epochs=2", "--changed", val="")
        assert longer.exit_code == 0, longer.output
        again = fit(*more, val="")
        assert again.exit_code == 0, again.output
        assert f"note: --init {tmp_path / 'source'} holds other weights than when this run began" in again.stderr
        assert json.loads((tmp_path / "run" / "fit.json").read_text())["init"] == began
        assert (tmp_path / "run" / "last.safetensors").read_bytes() == weights

    def test_a_run_that_began_from_random_weights_is_another_one(self, fit, trained):
        more = ("--set", "train.epochs=1")
        assert fit(*more, val="").exit_code == 0
        refused(fit("--init", trained, *more, val=""), "OUT001", "init: ")
