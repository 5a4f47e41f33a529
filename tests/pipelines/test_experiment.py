"""`mixsup-train experiment supervision`: every setting trained once, and a table of what is there."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_labels, make_world  # noqa: E402

from pipelines.cli_mixsup import main  # noqa: E402
from pipelines.detect_recipe import document_of  # noqa: E402
from pipelines.experiment import settings, table  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    world = make_world(folder / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(folder / "labels", world)
    (folder / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1, batch_size=2))))
    return folder


def experiment(made, *more):
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
    arguments = ["experiment", "supervision", *paths, *splits, *more]
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_every_setting_is_a_run_and_a_row(made):
    result = experiment(made)
    assert result.exit_code == 0, result.output
    for setting in settings(0.5):
        assert setting.name in result.stdout
        assert (made / "runs" / f"{setting.folder}-0" / "last.safetensors").exists()
    again = experiment(made)
    assert again.stdout == result.stdout  # nothing was left to do


def test_a_part_may_be_asked_for(made, tmp_path):
    result = experiment(made, "--out", tmp_path, "--only", "1")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [f"{settings(0.5)[1].folder}-0"]


def test_a_position_that_is_none_is_refused(made):
    refused(experiment(made, "--only", "7"), "SCH005", "0 to 4")


def test_all_take_the_same_number_of_steps():
    rows = settings(0.1)
    assert [row.repeat for row in rows] == [1, 10, 1, 1, 1]


def score(value, nds=None):
    classes = [{"name": "car", "num_objects": 3, "ap": value}, {"name": "bus", "num_objects": 0, "ap": None}]
    return {"quality": {"mean_ap": value, "classes": classes}, "official": nds and {"NDS": nds}}


def test_the_table_has_means_spreads_and_shares():
    text = table({"all boxes": [score(0.8, 0.7)], "some": [score(0.4), score(0.6)]})
    whole, some = (line.split() for line in text.splitlines()[2:])
    assert whole == ["all", "boxes", "1", "0.800", "-", "1.000", "0.700", "0.800"]
    assert some == ["some", "2", "0.500", "0.200", "0.625", "-", "0.500"]
