import json
from dataclasses import replace

import numpy as np
import pytest

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.semantics.coco_set import CocoSet
from pointsam.semantics.places import ImageName, parts_of
from pointsam.taxonomy import KITTI, LabelMapping

MAPPING = LabelMapping(KITTI, {"car": "car", "person": "pedestrian"})
SIZE = (60, 80)
CATEGORIES = [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}]
SQUARE = [10, 20, 30, 20, 30, 40, 10, 40]


def image(path, frame_id="training_000000", scene="training", camera="image_2"):
    return ImageName(frame_id, scene, camera, parts_of(f"/data/kitti/{path}"), len(parts_of(path)))


TRAINING = image("training/image_2/000000.png")
TESTING = image("testing/image_2/000000.png", "testing_000000", "testing")


def coco(*names, annotations=(), **change):
    images = [{"id": k, "file_name": name, "height": 60, "width": 80} for k, name in enumerate(names)]
    return {"images": images, "annotations": list(annotations), "categories": CATEGORIES} | change


def annotation(k=0, **change):
    return {"id": 7, "image_id": k, "category_id": 3, "segmentation": [SQUARE], "bbox": [10, 20, 20, 20]} | change


@pytest.fixture
def opened(tmp_path):
    """Opens COCO files of given contents."""

    def opened(*contents):
        files = []
        for k, content in enumerate(contents):
            files.append(tmp_path / f"instances_{k}.json")
            files[-1].write_text(content if isinstance(content, str) else json.dumps(content))
        return CocoSet(files, MAPPING)

    return opened


def test_the_objects_of_an_image_have_label_mask_and_score(opened):
    given = opened(coco("000000.png", annotations=[annotation(score=0.5), annotation(category_id=1, segmentation=[])]))
    car, person = given.read(TRAINING, SIZE)
    assert (car.label, car.score, rle.area_px(car.rle, *SIZE)) == ("car", 0.5, 400)
    assert (person.label, person.score, person.box_xyxy_px) == ("person", 1.0, (10, 20, 30, 40))


def test_an_image_without_annotations_is_empty_and_one_that_is_not_listed_is_an_error(opened):
    given = opened(coco("000000.png"))
    assert given.read(TRAINING, SIZE) == []
    with pytest.raises(DatasetError, match=r"DAT004.*no entry of `images` is training/image_2/000001\.png"):
        given.read(image("training/image_2/000001.png"), SIZE)


def test_crowds_are_left_out(opened):
    crowd = annotation(iscrowd=1, segmentation={"size": list(SIZE), "counts": [0, 60 * 80]})
    assert len(opened(coco("000000.png", annotations=[crowd, annotation(iscrowd=0)])).read(TRAINING, SIZE)) == 1


@pytest.mark.parametrize(
    "file_name",
    [
        "000000.png",
        "000000.jpg",
        "image_2/000000.png",
        "training/image_2/000000.png",
        "./training/image_2/000000.png",
        "training\\image_2\\000000.png",
        "C:\\Users\\me\\training\\image_2\\000000.png",
        "/data/kitti/training/image_2/000000.png",
        "/home/me/other/training/image_2/000000.png",
    ],
)
def test_an_image_is_found_by_the_end_of_its_path(opened, file_name):
    given = opened(coco(file_name, annotations=[annotation()]))
    assert len(given.read(TRAINING, SIZE)) == 1
    assert given.survey([TRAINING], needs_masks=False) == ()


def test_each_folder_has_its_own(opened):
    names = ("testing/image_2/000000.png", "training/image_2/000000.png")
    given = opened(coco(*names, annotations=[annotation(1)]))
    assert (len(given.read(TRAINING, SIZE)), len(given.read(TESTING, SIZE))) == (1, 0)
    assert given.survey([TRAINING, TESTING], needs_masks=False) == ()


@pytest.mark.parametrize("name", ["other/image_2/000000.png", "testing/image_2/000000.png", "image_3/000000.png"])
def test_an_image_of_another_folder_is_not_taken(opened, name):
    with pytest.raises(DatasetError, match="DAT004"):
        opened(coco(name)).read(TRAINING, SIZE)


def test_the_scene_and_camera_may_be_the_folders(opened):
    tracking = image("image_2/0001/000004.png", "0001_000004", "0001")
    assert opened(coco("0001/image_2/000004.png")).read(tracking, SIZE) == []
    assert opened(coco("a/b/0001/image_2/000004.png")).read(tracking, SIZE) == []


