"""Output folders that cannot be written, read or continued, through the command line."""

import errno
import json
import math
import os

import pytest
from helpers.commands import label, refused, tables, temporaries

from pointsam.base import files
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels


@pytest.mark.parametrize("change", ["masks.prompts=points", "clusters.refine.range_coef=0.05", "masks.seed=1"])
def test_an_output_folder_made_with_another_configuration(run, tmp_path, scissors, change):
    assert run().exit_code == 0
    before = tables(tmp_path / "out")
    field = change.partition(".")[2].partition("=")[0]
    refused(run("--set", change), "OUT001", tmp_path / "out", f"config.{field}: ")
    assert tables(tmp_path / "out") == before


def test_an_output_folder_made_on_another_kind_of_device(run, tmp_path, scissors, monkeypatch):
    monkeypatch.setattr("pipelines.labelling.jobs.require_device", lambda _device: None)
    assert run("--device", "cuda:1").exit_code == 0
    assert run("--device", "cuda").exit_code == 0
    refused(run("--device", "cpu"), "OUT001", tmp_path / "out", 'device: "cuda" -> "cpu"')


def test_a_full_disk_keeps_finished_shards_and_room_lets_the_run_go_on(run, tmp_path, scissors, mounted):
    assert run(out=tmp_path / "roomy").exit_code == 0
    blocks = sum(math.ceil(path.stat().st_size / 4096) for path in (tmp_path / "roomy").rglob("*") if path.is_file())
    disk = mounted("size=1m")
    out = disk / "out"
    (disk / "filler").write_bytes(bytes((256 - blocks + 1) * 4096))
    refused(run(out=out), "OUT002", out, "bytes more")
    assert temporaries(out) == []
    done = Labels(out)
    assert (len(done.frame_ids("masks")), len(done.frame_ids("clusters"))) == (2, 1)
    assert tables(out).items() < tables(tmp_path / "roomy").items()
    (disk / "filler").unlink()
    assert run(out=out).exit_code == 0
    assert tables(out) == tables(tmp_path / "roomy")


def test_wherever_the_disk_fills_up_no_temporary_file_stays(run, root, tmp_path, scissors, monkeypatch):
    sync, calls, limit = os.fsync, [], 0

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > limit:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    NuScenes(root)  # its index lies elsewhere
    monkeypatch.setattr(files.os, "fsync", full)
    refusals = 0
    while (result := run()).exit_code:
        refused(result, "OUT002", tmp_path / "out")
        assert temporaries(tmp_path / "out") == []
        calls, limit, refusals = [], limit + 3, refusals + 1
    assert refusals > 3


def test_a_read_only_output_folder(run, tmp_path, request, scissors):
    if os.geteuid() == 0:  # whom permissions do not stop
        folder = request.getfixturevalue("mounted")("size=64k,ro")
    else:
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o555)
    refused(run(out=folder / "out"), "OUT003", folder / "out")


def test_a_file_in_place_of_the_output_folder(run, tmp_path, scissors):
    (tmp_path / "mine").write_text("mine")
    refused(run(out=tmp_path / "mine"), "OUT003", tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


NO_OUTPUT = {
    "missing": lambda path: None,
    "empty": lambda path: path.mkdir(),
    "a file": lambda path: path.write_text(""),
    "of another tool": lambda path: (path.mkdir(), (path / "run.json").write_text('{"run": 1}')),
    "damaged": lambda path: (path.mkdir(), (path / "run.json").write_text('{"stages": {')),
    "begun by hand": lambda path: (
        path.mkdir(),
        (path / "run.json").write_text('{"schema_version": 2, "stages": {"masks": {}, "clusters": {}}}'),
    ),
}


@pytest.mark.parametrize("what", NO_OUTPUT)
@pytest.mark.parametrize("command", ["inspect", "eval", "export", "clusters"])
def test_a_folder_that_is_no_output(root, tmp_path, command, what):
    out, dest = tmp_path / "out", tmp_path / "dest"
    NO_OUTPUT[what](out)
    arguments = {
        "inspect": (out, "0", "--png", dest),
        "eval": (out, root, "--json", dest),
        "export": (out, root, "--to", "nuscenes-panoptic", "--dest", dest),
        "clusters": (root, "--out", dest, "--masks-from", out),
    }
    refused(label(command, *arguments[command]), "OUT004", out)
    assert not dest.exists()


@pytest.fixture
def own_classes(run, tmp_path, scissors):
    """An output folder of a taxonomy of its own."""
    mapping = tmp_path / "mapping.json"
    taxonomy = {"name": "mine", "classes": [{"name": "thing"}]}
    mapping.write_text(json.dumps({"taxonomy": taxonomy, "labels": {"car": "thing"}}))
    assert run("--mapping", mapping).exit_code == 0
    return tmp_path / "out"


def test_labels_of_other_classes_than_the_truth_are_not_scored(own_classes, root, tmp_path):
    result = label("eval", own_classes, root, "--json", tmp_path / "eval.json")
    refused(result, "DAT009", root, "they have thing", "--mapping")
    assert not (tmp_path / "eval.json").exists()


def test_labels_of_other_classes_than_the_formats_are_not_exported(own_classes, root, tmp_path):
    result = label("export", own_classes, root, "--to", "nuscenes-panoptic", "--dest", tmp_path / "dest")
    refused(result, "SCH004", "thing", "'mine'")
    assert not (tmp_path / "dest").exists()


def test_a_frame_that_the_run_does_not_have(run, tmp_path, scissors):
    assert run().exit_code == 0
    for frame in ("2", "²"):
        refused(label("inspect", tmp_path / "out", frame), "DAT010", tmp_path / "out", f"'{frame}'")


def test_a_data_set_in_place_of_an_output_folder_is_not_to_be_labelled_into(root):
    result = label("inspect", root, "0")
    refused(result, "OUT004", root, "give the output folder of pointsam-label run DATA --out OUT")
    assert f"--out {root}" not in result.output


def test_a_picture_of_data_that_have_moved(run, root, tmp_path, scissors):
    assert run().exit_code == 0
    root.rename(tmp_path / "moved")
    refused(label("inspect", tmp_path / "out", "0", "--png", tmp_path / "a.png"), "DAT001", root, "--data")
    assert not (tmp_path / "a.png").exists()


def test_clusters_of_frames_without_masks(run, root, tmp_path, scissors):
    first, second = NuScenes(root).frame_ids()
    assert run("--frames", first).exit_code == 0
    result = label("clusters", root, "--out", tmp_path / "more", "--masks-from", tmp_path / "out", "--frames", second)
    assert result.exit_code == 3
    assert "DAT010" in result.output
    assert second in result.output
