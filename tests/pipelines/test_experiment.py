"""`mixsup-train experiment`: every setting trained once, and a page of what is there."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_labels, make_world  # noqa: E402

from pipelines.cli_mixsup import main  # noqa: E402
from pipelines.detect_recipe import document_of  # noqa: E402
from pipelines.experiment_page import Row, tables  # noqa: E402
from pipelines.experiments import EXPERIMENTS, Inputs, Setting  # noqa: E402
from pointsam.detect.budget import BudgetConfig  # noqa: E402
from pointsam.evaluate.failures import KINDS  # noqa: E402

pytest.importorskip("matplotlib", reason="needs pointsam[plots]")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    world = make_world(folder / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(folder / "labels", world)
    (folder / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1, batch_size=2))))
    return folder


def settings(name, kind="center-pillar", **inputs):
    return EXPERIMENTS[name].settings(Inputs(tiny(kind), **inputs))


def names(name, *kind, **inputs):
    return [setting.name for setting in settings(name, *kind, **inputs)]


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


def test_every_setting_is_a_run_and_a_row(made):
    result = experiment(made)
    assert result.exit_code == 0, result.output
    mine = settings("supervision", fraction=0.5, labels=made / "labels")
    assert len(mine) == 5
    page = (made / "runs" / "supervision.md").read_text()
    for setting in mine:
        assert f"| {setting.name} |" in page
        assert (made / "runs" / f"{setting.folder}-0" / "last.safetensors").exists()
    assert "![" in page
    assert (made / "runs" / "supervision.png").stat().st_size > 1000
    again = experiment(made)
    assert again.stdout == result.stdout  # nothing was left to do


def test_a_part_may_be_asked_for(made, tmp_path):
    result = experiment(made, "--out", tmp_path, "--only", "1")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["50pc_of_the_frames-0"]


def test_another_experiment_takes_the_runs_that_it_has_in_common(made, tmp_path):
    result = experiment(made, "--only", "2", name="coarse")
    assert result.exit_code == 0, result.output
    for name in ("all boxes", "50% and simulated clusters", "50% and PointSAM, ignore regions"):
        assert name in result.stdout  # trained above
    assert "three clicks" not in result.stdout.split("50% and simulated")[0]


def test_detectors_are_scored_in_another_world_as_well(made):
    result = experiment(made, "--other", made / "root", "--only", "0", name="transfer")
    assert result.exit_code == 0, result.output
    header, _, whole = result.stdout.splitlines()[1:4]
    assert "elsewhere" in header
    at = {name: k for k, name in enumerate(header.replace("of all", "share").split())}
    values = whole.replace("all boxes", "boxes").split()
    assert values[at["elsewhere"]] == values[at["mAP"]]  # it is the same world
    assert len(list((made / "runs" / "all_boxes-0").glob("elsewhere-*.json"))) == 1


def test_a_setting_that_cannot_be_trained_is_told_and_the_others_are(made, tmp_path):
    result = experiment(made, "--out", tmp_path, "--cost", "0.02", "--only", "0,1", name="cost")
    assert result.exit_code == 3, result.output
    assert "all boxes" in result.stdout
    assert "2% of the cost, 2% of the labels boxes was not trained: [SCH005]" in result.stderr


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("supervision", ("--only", "7"), "0 to 4"),
        ("transfer", (), "--other ROOT"),
        ("noise", (), "--wrong"),
        ("nothing", (), "supervision, coarse, boxes"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_trained(made, tmp_path, name, more, said):
    refused(experiment(made, "--out", tmp_path / "runs", *more, name=name), "SCH005", said)
    assert not (tmp_path / "runs").exists()


def test_coarse_labels_of_every_kind_meet_the_same_boxes():
    mine = settings("coarse", labels="labels")
    assert [setting.coarse.kind for setting in mine] == ["none", "none", "simulated", "clicks", "centers", "tables"]
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


def test_each_ablation_changes_one_thing():
    centers = settings("assignment", labels="labels")
    assert names("assignment", "second-centers")[3:] == [
        "10% and simulated clusters, overlap",
        "10% and simulated clusters, overlap, one threshold",
    ]
    base, plain, blind, peaks = centers[1:]
    assert plain.coarse.as_boxes
    assert not base.coarse.as_boxes
    assert base.coarse.unknown_unseen
    assert not blind.coarse.unknown_unseen
    changed = peaks.change(tiny()).detector
    assert changed.center.peak == "true"
    assert changed.center != tiny().detector.center
    one = settings("assignment", "second-centers")[-1].change(tiny("second-centers")).detector.anchor
    assert one.match == "overlap"
    assert all(anchors.cluster_iou == anchors.box_iou for anchors in one.anchors)


def score(value, nds=None):
    classes = [{"name": "car", "num_objects": 3, "ap": value}, {"name": "bus", "num_objects": 0, "ap": None}]
    gains = [{"name": "car", "gains": [0.1] * len(KINDS)}, {"name": "bus", "gains": [None] * len(KINDS)}]
    quality = {"mean_ap": value, "classes": classes}
    return {"quality": quality, "failures": gains, "official": nds and {"NDS": nds}, "other": None}


def test_the_table_has_means_spreads_and_shares():
    rows = [
        Row(Setting("all boxes", BudgetConfig(1.0)), 1.0, [score(0.8, 0.7)]),
        Row(Setting("some", BudgetConfig(0.5)), 0.5, [score(0.4), score(0.6)]),
    ]
    quality, failures = (table.text() for table in tables(rows))
    whole, some = (line.split() for line in quality.splitlines()[3:5])
    assert whole == ["all", "boxes", "1.000", "1", "0.800", "-", "1.000", "0.700", "0.800"]
    assert some == ["some", "0.500", "2", "0.500", "0.200", "0.625", "-", "0.500"]
    assert failures.splitlines()[-1].split() == ["some", *["0.100"] * len(KINDS)]
