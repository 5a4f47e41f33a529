"""Labelling, judging and exporting data in an object store."""

import pickle
import sys

import pytest
from helpers.commands import label, refused, tables
from helpers.stores import upload

from pipelines.data import DataSpec
from pointsam.base.remote import data_path
from pointsam.store.reader import Labels


@pytest.fixture
def url(drive, store):
    return upload(drive[0], "bucket/drive")


@pytest.fixture
def made(drive, url, tmp_path, scissors):
    """A run on the data in the store."""
    out = tmp_path / "remote"
    result = label("run", url, "--out", out, "--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    assert result.exit_code == 0, result.output
    return out


def test_labels_are_those_of_the_same_data_on_a_disk(made, out, url, store):
    assert tables(made) == tables(out) != {}
    assert str(Labels(made).data_root()) == url


def test_later_commands_find_the_data_by_their_url(made, drive, url, tmp_path):
    found = label("eval", made, url)
    assert found.exit_code == 0, found.output
    there = label("eval", made, drive[0]).stdout
    assert found.stdout == there.replace(str(drive[0]), url)
    for command in (
        ("inspect", made, 0, "--png", tmp_path / "frame.png"),
        ("report", made, "--dest", tmp_path / "page"),
        ("export", made, url, "--to", "coco", "--dest", tmp_path / "coco"),
    ):
        assert label(*command).exit_code == 0, command


def test_a_worker_opens_the_data_by_their_url(url):
    spec = pickle.loads(pickle.dumps(DataSpec(data_path(url))))
    assert len(spec.open().frame_ids()) == 2


def test_files_beside_the_data_must_be_on_this_machine(url, tmp_path):
    result = label("masks", url, "--out", tmp_path / "out", "--semantics", "oracle")
    refused(result, "DAT001", "oracle", "--masks-dir")


def test_a_url_without_the_extra_names_it(url, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "upath", None)
    refused(label("run", url, "--out", tmp_path / "out"), "BCK005", url, "pointsam[remote]")
