"""A run goes on: after a break, longer, with another schedule or split, in other processes; or it says why not."""

import csv
import json
import shutil
import subprocess
import sys
import threading

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import make_inputs, tiny  # noqa: E402
from helpers.training import break_off, resize_boxes  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training import fit as fitting  # noqa: E402
from pointsam.base.errors import DatasetError  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402
from pointsam.detect.data.budget_file import read_budget  # noqa: E402
from pointsam.detect.recipe import TrainConfig  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, labels, a budget, a recipe of two epochs of four steps, and a finished run of it."""
    folder = make_inputs(tmp_path_factory.mktemp("continued"), eval_epochs=1)
    result = CliRunner().invoke(main, arguments(folder, folder / "run"), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def arguments(made, out, *more, val="mini_val"):
    options = {"data": "root", "labels": "labels", "budget": "budget.parquet"}
    paths = [part for name, value in options.items() for part in (f"--{name}", made / value)]
    return [str(part) for part in ("fit", made / "tiny.json", *paths, "--out", out, "--val", val, *more)]


@pytest.fixture
def run(made, tmp_path):
    """A copy of the finished run, and a function that calls `fit` on it."""
    shutil.copytree(made / "run", tmp_path / "run")

    def call(*more, **options):
        return CliRunner().invoke(main, arguments(made, tmp_path / "run", *more, **options), catch_exceptions=False)

    return call


@pytest.fixture
def begun(made, tmp_path, monkeypatch):
    """A function that calls `fit` on a run that was broken off after six of eight steps, with a checkpoint of four."""

    def call(*more, **options):
        return CliRunner().invoke(main, arguments(made, tmp_path / "run", *more, **options), catch_exceptions=False)

    with monkeypatch.context() as until:
        break_off(until, 6)
        assert call().exit_code == 1
    assert Checkpoint(tmp_path / "run" / "last.safetensors").progress.step == 4
    return call


def decides(folder):
    return json.loads((folder / "run" / "fit.json").read_text())


def steps(folder):
    return [int(row["step"]) for row in csv.DictReader((folder / "run" / "losses.csv").open())]


def rates(folder):
    return [float(row["learning_rate"]) for row in csv.DictReader((folder / "run" / "losses.csv").open())]


class TestSavedFirst:
    @pytest.fixture
    def failing(self, made, tmp_path, monkeypatch):
        """A run that trained one epoch and failed in its validation."""

        def broken(*_):
            raise DatasetError("DAT011", "no labels", "bring them")

        with monkeypatch.context() as until:
            until.setattr(fitting, "score", broken)
            result = CliRunner().invoke(main, arguments(made, tmp_path / "run"), catch_exceptions=False)
        refused(result, "DAT011")
        return tmp_path / "run"

    def test_an_epoch_is_saved_before_its_validation(self, failing):
        assert Checkpoint(failing / "last.safetensors").progress.step == 4
        assert not (failing / "scores.json").exists()

    def test_the_validation_that_failed_is_done_first_by_the_next_call(self, made, failing):
        result = CliRunner().invoke(main, arguments(made, failing), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        scores = json.loads((failing / "scores.json").read_text())
        assert scores == json.loads((made / "run" / "scores.json").read_text())
        for name in ("last.safetensors", "best.safetensors"):
            assert (failing / name).read_bytes() == (made / "run" / name).read_bytes()

    @pytest.mark.parametrize("val", ["", "mini_train"])
    def test_the_run_can_go_on_without_that_split(self, made, failing, val):
        result = CliRunner().invoke(main, arguments(made, failing, val=val), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert Checkpoint(failing / "last.safetensors").progress.step == 8


def test_another_validation_split_keeps_the_earlier_scores_aside(run, tmp_path):
    before = (tmp_path / "run" / "scores.json").read_text()
    result = run(val="mini_train")
    assert result.exit_code == 0, result.output
    assert (
        "note: validation on mini_train in place of mini_val\nnote: earlier scores are kept in scores-mini_val.json"
        in (result.stderr)
    )
    assert (tmp_path / "run" / "scores-mini_val.json").read_text() == before
    assert set(json.loads((tmp_path / "run" / "scores.json").read_text())) == {"8"}
    assert decides(tmp_path)["val"] == "mini_train"


def test_scores_of_each_split_survive_two_changes(run, tmp_path):
    """From one split to another, back, longer, and to the other again."""
    folder = tmp_path / "run"

    def steps_of(name):
        return set(json.loads((folder / name).read_text())) if (folder / name).exists() else None

    assert run(val="mini_train").exit_code == 0
    again = run("--set", "train.epochs=3", "--changed")
    assert again.exit_code == 0, again.output
    assert "note: scores of scores-mini_val.json are those of mini_val again" in again.stderr
    assert steps_of("scores.json") == {"4", "8", "12"}
    assert (steps_of("scores-mini_val.json"), steps_of("scores-mini_train.json")) == (None, {"8"})
    assert run("--set", "train.epochs=3", val="mini_train").exit_code == 0
    assert steps_of("scores.json") == {"8", "12"}
    assert (steps_of("scores-mini_val.json"), steps_of("scores-mini_train.json")) == ({"4", "8", "12"}, None)


def test_the_best_network_of_another_split_is_not_that_of_this_one(run, tmp_path, monkeypatch):
    """The best network on mini_train replaced that on mini_val, whose scores come back: the next one is the best."""
    best = tmp_path / "run" / "best.safetensors"
    trained = Checkpoint(best).progress
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    scores["4"]["quality"]["mean_ap"] = 0.9
    (tmp_path / "run" / "scores.json").write_text(json.dumps(scores))
    assert run(val="mini_train").exit_code == 0
    assert run().exit_code == 0
    assert Checkpoint(best).progress.step == 8
    assert (
        Checkpoint(best).progress.best
        == json.loads((tmp_path / "run" / "scores.json").read_text())["8"]["quality"]["mean_ap"]
    )
    assert trained.step in (4, 8)


def test_corrected_boxes_of_the_validation_put_earlier_scores_aside(made, run, tmp_path):
    shutil.copytree(made / "root", tmp_path / "root")
    dataset = NuScenes(tmp_path / "root")
    trained = {token for tokens in read_budget(made / "budget.parquet").frames.values() for token in tokens}
    resize_boxes(dataset, "mini_val", trained)
    result = run("--data", tmp_path / "root")
    assert result.exit_code == 0, result.output
    assert "mini_val has other frames or boxes than before; earlier scores are kept in scores-mini_val.json" in (
        result.stderr
    )
    before, after = (
        json.loads((tmp_path / "run" / name).read_text()) for name in ("scores-mini_val.json", "scores.json")
    )
    assert (set(before), set(after)) == ({"4", "8"}, {"8"})
    assert before["8"]["truth"] != after["8"]["truth"]
    assert run("--data", tmp_path / "root").stderr.count("earlier scores") == 0


class TestLonger:
    def test_more_epochs_need_a_word(self, run, tmp_path):
        before = decides(tmp_path)
        result = run("--set", "train.epochs=3")
        refused(result, "OUT001", "recipe.train.epochs: 2 -> 3")
        assert "continue this run with the new schedule from its last checkpoint: --changed" in result.output
        assert decides(tmp_path) == before

    def test_a_finished_run_is_trained_longer(self, run, tmp_path):
        first = rates(tmp_path)
        result = run("--set", "train.epochs=3", "--changed")
        assert result.exit_code == 0, result.output
        assert (
            "note: epochs: 2 -> 3: from step 8 on, learning rate and momentum are those of this step" in result.stderr
        )
        assert steps(tmp_path) == list(range(1, 13))
        assert rates(tmp_path)[:8] == first
        assert rates(tmp_path)[8] > rates(tmp_path)[7]  # the cycle of three epochs has not ended yet
        assert rates(tmp_path)[-1] < 0.3 * rates(tmp_path)[8]
        assert set(json.loads((tmp_path / "run" / "scores.json").read_text())) == {"4", "8", "12"}
        document = decides(tmp_path)
        assert document["recipe"]["train"]["epochs"] == 3
        assert [(part["until"], part["train"]["epochs"]) for part in document["earlier"]] == [(8, 2)]
        again = run("--set", "train.epochs=3")  # this is the run now
        assert again.exit_code == 0, again.output
        assert "0 steps" in again.output

    @pytest.mark.parametrize("more", [(), ("--dry-run",)])
    def test_fewer_epochs_than_are_done(self, run, tmp_path, more):
        """The refusal changes nothing: the command of the run still continues it."""
        before = decides(tmp_path)
        result = run("--set", "train.epochs=1", "--changed", *more)
        refused(result, "OUT001", "has done 8 steps, and 1 epoch are 4", "set train.epochs to 2 or more")
        assert decides(tmp_path) == before
        again = run()
        assert again.exit_code == 0, again.output
        assert "0 steps" in again.output

    def test_another_rate(self, begun, tmp_path):
        refused(begun("--set", "train.learning_rate=0.0002"), "OUT001", "learning_rate: 0.002 -> 0.0002")
        result = begun("--set", "train.learning_rate=0.0002", "--changed")
        assert result.exit_code == 0, result.output
        assert rates(tmp_path)[4] < 0.2 * max(rates(tmp_path)[:4])

    @pytest.mark.parametrize("field", ["train.seed=1", "train.batch_size=4", "data.repeat=2", "detector.head.reach=1"])
    def test_what_is_no_schedule_stays(self, run, field):
        refused(run("--set", field, "--changed"), "OUT001", field.partition("=")[0])

    def test_every_field_of_the_schedule_exists(self):
        from pipelines.training.fit_document import SCHEDULE

        assert set(SCHEDULE) < set(vars(TrainConfig()))

    def test_a_folder_without_a_checkpoint_holds_no_run_yet(self, made, tmp_path, monkeypatch):
        with monkeypatch.context() as until:
            break_off(until, 2)
            assert CliRunner().invoke(main, arguments(made, tmp_path / "run")).exit_code == 1
        assert not (tmp_path / "run" / "last.safetensors").exists()
        more = ("--set", "train.epochs=1", "--set", "detector.head.reach=1")
        result = CliRunner().invoke(main, arguments(made, tmp_path / "run", *more), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert decides(tmp_path)["recipe"]["train"]["epochs"] == 1
        assert steps(tmp_path) == [1, 2, 3, 4]


class TestOtherProcesses:
    @pytest.fixture
    def counted(self, monkeypatch):
        """A function that makes the commands believe in a number of processes; the first of them runs here alone."""

        def believe(count):
            monkeypatch.setattr("pipelines.training.fit_document.process_count", lambda: count)

        return believe

    def test_the_samples_of_a_step_stay(self):
        from dataclasses import replace
        from types import SimpleNamespace

        from pipelines.training.fit_document import for_processes

        recipe = tiny(batch_size=6)
        before = SimpleNamespace(processes=2, recipe=recipe)
        for count, size in ((1, 12), (2, 6), (3, 4), (4, 3), (12, 1)):
            assert for_processes(recipe, before, count).train.batch_size == size
        other = replace(recipe, train=replace(recipe.train, batch_size=3))
        assert for_processes(other, before, 3) == other  # another batch size is another run
        assert for_processes(recipe, None, 3) == recipe

    def test_processes_that_cannot_share_them(self, run, monkeypatch):
        monkeypatch.setenv("WORLD_SIZE", "1")
        from types import SimpleNamespace

        from pipelines.training.fit_document import for_processes
        from pointsam.base.errors import StoreError

        recipe = tiny(batch_size=4)
        before = SimpleNamespace(processes=2, recipe=recipe)
        with pytest.raises(StoreError, match=r"OUT001.*8 samples \(2 x 4\), which 3 processes") as caught:
            for_processes(recipe, before, 3)
        assert "continue it in 1, 2, 4, 8 processes" in caught.value.hint

    def test_a_run_of_two_goes_on_in_one(self, made, begun, tmp_path):
        """The same samples in each step, so the same losses but for rounding, which there is none of here."""
        path = tmp_path / "run" / "fit.json"
        document = decides(tmp_path)
        document["processes"], document["recipe"]["train"]["batch_size"] = 2, 1
        path.write_text(json.dumps(document))
        result = begun("--set", "train.batch_size=1")
        assert result.exit_code == 0, result.output
        assert "note: 1 process in place of 2: each takes 2 of the 2 samples of a step" in result.stderr
        assert decides(tmp_path)["processes"] == 2
        whole = list(csv.DictReader((made / "run" / "losses.csv").open()))
        parts = list(csv.DictReader((tmp_path / "run" / "losses.csv").open()))
        assert [row["loss"] for row in parts] == [row["loss"] for row in whole]


class TestTwoAtOnce:
    def test_the_second_says_so_at_once(self, made, tmp_path, monkeypatch):
        """It says so before it looks at the data, waits, and finds the run finished."""
        shutil.copytree(made / "run", tmp_path / "run")
        holder = "import sys, time; from pathlib import Path; from pointsam.base.locks import claimed\n"
        holder += f"with claimed(Path({str(tmp_path / 'run')!r})): print('held', flush=True); sys.stdin.readline()"
        process = subprocess.Popen(
            [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "held\n"
        told = []

        def say(kind, texts):
            told.extend(f"{kind}: {text}" for text in texts)
            if any("another process is training" in text for text in texts):
                process.communicate("end\n")

        monkeypatch.setattr(fitting, "_say", say)
        done = []

        def call():
            done.append(CliRunner().invoke(main, arguments(made, tmp_path / "run"), catch_exceptions=False))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join(60)
        assert done, told
        assert done[0].exit_code == 0, done[0].output
        assert told[0].startswith(f"note: another process is training in {tmp_path / 'run'}: this one waits")

    def test_another_run_is_refused_at_once(self, run, tmp_path):
        holder = "import sys; from pathlib import Path; from pointsam.base.locks import claimed\n"
        holder += f"with claimed(Path({str(tmp_path / 'run')!r})): print('held', flush=True); sys.stdin.readline()"
        process = subprocess.Popen(
            [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "held\n"
        try:
            refused(run("--set", "detector.head.reach=1"), "OUT001", "detector.head.reach: 0 -> 1")
        finally:
            process.communicate("end\n")


class TestDamagedCheckpoints:
    def cut(self, path):
        path.write_bytes(path.read_bytes()[:-100])

    def test_the_best_one_is_whole(self, run, tmp_path):
        folder = tmp_path / "run"
        self.cut(folder / "last.safetensors")
        result = run()
        refused(result, "SCH003", folder / "last.safetensors", "best.safetensors is whole, of step")
        way = f"cp {folder / 'best.safetensors'} {folder / 'last.safetensors'}"
        assert way in result.output
        shutil.copy(folder / "best.safetensors", folder / "last.safetensors")
        again = run()
        assert again.exit_code == 0, again.output
        assert steps(tmp_path) == list(range(1, 9))

    def test_the_last_one_is_gone(self, run, tmp_path):
        (tmp_path / "run" / "last.safetensors").unlink()
        refused(run(), "SCH003", "best.safetensors is whole, of step")

    def test_none_is_whole(self, run, tmp_path):
        for name in ("last", "best"):
            self.cut(tmp_path / "run" / f"{name}.safetensors")
        result = run()
        refused(result, "SCH003", "no other checkpoint of", "are deleted")

    def test_eval_says_which_one_is_whole(self, made, run, tmp_path):
        folder = tmp_path / "run"
        self.cut(folder / "best.safetensors")
        command = ["eval", folder, "--data", made / "root", "--split", "mini_val", "--workers", 0]
        result = CliRunner().invoke(main, [str(part) for part in command], catch_exceptions=False)
        refused(result, "SCH003", folder / "best.safetensors", "last.safetensors is whole, of step 8")
