import io
import json

import numpy as np
import pytest
from helpers.exports import item_of, labels_of

from pointsam.base.errors import SchemaError
from pointsam.export.nuscenes_panoptic import panoptic, panoptic_labels, submission
from pointsam.taxonomy import KITTI, NUSCENES
from pointsam.types import PointLabels

CAR_AND_BARRIER = labels_of([0, -1, 1], [NUSCENES.class_id("car"), 255, NUSCENES.class_id("barrier")])


def test_a_label_is_class_times_1000_plus_cluster_plus_1_and_background_0():
    assert panoptic_labels(CAR_AND_BARRIER, NUSCENES).tolist() == [4001, 0, 1002]


def test_every_class_goes_to_its_challenge_class():
    every = panoptic_labels(labels_of(range(10), range(10)), NUSCENES) // 1000
    assert dict(zip(NUSCENES.names, every.tolist(), strict=True)) == {
        "barrier": 1, "bicycle": 2, "bus": 3, "car": 4, "construction_vehicle": 5, "motorcycle": 6, "pedestrian": 7,
        "traffic_cone": 8, "trailer": 9, "truck": 10,
    }  # fmt: skip


def test_the_last_id_that_fits_keeps_its_class():
    assert panoptic_labels(labels_of([998], [NUSCENES.class_id("truck")]), NUSCENES).tolist() == [10999]


def test_the_first_id_that_does_not_fit_is_refused():
    with pytest.raises(SchemaError, match="cluster_id 999 does not fit") as caught:
        panoptic_labels(labels_of([999], [0]), NUSCENES)
    assert caught.value.code == "SCH006"


def test_a_taxonomy_with_other_classes_is_refused():
    with pytest.raises(SchemaError, match="no class for tram, cyclist of taxonomy 'kitti'") as caught:
        panoptic_labels(PointLabels.empty(3), KITTI)
    assert caught.value.code == "SCH004"


def test_a_class_beyond_the_taxonomy_is_refused():
    with pytest.raises(SchemaError, match="class_id 10 does not exist") as caught:
        panoptic_labels(labels_of([0], [10]), NUSCENES)
    assert caught.value.code == "SCH004"


def test_the_file_has_the_benchmarks_name_key_and_type():
    ((name, content),) = panoptic(item_of(CAR_AND_BARRIER), "mini_train").items()
    assert name == "panoptic/mini_train/abc_panoptic.npz"
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        assert file.files == ["data"]
        assert file["data"].dtype == np.uint16
        assert file["data"].tolist() == [4001, 0, 1002]


def test_equal_labels_are_equal_bytes():
    assert panoptic(item_of(CAR_AND_BARRIER), "val") == panoptic(item_of(CAR_AND_BARRIER), "val")


def test_the_submission_says_what_the_labels_were_made_from():
    ((name, content),) = submission("val").items()
    assert name == "val/submission.json"
    assert json.loads(content) == {
        "meta": {
            "task": "segmentation",
            "use_camera": True,
            "use_lidar": True,
            "use_radar": False,
            "use_map": False,
            "use_external": True,
        }
    }
