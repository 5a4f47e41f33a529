import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointsam import rle
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.semantics import SemanticsContext, load_semantics, result_files, semantics_sha256, survey_semantics
from pointsam.semantics.places import ImageName
from pointsam.semantics.precomputed import PrecomputedSemantics, fingerprint
from pointsam.taxonomy import NUSCENES, LabelMapping

CAR, PERSON = NUSCENES.class_id("car"), NUSCENES.class_id("pedestrian")
MAPPING = LabelMapping(NUSCENES, {"car": "car", "van": "car", "person": "pedestrian"})
IMAGE = np.zeros((6, 8, 3), dtype=np.uint8)
LABELS = {"0": "background", "1": "car", "2": "person", "3": "van", "7": "sky"}

IDS = np.zeros((6, 8), dtype=np.uint8)
IDS[1:3, 2:5] = 1
IDS[4, 6:8] = 2
IDS[0, 0] = 3
IDS[5, 0] = 7


@pytest.fixture
def folder(tmp_path):
    """Writes the files of one image by name: a dict or list as JSON, an array as PNG, bytes as they are."""

    def write(**files):
        for name, content in files.items():
            path = tmp_path / ("labels.json" if name == "labels" else f"CAM_FRONT/drive_0001.{name}")
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, np.ndarray):
                Image.fromarray(content).save(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return tmp_path

    return write


@pytest.fixture
def detect(frame, view_of):
    def detect(masks_dir, mapping=MAPPING, **view):
        return PrecomputedSemantics(mapping, masks_dir).detect(IMAGE, frame, view_of(6, 8, **view))

    return detect


def masks_of(found):
    from pycocotools import mask as coco

    return [coco.decode({"size": [6, 8], "counts": counts}).astype(np.bool_) for counts in found.rle]


def entry(mask, label="car", score=0.75, **more):
    return {
        "segmentation": {"size": [6, 8], "counts": rle.encode_mask(mask).decode()},
        "label": label,
        "score": score,
        **more,
    }


def test_a_semantic_png_gives_one_mask_a_class(folder, detect):
    found = detect(folder(labels=LABELS, png=IDS))
    assert not found.instances
    assert found.class_id.tolist() == [CAR, PERSON]
    assert found.score.tolist() == [1, 1]
    car, person = masks_of(found)
    np.testing.assert_array_equal(car, (IDS == 1) | (IDS == 3))
    np.testing.assert_array_equal(person, IDS == 2)
    assert found.box_xyxy_px.tolist() == [[0, 0, 5, 3], [6, 4, 8, 5]]


def test_a_palette_png_holds_ids_not_colours(folder, detect):
    masks_dir = folder(labels=LABELS, png=IDS)
    picture = Image.fromarray(IDS, mode="P")
    picture.putpalette([200, 100, 50] * 256)
    picture.save(masks_dir / "CAM_FRONT" / "drive_0001.png")
    assert detect(masks_dir).class_id.tolist() == [CAR, PERSON]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_instance_png_gives_one_mask_an_object(folder, detect, dtype):
    names = {
        "1": {"label": "car", "score": 0.75},
        "2": {"label": "person", "score": 0.5},
        "3": {"label": "van", "score": 1},
    }
    names |= {"7": {"label": "sky", "score": 1}, "9": {"label": "car", "score": 0.25}}
    large = IDS.astype(dtype)
    if dtype is np.uint16:
        large[large == 3], names["60000"] = 60000, names.pop("3")
    found = detect(folder(png=large, json=names))
    assert found.instances
    assert found.class_id.tolist() == [CAR, PERSON, CAR]
    assert found.score.tolist() == [0.75, 0.5, 1]
    for mask, label_id in zip(masks_of(found), (1, 2, 3), strict=True):
        np.testing.assert_array_equal(mask, label_id == IDS)


def test_rle_gives_one_mask_an_entry_in_their_order(folder, detect):
    entries = [
        entry(IDS == 2, "person"),
        entry(IDS == 1),
        entry(IDS == 7, "sky"),
        entry(IDS == 99, "car"),
        entry(IDS == 3),
    ]
    found = detect(folder(json=entries))
    assert found.instances
    assert found.class_id.tolist() == [PERSON, CAR, CAR]
    assert found.box_xyxy_px.tolist() == [[6, 4, 8, 5], [2, 1, 5, 3], [0, 0, 1, 1]]


def test_rle_masks_may_overlap(folder, detect):
    found = detect(folder(json=[entry(IDS < 2), entry(IDS < 3, "person")]))
    np.testing.assert_array_equal(masks_of(found)[1], IDS < 3)


def test_category_is_another_word_for_label_and_other_fields_are_ignored(folder, detect):
    given = entry(IDS == 1, bbox=[0, 0, 1, 1])
    given["category"] = given.pop("label")
    found = detect(folder(json=[given]))
    assert found.box_xyxy_px.tolist() == [[2, 1, 5, 3]]


@pytest.mark.parametrize(
    "files",
    [{"labels": LABELS, "png": IDS * 0}, {"png": IDS * 0, "json": {}}, {"json": []}],
    ids=["semantic", "instance", "rle"],
)
def test_an_image_without_objects_is_no_error(folder, detect, files):
    found = detect(folder(**files))
    assert len(found) == 0
    assert found.rle == ()
    assert found.box_xyxy_px.shape == (0, 4)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"labels": LABELS, "png": IDS}, "CAM_BACK/drive_0002.png"),
        ({"png": IDS, "json": {}}, "CAM_BACK/drive_0002.png"),
        ({"json": []}, "CAM_BACK/drive_0002.json"),
    ],
    ids=["semantic", "instance", "rle"],
)
def test_an_image_without_a_file_names_the_path_and_the_rule(folder, detect, files, missing):
    masks_dir = folder(**files)
    with pytest.raises(DatasetError) as caught:
        detect(masks_dir, camera="CAM_BACK", image="drive_0002.jpg")
    assert caught.value.code == "DAT004"
    assert str(masks_dir / missing) in str(caught.value)
    assert "<masks dir>/<camera>/<image stem>" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "held"),
    [
        ({"labels": LABELS, "png": IDS, "json": {}}, r"labels\.json and .*\.png and .*\.json"),
        ({"labels": LABELS, "json": []}, r"labels\.json and <camera>/\*\.json"),
        ({"png": IDS}, r"<camera>/\*\.png"),
        ({"labels": LABELS}, r"labels\.json"),
        ({}, "no masks"),
    ],
    ids=["all three", "labels and json", "png alone", "labels alone", "nothing"],
)
def test_a_folder_of_no_or_several_layouts_is_refused(folder, files, held):
    with pytest.raises(DatasetError, match=rf"DAT002.* holds {held}: not one of the layouts"):
        PrecomputedSemantics(MAPPING, folder(**files))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"DAT001.*nowhere"):
        PrecomputedSemantics(MAPPING, tmp_path / "nowhere")


