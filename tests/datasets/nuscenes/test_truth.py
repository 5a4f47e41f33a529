import json

import numpy as np
import pytest
from helpers.nuscenes_root import CATEGORIES, make_root, token, write_table

from pointsam.base.errors import DatasetError
from pointsam.datasets.io import read_points
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.nuscenes.truth import CATEGORIES as CLASSES
from pointsam.datasets.nuscenes.truth import STUFF, lidarseg_truth, panoptic_truth
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, Boxes

NAMES = dict(enumerate(CATEGORIES))
INDEX = {name: index for index, name in NAMES.items()}
CAR, PEDESTRIAN = NUSCENES.class_id("car"), NUSCENES.class_id("pedestrian")
NUM_POINTS = 400


def label(name, instance=0):
    return INDEX[name] * 1000 + instance


def panoptic(*labels):
    return panoptic_truth(np.array(labels, dtype=np.int32), NAMES)


class TestPanoptic:
    def test_a_thing_with_an_instance_is_an_object(self):
        truth = panoptic(label("vehicle.car", 7), label("vehicle.car", 9), label("vehicle.car", 7))
        assert truth.labels.class_id.tolist() == [CAR] * 3
        assert truth.labels.instance_id.tolist() == [0, 1, 0]
        assert not truth.void.any()
        assert truth.source == "panoptic"

    def test_categories_of_one_class_with_one_number_are_two_objects(self):
        truth = panoptic(label("human.pedestrian.adult", 1), label("human.pedestrian.child", 1))
        assert truth.labels.class_id.tolist() == [PEDESTRIAN] * 2
        assert len(set(truth.labels.instance_id.tolist())) == 2

    def test_a_thing_of_instance_zero_is_void_not_one_more_object(self):
        """nuscenes-devkit #655."""
        truth = panoptic(label("vehicle.car", 0), label("vehicle.car", 1))
        assert truth.labels.instance_id.tolist() == [NO_INSTANCE, 0]
        assert truth.void.tolist() == [True, False]

    @pytest.mark.parametrize("name", sorted(STUFF))
    def test_stuff_is_background_that_counts(self, name):
        truth = panoptic(label(name))
        assert truth.labels.class_id.tolist() == [BACKGROUND]
        assert truth.void.tolist() == [False]

    @pytest.mark.parametrize("name", sorted(set(CATEGORIES) - STUFF - set(CLASSES.classes)))
    def test_all_other_categories_are_void(self, name):
        truth = panoptic(label(name), label(name, 3))
        assert truth.labels.class_id.tolist() == [BACKGROUND] * 2
        assert truth.void.all()

    def test_an_index_without_category_is_DAT011(self):
        with pytest.raises(DatasetError, match="index 77") as raised:
            panoptic(77_001)
        assert raised.value.code == "DAT011"


class TestLidarseg:
    """Two cars of 2 m beside each other, the second overlapping the first by half, and a stroller on top."""

    BOXES = Boxes(
        center_m=np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]),
        size_lwh_m=np.full((3, 3), 2.0),
        rotation=np.stack([np.eye(3)] * 3),
        class_id=np.array([CAR, CAR, BACKGROUND], dtype=np.uint8),
        token=("a", "b", "c"),
    )
    KINDS = np.array([INDEX["vehicle.car"]] * 2 + [INDEX["human.pedestrian.stroller"]], dtype=np.int32)

    def truth(self, x, name):
        category = np.array([INDEX[name]], dtype=np.int32)
        return lidarseg_truth(category, NAMES, np.array([[x, 0.0, 0.0]]), self.BOXES, self.KINDS)

    @pytest.mark.parametrize(
        ("x", "name", "instance", "void"),
        [
            (-0.5, "vehicle.car", 0, False),
            (1.5, "vehicle.car", 1, False),
            (0.5, "vehicle.car", NO_INSTANCE, True),
            (9.0, "vehicle.car", NO_INSTANCE, True),
            (-0.5, "vehicle.truck", NO_INSTANCE, True),
            (-0.5, "human.pedestrian.stroller", NO_INSTANCE, True),
            (-0.5, "flat.driveable_surface", NO_INSTANCE, False),
            (-0.5, "noise", NO_INSTANCE, True),
        ],
        ids=["first", "second", "both", "none", "other kind", "void kind", "road in a box", "noise"],
    )
    def test_a_point_is_of_the_only_box_of_its_category(self, x, name, instance, void):
        truth = self.truth(x, name)
        assert truth.labels.instance_id.tolist() == [instance]
        assert truth.void.tolist() == [void]


