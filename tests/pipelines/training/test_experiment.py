"""`mixsup-train experiment`: every setting is trained once, and the page shows all finished runs."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused, watch_lock  # noqa: E402
from helpers.recipes import CENTER, tiny  # noqa: E402
from helpers.training import make_labels, make_world, resize_boxes  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training import experiment as experiment_module  # noqa: E402
from pipelines.training import experiment_page  # noqa: E402
from pipelines.training.fit import fit, training_plan  # noqa: E402
from pipelines.training.recipe_file import document_of  # noqa: E402
from pipelines.training.settings import EXPERIMENTS, Inputs  # noqa: E402
from pointsam.base.errors import SchemaError, TrainingError  # noqa: E402
from pointsam.calibration.correction import StoredCorrection  # noqa: E402
from pointsam.datasets import open_dataset  # noqa: E402
from pointsam.detect.data.budget import Objects, sample_budget  # noqa: E402
from pointsam.detect.data.budget_file import read_budget  # noqa: E402
from pointsam.stages.recipes import default  # noqa: E402
from pointsam.taxonomy import BACKGROUND  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    world = make_world(folder / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(folder / "labels", world)
    (folder / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1, batch_size=2))))
    return folder


AWAY = "other world: mAP"
REACHING = replace(tiny(), detector=replace(tiny().detector, head=replace(CENTER, reach=1)))


def settings(name, kind="center-pillar", **inputs):
    return EXPERIMENTS[name].settings(Inputs(**{"recipe": tiny(kind), **inputs}))


def experiment(made, *more, name="supervision"):
    paths = [
        "--recipe",
        made / "tiny.json",
        "--data",
        made / "root",
        "--labels",
        made / "labels",
        "--out",
        made / "runs",
    ]
    splits = ["--train-split", "mini_train", "--val-split", "mini_val", "--fraction", "0.5"]
    arguments = ["experiment", name, *paths, *splits, *more]
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(made):
    """Output of the call that trained every setting of `supervision` into made/runs."""
    result = experiment(made)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def figures(request, monkeypatch):
    """No figures, which take a second each, except in `trained` and in tests with `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(experiment_page, "_figure", lambda *_: {".png": b"", ".svg": b""})


@pytest.fixture
def drawn():
    """Pages of this test have figures."""


def test_every_setting_is_a_run_and_a_row(made, trained, drawn):
    assert experiment(made).stdout == trained  # nothing was left to do
    mine = settings("supervision", fraction=0.5, labels=made / "labels")
    assert len(mine) == 5
    page = (made / "runs" / "supervision.md").read_text()
    for setting in mine:
        assert f"| {setting.name} |" in page
        assert (made / "runs" / f"{setting.folder}-0" / "last.safetensors").exists()
    assert "![" in page
    assert (made / "runs" / "supervision.png").stat().st_size > 1000


def test_a_part_may_be_asked_for(made, tmp_path):
    result = experiment(made, "--out", tmp_path, "--only", "1")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["50pc_of_the_frames-0"]


def test_another_experiment_takes_the_runs_that_it_has_in_common(made, trained):
    result = experiment(made, "--only", "2", name="coarse")
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if "boxes" in line or "50%" in line]
    for name in ("all boxes", "50% and simulated clusters", "50% and PointSAM, ignore regions"):
        assert any(row.startswith(name) for row in rows)  # trained above
    assert "three clicks" not in result.stdout


def test_runs_of_another_recipe_are_not_taken_for_ones_own(made, trained):
    refused(
        experiment(made, "--only", "1", "--set", "train.learning_rate=0.1"), "OUT001", "all_boxes-0", "learning_rate"
    )


def test_a_run_that_has_not_come_to_its_end_is_no_row(made, tmp_path):
    result = experiment(made, "--out", tmp_path, "--only", "0")
    assert "\nall boxes" in result.stdout
    path = tmp_path / "all_boxes-0" / "scores.json"
    scores = json.loads(path.read_text())
    (last,) = scores.values()
    last["epochs"] = 0
    path.write_text(json.dumps(scores))
    result = experiment(made, "--out", tmp_path, "--only", "1")
    assert "\n50% of the frames" in result.stdout
    assert "\nall boxes" not in result.stdout


def objects_of(world):
    return sum((world.boxes(frame_id).class_id != BACKGROUND).sum() for frame_id in world.frame_ids("mini_val"))


def test_detectors_are_scored_in_another_world_as_well(made, trained, drawn):
    make_world(made / "other", scenes=("scene-0061", "scene-0103"), boxes=5)
    result = experiment(made, "--other", made / "other", "--only", "0,5", name="transfer")
    assert result.exit_code == 0, result.output
    page = (made / "runs" / "transfer.md").read_text()
    header, _, *rows = ([entry.strip() for entry in line.split("|")] for line in page.splitlines() if line[:1] == "|")
    objects = {"mAP": objects_of(open_dataset(made / "root")), AWAY: objects_of(open_dataset(made / "other"))}
    assert objects["mAP"] > objects[AWAY] > 0
    for name in ("all boxes", "all boxes of the other world"):
        folder = made / "runs" / f"{name.replace(' ', '_')}-0"
        (own,) = json.loads((folder / "scores.json").read_text()).values()
        (path,) = folder.glob("away-*-mini_val.json")
        away = json.loads(path.read_text())
        here, there = (own, away) if name == "all boxes" else (away, own)
        row = next(row for row in rows if row[1] == name)
        for column, score in (("mAP", here), (AWAY, there)):
            assert sum(one["num_objects"] for one in score["quality"]["classes"]) == objects[column]
            assert row[header.index(column)] == f"{score['quality']['mean_ap']:.3f}"


def test_another_split_may_be_scored_there(made, trained):
    make_world(made / "third", scenes=("scene-0061", "scene-0103"), boxes=5)
    there = ("--other", made / "third", "--other-split")
    result = experiment(made, *there, "mini_train", "--only", "1")
    assert result.exit_code == 0, result.output
    assert "other world: ratio to all boxes" in result.stdout
    scored = {path.parent.name for path in (made / "runs").glob("*/away-*-mini_train.json")}
    assert scored == {f"{setting.folder}-0" for setting in settings("supervision", fraction=0.5, labels="labels")}
    refused(experiment(made, *there, "nowhere", "--only", "1"), "DAT010", "nowhere", "--other-split SPLIT")


def test_labels_of_wrong_calibrations_are_rows(made, tmp_path):
    wrong = make_labels(tmp_path / "wrong", open_dataset(made / "root"), noise="rotation_deg=1").out
    result = experiment(made, "--wrong", wrong, "--only", "2", name="noise")
    assert result.exit_code == 0, result.output
    assert "50% and rotation_deg=1" in result.stdout
    for bad in (made / "labels", wrong):  # a right one, and the same again
        refused(
            experiment(made, "--wrong", wrong, "--wrong", bad, name="noise"), "SCH005", "each calibration error once"
        )


def test_labels_of_one_wrong_calibration_may_be_corrected_or_without_refinement(made, tmp_path):
    world, noise = open_dataset(made / "root"), "rotation_deg=1"
    plain = replace(default().clusters, refine=replace(default().clusters.refine, enabled=False))
    wrong = [
        make_labels(tmp_path / "wrong", world, noise=noise).out,
        make_labels(tmp_path / "mended", world, noise=noise, calibration={"rig": StoredCorrection(0.0, {})}).out,
        make_labels(tmp_path / "plain", world, noise=noise, config=plain).out,
        make_labels(tmp_path / "true", world, config=plain).out,
    ]
    mine = settings("noise", labels=made / "labels", wrong=tuple(wrong))
    names = [setting.name for setting in mine]
    told = (noise, f"{noise}, corrected", f"{noise}, without SAR", "true calibration, without SAR")
    assert names[-4:] == [f"10% and {one}" for one in told]
    assert mine[-3].folder == "10pc_and_rotation_deg-1_mended"  # as version 0.1.0 named it


def test_a_curve_is_drawn_and_classes_without_a_box_are_told(made, tmp_path, drawn):
    result = experiment(made, "--out", tmp_path, "--cost", "0.5", "--only", "1", name="cost")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cost.svg").read_bytes().startswith(b"<?xml")
    poor = experiment(made, "--out", tmp_path / "poor", "--cost", "0.02", "--only", "0,1", name="cost")
    assert poor.exit_code == 0, poor.output
    note = "Not trained for want of boxes, and not part of the mAP of 2% of the cost, 2% of the labels boxes, seed 0: "
    assert note in poor.stderr
    assert note in (tmp_path / "poor" / "cost.md").read_text()


@pytest.mark.parametrize("module", [experiment_module, experiment_page])
def test_other_scores_and_the_page_are_written_while_others_wait(made, trained, monkeypatch, tmp_path, module):
    runs = tmp_path / "runs"
    shutil.copytree(made / "runs", runs, ignore=shutil.ignore_patterns("away-*"))  # all are trained
    held = watch_lock(monkeypatch, module, lambda files: files[-1][0].parent)
    result = experiment(made, "--out", runs, "--only", "0", "--other", made / "root", "--other-split", "mini_train")
    assert result.exit_code == 0, result.output
    assert held
    assert all(held)


def test_a_folder_that_cannot_be_made_is_told(made):
    refused(experiment(made, "--out", made / "tiny.json" / "runs"), "OUT003", "tiny.json")


def test_frames_that_were_not_trained_on_are_told_every_time(made, tmp_path):
    world = open_dataset(made / "root")
    make_labels(tmp_path / "labels", world, failed=world.frame_ids("mini_train")[:1])
    for _ in range(2):
        result = experiment(made, "--labels", tmp_path / "labels", "--out", tmp_path / "runs", "--only", "4")
        assert result.exit_code == 3, result.output
        assert "50% and PointSAM, ignore regions, seed 0: 1 quarantined frames have no labels" in result.stderr
    assert "1 quarantined frames have no labels" in (tmp_path / "runs" / "supervision.md").read_text()


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("supervision", ("--only", "7"), "0 to 4"),
        ("supervision", ("--seeds", ""), "--seeds"),
        ("supervision", ("--other-split", "x"), "--other is missing"),
        ("supervision", ("--wrong", "x"), "does not use --wrong"),
        ("cost", ("--cost", "2"), "--cost"),
        ("supervision", ("--fraction", "0"), "--fraction"),
        ("transfer", (), "--other ROOT"),
        ("transfer", ("--other", "x", "--other-split", "y"), "validation split there"),
        ("noise", (), "--wrong"),
        ("nothing", (), "supervision, coarse, boxes"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_trained(made, tmp_path, name, more, said):
    refused(experiment(made, "--out", tmp_path / "runs", *more, name=name), "SCH005", said)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", ["--train-split", "--val-split"])
def test_the_option_of_an_unknown_split_is_named(made, tmp_path, option):
    result = experiment(made, "--out", tmp_path / "runs", option, "nowhere")
    refused(result, "DAT010", "nowhere", f"{option} SPLIT")


def test_the_version_of_the_tables_may_be_named(made, tmp_path):
    refused(experiment(made, "--out", tmp_path / "runs", "--version", "v9"), "DAT002", "v9")


def test_labels_of_another_root_are_refused_before_anything_is_trained(made, tmp_path):
    make_labels(tmp_path / "labels", make_world(tmp_path / "root", scenes=("scene-0061",)))
    refused(experiment(made, "--labels", tmp_path / "labels", "--out", tmp_path / "runs"), "SCH004", "another data set")
    assert not (tmp_path / "runs").exists()


def test_labels_of_a_part_of_the_split_are_refused_before_anything_is_trained(made, tmp_path):
    world = open_dataset(made / "root")
    make_labels(tmp_path / "labels", world, frame_ids=world.frame_ids("mini_train")[:1])
    for more in ((), ("--dry-run",)):
        result = experiment(made, "--labels", tmp_path / "labels", "--out", tmp_path / "runs", *more)
        refused(result, "SCH003", "no labels of")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", ["--seeds", "--only"])
@pytest.mark.parametrize("numbers", ["-1", "0,0", "one"])
def test_seeds_and_positions_are_numbers_from_zero_each_once(made, option, numbers):
    result = experiment(made, option, numbers, "--dry-run")
    assert result.exit_code == 2
    assert "write different whole numbers from 0, separated by commas" in result.stderr


def test_worlds_that_share_frame_ids_have_budgets_of_their_own(made, tmp_path):
    def later(tables):
        for row in tables["calibrated_sensor"]:
            row["translation"][2] += 0.1

    worlds = [
        make_world(tmp_path / name, scenes=("scene-0061", "scene-0103"), edit=edit)
        for name, edit in (("one", None), ("two", later))
    ]
    assert worlds[0].frame_ids() == worlds[1].frame_ids()
    for world in worlds:
        result = experiment(made, "--out", tmp_path / "runs", "--other", world.root, "--only", "0", name="transfer")
        assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "runs").glob("budget-other-*.parquet"))) == 2


def test_frames_that_could_not_be_read_in_the_other_world_are_tried_again(made, tmp_path):
    other = make_world(tmp_path / "other", scenes=("scene-0061", "scene-0103"))
    sweep = other.frame(other.frame_ids("mini_val")[0]).sweep.source.path
    whole = sweep.read_bytes()
    sweep.write_bytes(b"torn")
    more = ("--out", tmp_path / "runs", "--only", "1", "--other", tmp_path / "other")
    assert experiment(made, *more).exit_code == 3
    sweep.write_bytes(whole)
    assert experiment(made, *more).exit_code == 0


class TestWhatChangedSince:
    """Finished runs are taken as they are only if their data are."""

    @pytest.fixture
    def again(self, made, tmp_path):
        """A function that runs one setting, evaluated here and in another world with the same frames."""
        for name in ("root", "other"):
            shutil.copytree(made / "root", tmp_path / name)

        def call(*more):
            worlds = ("--data", tmp_path / "root", "--other", tmp_path / "other", "--other-split", "mini_val")
            return experiment(made, *worlds, "--out", tmp_path / "runs", "--only", "1", *more)

        result = call()
        assert result.exit_code == 0, result.output
        return call

    def documents(self, folder):
        (run,) = (path for path in (folder / "runs").iterdir() if path.is_dir())
        (away,) = run.glob("away-*")
        (own,) = json.loads((run / "scores.json").read_text()).values()
        return own, json.loads(away.read_text())

    def test_nothing(self, again, tmp_path):
        before = self.documents(tmp_path)
        again()
        assert self.documents(tmp_path) == before
        assert all(one["truth"] for one in before)

    def test_boxes_of_the_validation_here(self, again, tmp_path):
        own, away = self.documents(tmp_path)
        resize_boxes(open_dataset(tmp_path / "root"), "mini_val")
        result = again()
        assert result.exit_code == 0, result.output
        own_now, away_now = self.documents(tmp_path)
        assert (own_now["truth"] != own["truth"], away_now) == (True, away)
        assert "\n50% of the frames" in result.stdout

    def test_boxes_of_the_other_world(self, again, tmp_path):
        own, away = self.documents(tmp_path)
        resize_boxes(open_dataset(tmp_path / "other"), "mini_val")
        assert again().exit_code == 0
        own_now, away_now = self.documents(tmp_path)
        assert (own_now, away_now["truth"] != away["truth"]) == (own, True)

    def test_boxes_that_were_trained_on(self, again, tmp_path):
        resize_boxes(open_dataset(tmp_path / "root"), "mini_train")
        refused(again(), "SCH005", "nothing can be trained", "SCH003", "are not the boxes in")

    def test_a_frame_that_can_be_read_again(self, again, made, tmp_path):
        """Frames that could not be read are tried in each call; the run stays a row if they still cannot."""
        world = open_dataset(tmp_path / "root")
        sweep = world.frame(world.frame_ids("mini_val")[0]).sweep.source.path
        whole = sweep.read_bytes()
        sweep.write_bytes(whole[:-3])
        shutil.rmtree(tmp_path / "runs")
        for _ in range(2):
            result = again()
            assert result.exit_code == 3, result.output
            assert "\n50% of the frames" in result.stdout
        sweep.write_bytes(whole)
        assert again().exit_code == 0
        assert self.documents(tmp_path)[0]["bad"] == {}


@pytest.mark.parametrize("resample", ["none", "objects"])
def test_all_would_take_the_same_number_of_steps(made, tmp_path, monkeypatch, resample):
    def only_planned(wanted):
        steps.append(re.search(r"(\d+) steps of batch size 2", training_plan(wanted))[1])
        raise TrainingError("TRN001", "not trained", "only planned")

    steps = []
    monkeypatch.setattr(experiment_module, "fit", only_planned)
    for name in ("supervision", "cost"):
        experiment(made, "--out", tmp_path, "--set", f"data.resample={resample}", "--cost", "0.5", name=name)
    assert len(steps) > 6
    assert len(set(steps)) == 1


@pytest.mark.heavy
@pytest.mark.parametrize("resample", ["none", "objects"])
def test_all_take_the_same_number_of_steps(made, tmp_path, resample):
    more = ("--out", tmp_path, "--set", f"data.resample={resample}", "--cost", "0.5")
    steps = set()
    for name in ("supervision", "cost"):
        assert experiment(made, *more, name=name).exit_code == 0
    for path in tmp_path.glob("*/scores.json"):
        steps |= set(json.loads(path.read_text()))
    assert len(list(tmp_path.glob("*/scores.json"))) > 6
    assert len(steps) == 1


def test_a_seed_is_of_the_budget_and_of_the_training(made, tmp_path):
    assert experiment(made, "--out", tmp_path, "--seeds", "0,1", "--only", "1").exit_code == 0
    frames = [read_budget(path).frames for path in sorted(tmp_path.glob("budget-*-frame-0.5-*.parquet"))]
    assert len(frames) == 2
    assert frames[0] != frames[1]
    recipes = [json.loads((tmp_path / f"50pc_of_the_frames-{k}" / "fit.json").read_text())["recipe"] for k in (0, 1)]
    assert [recipe["train"]["seed"] for recipe in recipes] == [0, 1]


def test_settings_and_what_is_done_of_them_are_listed_without_writing(made, tmp_path):
    nothing = experiment(made, "--out", tmp_path / "runs", "--dry-run")
    assert not (tmp_path / "runs").exists()
    listed = [line.split() for line in nothing.stdout.splitlines()[2:]]
    names = [setting.name for setting in settings("supervision", fraction=0.5, labels=made / "labels")]
    assert [" ".join(line[1:-1]) for line in listed] == names
    assert [line[0] for line in listed] == list("01234")
    assert {line[-1] for line in listed} == {"-"}
    assert experiment(made, "--out", tmp_path / "runs", "--seeds", "3", "--only", "1").exit_code == 0
    some = experiment(made, "--out", tmp_path / "runs", "--seeds", "0,3", "--dry-run")
    assert [line.split()[-1] for line in some.stdout.splitlines()[2:]] == ["-", "3", "-", "-", "-"]
    other = experiment(made, "--out", tmp_path / "runs", "--seeds", "3", "--dry-run", "--train-split", "mini_val")
    refused(other, "SCH003", "drawn from split 'mini_train'")


@pytest.mark.parametrize("more", [("--dry-run",), ("--only", "1")])
def test_settings_that_need_labels_are_named_if_there_are_none(made, tmp_path, more):
    options = ["--recipe", made / "tiny.json", "--data", made / "root", "--out", tmp_path, "--fraction", 0.5]
    options += ["--train-split", "mini_train", "--val-split", "mini_val", *more]
    result = CliRunner().invoke(main, ["experiment", "supervision", *map(str, options)])
    assert result.exit_code == 0, result.output
    names = "50% and PointSAM; 50% and PointSAM, ignore regions"
    assert f"Left out, because they need --labels OUT of pointsam-label: {names}." in result.output


@pytest.mark.parametrize("error", [TrainingError, SchemaError])
def test_a_training_that_breaks_off_does_not_keep_the_others(made, tmp_path, monkeypatch, error):
    def breaks(wanted):
        if wanted.recipe.data.coarse.kind == "simulated":
            raise error("TRN001", "step 3: no number", "train in fp32")
        return fit(wanted)

    monkeypatch.setattr("pipelines.training.experiment.fit", breaks)
    result = experiment(made, "--out", tmp_path, "--only", "1,2,3")
    assert result.exit_code == 3, result.output
    assert "50% and simulated clusters, seed 0: TRN001: step 3: no number; train in fp32" in result.stderr
    assert [name in result.stdout for name in ("50% of the frames", "simulated", "50% and PointSAM")] == [1, 0, 1]


def test_what_a_recipe_says_of_coarse_labels_holds_but_for_what_a_setting_is_about(made, tmp_path):
    assert experiment(made, "--out", tmp_path, "--only", "2", "--set", "data.coarse.seed=7").exit_code == 0
    coarse = json.loads((tmp_path / "50pc_and_simulated_clusters-0" / "fit.json").read_text())["recipe"]["data"][
        "coarse"
    ]
    assert (coarse["kind"], coarse["seed"]) == ("simulated", 7)


def test_centers_are_left_out_where_labels_are_met_by_their_points():
    by_points = [setting.name for setting in settings("coarse", "second", labels="labels")]
    by_centers = [setting.name for setting in settings("coarse", "second-centers", labels="labels")]
    assert "10% and centers" in by_centers
    assert by_points == [name for name in by_centers if name != "10% and centers"]
    data = tiny("second").data
    food = replace(data, coarse=replace(data.coarse, kind="centers"))
    with pytest.raises(SchemaError, match=r"SCH005.*'centers'"):
        replace(tiny("second"), data=food)


def test_coarse_labels_of_every_kind_meet_the_same_boxes():
    mine = settings("coarse", labels="labels")
    assert [setting.coarse["kind"] for setting in mine] == ["none", "none", "simulated", "clicks", "centers", "tables"]
    assert len({setting.budget for setting in mine[2:]}) == 1


def test_boxes_are_a_curve_with_clusters_and_one_without():
    mine = settings("boxes", labels="labels")
    curves = {curve: [s.x for s in mine if s.curve == curve] for curve in {s.curve for s in mine}}
    assert sorted(curves) == [
        "boxes and PointSAM, ignore regions",
        "boxes and simulated clusters",
        "boxes of whole frames",
    ]
    assert all(x[:6] == pytest.approx([1, 2, 5, 10, 20, 50]) for x in curves.values())


@pytest.mark.parametrize("cost", [0.15, 0.226, 0.5])
def test_every_division_of_a_cost_costs_the_same(cost):
    frame = np.repeat(np.arange(500), 20)
    ones, still = np.ones(len(frame), dtype=np.int64), np.zeros((len(frame), 2))
    names = [tuple(map(str, range(count))) for count in (500, len(frame))]
    objects = Objects(names[0], frame, names[1], ones.astype(np.uint8), 10.0 * ones, 9 * ones, still)
    mine = settings("cost", cost=cost)[1:]
    for setting in mine:
        spent = sample_budget(objects, ("car", "pedestrian"), setting.budget).description
        share = "cost_boxes_only" if setting.coarse["kind"] == "none" else "cost_with_clusters"
        assert getattr(spent, share) == pytest.approx(cost, abs=0.005)
    assert len(mine) >= 2


def test_each_ablation_changes_one_thing():
    base, plain, blind, peaks, reach = settings("assignment", labels="labels", recipe=REACHING)[1:]
    assert plain.coarse == {**base.coarse, "as_boxes": True}
    assert blind.coarse == {**base.coarse, "unknown_unseen": False, "unknown_dropped": False}
    head = REACHING.detector.head
    assert peaks.change(REACHING).detector == replace(REACHING.detector, head=replace(head, peak="true"))
    assert reach.change(REACHING).detector == replace(REACHING.detector, head=replace(head, reach=0))
    base, plain, overlap, one = settings("assignment", "second-centers")[1:]
    anchor = tiny("second-centers").detector.head
    assert overlap.change(tiny("second-centers")).detector.head == replace(anchor, match="overlap")
    changed = one.change(tiny("second-centers")).detector.head
    assert changed.match == "overlap"
    assert all(anchors.cluster_iou == anchors.box_iou for anchors in changed.anchors)
