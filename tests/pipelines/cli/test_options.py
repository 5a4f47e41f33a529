"""What the options of `pointsam-label` say in `--help`."""

import os

import pytest
from helpers.commands import label
from helpers.nuscenes_root import make_root


def help_of(command):
    return " ".join(label(command, "--help").stdout.split())


@pytest.mark.parametrize("command", ["run", "masks", "noise"])
def test_masks_and_semantics_default_to_the_recipes(command):
    text = help_of(command)
    for start in ("Segmenter.", "Source of the classes: a 2D network or files."):
        assert f"{start} [default: the recipe's]" in text


def test_clusters_runs_no_network_and_lists_no_device(tmp_path):
    assert "--device" in help_of("masks")
    assert "--device" not in help_of("clusters")
    result = label("clusters", tmp_path, "--out", tmp_path / "out", "--device", "cpu")
    assert "No such option" not in result.output  # scripts that give it keep working


@pytest.mark.parametrize("out", ["", " ", "a\0b"])
def test_a_path_that_is_none_is_refused(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    result = label("run", tmp_path, "--out", out)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "Invalid value for '--out'" in result.output


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