def test_an_id_that_labels_json_does_not_name_is_refused_with_file_and_id(folder, detect):
    with pytest.raises(
        SchemaError, match=r"SCH001.*drive_0001\.png: pixels with id 2, 3, .*labels\.json does not name"
    ):
        detect(folder(labels={"0": "background", "1": "car", "7": "sky"}, png=IDS))


def test_an_instance_that_the_json_does_not_name_is_refused_with_file_and_id(folder, detect):
    names = {str(i): {"label": "car", "score": 1} for i in (1, 2, 7)}
    with pytest.raises(
        SchemaError, match=r"SCH001.*drive_0001\.png: pixels with id 3, .*drive_0001\.json does not name"
    ):
        detect(folder(png=IDS, json=names))


@pytest.mark.parametrize(
    "files",
    [
        {"labels": LABELS, "png": np.zeros((6, 9), dtype=np.uint8)},
        {"json": {}, "png": np.zeros((3, 4), dtype=np.uint16)},
        {"json": [entry(IDS == 1) | {"segmentation": {"size": [8, 6], "counts": "`1"}}]},
    ],
    ids=["semantic", "instance", "rle"],
)
def test_masks_of_another_size_are_refused(folder, detect, files):
    with pytest.raises(DatasetError, match=r"DAT011.* px, but the image has 8 x 6 px"):
        detect(folder(**files))


