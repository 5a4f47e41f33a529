import numpy as np
import pytest
from helpers.nuscenes_root import make_root
from helpers.semantic_root import make_semantic
from helpers.tracking_root import make_tracking, row

from pointsam.base.errors import SchemaError
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.datasets.mapped import with_classes
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.track_points import Numbers, labelled_tracks, names_of_objects, true_objects
from pointsam.taxonomy import BACKGROUND, ClassSpec, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

NONE = NO_INSTANCE


def labels(*ids):
    ids = np.array(ids, dtype=np.int32)
    return PointLabels(ids, np.where(ids == NONE, BACKGROUND, 1).astype(np.uint8))


def truth(*ids, names=None, void=None):
    return PointTruth(labels(*ids), np.zeros(len(ids), bool) if void is None else np.array(void), "panoptic", names)


def names_in(dataset, frame_id):
    return names_of_objects(dataset, frame_id, dataset.point_truth(frame_id))


class TestNames:
    def test_boxes_of_kitti_tracking_have_their_tracks(self, tmp_path):
        made = make_tracking(tmp_path)
        made.path("label_02").write_text(row(0, 7) + row(1, 9, z=20.0) + row(1, 7) + row(2, 4) + row(2, 4, z=20.0))
        dataset = KittiTracking(tmp_path)
        found = [names_in(dataset, frame) for frame in dataset.frame_ids()[:3]]
        assert found == [{0: "7"}, {0: "9", 1: "7"}, {}]  # two boxes of a frame say that they are track 4

    def test_boxes_of_nuscenes_have_their_instances(self, tmp_path):
        dataset = NuScenes(make_root(tmp_path / "root", boxes_per_sample=3))
        frame_id = dataset.frame_ids()[0]
        assert dataset.point_truth(frame_id).source == "boxes"
        assert names_in(dataset, frame_id) == dict(enumerate(dataset.tracks(frame_id)))

    def test_semantickitti_names_its_instances(self, tmp_path):
        dataset = make_semantic(tmp_path, values=[10 | 5 << 16, 10 | 7 << 16, 40, 10, 10 | 9 << 16])
        assert names_in(dataset, "08_000000") == {5: "5", 7: "7"}  # 9 is behind the camera

    def test_a_mapping_keeps_them(self, tmp_path):
        mapped = with_classes(
            make_semantic(tmp_path, values=[10 | 5 << 16, 40, 40, 40, 40]),
            Taxonomy("own", (ClassSpec("vehicle"),), {"car": "vehicle"}),
        )
        assert names_in(mapped, "08_000000") == {5: "5"}

    def test_without_tracks_there_are_none(self, tmp_path):
        dataset = make_semantic(tmp_path)
        assert names_of_objects(dataset, "08_000000", PointTruth(labels(0), np.zeros(1, bool), "boxes")) is None
        tracked = KittiTracking(make_tracking(tmp_path / "t").root)
        other = PointTruth(labels(0), np.zeros(1, bool), "of a plug-in")
        assert names_of_objects(tracked, tracked.frame_ids()[0], other) is None


class TestTrueObjects:
    def test_an_object_keeps_its_number(self):
        numbers = Numbers()
        first = true_objects(truth(4, 4, NONE, 2), {4: "a", 2: "b"}, numbers)
        second = true_objects(truth(0, 1, 2), {0: "b", 1: "c", 2: "a"}, numbers)
        a, b = first.labels.instance_id[[0, 3]]
        assert first.labels.instance_id.tolist() == [a, a, NONE, b]
        assert second.labels.instance_id.tolist()[0::2] == [b, a]
        assert len({a, b, int(second.labels.instance_id[1])}) == 3
        assert first.labels.class_id.tolist() == [1, 1, BACKGROUND, 1]
        assert not first.void.any()

    def test_an_object_without_a_name_is_void(self):
        found = true_objects(truth(3, 0, NONE, NONE, void=[False, False, True, False]), {0: "5"}, Numbers())
        assert found.labels.instance_id.tolist() == [NONE, 5, NONE, NONE]
        assert found.void.tolist() == [True, False, True, False]


class TestLabelledTracks:
    def test_a_track_keeps_its_number_and_clusters_without_one_are_their_own(self):
        numbers = Numbers()
        first = labelled_tracks("f", labels(0, 1, 2, NONE, 3), [8, -1, 8, -1], numbers).instance_id.tolist()
        second = labelled_tracks("g", labels(1, 0), [-1, 8], numbers).instance_id.tolist()
        assert first[0] == first[2] == second[0]
        assert first[3] == NONE
        assert len({first[0], first[1], first[4], second[1]}) == 4

    def test_tracks_of_other_labels_are_refused(self):
        with pytest.raises(SchemaError, match="frame f has points of cluster 2, but tracks of 2 clusters") as raised:
            labelled_tracks("f", labels(0, 2), [1, 2], Numbers())
        assert raised.value.code == "SCH003"

    def test_frames_without_points_or_clusters(self):
        assert len(labelled_tracks("f", labels(), [], Numbers())) == 0
        assert labelled_tracks("f", labels(NONE), [], Numbers()).instance_id.tolist() == [NONE]
        assert len(true_objects(truth(), {}, Numbers()).labels) == 0


def test_numbers_keep_their_order_and_names_get_others():
    numbers = Numbers()
    names = ["17001", "7", 8, "00007", "9" * 32, "token", ("f", 0)]
    found = [numbers.of(name) for name in names]
    assert found[:3] == [17001, 7, 8]
    assert len(set(found)) == len(names)
    assert min(found[3:]) > 10**9
    assert [numbers.of(name) for name in names] == found
