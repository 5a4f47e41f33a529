"""Detectors of torchvision give what torchvision's own forward pass gives."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("torchvision", reason="needs pointsam[sam]")
import torch
from helpers.checkpoints import Trap, plain_pickle
from helpers.hub_models import picture
from helpers.vision_models import LABELS, SIZES, models, save_vision, vision_model
from PIL import Image
from torchvision.transforms.functional import to_tensor

from pointsam import rle
from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics import load_semantics, semantics_sha256
from pointsam.semantics.boxes import nms
from pointsam.semantics.torchvision import network
from pointsam.semantics.torchvision.description import ARCHITECTURES, read_vision_file
from pointsam.semantics.torchvision.network import VisionDetector
from pointsam.semantics.torchvision.plugin import VisionConfig
from pointsam.taxonomy import NUSCENES, LabelMapping

SMALL = "ssdlite320_mobilenet_v3_large"
QUICK = [
    "maskrcnn_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    SMALL,
]
HEAVY = sorted(ARCHITECTURES.keys() - set(QUICK))
MAPPING = LabelMapping(NUSCENES, {"car": "car", "person": "pedestrian"})


def opened(path):
    return VisionDetector(*read_vision_file(path))


def require_equal(found, theirs):
    """A look has torchvision's boxes, labels, scores and masks."""
    label = theirs["labels"].numpy()
    assert len(label) > 5
    assert found.boxes.tobytes() == theirs["boxes"].numpy().tobytes()
    scores = np.zeros((len(label), len(LABELS)), dtype=np.float32)
    scores[np.arange(len(label)), label] = theirs["scores"].numpy()
    assert found.scores.tobytes() == scores.tobytes()
    assert (found.masks is not None) == ("masks" in theirs)
    for row, mask in enumerate(theirs.get("masks", ())):
        assert np.array_equal(found.masks(row), mask[0].numpy() >= 0.5)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.heavy) for name in HEAVY)])
def test_a_look_is_torchvisions_own_result(name, tmp_path):
    model, image = vision_model(name), picture()
    with torch.inference_mode():
        (theirs,) = model([to_tensor(Image.fromarray(image))])
    require_equal(opened(save_vision(tmp_path, name, model)).look(Image.fromarray(image)), theirs)


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", SMALL])
def test_a_device_gives_the_answer_of_the_cpu(name, tmp_path, device, monkeypatch):
    path = save_vision(tmp_path, name, vision_model(name))
    cpu = opened(path).look(Image.fromarray(picture()))
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # the simulated device has no inference tensors
    found = VisionDetector(*read_vision_file(path), device="cuda").look(Image.fromarray(picture()))
    np.testing.assert_allclose(found.boxes, cpu.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, cpu.scores, atol=1e-4)
    if cpu.masks is not None:
        assert (found.masks(0) == cpu.masks(0)).mean() > 0.99


def test_every_detector_of_torchvision_is_known():
    theirs = set(models.list_models(models.detection))
    assert {*ARCHITECTURES, "keypointrcnn_resnet50_fpn"} == theirs


@pytest.mark.parametrize("published", [True, False])
def test_published_weights_are_treated_as_torchvision_treats_them(tmp_path, monkeypatch, published):
    """Its own path to them, with a random file in the place of the published one."""
    name, labels = "retinanet_resnet50_fpn", ("",) * 90 + ("toothbrush",)
    model, image = vision_model(name, labels), picture()
    path = save_vision(tmp_path, name, model, labels)
    weights = models.get_model_weights(name).COCO_V1
    state = {key: value for key, value in model.state_dict().items() if "num_batches_tracked" not in key}
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_args, **_options: state)
    official = models.get_model(name, weights=weights, **SIZES).eval()
    if published:
        digest = weights.url.rpartition("-")[2].partition(".")[0].ljust(64, "0")
        monkeypatch.setattr("pointsam.semantics.torchvision.network.sha256_of", lambda _path: digest)
    with torch.inference_mode():
        (theirs,) = official([to_tensor(Image.fromarray(image))])
    scores = theirs["scores"].numpy()
    found = opened(path).look(Image.fromarray(image)).scores.max(axis=1)
    same = len(found) == len(scores) and np.allclose(found, scores, rtol=1e-7, atol=1e-7)
    assert same == published