def test_names_with_a_time_stamp_are_found_in_any_folder(opened):
    front = image("samples/CAM_FRONT/n015__CAM_FRONT__1532402927612460.jpg", "f", "scene-0061", "CAM_FRONT")
    assert opened(coco("out/images/n015__CAM_FRONT__1532402927612460.png")).read(front, SIZE) == []


def test_a_name_that_fits_two_images_is_refused(opened):
    with pytest.raises(DatasetError) as caught:
        opened(coco("000000.png")).survey([TRAINING, TESTING], needs_masks=False)
    assert caught.value.code == "DAT002"
    for text in ("'000000.png' fits two images", "training_000000", "testing_000000"):
        assert text in caught.value.message
    assert "testing/image_2/000000.png" in caught.value.hint


def test_a_name_that_also_fits_an_image_outside_of_the_run_is_refused(opened):
    other = replace(TESTING, of_run=False)
    with pytest.raises(DatasetError, match=r"DAT002.*fits two images"):
        opened(coco("000000.png")).survey([TRAINING, other], needs_masks=False)
    given = opened(coco("training/image_2/000000.png", "testing/image_2/000000.png"))
    (notice,) = given.survey([TRAINING, other], needs_masks=False)
    assert "1 image of" in notice


def test_two_entries_of_one_image_are_refused(opened):
    given = opened(coco("000000.png"), coco("training/image_2/000000.png"))
    for call in (lambda: given.read(TRAINING, SIZE), lambda: given.survey([TRAINING], needs_masks=False)):
        said = r"DAT002.*instances_0\.json and .*instances_1\.json are both the image training/image_2/000000\.png"
        with pytest.raises(DatasetError, match=said):
            call()


def test_images_on_one_side_only_are_counted(opened):
    given = opened(coco("training/image_2/000000.png", "a.png", "b.png"))
    absent, foreign = given.survey([TRAINING, image("training/image_2/000001.png")], needs_masks=False)
    assert "1 of 2 images of the run have no entry" in absent
    assert "for example training/image_2/000001.png" in absent
    assert "2 images of" in foreign
    assert "'a.png'" in foreign


def test_a_file_of_other_images_is_refused(opened):
    with pytest.raises(DatasetError, match=r"DAT002.*none of its 1 image is an image of the run.*'x\.png'"):
        opened(coco("x.png")).survey([TRAINING], needs_masks=False)


def test_boxes_are_refused_where_masks_are_needed(opened):
    given = opened(coco("000000.png", annotations=[annotation(), annotation(segmentation=[])]))
    given.survey([TRAINING], needs_masks=False)
    with pytest.raises(DatasetError, match=r"DAT002.*annotations\[1\] has a box and no mask(.|\n)*--recipe default"):
        given.survey([TRAINING], needs_masks=True)


def test_a_file_whose_boxes_are_corners_is_refused_whole_and_a_single_one_with_its_image(opened):
    right = [annotation(segmentation=[], bbox=[10, 20, 20, 20]) for _ in range(30)]
    wrong = annotation(segmentation=[], bbox=[40, 30, 70, 55])
    given = opened(coco("000000.png", annotations=[*right, wrong, wrong]))
    with pytest.raises(DatasetError, match=r"DAT011.*of 2 of 32 boxes leaves its image.*annotations\[30\]"):
        given.survey([TRAINING], needs_masks=False)
    given = opened(coco("000000.png", annotations=[*right, wrong]))
    assert given.survey([TRAINING], needs_masks=False) == ()
    with pytest.raises(DatasetError, match=r"DAT011.*annotations\[30\]\.bbox"):
        given.read(TRAINING, SIZE)


def test_the_size_of_the_image_must_be_right(opened):
    with pytest.raises(DatasetError, match=r"DAT011.*'000000\.png' 80 x 60 px, but the image has 40 x 30 px"):
        opened(coco("000000.png")).read(TRAINING, (30, 40))


def test_results_take_images_and_categories_from_the_file_beside_them(opened):
    results = [{"image_id": 0, "category_id": 1, "bbox": [10, 20, 20, 20], "score": 0.25}]
    companion = coco("000000.png", annotations=[annotation()])
    for contents in ((results, companion), (companion, results)):
        (found,) = opened(*contents).read(TRAINING, SIZE)
        assert (found.label, found.score, found.rle) == ("person", 0.25, None)


