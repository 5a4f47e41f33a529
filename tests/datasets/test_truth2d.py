"""True instances of images: read, absent, damaged."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.datasets.truth2d import has_image_truth, image_truth
from pointsam.taxonomy import NUSCENES

VIEW = SimpleNamespace(name="CAM_FRONT", stem="one")


@pytest.fixture
def stem(tmp_path):
    """One image with a car, half hidden, and a truck."""
    folder = tmp_path / "truth2d" / "CAM_FRONT"
    folder.mkdir(parents=True)
    ids = np.zeros((20, 30), dtype=np.uint8)
    ids[2:5, 3:9], ids[10:12, 20:22] = 1, 4
    Image.fromarray(ids).save(folder / "one.png")
    table = {"1": {"label": "car", "visible": 0.5}, "4": {"label": "truck"}}
    (folder / "one.json").write_text(json.dumps(table))
    return folder / "one"


def test_instances_have_a_class_and_what_is_seen_of_them(tmp_path, stem):
    truth = image_truth(tmp_path, VIEW, NUSCENES)
    assert truth.instance_id.tolist() == [1, 4]
    assert [NUSCENES.names[k] for k in truth.class_id] == ["car", "truck"]
    assert truth.visible.tolist() == [0.5, 1.0]
    assert [(truth.ids == k).sum() for k in (1, 4)] == [18, 4]
    assert has_image_truth(tmp_path)


def test_an_image_without_any_has_none(tmp_path, stem):
    stem.with_suffix(".png").unlink()
    assert image_truth(tmp_path, VIEW, NUSCENES) is None
    assert not has_image_truth(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"1": {}}',
        '{"x": {"label": "car"}}',
        "[1]",
        '{"1": {"label": "car", "visible": "much"}}',
        '{"1": {"label": "car", "visible": 2}}',
        '{"0": {"label": "car"}}',
        '{"1": {"label": "car"}, "1": {"label": "bus"}}',
    ],
)
def test_a_damaged_table_is_named(tmp_path, stem, text):
    stem.with_suffix(".json").write_text(text)
    with pytest.raises(DatasetError, match=r"DAT011.*one\.json"):
        image_truth(tmp_path, VIEW, NUSCENES)


def test_a_missing_table_is_named(tmp_path, stem):
    stem.with_suffix(".json").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*one\.json"):
        image_truth(tmp_path, VIEW, NUSCENES)


def test_a_cut_off_picture_and_a_foreign_class_are_refused(tmp_path, stem):
    stem.with_suffix(".json").write_text('{"1": {"label": "zebra"}}')
    with pytest.raises(SchemaError, match=r"SCH001.*zebra"):
        image_truth(tmp_path, VIEW, NUSCENES)
    stem.with_suffix(".png").write_bytes(stem.with_suffix(".png").read_bytes()[:60])
    with pytest.raises(DatasetError, match="DAT011"):
        image_truth(tmp_path, VIEW, NUSCENES)


def test_a_picture_that_is_no_png_is_refused(tmp_path, stem):
    Image.new("L", (30, 20)).save(stem.with_suffix(".png"), "GIF")
    with pytest.raises(DatasetError, match=r"DAT011.*one\.png.*content is not PNG"):
        image_truth(tmp_path, VIEW, NUSCENES)


def test_a_picture_that_cannot_be_read_is_DAT004(tmp_path, stem, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError, match=r"DAT004.*one\.png: instance map cannot be read \(Permission denied\)"):
        image_truth(tmp_path, VIEW, NUSCENES)
