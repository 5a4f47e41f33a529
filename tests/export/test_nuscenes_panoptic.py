import errno
import json
import os

import numpy as np
import pytest

from pointsam.errors import SchemaError, StoreError
from pointsam.export.nuscenes_panoptic import encode, export_frame, write_submission
from pointsam.taxonomy import KITTI, NUSCENES
from pointsam.types import PointLabels


def labels_of(instance_id, class_id):
    return PointLabels(np.array(instance_id, np.int32), np.array(class_id, np.uint8))


CAR_AND_BARRIER = labels_of([0, -1, 1], [NUSCENES.class_id("car"), 255, NUSCENES.class_id("barrier")])


def test_a_label_is_class_times_1000_plus_cluster_plus_1_and_background_0():
    assert encode(CAR_AND_BARRIER, NUSCENES).tolist() == [4001, 0, 1002]


def test_every_class_goes_to_its_challenge_class():
    every = encode(labels_of(range(10), range(10)), NUSCENES) // 1000
    assert dict(zip(NUSCENES.names, every.tolist(), strict=True)) == {
        "barrier": 1, "bicycle": 2, "bus": 3, "car": 4, "construction_vehicle": 5, "motorcycle": 6, "pedestrian": 7,
        "traffic_cone": 8, "trailer": 9, "truck": 10,
    }  # fmt: skip


def test_the_last_id_that_fits_keeps_its_class():
    assert encode(labels_of([998], [NUSCENES.class_id("truck")]), NUSCENES).tolist() == [10999]


def test_the_first_id_that_does_not_fit_is_refused():
    with pytest.raises(SchemaError, match="cluster_id 999 does not fit") as caught:
        encode(labels_of([999], [0]), NUSCENES)
    assert caught.value.code == "SCH006"


def test_a_taxonomy_with_other_classes_is_refused():
    with pytest.raises(SchemaError, match="no class for tram, cyclist of taxonomy 'kitti'") as caught:
        encode(PointLabels.empty(3), KITTI)
    assert caught.value.code == "SCH004"


def test_a_class_beyond_the_taxonomy_is_refused():
    with pytest.raises(SchemaError, match="class_id 10 does not exist") as caught:
        encode(labels_of([0], [10]), NUSCENES)
    assert caught.value.code == "SCH004"


def test_the_file_has_the_benchmarks_name_key_and_type(tmp_path):
    path = export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path, "abc", "mini_train")
    assert path == tmp_path / "panoptic" / "mini_train" / "abc_panoptic.npz"
    with np.load(path, allow_pickle=False) as file:
        assert file.files == ["data"]
        assert file["data"].dtype == np.uint16
        assert file["data"].tolist() == [4001, 0, 1002]


def test_equal_labels_are_equal_bytes(tmp_path):
    first = export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path / "a", "abc").read_bytes()
    assert export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path / "b", "abc").read_bytes() == first


def test_a_file_that_is_there_stays_unless_asked(tmp_path):
    path = export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path, "abc")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is there already") as caught:
        export_frame(PointLabels.empty(3), NUSCENES, tmp_path, "abc")
    assert caught.value.code == "OUT003"
    assert path.read_bytes() == before
    export_frame(PointLabels.empty(3), NUSCENES, tmp_path, "abc", overwrite=True)
    assert np.load(path)["data"].tolist() == [0, 0, 0]


def test_a_full_disk_leaves_no_file_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk full") as caught:
        export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path, "abc")
    assert caught.value.code == "OUT002"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_destination_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write") as caught:
        export_frame(CAR_AND_BARRIER, NUSCENES, tmp_path / "file", "abc")
    assert caught.value.code == "OUT003"


def test_the_submission_says_what_the_labels_were_made_from(tmp_path):
    path = write_submission(tmp_path, "val")
    assert path == tmp_path / "val" / "submission.json"
    assert json.loads(path.read_text()) == {
        "meta": {
            "task": "segmentation",
            "use_camera": True,
            "use_lidar": True,
            "use_radar": False,
            "use_map": False,
            "use_external": True,
        }
    }
