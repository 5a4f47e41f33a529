"""What the options of `pointsam-label` say in `--help`."""

import os

import pytest
from click.testing import CliRunner
from helpers.commands import label, refused
from helpers.nuscenes_root import make_root

from pipelines.cli import train


def help_of(command):
    return " ".join(label(command, "--help").stdout.split())


@pytest.mark.parametrize("command", ["run", "masks", "noise"])
def test_masks_and_semantics_default_to_the_recipes(command):
    text = help_of(command)
    for start in ("(docs/segmenters.md).", "(docs/onnx.md)."):
        assert f"{start} [default: the recipe's]" in text


def test_clusters_runs_no_network_and_lists_no_device(tmp_path):
    assert "--device" in help_of("masks")
    assert "--device" not in help_of("clusters")
    result = label("clusters", tmp_path, "--out", tmp_path / "out", "--device", "cpu")
    assert "No such option" not in result.output  # scripts that give it keep working


@pytest.mark.parametrize(
    "command",
    ["check", "run", "masks", "clusters", "eval", "report", "inspect", "export", "noise", "calibrate"],
)
def test_every_command_on_data_says_how_they_are_read(command):
    text = help_of(command)
    assert [name for name in ("--dataset", "--version", "--lidar", "--columns") if f"{name} " not in text] == []


@pytest.mark.parametrize("command", ["budget", "fit", "eval", "predict", "experiment"])
def test_so_does_the_trainer(command):
    text = CliRunner().invoke(train.main, [command, "--help"]).stdout
    assert [name for name in ("--dataset", "--version", "--lidar", "--columns") if f"{name} " not in text] == []


def test_names_of_columns_are_read_as_a_list(tmp_path):
    make_root(tmp_path, samples_per_scene=1)
    refused(label("check", tmp_path, "--columns", "x, y"), "DAT010", "z must be there once")
    assert label("check", tmp_path, "--columns", "x, y, z,intensity,ring").exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("run", "DATA", "--out", "s3://bucket/out"),
        ("export", "OUT", "DATA", "--to", "ply", "--dest", "gs://bucket/x"),
        ("report", "memory://out", "--dest", "page"),
        ("report", "OUT", "--dest", "https://host/page"),
        ("synth", "file:///tmp/world"),
    ],
)
def test_a_url_is_not_taken_for_the_name_of_a_folder(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = label(*command)
    assert result.exit_code == 2
    assert "is a URL; give a path of this machine" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", " ", "a\0b", "s3://bucket/out"])
@pytest.mark.parametrize("option", ["--out", "--json"])
def test_a_path_that_is_none_is_refused(tmp_path, monkeypatch, option, value):
    monkeypatch.chdir(tmp_path)
    result = label("run", tmp_path, "--out", "out", option, value)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"Invalid value for '{option}'" in result.output


@pytest.mark.parametrize("data", ["", "a\0b"])
def test_a_root_that_is_no_path_is_refused(tmp_path, data):
    result = label("run", data, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "[DAT001]" in result.output


@pytest.mark.parametrize("value", ["1e300", "1e400", "nan", "-1", "9" * 5000, "[" * 5000])
def test_a_number_beyond_reason_is_refused_before_a_model_is_loaded(tmp_path, value):
    result = label("run", tmp_path, "--out", tmp_path / "out", "--set", f"clusters.refine.range_coef={value}")
    assert result.exit_code == 2
    assert "error [SCH005]" in result.output


def test_a_pipe_in_place_of_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for option in ("--calibration", "--mapping"):
        result = label("run", make_root(tmp_path / "root"), "--out", tmp_path / "out", option, tmp_path / "pipe")
        assert result.exit_code == 2
        assert "pipe" in result.output