def segmentation(**change):
    return [{"label": "car", "score": 1, "segmentation": {"size": [6, 8], "counts": "`1"} | change}]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"json": b"[{"}, "line 1"),
        ({"json": {}}, "the file is not a list"),
        ({"json": [1]}, "[0] is not a JSON object"),
        ({"json": [{"label": "car", "score": 1}]}, "[0] has neither a mask nor a box"),
        ({"json": [{"score": 1}]}, "[0].label is None"),
        ({"json": [{"label": "car"}]}, "[0].score is None"),
        ({"json": [{"label": "car", "score": 1.5}]}, "[0].score is 1.5"),
        ({"json": [{"label": "car", "score": True}]}, "[0].score is True"),
        ({"json": b'[{"label": "car", "score": 1e999}]'}, "1e999 is too large for a number"),
        ({"json": b'[{"label": "car", "score": NaN}]'}, "NaN"),
        ({"json": segmentation(size=[6])}, "[0].segmentation.size is [6]"),
        ({"json": segmentation(size=["6", 8])}, "[0].segmentation.size is"),
        ({"json": segmentation(size=6)}, "[0].segmentation.size is 6"),
        ({"json": segmentation(counts=[47])}, "[0].segmentation.counts: 47 pixels instead of 48"),
        ({"json": segmentation(counts=[-1, 49])}, "[0].segmentation.counts holds more than run lengths"),
        ({"json": segmentation(counts=[48.0])}, "[0].segmentation.counts holds more than run lengths"),
        ({"json": segmentation(counts=True)}, "[0].segmentation.counts is a bool"),
        ({"json": segmentation(counts="\u0661")}, "[0].segmentation.counts: not ASCII"),
        ({"json": segmentation(counts="1")}, "[0].segmentation.counts: 1 pixels instead of 48"),
        ({"png": IDS, "json": []}, "the file is not a JSON object"),
        ({"png": IDS, "json": {"1": "car"}}, "['1'] is not a JSON object"),
        ({"png": IDS, "json": {"01": {}}}, "the key '01' is not an id"),
        ({"png": IDS, "json": {"70000": {}}}, "the key '70000' is not an id"),
        ({"png": IDS, "json": {"0": {}}}, "the key '0' is not an id"),
        ({"png": np.zeros((6, 8, 3), dtype=np.uint8), "json": {}}, "mode 'RGB'"),
        ({"png": b"", "json": {}}, "not a readable PNG"),
        ({"labels": 5, "png": IDS}, "the file is not a JSON object"),
        ({"labels": {"car": 1}, "png": IDS}, "the key 'car' is not an id"),
        ({"labels": {"300": "car"}, "png": IDS}, "the key '300' is not an id"),
        ({"labels": {"1": 2}, "png": IDS}, "['1'] is 2"),
        ({"labels": b'{"1": "car", "1": "van"}', "png": IDS}, "'1' is there twice"),
        ({"labels": LABELS, "png": IDS.astype(np.uint16)}, "8 bits"),
    ],
)
def test_a_malformed_file_names_itself_and_the_field(folder, detect, files, says):
    with pytest.raises(DatasetError) as caught:
        detect(folder(**files))
    assert caught.value.code == "DAT011"
    assert says in str(caught.value)
    assert "labels.json" in str(caught.value) or "drive_0001" in str(caught.value)


def test_the_labels_of_a_map_may_be_a_list_or_a_field(folder, detect):
    for labels in ({"labels": LABELS}, ["background", "car", "person", "van", "a", "b", "c", "sky"]):
        assert detect(folder(labels=labels, png=IDS)).class_id.tolist() == [CAR, PERSON]


def test_labels_match_in_any_case_and_those_that_map_to_nothing_are_counted(folder, detect):
    entries = [entry(IDS == 1, "Car"), *(entry(IDS == 2, label) for label in ("Persn", "ship", "ship", "Void", "sky"))]
    mapping = LabelMapping(NUSCENES, {"car": "car", "Sky": "background"})
    found = detect(folder(json=entries), mapping)
    assert found.class_id.tolist() == [CAR]
    assert found.unmapped == {"Persn": 1, "ship": 2}


@pytest.mark.parametrize(
    "files",
    [
        {"labels": LABELS, "png": IDS},
        {"png": IDS, "json": {str(k): {"label": LABELS[str(k)], "score": 1} for k in (1, 2, 3, 7)}},
    ],
)
def test_labels_of_maps_are_counted_too(folder, detect, files):
    found = detect(folder(**files), LabelMapping(NUSCENES, {"person": "pedestrian"}))
    assert found.class_id.tolist() == [PERSON]
    assert found.unmapped == {"car": 1, "van": 1, "sky": 1}


def box(*numbers, label="car"):
    return {"bbox": list(numbers), "label": label, "score": 0.5}


