"""Detectors with labels of their own: boxes and scores are those of transformers' own path."""

import json

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_detectors import DETECTORS, NAMES, save_detector  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from pointsam.base.errors import BackendError, SchemaError  # noqa: E402
from pointsam.semantics import (  # noqa: E402
    SemanticsContext,
    label_names,
    load_semantics,
    semantics_plugin,
    semantics_sha256,
    survey_semantics,
)
from pointsam.semantics.hf.closed import CLOSED  # noqa: E402
from pointsam.semantics.hf.plugin import HfConfig  # noqa: E402
from pointsam.semantics.mapping import default_mapping  # noqa: E402
from pointsam.taxonomy import NUSCENES, LabelMapping  # noqa: E402

MAPPING = default_mapping(NUSCENES)
WIDE, HIGH = (90, 50), (40, 70)


def picture(size_wh):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A function that gives the folder of a detector, saved once."""
    root = tmp_path_factory.mktemp("detectors")

    def folder(kind):
        return root / kind if (root / kind).is_dir() else save_detector(kind, root / kind)

    return folder


@pytest.fixture
def folder(tmp_path):
    return save_detector("rt_detr", tmp_path / "model")


def changed(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def open_detector(folder, **options):
    return semantics_plugin("hf").detector(HfConfig(**options), SemanticsContext(MAPPING, folder))


def by_transformers(folder, image):
    """(boxes, labels, scores) as transformers' own processor gives them."""
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt")
    if model.config.model_type == "yolos":
        inputs.pop("pixel_mask", None)
    with torch.inference_mode():
        outputs = model(**inputs)
    (found,) = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=[image.size[::-1]])
    return found["boxes"].numpy(), found["labels"].numpy(), found["scores"].numpy()


def test_every_type_is_tested():
    assert set(DETECTORS) == set(CLOSED)


@pytest.mark.parametrize(
    ("kind", "size_wh"),
    [*((kind, WIDE) for kind in DETECTORS), *((kind, HIGH) for kind in ("detr", "lw_detr", "rt_detr", "yolos"))],
)
def test_boxes_and_scores_are_those_of_transformers_own_path(saved, kind, size_wh):
    image = picture(size_wh)
    found = open_detector(saved(kind)).look(image)
    boxes, labels, scores = by_transformers(saved(kind), image)
    assert found.boxes.shape == (12, 4)
    assert found.scores.shape == (12, len(NAMES))
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert len(boxes) >= 12
    assert np.ptp(scores) > 1e-3
    for box, label, score in zip(boxes, labels, scores, strict=True):
        gap = np.abs(found.boxes - box).max(axis=1) + np.abs(found.scores[:, label] - score)
        assert gap.min() < 1e-3
    best = found.scores.max(axis=1) if CLOSED[kind].no_object else np.sort(found.scores.ravel())[::-1][: len(scores)]
    np.testing.assert_allclose(np.sort(best), np.sort(scores), atol=1e-5)


def test_labels_of_the_model_become_classes_of_the_run(saved, frame, view_of):
    image = np.asarray(picture(WIDE))
    config = HfConfig(score_threshold=0.0, nms_iou=1.0)
    model = load_semantics("hf", mapping=MAPPING, masks_dir=saved("rt_detr"), config=config)
    found = model.detect(image, frame, view_of(50, 90))
    assert {NUSCENES.names[k] for k in found.class_id} == {"pedestrian", "car", "truck"}
    assert (found.box_xyxy_px >= 0).all()
    assert (found.box_xyxy_px <= [90, 50, 90, 50]).all()
    assert model.weights_sha256 == semantics_sha256("hf", saved("rt_detr"))
    again = load_semantics("hf", mapping=MAPPING, masks_dir=saved("rt_detr"), config=config)
    assert again.detect(image, frame, view_of(50, 90)).score.tobytes() == found.score.tobytes()


def test_half_precision_gives_nearly_the_same(saved):
    exact, half = (open_detector(saved("detr"), precision=name).look(picture(WIDE)) for name in ("float32", "bfloat16"))
    assert half.scores.dtype == np.float32
    assert 0 < np.abs(exact.scores - half.scores).max() < 0.2
    with pytest.raises(SchemaError, match=r"SCH005.*hf\.precision"):
        HfConfig(precision="int8")


def test_labels_are_known_without_loading_the_model(saved, monkeypatch):
    monkeypatch.setattr("pointsam.semantics.hf.plugin.open_model", lambda *_: pytest.fail("it was loaded"))
    assert label_names("hf", saved("detr")) == "coco"
    assert survey_semantics("hf", SemanticsContext(LabelMapping(NUSCENES, {"car": "car"}), saved("detr")), ()) == ()


def test_older_names_of_coco_are_its_names(folder):
    changed(folder, id2label={"0": "motorbike", "1": "person", "2": "None", "3": "tvmonitor"})
    assert semantics_plugin("hf").names(HfConfig(), folder) == ("motorcycle", "person", "", "tv")
    changed(folder, id2label={"0": "motorbike", "1": "person", "2": "excavator", "3": "n/a"})
    assert semantics_plugin("hf").names(HfConfig(), folder) == ("motorbike", "person", "excavator", "")
    assert label_names("hf", folder) == "same"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (None, "has no id2label"),
        ({}, "has no id2label"),
        ({"0": "car", "2": "bus"}, "not one for each number from 0: see '1'"),
        ({"0": "car", "1": 7}, r"id2label\.1 is 7, no name"),
        ({"0": "LABEL_0", "1": "LABEL_1"}, r"id2label\.0 is 'LABEL_0': nobody named the labels"),
        ({"0": "N/A", "1": ""}, "names no label"),
    ],
)
def test_labels_without_names_are_refused(folder, names, told):
    with pytest.raises(BackendError, match=rf"BCK003.*labels of .*{told}(.|\n)*id2label"):
        semantics_sha256_and_names(changed(folder, id2label=names))


def semantics_sha256_and_names(folder):
    return semantics_sha256("hf", folder), label_names("hf", folder)


def test_a_mapping_that_names_none_of_its_labels_is_refused(folder):
    context = SemanticsContext(LabelMapping(NUSCENES, {"excavator": "truck"}), folder)
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the network \('person', 'car', 'truck'\)"):
        survey_semantics("hf", context, ())


def test_other_labels_than_the_model_has_are_refused(folder):
    changed(folder, id2label={str(k): f"kind {k}" for k in range(5)})
    with pytest.raises(BackendError, match=r"BCK003.*does not fit RTDetrForObjectDetection in \d+ tensors"):
        open_detector(folder)


@pytest.mark.parametrize("kind", ["bert", "sam", None])
def test_a_model_that_is_no_detector_is_named(folder, kind):
    for ask in (semantics_sha256_and_names, open_detector):
        with pytest.raises(BackendError, match=rf"BCK003.*type {kind!r}, no detector(.|\n)*rt_detr"):
            ask(changed(folder, model_type=kind))


def test_pickled_weights_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BackendError, match=r"BCK004.*only pytorch_model\.bin; nothing in it was executed"):
        semantics_sha256("hf", folder)


def test_without_a_source_the_option_is_named():
    with pytest.raises(SchemaError, match=r"SCH005(.|\n)*--semantics hf:"):
        semantics_sha256("hf")


def test_a_network_that_answers_nan_is_named(folder, frame, view_of):
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("class_embed.1.bias"))
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model = load_semantics("hf", mapping=MAPPING, masks_dir=folder)
    with pytest.raises(SchemaError, match=r"SCH003.*score of nan"):
        model.detect(np.asarray(picture(WIDE)), frame, view_of(50, 90))
