"""`mixsup-train fit`, `eval`, `predict` and `recipes` as a user calls them."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import is_locked, refused, temporaries, watch_lock  # noqa: E402
from helpers.recipes import make_inputs, tiny  # noqa: E402
from helpers.training import break_off, make_labels, make_world  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training.recipe_file import document_of, load_recipe  # noqa: E402
from pointsam.base import document, interrupts  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect import train as loop  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, labels, a budget and a recipe."""
    return make_inputs(tmp_path_factory.mktemp("fit"))


def arguments(made, out, **changed):
    options = {"data": "root", "labels": "labels", "budget": "budget.parquet"} | changed
    paths = [part for name, value in options.items() if value for part in (f"--{name}", made / value)]
    return ["fit", made / "tiny.json", *paths, "--out", out, "--val", "mini_val"]


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    result = train(*arguments(made, out))
    assert result.exit_code == 0, result.output
    return out, result


def test_it_ends_with_the_table_and_what_to_type_next(made, run):
    out, result = run
    assert "pedestrian" in result.output
    assert "4 frames. AP by centre distance" in result.output
    assert f"next: mixsup-train eval {out} --data {made / 'root'}\n" in result.output


def test_it_leaves_weights_logs_and_scores(run):
    out, _ = run
    assert {path.name for path in out.iterdir()} >= {"fit.json", "last.safetensors", "best.safetensors", "losses.csv"}
    rows = list(csv.DictReader((out / "losses.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert list((out / "events").glob("events*"))
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores) == {"8"}
    assert not temporaries(out)


def test_running_again_finds_nothing_to_do_and_scores(made, run):
    out, _ = run
    before = (out / "losses.csv").read_text()
    result = train(*arguments(made, out))
    assert result.exit_code == 0, result.output
    assert "0 steps" in result.output
    assert (out / "losses.csv").read_text() == before


def test_a_run_that_was_killed_goes_on_to_the_same_weights(made, run, tmp_path, monkeypatch):
    out, _ = run
    with monkeypatch.context() as until:
        break_off(until, 6)
        assert train(*arguments(made, tmp_path / "run")).exit_code == 1
    result = train(*arguments(made, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "4 steps" in result.output  # from the end of the first epoch
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (out / name).read_bytes()
    whole, broken_off = (list(csv.DictReader((folder / "losses.csv").open())) for folder in (out, tmp_path / "run"))
    assert [row["loss"] for row in whole] == [row["loss"] for row in broken_off]


def test_eval_scores_the_best_checkpoint(made, run, tmp_path):
    out, _ = run
    path = tmp_path / "scores.json"
    result = train("eval", out, "--data", made / "root", "--split", "mini_val", "--workers", 0, "--json", path)
    assert result.exit_code == 0, result.output
    assert json.loads(path.read_text())["quality"]["num_frames"] == 4
    assert "AP by centre distance" in result.output


def test_what_is_there_is_replaced_when_asked(made, run, tmp_path):
    (tmp_path / "scores.json").write_text("mine")
    evaluation = ["eval", run[0], "--data", made / "root", "--split", "mini_val", "--json", tmp_path / "scores.json"]
    refused(train(*evaluation), "OUT003", "scores.json", "--overwrite")
    (tmp_path / "results_nusc.json").write_text("mine")
    prediction = ["predict", run[0], "--data", made / "root", "--split", "mini_val", "--dest", tmp_path]
    refused(train(*prediction, "--workers", 0), "OUT003", "results_nusc.json", "--overwrite")
    assert (tmp_path / "results_nusc.json").read_text() == (tmp_path / "scores.json").read_text() == "mine"
    assert train(*evaluation, "--workers", 0, "--overwrite").exit_code == 0
    assert train(*prediction, "--workers", 0, "--overwrite").exit_code == 0
    assert json.loads((tmp_path / "results_nusc.json").read_text())["results"]


def test_predict_writes_the_same_boxes_twice(made, run, tmp_path):
    out, _ = run
    options = ["--data", made / "root", "--split", "mini_val", "--dest", tmp_path, "--workers", 0, "--json"]
    result = train("predict", out, *options)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    table = pq.read_table(tmp_path / "detections.parquet")
    results = json.loads((tmp_path / "results_nusc.json").read_text())["results"]
    assert said["boxes"] == table.num_rows == sum(len(rows) for rows in results.values())
    assert said["frames"] == len(results) == 4
    scores = table["score"].to_pylist()
    assert sorted(scores) == sorted(row["detection_score"] for rows in results.values() for row in rows)


def test_another_recipe_is_refused_with_what_differs(made, run):
    out, _ = run
    result = train(*arguments(made, out), "--set", "train.learning_rate=0.1")
    refused(result, "OUT001", out, "learning_rate: 0.002 -> 0.1")


def test_labels_that_were_made_again_are_refused(made, run, tmp_path):
    """--retry-failed labels quarantined frames under the same key; an epoch then has other samples."""
    world = NuScenes(made / "root")
    make_labels(tmp_path / "same", world)
    make_labels(tmp_path / "other", world, failed=set(world.frame_ids()[:2]))
    assert train(*arguments(made, run[0], labels=tmp_path / "same")).exit_code == 0
    result = train(*arguments(made, run[0], labels=tmp_path / "other"))
    refused(result, "OUT001", tmp_path / "other", run[0], "were made again", "another --out")


def test_a_run_that_recorded_no_digest_of_labels_is_resumed(made, run, tmp_path):
    shutil.copytree(run[0], tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "fit.json").read_text())
    del stored["label_files"]
    (tmp_path / "run" / "fit.json").write_text(json.dumps(stored))
    assert train(*arguments(made, tmp_path / "run")).exit_code == 0


def test_two_calls_do_not_write_into_one_folder_at_once(made, tmp_path, monkeypatch):
    step, held = loop.Trainer._step, []

    def watched(self, batch):
        held.append(is_locked(tmp_path / "run"))
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", watched)
    assert train(*arguments(made, tmp_path / "run")).exit_code == 0
    assert held == [True] * 8


def test_what_a_run_is_and_its_scores_are_written_while_others_wait(made, tmp_path, monkeypatch):
    held = watch_lock(monkeypatch, document, lambda _: tmp_path / "run")
    assert train(*arguments(made, tmp_path / "run")).exit_code == 0
    assert held == [True, True, True]


def test_a_folder_that_cannot_be_made_is_told(made):
    refused(train(*arguments(made, made / "tiny.json" / "run")), "OUT003", "tiny.json")


def test_how_often_one_looks_may_change(made, run):
    out, _ = run
    assert train(*arguments(made, out), "--set", "train.eval_epochs=1").exit_code == 0


def test_a_dry_run_says_what_it_would_train_on_and_writes_nothing(made, tmp_path):
    result = train(*arguments(made, tmp_path / "run"), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "8 frames, 0 quarantined; 8 samples per epoch, 4 steps of batch size 2" in result.output
    assert "in 1 process, 2 epochs\n" in result.output
    assert "4 frames to validate" in result.output
    assert re.search(r"about [\d.]+ s per step .* for 8 steps, without validation; [\d.]+ GB of memory", result.output)
    assert result.stdout.splitlines()[-1] == "next: the same command without --dry-run"
    assert not (tmp_path / "run").exists()


def test_an_interruption_says_where_the_same_command_begins(made, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(interrupts, "advise", told.append)
    for after, ends in ((3, "starts from the beginning"), (6, "the checkpoint of step 4 is kept"), (7, "of step 4 is")):
        with monkeypatch.context() as until:
            break_off(until, after)
            train(*arguments(made, tmp_path / "run"))
        assert ends in told[-1]
    assert "no checkpoint was written yet" in next(text for text in told if "checkpoint was" in text)


class TestBadFrames:
    @pytest.fixture
    def torn(self, made, tmp_path):
        """The root with one sweep of the validation split cut off."""
        root = tmp_path / "root"
        shutil.copytree(made / "root", root)
        dataset = NuScenes(root)
        frame = dataset.frame(dataset.frame_ids("mini_val")[1])
        frame.sweep.source.path.write_bytes(frame.sweep.source.path.read_bytes()[:-3])
        return root, frame.frame_id

    def test_eval_scores_the_others_and_exits_with_3(self, run, torn):
        root, frame_id = torn
        result = train("eval", run[0], "--data", root, "--split", "mini_val", "--workers", 0)
        assert result.exit_code == 3
        assert "3 frames. AP by centre distance" in result.output
        assert f"frame {frame_id} was left out: [DAT006]" in result.output

    def test_a_frame_that_another_stood_in_for_is_told_every_time(self, made, tmp_path, monkeypatch):
        shutil.copytree(made / "root", tmp_path / "root")
        dataset = NuScenes(tmp_path / "root")
        frame = dataset.frame(dataset.frame_ids("mini_train")[1])
        frame.sweep.source.path.write_bytes(frame.sweep.source.path.read_bytes()[:-3])
        monkeypatch.setattr(loop, "MOST_BAD", 0.5)
        for _ in range(2):
            result = train(*arguments(made, tmp_path / "run", data=tmp_path / "root"))
            assert result.exit_code == 3, result.output
            assert f"frame {frame.frame_id} was left out: [DAT006]" in result.output
        (scores,) = json.loads((tmp_path / "run" / "scores.json").read_text()).values()
        assert list(scores["left_out"]) == [frame.frame_id]

    def test_predict_writes_the_others_and_exits_with_3(self, run, torn, tmp_path):
        root, frame_id = torn
        options = ["--data", root, "--split", "mini_val", "--dest", tmp_path / "found", "--workers", 0, "--json"]
        result = train("predict", run[0], *options)
        assert result.exit_code == 3
        assert list(json.loads(result.stdout)["bad"]) == [frame_id]
        results = json.loads((tmp_path / "found" / "results_nusc.json").read_text())["results"]
        assert set(results) == set(NuScenes(root).frame_ids("mini_val"))  # the devkit needs every frame
        assert results[frame_id] == []

    def test_fit_says_how_many_were_quarantined(self, made, tmp_path):
        world = NuScenes(made / "root")
        make_labels(tmp_path / "labels", world, failed={world.frame_ids()[0]})
        result = train(*arguments(made, tmp_path / "run", labels=tmp_path / "labels"), "--set", "train.epochs=1")
        assert result.exit_code == 3
        assert "1 frame has no labels" in result.output


class TestBadInput:
    def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(self, made, tmp_path, monkeypatch):
        step = loop.Trainer._step

        def spoilt(self, batch):
            if self.progress.step == 5:
                with torch.no_grad():
                    self.model.head.heats[0][-1].bias.fill_(float("nan"))
            return step(self, batch)

        monkeypatch.setattr(loop.Trainer, "_step", spoilt)
        refused(train(*arguments(made, tmp_path / "run")), "TRN001", "step 6", "heat")
        checkpoint = Checkpoint(tmp_path / "run" / "last.safetensors")
        assert checkpoint.progress.step == 4
        rows = list(csv.DictReader((tmp_path / "run" / "losses.csv").open()))
        assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5"]

    def test_cuda_asked_for_and_absent(self, made, tmp_path):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")
        refused(train(*arguments(made, tmp_path / "run"), "--device", "cuda"), "BCK006", "cuda")
        assert not (tmp_path / "run").exists()

    def test_a_grid_that_the_stride_cuts(self, made, tmp_path):
        grid = "detector.grid.range_m=[-24.8,-24.8,-5,24.8,24.8,3]"
        stride = "detector.neck.strides=[2,2]"
        refused(
            train(*arguments(made, tmp_path / "run"), "--set", grid, "--set", stride),
            "SCH005",
            "stride 4",
            "use the range",
        )

    def test_a_grid_that_the_voxels_do_not_divide(self, made, tmp_path):
        result = train(*arguments(made, tmp_path / "run"), "--set", "detector.grid.voxel_m=[0.7,0.7,8.0]")
        refused(result, "SCH005", "do not divide", "use the range")

    def test_labels_of_another_data_set(self, made, tmp_path):
        other = make_world(tmp_path / "other", scenes=("scene-0553",), samples=2)
        make_labels(tmp_path / "labels", other)
        refused(train(*arguments(made, tmp_path / "run", labels=tmp_path / "labels")), "SCH004", "another data set")

    def test_labels_of_another_schema(self, made, tmp_path):
        make_labels(tmp_path / "labels", make_world(tmp_path / "other", samples=2))
        path = tmp_path / "labels" / "run.json"
        path.write_text(re.sub(r'("schema_version": ?)2', r"\g<1>1", path.read_text()))
        refused(train(*arguments(made, tmp_path / "run", labels=tmp_path / "labels")), "SCH003", "schema version 1")

    def test_an_unknown_split(self, made, tmp_path):
        result = train(*arguments(made, tmp_path / "run"), "--val", "dev")
        refused(result, "DAT010", "dev", "the name of a scene", "--val ''")

    def test_a_validation_split_without_frames_is_DAT009(self, made, tmp_path):
        refused(train(*arguments(made, tmp_path / "run"), "--val", "test"), "DAT009", "'test'", "--val ''")

    def test_an_unknown_split_of_eval(self, made, run):
        result = train("eval", run[0], "--data", made / "root", "--split", "dev")
        refused(result, "DAT010", "'dev'", "--split SPLIT")

    def test_no_budget(self, made, tmp_path):
        refused(train(*arguments(made, tmp_path / "run", budget="none.parquet")), "SCH003", "none.parquet")

    def test_a_run_without_a_checkpoint(self, made, tmp_path):
        refused(train("eval", tmp_path, "--data", made / "root"), "SCH003", "last.safetensors")


class TestRecipes:
    def test_all_are_listed(self):
        output = train("recipes").output
        assert all(name in output for name in RECIPES)

    def test_the_kind_of_head_is_the_fields_value(self):
        listed = dict(line.split(maxsplit=1) for line in train("recipes").output.splitlines())
        for name, build in RECIPES.items():
            assert listed[name].removesuffix(", two stages").endswith(f", {build().detector.head.kind}")

    @pytest.mark.parametrize("name", list(RECIPES))
    def test_every_recipe_prints_as_a_file_that_is_the_recipe(self, name, tmp_path):
        path = tmp_path / "r.json"
        path.write_text(train("recipes", name).output)
        assert load_recipe(str(path)) == RECIPES[name]()

    def test_a_field_that_no_recipe_has_is_refused(self, tmp_path):
        document = document_of(tiny())
        document["train"]["learning_rte"] = 1
        (tmp_path / "r.json").write_text(json.dumps(document))
        refused(train("recipes", tmp_path / "r.json"), "SCH005", "train.learning_rte")

    def test_an_unknown_name_is_refused_with_the_known_ones(self):
        refused(train("recipes", "nuscenes"), "SCH005", "synthetic-small")

    def test_the_published_rules_are_named_and_differ_in_four_things(self):
        ours, paper = (load_recipe(name) for name in ("nuscenes-centerpoint-voxel", "nuscenes-centerpoint-voxel-paper"))
        assert paper.detector == ours.detector
        assert paper.train == replace(ours.train, precision="fp32")
        assert ours.train.precision == "bf16"
        assert (paper.data.resample, ours.data.resample) == ("boxes", "objects")
        assert not paper.data.coarse.unknown_dropped
        assert ours.data.coarse.unknown_dropped
        assert (paper.data.coarse.kind, ours.data.coarse.kind) == ("simulated", "tables")