def test_boxes_alone_have_no_masks(folder, detect):
    found = detect(folder(json=[box(1, 2, 3, 4), box(0, 0, 4, 4, label="ship"), box(2, 2, 2, 2, label="person")]))
    assert found.rle is None
    assert found.instances
    assert found.box_xyxy_px.tolist() == [[1, 2, 4, 6], [2, 2, 4, 4]]
    assert found.class_id.tolist() == [CAR, PERSON]


def test_boxes_that_map_to_nothing_are_an_empty_image(folder, detect):
    assert detect(folder(json=[box(1, 2, 3, 4, label="ship")])).rle == ()


def test_boxes_are_refused_where_masks_are_needed(folder, frame, view_of):
    masks_dir = folder(json=[entry(IDS == 2, "person"), box(1, 2, 3, 4)])
    with pytest.raises(DatasetError, match=r"DAT011.*1 of 2 objects of drive_0001\.jpg have a box and no mask"):
        PrecomputedSemantics(MAPPING, masks_dir).detect(IMAGE, frame, view_of(6, 8))
    masks_dir = folder(json=[box(1, 2, 3, 4)])
    with pytest.raises(DatasetError, match=r"DAT011.*drive_0001\.json.*the recipe needs masks"):
        PrecomputedSemantics(MAPPING, masks_dir, needs_masks=True).detect(IMAGE, frame, view_of(6, 8))
    context = SemanticsContext(MAPPING, masks_dir, needs_masks=True)
    with pytest.raises(DatasetError, match=r"DAT002.*\[0\] has a box and no mask(.|\n)*--recipe default"):
        survey_semantics("precomputed", context, [ImageName.of(frame, view_of(6, 8))])
    masks_dir = folder(json={"shapes": [{"label": "car", "shape_type": "rectangle", "points": [[1, 1], [4, 4]]}]})
    with pytest.raises(DatasetError, match=r"DAT002.*`shapes` has a box and no mask"):
        survey_semantics("precomputed", context, [ImageName.of(frame, view_of(6, 8))])


def test_labelme_files_are_read(folder, detect):
    points = [[2, 1], [5, 1], [5, 3], [2, 3]]
    found = detect(folder(json={"shapes": [{"label": "Car", "points": points}], "imageHeight": 6, "imageWidth": 8}))
    np.testing.assert_array_equal(masks_of(found)[0], IDS == 1)


def test_a_scene_may_have_a_folder_of_its_own(folder, frame, view_of):
    masks_dir = folder(json=[entry(IDS == 1)])
    (masks_dir / "s" / "CAM_FRONT").mkdir(parents=True)
    (masks_dir / "s" / "CAM_FRONT" / "drive_0001.json").write_text("[]")
    semantics = PrecomputedSemantics(MAPPING, masks_dir)
    assert len(semantics.detect(IMAGE, frame, view_of(6, 8))) == 0
    files = result_files("precomputed", masks_dir, "images")(frame, view_of(6, 8))
    assert [file.path for file in files.values()] == [masks_dir / "s" / "CAM_FRONT" / "drive_0001.json"]
    assert list(files) == ["2D result CAM_FRONT.json"]
    shutil.rmtree(masks_dir / "CAM_FRONT")
    assert len(PrecomputedSemantics(MAPPING, masks_dir).detect(IMAGE, frame, view_of(6, 8))) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_in_place_of_a_result_is_not_waited_for(folder, frame, view_of):
    masks_dir = folder(json=[entry(IDS == 1)])
    path = masks_dir / "CAM_FRONT" / "drive_0001.json"
    (file,) = result_files("precomputed", masks_dir, "images")(frame, view_of(6, 8)).values()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="pipe"):
        file.open()


def coco_set(**change):
    image = {"id": 1, "file_name": "drive_0001.jpg", "height": 6, "width": 8}
    one = {"image_id": 1, "category_id": 1, "segmentation": {"size": [6, 8], "counts": [13, 2, 4, 2, 27]}}
    return {"images": [image], "annotations": [one], "categories": [{"id": 1, "name": "car"}]} | change