def test_results_alone_say_what_is_missing(opened):
    results = [{"image_id": 0, "category_id": 1, "bbox": [10, 20, 20, 20], "score": 0.25}]
    for contents in ((results,), (results, coco("a.png"), coco("b.png")), (results, results)):
        with pytest.raises(DatasetError, match=r"DAT002.*lacks the file names of its images and the names"):
            opened(*contents)


def test_a_result_needs_a_score(opened):
    given = opened([{"image_id": 0, "category_id": 1, "bbox": [10, 20, 20, 20]}], coco("000000.png"))
    with pytest.raises(DatasetError, match=r"DAT011.*\[0\]\.score is None"):
        given.read(TRAINING, SIZE)


def test_a_damaged_object_concerns_its_image_only(opened):
    names = ("training/image_2/000000.png", "testing/image_2/000000.png")
    given = opened(coco(*names, annotations=[annotation(0, segmentation=[[1, 2]]), annotation(1)]))
    with pytest.raises(DatasetError, match=r"DAT011.*annotations\[0\]\.segmentation"):
        given.read(TRAINING, SIZE)
    assert len(given.read(TESTING, SIZE)) == 1


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("{", "DAT011", "line 1"),
        ("5", "DAT011", "not a JSON object"),
        ({"shapes": []}, "DAT002", "no list of images and annotations and categories"),
        (coco("a.png") | {"annotations": None}, "DAT002", "no list of annotations"),
        (coco("a.png", categories={}), "DAT002", "no list of categories"),
        (coco("a.png", categories=[1]), "DAT011", "categories[0] is not"),
        (coco("a.png", categories=[{"id": 1}]), "DAT011", "categories[0].name is None"),
        (
            coco("a.png", categories=[*CATEGORIES, {"id": 3, "name": "x"}]),
            "DAT011",
            "categories[2].id 3 is there twice",
        ),
        (coco("a.png", images=[{"id": 1}]), "DAT011", "images[0].file_name is None"),
        (coco("a.png", images=[{"id": 1, "file_name": "/"}]), "DAT011", "images[0].file_name is '/'"),
        (coco("a.png", images=[{"file_name": "a.png"}]), "DAT011", "images[0].id is None"),
        (coco("a.png", images=[{"id": [], "file_name": "a.png"}]), "DAT011", "images[0].id is []"),
        (coco("a.png", images=[{"id": 1, "file_name": "a", "height": "6"}]), "DAT011", "images[0].height is '6'"),
        (coco("a.png", images=[{"id": 1, "file_name": "a", "width": 0}]), "DAT011", "images[0].width is 0"),
        (coco("a.png", annotations=[1]), "DAT011", "annotations[0] is not"),
        (coco("a.png", annotations=[annotation(5)]), "DAT011", "annotations[0].image_id 5 is not in `images`"),
        (coco("a.png", annotations=[annotation(True)]), "DAT011", "annotations[0].image_id is True"),
        (coco("a.png", annotations=[annotation(category_id=2)]), "DAT011", "category_id 2 is not in `categories`"),
    ],
)
def test_a_malformed_file_is_refused_whole(opened, content, code, says):
    with pytest.raises(DatasetError) as caught:
        opened(content)
    assert caught.value.code == code
    assert says in caught.value.message
    assert "instances_0.json" in caught.value.message


def test_many_files_at_the_top_are_those_of_single_images(tmp_path):
    with pytest.raises(DatasetError, match=r"DAT002.*21 JSON files at its top"):
        CocoSet([tmp_path / f"{k}.json" for k in range(21)], MAPPING)


def test_random_changes_raise_coded_errors_only(opened):
    rng = np.random.default_rng(0)
    atoms = [None, True, -1, 0, 1, 3, 2.5, "", "000000.png", [], {}, [1, 2, 3, 4], [[1]], {"size": [60, 80]}]
    good = json.dumps(coco("000000.png", "x.png", annotations=[annotation(), annotation(1, score=0.5)]))

    def places(value):
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield value, key
            yield from places(value[key])

    refused = 0
    for _ in range(400):
        content = json.loads(good)
        for _ in range(rng.integers(1, 3)):
            spots = list(places(content))
            holder, key = spots[rng.integers(len(spots))]
            holder[key] = atoms[rng.integers(len(atoms))]
        try:
            given = opened(content)
            given.survey([TRAINING], needs_masks=bool(rng.integers(2)))
            given.read(TRAINING, SIZE)
        except DatasetError:
            refused += 1
    assert refused > 100
