"""Variants of tables and names: byte order marks, line ends, other encodings, names of any kind."""

import json

import pytest
from helpers.nuscenes_root import make_root

from pointsam.base.errors import DatasetError
from pointsam.datasets import open_dataset

VERSION = "v1.0-mini"


def test_byte_order_marks_and_windows_line_ends_change_nothing(tmp_path, nuscenes_root):
    root = make_root(tmp_path / "root")
    plain = open_dataset(root).fingerprint()
    for path in (root / VERSION).glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (root / VERSION / "splits.json").write_bytes(b'\xef\xbb\xbf{"mine": ["scene-0061"]}')
    dataset = open_dataset(root)
    assert dataset.fingerprint() == plain
    assert dataset.frame_ids("mine") == dataset.frame_ids()
    assert list(dataset.table_problems()) == []


def test_files_that_macos_adds_are_no_versions(tmp_path):
    root = make_root(tmp_path / "root")
    for path in list((root / VERSION).glob("*.json")):
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    (root / "__MACOSX" / VERSION).mkdir(parents=True)
    (root / "._v1.0-mini").write_bytes(b"\x00")
    assert open_dataset(root).version == VERSION


def test_tables_in_utf_16_are_named(tmp_path):
    root = make_root(tmp_path / "root")
    path = root / VERSION / "sample.json"
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(DatasetError, match=r"DAT011.*sample\.json is written in UTF-16"):
        open_dataset(root)


def test_version_folders_and_scenes_may_have_any_name(tmp_path):
    names = ("a/b c", "..", "scène 1\\ä", "a\nb", "")

    def edit(tables):
        for row, name in zip(tables["scene"], names, strict=True):
            row["name"] = name

    scenes = [f"scene-{k}" for k in range(len(names))]
    root = make_root(tmp_path / "my data", version="été 1.0", scenes=scenes, samples_per_scene=1, edit=edit)
    dataset = open_dataset(root)
    unnamed = json.loads((root / "été 1.0" / "scene.json").read_text())[-1]["token"]
    assert {dataset.scene(frame_id) for frame_id in dataset.frame_ids()} == {*names[:-1], unnamed}
    assert len(dataset.frame_ids("..")) == 1


def test_a_name_that_leaves_the_root_names_table_and_field(tmp_path):
    root = make_root(tmp_path / "root", edit=lambda tables: tables["sample_data"][0].update(filename="../x.bin"))
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match=r"DAT011.*sample_data\.json: field 'filename' names the file '\.\./x\.bin'"):
        dataset.frame(dataset.frame_ids()[0])