def test_a_coco_file_may_stand_in_a_folder_or_be_named_itself(tmp_path, frame, view_of):
    file = tmp_path / "instances_val.json"
    file.write_text(json.dumps(coco_set()))
    (tmp_path / "._instances_val.json").write_bytes(b"\0")
    for given in (tmp_path, file):
        semantics = load_semantics("precomputed", mapping=MAPPING, masks_dir=given)
        assert semantics.detect(IMAGE, frame, view_of(6, 8)).box_xyxy_px.tolist() == [[2, 1, 4, 3]]
        assert result_files("precomputed", given, "images")(frame, view_of(6, 8)) == {}
    before = fingerprint(tmp_path)
    assert fingerprint(file) == before
    file.write_text(json.dumps(coco_set(annotations=[])))
    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize("files", [{"labels": LABELS, "png": IDS}, {"json": [entry(IDS == 1), entry(IDS == 2)]}])
def test_suffixes_may_be_capitals_and_other_hidden_files_may_stand_beside(folder, detect, files):
    masks_dir = folder(**files)
    (path,) = (masks_dir / "CAM_FRONT").iterdir()
    path.rename(path.with_suffix(path.suffix.upper()))
    for name in ("._drive_0001.png", "._drive_0001.json"):
        path.with_name(name).write_bytes(b"\0")
    assert len(detect(masks_dir)) == 2


def test_text_files_of_yolo_name_a_converter(tmp_path):
    (tmp_path / "CAM_FRONT").mkdir()
    (tmp_path / "CAM_FRONT" / "drive_0001.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(DatasetError, match=r"DAT002.*text files(.|\n)*COCO JSON"):
        fingerprint(tmp_path)


def test_files_that_two_images_would_share_are_refused(folder, frame, view_of):
    masks_dir = folder(json=[])
    images = [ImageName.of(replace(frame, frame_id=name, scene=name), view_of(6, 8)) for name in "ab"]
    with pytest.raises(DatasetError, match=r"DAT002.*would be used for two images"):
        survey_semantics("precomputed", SemanticsContext(MAPPING, masks_dir), images)
    assert survey_semantics("precomputed", SemanticsContext(MAPPING, masks_dir), images[:1]) == ()
    assert survey_semantics("ssd", SemanticsContext(MAPPING), images) == ()


def test_a_truncated_png_is_refused(folder, detect):
    masks_dir = folder(labels=LABELS, png=np.random.default_rng(0).integers(0, 4, (6, 8), dtype=np.uint8))
    path = masks_dir / "CAM_FRONT" / "drive_0001.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match=r"DAT011.*not a readable PNG"):
        detect(masks_dir)


def test_loading_by_name_needs_the_folder(folder):
    masks_dir = folder(json=[])
    assert load_semantics("precomputed", mapping=MAPPING, masks_dir=masks_dir).name == "precomputed"
    for call in (
        lambda: load_semantics("precomputed", mapping=MAPPING, masks_dir=None),
        lambda: semantics_sha256("precomputed"),
    ):
        with pytest.raises(DatasetError, match=r"DAT001(.|\n)*--masks-dir"):
            call()


def test_the_fingerprint_is_of_layout_and_labels_not_of_mask_files(folder, tmp_path):
    masks_dir = folder(labels=LABELS, png=IDS)
    before = semantics_sha256("precomputed", masks_dir)
    assert fingerprint(masks_dir) == before
    copy = shutil.copytree(masks_dir, tmp_path / "copies" / "copy")
    (copy / "CAM_FRONT" / "drive_0001.png").write_bytes(b"damaged")
    (copy / "CAM_FRONT" / "drive_0002.png").write_bytes(b"new")
    assert fingerprint(copy) == before
    (copy / "labels.json").write_text(json.dumps(LABELS | {"9": "truck"}))
    assert fingerprint(copy) != before


def test_every_layout_has_a_fingerprint_of_its_own(folder):
    masks_dir = folder(labels={}, png=IDS)
    found = {fingerprint(masks_dir)}
    (masks_dir / "labels.json").unlink()
    found.add(fingerprint(folder(json={})))
    (masks_dir / "CAM_FRONT" / "drive_0001.png").unlink()
    found.add(fingerprint(masks_dir))
    assert len(found) == 3


def test_a_folder_without_a_layout_has_no_fingerprint(folder):
    with pytest.raises(DatasetError, match="DAT002"):
        fingerprint(folder(labels=LABELS))


def test_labels_that_cannot_be_read_are_DAT004(folder, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    masks_dir = folder(labels=LABELS, png=IDS)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError, match=r"DAT004.*labels\.json.*Permission denied"):
        fingerprint(masks_dir)
