"""Segmenters of transformers with classes give what their own image processors give."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("transformers", reason="needs pointsam[hf]")
import torch
import transformers
from helpers.hub_detectors import save_detector
from helpers.hub_models import picture
from helpers.hub_segmenters import CLASS_MAPS, NAMES, SEGMENTERS, save_segmenter
from PIL import Image
from safetensors.torch import load_file, save_file

from pointsam import rle
from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics import SemanticsContext, load_semantics, semantics_plugin, survey_semantics
from pointsam.semantics.hf.maps import MAPS
from pointsam.semantics.hf.plugin import HfConfig
from pointsam.semantics.hf.universal import UNIVERSAL
from pointsam.taxonomy import NUSCENES, LabelMapping

MAPPING = LabelMapping(NUSCENES, {"car": "car", "person": "pedestrian", "road": "barrier"})
KNOWN = ("road", "person", "car", "")
IMAGE = Image.fromarray(picture(48, 90))
SIZE = (48, 90)


@pytest.fixture(scope="module", params=SEGMENTERS)
def universal(request, tmp_path_factory):
    return save_segmenter(request.param, tmp_path_factory.mktemp("hub") / request.param)


@pytest.fixture(scope="module", params=CLASS_MAPS)
def class_map(request, tmp_path_factory):
    return save_segmenter(request.param, tmp_path_factory.mktemp("hub") / request.param)


@pytest.fixture
def folder(tmp_path):
    return save_segmenter("segformer", tmp_path / "model")


def opened(folder, **options):
    return semantics_plugin("hf").detector(HfConfig(**options), SemanticsContext(MAPPING, folder))


def theirs(folder, task, **options):
    """The result of transformers' own path for the image."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    model = getattr(transformers, {**UNIVERSAL, **MAPS}[kind]).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        answer = model(**processor(images=IMAGE, return_tensors="pt"))
    (found,) = getattr(processor, f"post_process_{task}_segmentation")(answer, target_sizes=[SIZE], **options)
    return found


def test_all_types_are_tested():
    assert set(SEGMENTERS) == set(UNIVERSAL)
    assert set(CLASS_MAPS) == set(MAPS)


@pytest.mark.parametrize("task", ["instance", "panoptic"])
@pytest.mark.parametrize("threshold", [0.2, 0.45])
def test_objects_are_those_of_the_processor(universal, task, threshold):
    more = {"return_binary_maps": True} if task == "instance" else {"label_ids_to_fuse": set()}
    expected = theirs(universal, task, threshold=threshold, **more)
    infos, segments = expected["segments_info"], expected["segmentation"]
    masks = [segments[k] == 1 if task == "instance" else segments == one["id"] for k, one in enumerate(infos)]
    assert len({one["label_id"] for one in infos}) > 1
    found = opened(universal, task=task, score_threshold=threshold).look(IMAGE)
    assert len(found.boxes) == len(masks)
    assert found.scores.argmax(axis=1).tolist() == [one["label_id"] for one in infos]
    np.testing.assert_array_equal(found.scores.max(axis=1), np.float32([one["score"] for one in infos]))
    for row, mask in enumerate(masks):
        assert np.array_equal(found.masks(row), mask.numpy())
        assert rle.bbox_xyxy_px(rle.encode_mask(mask.numpy()), *SIZE) == tuple(found.boxes[row])


def test_nothing_above_the_threshold_gives_nothing(universal, frame, view_of):
    for task in ("instance", "panoptic"):
        config = HfConfig(task=task, score_threshold=0.9999)
        found = load_semantics("hf", mapping=MAPPING, masks_dir=universal, config=config)
        assert found.detect(np.asarray(IMAGE), frame, view_of(*SIZE)).rle == ()


def test_objects_reach_the_detections_with_their_masks(universal, frame, view_of):
    config = HfConfig(score_threshold=0.2, nms_iou=1.0)
    look = opened(universal, score_threshold=0.2).look(IMAGE)
    found = load_semantics("hf", mapping=MAPPING, masks_dir=universal, config=config)
    rows = found.detect(np.asarray(IMAGE), frame, view_of(*SIZE))
    kept = [k for k, label in enumerate(look.scores.argmax(axis=1)) if KNOWN[label]]
    assert rows.instances
    assert len(rows) == len(kept) > 0
    assert sorted(rows.rle) == sorted(rle.encode_mask(look.masks(k)) for k in kept)


@pytest.mark.parametrize("tile_px", [0, 64])
def test_tiles_show_objects_in_the_whole_image(universal, tile_px, frame, view_of):
    config = HfConfig(score_threshold=0.1, nms_iou=1.0, tile_px=tile_px)
    image = picture(64, 160)
    rows = load_semantics("hf", mapping=MAPPING, masks_dir=universal, config=config).detect(
        image, frame, view_of(64, 160)
    )
    assert len(rows.rle) == len(rows) > 0
    for mask, box in zip(rows.rle, rows.box_xyxy_px, strict=True):
        assert rle.bbox_xyxy_px(mask, 64, 160) == tuple(box)


def require_map(found, pixels):
    """Rows of a look are the labels of a map."""
    assert found.scores.argmax(axis=1).tolist() == np.unique(pixels).tolist()
    for row, number in enumerate(np.unique(pixels)):
        assert np.array_equal(found.masks(row), pixels == number)
        assert rle.bbox_xyxy_px(rle.encode_mask(pixels == number), *SIZE) == tuple(found.boxes[row])


