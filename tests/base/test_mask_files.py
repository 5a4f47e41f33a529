"""The JSON file of an instance map, of a network or of ground truth."""

import json
from pathlib import Path

import pytest

from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import Instance, read_instances


@pytest.fixture
def write(tmp_path):
    def write(values):
        path = tmp_path / "one.json"
        path.write_text(json.dumps(values))
        return path

    return write


def test_masks_and_ground_truth_are_one_layout(write):
    path = write(
        {"7": {"label": "car", "score": 0.5, "visible": 0.25, "object_id": 3}, "2": {"category": "bus", "score": 1}}
    )
    assert read_instances(path) == {7: Instance("car", 0.5), 2: Instance("bus", 1.0)}
    assert read_instances(path, truth=True) == {7: Instance("car", 0.5, 0.25), 2: Instance("bus", 1.0)}


def test_only_ground_truth_may_lack_a_score_and_has_a_visible_fraction(write):
    path = write({"1": {"label": "car", "visible": "much", "score": 1}})
    assert read_instances(path) == {1: Instance("car", 1.0)}
    with pytest.raises(DatasetError, match=r"DAT011.*one\.json: \['1'\]\.visible is 'much'"):
        read_instances(path, truth=True)
    path = write({"1": {"label": "car"}})
    assert read_instances(path, truth=True) == {1: Instance("car", 1.0)}
    with pytest.raises(DatasetError, match=r"DAT011.*\['1'\]\.score is None"):
        read_instances(path)


def test_a_file_that_cannot_be_read_is_DAT004(write, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    path = write({})
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError, match=r"DAT004.*one\.json.*Permission denied"):
        read_instances(path)
