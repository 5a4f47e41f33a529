"""Ground truth with the classes of a run."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.kitti_root import CAR
from helpers.nuscenes_root import CATEGORIES
from helpers.training import make_world
from PIL import Image

from pointsam import rle
from pointsam.datasets.base import Dataset, HasDevkitVersion, HasLidarTokens, HasRectifiedCamera
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.mapped import MappedDataset, truth_notes, with_classes
from pointsam.datasets.nuscenes.truth import panoptic_truth
from pointsam.evaluate.images import ImageAccumulator
from pointsam.taxonomy import BACKGROUND, ClassSpec, Taxonomy

OWN = Taxonomy(
    "own", (ClassSpec("worker"), ClassSpec("vehicle"), ClassSpec("Bicycle")), {"car": "vehicle", "Truck": "vehicle"}
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("mapped") / "root", scenes=("scene-0061",), samples=2)


def test_boxes_follow_truth_then_equal_names_and_the_rest_is_void(plain):
    mapped, frame_id = with_classes(plain, OWN), plain.frame_ids()[0]
    found, true = mapped.boxes(frame_id), plain.boxes(frame_id)
    expected = {"car": 1, "bicycle": 2, "pedestrian": BACKGROUND}
    names = [None if k == BACKGROUND else plain.taxonomy.names[k] for k in true.class_id]
    assert {"car", "bicycle", "pedestrian", None} == set(names)
    assert found.class_id.tolist() == [expected.get(name, BACKGROUND) for name in names]
    assert found.token == true.token
    assert mapped.left_out() == {"pedestrian": names.count("pedestrian")}
    mapped.boxes(frame_id)
    assert mapped.left_out() == {"pedestrian": names.count("pedestrian")}  # counted once


def test_points_of_unmapped_classes_are_void_and_those_of_background_are_not(plain):
    frame_id = plain.frame_ids()[0]
    true = plain.point_truth(frame_id)
    person = true.labels.class_id == plain.taxonomy.class_id("pedestrian")
    assert person.any()
    void = with_classes(plain, OWN).point_truth(frame_id)
    assert void.void[person].all()
    assert (void.labels.class_id[person] == BACKGROUND).all()
    bare = replace(OWN, truth={**OWN.truth, "pedestrian": "background"})
    background = with_classes(plain, bare)
    assert not background.point_truth(frame_id).void[person].any()
    assert background.left_out() == {}


def test_a_data_set_with_the_same_classes_is_itself(plain):
    assert with_classes(plain, plain.taxonomy) is plain
    turned = replace(plain.taxonomy, classes=plain.taxonomy.classes[::-1])
    mapped, frame_id = with_classes(plain, turned), plain.frame_ids()[0]
    names = [turned.names[k] for k in mapped.boxes(frame_id).class_id if k != BACKGROUND]
    assert names == [plain.taxonomy.names[k] for k in plain.boxes(frame_id).class_id if k != BACKGROUND]
    swapped = replace(plain.taxonomy, truth={"truck": "car"})
    assert with_classes(plain, swapped).boxes(frame_id) is not None
    assert isinstance(with_classes(plain, swapped), MappedDataset)


def test_all_else_is_the_data_set_s_own(plain, tiny_kitti):
    mapped = with_classes(plain, OWN)
    members = {name for name in (*vars(Dataset), *Dataset.__annotations__) if not name.startswith("_")}
    for name in members - {"boxes", "point_truth", "taxonomy"}:
        value = getattr(mapped, name)
        if not callable(value):
            assert value == getattr(plain, name)
    frame_id = plain.frame_ids()[0]
    assert mapped.frame_ids() == plain.frame_ids()
    assert mapped.fingerprint() == plain.fingerprint()
    assert isinstance(mapped, HasLidarTokens)
    assert isinstance(mapped, HasDevkitVersion)
    assert mapped.lidar_token(frame_id) == plain.lidar_token(frame_id)
    assert not isinstance(mapped, HasRectifiedCamera)
    kitti = with_classes(Kitti(tiny_kitti.root), OWN)
    assert isinstance(kitti, HasRectifiedCamera)
    assert not isinstance(kitti, HasLidarTokens)


def test_what_is_void_and_names_that_do_not_exist_are_told(plain):
    mapped = with_classes(plain, replace(OWN, truth={**OWN.truth, "lorry": "vehicle"}))
    for frame_id in plain.frame_ids():
        mapped.boxes(frame_id)
    void, unknown = truth_notes(mapped)
    assert f"{mapped.left_out()['pedestrian']} pedestrian" in void
    assert "'lorry'" in unknown
    assert "car, truck" in unknown
    assert truth_notes(plain) == []


def test_void_objects_of_images_are_not_counted(tmp_path, monkeypatch, plain):
    truth = np.zeros((36, 64), dtype=np.uint16)
    truth[:10, :10], truth[20:30, :10] = 1, 2
    view = plain.frame(plain.frame_ids()[0]).cameras[0]
    folder = tmp_path / "truth2d" / view.name
    folder.mkdir(parents=True)
    Image.fromarray(truth).save(folder / f"{view.stem}.png")
    (folder / f"{view.stem}.json").write_text('{"1": {"label": "car"}, "2": {"label": "pedestrian"}}')
    mapped = with_classes(plain, OWN)
    monkeypatch.setattr(MappedDataset, "root", tmp_path)
    found = mapped.image_truth(view)
    assert found.class_id.tolist() == [1, BACKGROUND]
    far = np.zeros_like(truth, dtype=bool)
    far[:10, 40:50] = True
    masks = [(rle.encode_mask(where), 1) for where in (truth == 1, truth == 2, far)]
    accumulator = ImageAccumulator(OWN)
    accumulator.add(found, masks)
    every = accumulator.result()[0]
    assert (every.num_objects, every.recall, every.num_masks, every.precision) == (1, 1.0, 2, 0.5)


def test_truth_may_name_categories_of_nuscenes(plain, tmp_path):
    """`static_object.bicycle_rack` is void in the ten classes; adults are pedestrians."""
    truth = {"Static_object.bicycle_rack": "rack", "human.pedestrian.adult": "worker", "vehicle.zeppelin": "rack"}
    own = Taxonomy("own", (ClassSpec("rack"), ClassSpec("worker"), ClassSpec("car")), truth)
    mapped, frame_id = with_classes(plain, own), plain.frame_ids()[0]
    found, true = mapped.boxes(frame_id).class_id.tolist(), plain.boxes(frame_id).class_id
    names = [None if k == BACKGROUND else plain.taxonomy.names[k] for k in true]
    expected = {None: 0, "pedestrian": 1, "car": 2}
    assert found == [expected.get(name, BACKGROUND) for name in names]
    assert mapped.unknown == ("vehicle.zeppelin",)
    assert mapped.left_out() == {"bicycle": names.count("bicycle")}
    points = mapped.point_truth(frame_id).labels.class_id
    assert {0, 1, 2} <= set(points.tolist())
    assert plain.boxes(frame_id).class_id.tolist() == true.tolist()  # the data set itself is unchanged
    panoptic = panoptic_truth(np.array([13_001, 13_001, 2_001]), dict(enumerate(CATEGORIES)), mapped._dataset._classes)
    assert [mapped._dataset.taxonomy.names[k] for k in panoptic.labels.class_id] == [
        "Static_object.bicycle_rack",
        "Static_object.bicycle_rack",
        "human.pedestrian.adult",
    ]


def test_truth_may_name_types_of_kitti(tiny_kitti):
    labels = tiny_kitti.path("label_2", "000000")
    labels.write_text(CAR + CAR.replace("Car", "Van") + CAR.replace("Car", "Bus") + CAR.replace("Car", "Misc"))
    own = Taxonomy("own", (ClassSpec("vehicle"), ClassSpec("bus")), {"car": "vehicle", "van": "vehicle"})
    plain = Kitti(tiny_kitti.root)
    mapped = with_classes(plain, own)
    assert mapped.boxes("000000").class_id.tolist() == [0, 0, BACKGROUND, BACKGROUND]
    whole = with_classes(plain, replace(own, truth={**own.truth, "Bus": "bus"}))
    assert whole.boxes("000000").class_id.tolist() == [0, 0, 1, BACKGROUND]
    assert dict(plain.unknown_classes(["000000"])) == {"Bus": 1}
    assert dict(whole.unknown_classes(["000000"])) == {}