def test_older_names_of_tensors_are_those_of_torchvision(tmp_path):
    name = "maskrcnn_resnet50_fpn"
    model = vision_model(name)
    path = save_vision(tmp_path, name, model)
    expected = opened(path).look(Image.fromarray(picture()))
    state = {}
    for key, value in model.state_dict().items():
        for k in range(4):
            key = key.replace(f"mask_head.{k}.0.", f"mask_head.mask_fcn{k + 1}.")
        if "num_batches_tracked" not in key:
            state[key] = value
    torch.save(state, tmp_path / "weights.pth")
    assert any("mask_fcn4" in key for key in state)
    found = opened(path).look(Image.fromarray(picture()))
    assert found.boxes.tobytes() == expected.boxes.tobytes()
    assert np.array_equal(found.masks(0), expected.masks(0))


def test_classes_and_masks_reach_the_detections(tmp_path, frame, view_of):
    name, image = "maskrcnn_resnet50_fpn", picture(64, 96)
    model = vision_model(name)
    path = save_vision(tmp_path, name, model, suffix=".safetensors")
    with torch.inference_mode():
        (theirs,) = model([to_tensor(Image.fromarray(image))])
    known = {1: NUSCENES.class_id("car"), 2: NUSCENES.class_id("pedestrian")}
    masks = theirs["masks"][:, 0].numpy() >= 0.5
    rows = [k for k, label in enumerate(theirs["labels"].tolist()) if label in known and theirs["scores"][k] > 0.5]
    rows = [k for k in rows if masks[k].any()]
    assert len({int(theirs["labels"][k]) for k in rows}) == 2
    boxes, classes = theirs["boxes"].numpy()[rows], np.array([known[int(theirs["labels"][k])] for k in rows])
    order = nms(boxes, classes, theirs["scores"].numpy()[rows], 0.4)
    options = VisionConfig(score_threshold=0.5, nms_iou=0.4)
    semantics = load_semantics("torchvision", mapping=MAPPING, masks_dir=path, config=options)
    found = semantics.detect(image, frame, view_of(*image.shape[:2]))
    assert found.class_id.tolist() == classes[order].tolist()
    np.testing.assert_array_equal(found.box_xyxy_px, boxes[order])
    assert list(found.rle) == [rle.encode_mask(masks[rows[k]]) for k in order]
    tiled = load_semantics(
        "torchvision", mapping=MAPPING, masks_dir=path, config=VisionConfig(score_threshold=0.5, tile_px=64)
    ).detect(image, frame, view_of(*image.shape[:2]))
    assert len(tiled.rle) == len(tiled) > 0


@pytest.fixture(scope="module")
def small():
    return vision_model(SMALL)