def test_class_maps_are_those_of_the_processor(class_map):
    pixels = theirs(class_map, "semantic").numpy()
    assert len(np.unique(pixels)) > 1
    require_map(opened(class_map).look(IMAGE), pixels)


def test_a_universal_segmenter_gives_class_maps_too(universal, frame, view_of):
    require_map(opened(universal, task="semantic").look(IMAGE), theirs(universal, "semantic").numpy())
    config = HfConfig(task="semantic")
    rows = load_semantics("hf", mapping=MAPPING, masks_dir=universal, config=config)
    assert not rows.detect(np.asarray(IMAGE), frame, view_of(*SIZE)).instances


def test_a_class_map_has_one_mask_for_each_class_and_no_objects(class_map, frame, view_of):
    pixels = theirs(class_map, "semantic").numpy()
    both = LabelMapping(NUSCENES, {"car": "car", "person": "car", "road": "barrier"})
    rows = load_semantics("hf", mapping=both, masks_dir=class_map).detect(np.asarray(IMAGE), frame, view_of(*SIZE))
    masks = {"car": (pixels == 1) | (pixels == 2), "barrier": pixels == 0}
    expected = {NUSCENES.class_id(name): rle.encode_mask(mask) for name, mask in masks.items() if mask.any()}
    assert not rows.instances
    assert dict(zip(rows.class_id.tolist(), rows.rle, strict=True)) == expected
    assert (rows.score == 1).all()
    for mask, box in zip(rows.rle, rows.box_xyxy_px, strict=True):
        assert rle.bbox_xyxy_px(mask, *SIZE) == tuple(box)


def test_an_image_without_a_class_of_the_run_has_no_mask(folder, frame, view_of):
    pixels = theirs(folder, "semantic").numpy()
    absent = [name for k, name in enumerate(NAMES[:3]) if k not in pixels]
    assert absent
    mapping = LabelMapping(NUSCENES, {absent[0]: "car"})
    rows = load_semantics("hf", mapping=mapping, masks_dir=folder).detect(np.asarray(IMAGE), frame, view_of(*SIZE))
    assert (len(rows), rows.rle, rows.box_xyxy_px.shape) == (0, (), (0, 4))


def test_tiles_of_class_maps_are_refused(folder):
    with pytest.raises(SchemaError, match=r"SCH005.*hf\.tile_px is 640(.|\n)*every pixel"):
        load_semantics("hf", mapping=MAPPING, masks_dir=folder, config=HfConfig(tile_px=640))


def test_an_unknown_task_is_refused():
    with pytest.raises(SchemaError, match=r"SCH005.*hf\.task is 'objects'"):
        HfConfig(task="objects")


def test_a_task_that_the_model_cannot_be_asked_for_is_refused(folder, tmp_path):
    detector = save_detector("yolos", tmp_path / "yolos")
    for source, task, only in ((folder, "panoptic", "semantic"), (detector, "semantic", "instance")):
        with pytest.raises(SchemaError, match=rf"SCH005.*hf\.task is '{task}'(.|\n)*give {only}, all that"):
            survey_semantics("hf", SemanticsContext(MAPPING, source), (), HfConfig(task=task))
    assert opened(folder, task="semantic").names == opened(folder).names


def test_labels_that_map_to_no_class_are_refused(folder):
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the network \('road', 'person', 'car'\)"):
        load_semantics("hf", mapping=LabelMapping(NUSCENES, {"Auto": "car"}), masks_dir=folder)


def spoiled(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_answers_that_are_no_numbers_are_refused(folder, universal, tmp_path):
    spoiled(folder, lambda tensors: tensors["decode_head.classifier.weight"].fill_(torch.nan))
    with pytest.raises(SchemaError, match=r"SCH003.*gave logits that are no numbers"):
        opened(folder).look(IMAGE)
    copy = save_segmenter(universal.name, tmp_path / "nan")
    name = next(name for name in load_file(copy / "model.safetensors") if name.startswith("class_predictor"))
    spoiled(copy, lambda tensors: tensors[name].fill_(torch.nan))
    for task in ("instance", "panoptic", "semantic"):
        with pytest.raises(SchemaError, match=r"SCH003.*gave class_queries_logits that are no numbers"):
            opened(copy, task=task).look(IMAGE)


def test_a_processor_that_moves_the_image_is_refused(folder, universal, tmp_path):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**settings, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}})
    )
    with pytest.raises(BackendError, match=r"BCK003.*pads or crops images"):
        opened(folder).look(IMAGE)
    padded = save_segmenter(universal.name, tmp_path / "padded")
    settings = json.loads((padded / "preprocessor_config.json").read_text())
    pad = {"do_pad": True, "pad_size": {"height": 256, "width": 256}}
    (padded / "preprocessor_config.json").write_text(json.dumps({**settings, **pad}))
    with pytest.raises(BackendError, match=r"BCK003.*pads or crops images"):
        opened(padded).look(IMAGE)


def test_tensors_that_are_missing_are_named(folder):
    spoiled(folder, lambda tensors: tensors.pop("decode_head.classifier.weight"))
    with pytest.raises(BackendError, match=r"BCK003.*the first is 'decode_head\.classifier\.weight'"):
        opened(folder)


def test_another_type_of_model_is_named(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "oneformer"}))
    with pytest.raises(BackendError, match=r"BCK003.*type 'oneformer', no detector or segmenter with classes"):
        opened(folder)