class TestPacks:
    """point_truth takes the best labels that are there."""

    def pack(self, root, table, data, scene="scene-0061"):
        key = token(scene, "LIDAR_TOP", 0)
        file = f"{table}/v1.0-mini/{key}_{table}" + {"panoptic": ".npz", "lidarseg": ".bin"}[table]
        (root / file).parent.mkdir(parents=True)
        if table == "panoptic":
            np.savez_compressed(root / file, data=data.astype(np.uint16))
        else:
            data.astype(np.uint8).tofile(root / file)
        write_table(root / "v1.0-mini", table, [{"token": key, "sample_data_token": key, "filename": file}])
        return root / file

    @pytest.fixture
    def root(self, tmp_path):
        return make_root(tmp_path / "root", samples_per_scene=1, numbered_categories=True)

    @staticmethod
    def truth(root, source=None):
        dataset = NuScenes(root)
        return dataset.point_truth(dataset.frame_ids()[0], source)

    CARS = np.full(NUM_POINTS, label("vehicle.car", 5))
    ROAD = np.full(NUM_POINTS, INDEX["flat.driveable_surface"])

    def test_boxes_alone(self, root):
        dataset = NuScenes(root)
        frame = dataset.frame_ids()[0]
        truth, boxes = dataset.point_truth(frame), dataset.boxes(frame)
        assert truth.source == "boxes"
        labelled = truth.labels.instance_id >= 0
        assert labelled.any()
        xyz = read_points(dataset.frame(frame).sweep)[labelled]
        reach = np.linalg.norm(boxes.size_lwh_m / 2, axis=1)[truth.labels.instance_id[labelled]]
        centre = boxes.center_m[truth.labels.instance_id[labelled]]
        assert (np.linalg.norm(xyz - centre, axis=1) <= reach).all()

    def test_lidarseg_with_boxes(self, root):
        self.pack(root, "lidarseg", self.ROAD)
        truth = self.truth(root)
        assert truth.source == "lidarseg"
        assert not truth.void.any()
        assert (truth.labels.class_id == BACKGROUND).all()

    def test_panoptic_wins(self, root):
        self.pack(root, "lidarseg", self.ROAD)
        self.pack(root, "panoptic", self.CARS)
        truth = self.truth(root)
        assert truth.source == "panoptic"
        assert (truth.labels.class_id == CAR).all()

    def test_a_source_that_is_asked_for_is_taken_or_nothing(self, root):
        assert self.truth(root, "boxes").source == "boxes"
        assert self.truth(root, "lidarseg") is self.truth(root, "panoptic") is None
        self.pack(root, "lidarseg", self.ROAD)
        self.pack(root, "panoptic", self.CARS)
        for source in ("boxes", "lidarseg", "panoptic"):
            assert self.truth(root, source).source == source
        assert self.truth(root, "semantickitti") is None

    def test_panoptic_needs_no_boxes(self, root):
        self.pack(root, "panoptic", self.CARS)
        write_table(root / "v1.0-mini", "sample_annotation", [])
        assert (self.truth(root).labels.class_id == CAR).all()

    def test_a_sample_without_labels_falls_back_to_boxes(self, tmp_path):
        root = make_root(tmp_path / "two", numbered_categories=True)
        self.pack(root, "panoptic", self.CARS)
        dataset = NuScenes(root)
        assert [dataset.point_truth(frame).source for frame in dataset.frame_ids()] == ["panoptic", "boxes"]

    @pytest.mark.parametrize("table", ["panoptic", "lidarseg"])
    def test_an_overwritten_category_table_is_DAT011_and_still_labels(self, tmp_path, table):
        root = make_root(tmp_path / "plain", samples_per_scene=1)
        self.pack(root, table, self.CARS if table == "panoptic" else self.ROAD)
        with pytest.raises(DatasetError, match=r"category\.json.*'index'") as raised:
            self.truth(root)
        assert raised.value.code == "DAT011"
        dataset = NuScenes(root)
        assert dataset.frame(dataset.frame_ids()[0])

    @pytest.mark.parametrize("table", ["panoptic", "lidarseg"])
    def test_labels_of_another_sweep_are_DAT011(self, root, table):
        path = self.pack(root, table, np.zeros(NUM_POINTS - 1))
        with pytest.raises(DatasetError, match=rf"{path.name}.*399.*400 points") as raised:
            self.truth(root)
        assert raised.value.code == "DAT011"

    @pytest.mark.parametrize("table", ["panoptic", "lidarseg"])
    def test_a_missing_label_file_is_DAT004(self, root, table):
        path = self.pack(root, table, np.zeros(NUM_POINTS))
        path.unlink()
        with pytest.raises(DatasetError, match=path.name) as raised:
            self.truth(root)
        assert raised.value.code == "DAT004"

    @pytest.mark.parametrize("damage", ["empty", "cut", "no data", "bare array", "pickle", "method"])
    def test_a_damaged_panoptic_file_is_DAT011(self, root, damage):
        path = self.pack(root, "panoptic", self.CARS)
        if damage == "no data":
            np.savez(path, other=self.CARS)
        elif damage == "bare array":
            np.save(path.open("wb"), self.CARS)
        elif damage == "pickle":
            np.savez(path, data=np.array([{}], dtype=object))
        elif damage == "method":
            content = bytearray(path.read_bytes())
            content[content.index(b"PK\x01\x02") + 10] = 99  # a compression that does not exist
            path.write_bytes(content)
        else:
            path.write_bytes(path.read_bytes()[: {"empty": 0, "cut": 100}[damage]])
        with pytest.raises(DatasetError, match=path.name) as raised:
            self.truth(root)
        assert raised.value.code == "DAT011"

    def test_added_labels_are_found_without_a_new_fingerprint(self, root):
        before = NuScenes(root).fingerprint()
        self.pack(root, "panoptic", self.CARS)
        assert self.truth(root).source == "panoptic"
        assert NuScenes(root).fingerprint() == before


def test_category_numbers_come_from_the_index_field(tmp_path):
    """Not from the row's position: packs may order their rows otherwise."""
    root = make_root(tmp_path / "root", samples_per_scene=1, numbered_categories=True)
    TestPacks().pack(root, "panoptic", TestPacks.CARS)
    path = root / "v1.0-mini" / "category.json"
    write_table(path.parent, "category", json.loads(path.read_text())[::-1])
    assert (TestPacks.truth(root).labels.class_id == CAR).all()