def test_what_changes_the_answers_decides_the_digest(tmp_path, small):
    def digest(**fields):
        return semantics_sha256("torchvision", save_vision(tmp_path, SMALL, small, **fields))

    before = digest()
    assert digest(licence="mit") == before
    (tmp_path / "weights.pth").rename(tmp_path / "moved.pth")
    net = json.loads((tmp_path / "net.json").read_text())
    (tmp_path / "net.json").write_text(json.dumps({**net, "weights": "moved.pth"}))
    assert semantics_sha256("torchvision", tmp_path / "net.json") == before
    assert digest(labels=["", "person", "car", "traffic light"]) != before
    next(small.parameters()).data.add_(1e-3)
    assert digest() != before


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"torchvision": "maskrcnn_resnet50_fpn_v3"}, "torchvision is 'maskrcnn_resnet50_fpn_v3'.*did you mean"),
        ({"torchvision": "keypointrcnn_resnet50_fpn"}, "torchvision is 'keypointrcnn_resnet50_fpn'"),
        ({"labels": "cocoo"}, "labels is 'cocoo'.*did you mean 'coco'"),
        ({"labels": ["", ""]}, "labels"),
        ({"labels": ["car", "person"]}, "the first is 'car', but label 0 of ssdlite320_mobilenet_v3_large is the back"),
        ({"weights": "../weights.pth"}, "weights"),
        ({"min_px": 96}, "the input of ssdlite320_mobilenet_v3_large has one size"),
        ({"torchvision": "fcos_resnet50_fpn", "min_px": 96, "max_px": 64}, "max_px is 64"),
        ({"torchvision": "fcos_resnet50_fpn", "min_px": 1}, "min_px is 1"),
        ({"wheights": "a"}, "wheights.*did you mean 'weights'"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(tmp_path, fields, told):
    (tmp_path / "net.json").write_text(
        json.dumps({"torchvision": SMALL, "weights": "weights.pth", "labels": LABELS, **fields})
    )
    with pytest.raises(SchemaError, match=rf"SCH005(.|\n)*{told}"):
        read_vision_file(tmp_path / "net.json")


def test_without_a_file_the_option_is_named():
    with pytest.raises(SchemaError, match=r"SCH005(.|\n)*--semantics FILE\.json"):
        semantics_sha256("torchvision")


def test_labels_that_map_to_no_class_are_refused(tmp_path, small):
    path = save_vision(tmp_path, SMALL, small)
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the network \('car', 'person', 'traffic light'\)"):
        load_semantics("torchvision", mapping=LabelMapping(NUSCENES, {"Auto": "car"}), masks_dir=path)


def without(name):
    def change(state):
        state.pop(name)

    return change


def replaced(name, value):
    def change(state):
        state[name] = value(state[name])

    return change


HEAD = "head.classification_head.module_list.0.1.weight"


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (without(HEAD), "BCK003", rf"tensor {HEAD} is missing"),
        (replaced("more.weight", lambda _: torch.zeros(2)), "BCK003", r"no tensor is named more\.weight"),
        (replaced(HEAD, lambda value: value[:-1]), "BCK003", rf"size mismatch for {HEAD}"),
        (replaced(HEAD, lambda value: value * torch.nan), "BCK003", rf"tensor {HEAD} holds values that are no numbers"),
        (replaced(HEAD, lambda value: value / 0), "BCK003", rf"tensor {HEAD} holds values that are no numbers"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, small, change, code, told):
    path = save_vision(tmp_path, SMALL, small)
    state = torch.load(tmp_path / "weights.pth", weights_only=True)
    state.setdefault("more.weight", None)
    change(state)
    torch.save({key: value for key, value in state.items() if value is not None}, tmp_path / "weights.pth")
    with pytest.raises(BackendError, match=rf"{code}.*{told}"):
        opened(path)


@pytest.mark.parametrize("labels", [LABELS[:3], "coco_ids"])
def test_another_number_of_labels_is_refused(tmp_path, small, labels):
    path = save_vision(tmp_path, SMALL, small, labels=labels)
    with pytest.raises(BackendError, match=r"BCK003.*size mismatch for head\.class(.|\n)*number of `labels`"):
        opened(path)


def test_another_architecture_is_refused(tmp_path, small):
    path = save_vision(tmp_path, SMALL, small, torchvision="fasterrcnn_mobilenet_v3_large_320_fpn")
    with pytest.raises(BackendError, match=r"BCK003(.|\n)*correct `torchvision`"):
        opened(path)


def test_a_pickle_with_code_is_never_run(tmp_path, small):
    path = save_vision(tmp_path, SMALL, small)
    plain_pickle(tmp_path / "weights.pth", {"weight": Trap(tmp_path / "pwned")})
    with pytest.raises(BackendError, match=r"BCK004.*more than tensors; nothing in it was executed"):
        opened(path)
    assert not (tmp_path / "pwned").exists()


def test_weights_that_are_not_there_are_named(tmp_path, small):
    path = save_vision(tmp_path, SMALL, small)
    (tmp_path / "weights.pth").unlink()
    for call in (opened, lambda path: semantics_sha256("torchvision", path)):
        with pytest.raises(BackendError, match=r"BCK001.*weights\.pth"):
            call(path)


def test_a_mask_that_is_no_number_is_refused():
    low, boxes = torch.full((1, 1, 28, 28), torch.nan), torch.tensor([[4.0, 4.0, 20.0, 20.0]])
    mask = network._pasted(low, boxes, 40, 60)
    with pytest.raises(SchemaError, match=r"SCH003.*a mask that is no number"):
        mask(0)
    assert network._pasted(torch.ones_like(low), boxes, 40, 60)(0).sum() == 16 * 16
