"""Every family: outputs that the test encodes for known boxes come back as these boxes in pixels of the image."""

import json
import math

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
from helpers.onnx_models import constant_model

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.onnx import decode
from pointsam.semantics.onnx.description import parse_description
from pointsam.semantics.onnx.families import FAMILIES
from pointsam.semantics.onnx.network import OnnxDetector

IMAGE_WH = (320, 160)
SIDE = 128
STRETCHED = np.array([SIDE / 320, SIDE / 160] * 2)
FITTED, TOP = SIDE / 320, (SIDE - 64) // 2
BOXES = np.array([[10.0, 20.0, 110.0, 90.0], [200.0, 50.0, 260.0, 150.0]])
LABELS = ["car", "person"]
SCORES = np.array([0.8, 0.6])
COCO = list(COCO_NAMES.values())
IDS = {name: number for number, name in COCO_NAMES.items()}


def centred(box):
    return np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1)


def one_hot(columns, count):
    table = np.zeros((2, count))
    table[[0, 1], columns] = SCORES
    return table


def logit(p):
    return np.log(p / (1 - p))


def cells():
    """(stride, column, row) of YOLOX's cells, one after another."""
    return [(px, x, y) for px in (8, 16, 32) for y in range(SIDE // px) for x in range(SIDE // px)]


def yolox():
    rows = np.zeros((len(cells()), 85))
    rows[:, 2:4] = -9
    for box, label, score in zip(centred(BOXES * FITTED), LABELS, SCORES, strict=True):
        k, (px, x, y) = next((k, c) for k, c in enumerate(cells()) if c[0] == 16 and c[1] == int(box[0] // 16))
        rows[k, :5] = box[0] / px - x, box[1] / px - y, math.log(box[2] / px), math.log(box[3] / px), 0.5
        rows[k, 5 + COCO.index(label)] = score * 2
    return {"output": rows[None]}


def nanodet():
    """NanoDet-Plus: a distribution of eight distances for each side, measured from the corner of a cell."""
    grid = [(px, x, y) for px in (8, 16, 32, 64) for y in range(SIDE // px) for x in range(SIDE // px)]
    rows = np.zeros((len(grid), 112))
    for box, label, score in zip(BOXES * STRETCHED, LABELS, SCORES, strict=True):
        k, (px, x, y) = next(
            (k, c)
            for k, c in enumerate(grid)
            if c[0] == 32 and box[0] <= 32 * c[1] <= box[2] and box[1] <= 32 * c[2] <= box[3]
        )
        rows[k, COCO.index(label)] = score
        sides = np.array([x - box[0] / px, y - box[1] / px, box[2] / px - x, box[3] / px - y])
        for side, distance in enumerate(sides):
            low = int(distance)
            part = rows[k, 80 + 8 * side : 88 + 8 * side]
            part[:] = -60
            part[low], part[low + 1] = math.log(max(1 - distance + low, 1e-20)), math.log(max(distance - low, 1e-20))
    return {"output": rows[None]}


def letterboxed(box):
    return box * FITTED + np.array([0, TOP, 0, TOP])


def yolov5():
    scores = one_hot([COCO.index(label) for label in LABELS], 80) * 2
    return {"output": np.concatenate([centred(letterboxed(BOXES)), np.full((2, 1), 0.5), scores], axis=1)[None]}


def yolov8():
    scores = one_hot([COCO.index(label) for label in LABELS], 80)
    return {"output": np.concatenate([centred(letterboxed(BOXES)), scores], axis=1).T[None]}


def yolo_nms():
    labels = [[COCO.index(label)] for label in LABELS]
    return {"output": np.concatenate([letterboxed(BOXES), SCORES[:, None], labels], axis=1)[None]}


def rt_detr():
    labels = np.array([[COCO.index(label) for label in LABELS]], dtype=np.int64)
    return {"labels": labels, "boxes": (BOXES * STRETCHED)[None], "scores": SCORES[None]}


def hf_rt_detr():
    logits = np.full((2, 80), -30.0)
    logits[[0, 1], [COCO.index(label) for label in LABELS]] = logit(SCORES)
    return {"logits": logits[None], "pred_boxes": centred(BOXES * STRETCHED / SIDE)[None]}


def detr():
    probability = np.full((2, 92), 1e-9)
    probability[[0, 1], [IDS[label] for label in LABELS]] = SCORES
    probability[:, 91] = 1 - SCORES
    return {"logits": np.log(probability)[None] + 3, "pred_boxes": centred(BOXES * STRETCHED / SIDE)[None]}


def ssd():
    fractions = (BOXES * STRETCHED / SIDE)[:, [1, 0, 3, 2]]
    classes = np.array([[IDS[label] for label in LABELS]])
    return {"detection_boxes": fractions[None], "detection_classes": classes, "detection_scores": SCORES[None]}


ANSWERS = {
    "yolox": yolox,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "yolo-nms": yolo_nms,
    "rt-detr": rt_detr,
    "d-fine": rt_detr,
    "hf-rt-detr": hf_rt_detr,
    "detr": detr,
    "ssd": ssd,
    "nanodet": nanodet,
}


def test_every_family_is_tested():
    assert ANSWERS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", ANSWERS)
def test_known_boxes_come_back_in_pixels_of_the_image(family):
    outputs = {
        name: value if value.dtype == np.int64 and name == "labels" else np.asarray(value, dtype=np.float32)
        for name, value in ANSWERS[family]().items()
    }
    shape = (1, SIDE, SIDE, 3) if family == "ssd" else (1, 3, SIDE, SIDE)
    extra = [(name, (1, 2)) for name in FAMILIES[family].get("input", {}).get("extra", {})]
    model = constant_model(outputs, shape, np.uint8 if family == "ssd" else np.float32, extra)
    description = parse_description(json.dumps({"family": family, "model": "m.onnx"}), "test")
    detector = OnnxDetector(description, model, "test")
    found = detector.look(Image.new("RGB", IMAGE_WH))
    boxes, scores = found.boxes, found.scores
    best, label = scores.max(axis=1), scores.argmax(axis=1)
    found = sorted(np.flatnonzero(best > 0.3), key=lambda row: boxes[row, 0])
    assert [detector.names[label[row]] for row in found] == LABELS
    np.testing.assert_allclose(boxes[found], BOXES, atol=0.01)
    np.testing.assert_allclose(best[found], SCORES, atol=1e-4)


def split_nanodet():
    """NanoDet-Plus with an output of scores and one of boxes for each grid, as PicoDet has them."""
    rows = np.asarray(nanodet()["output"], dtype=np.float32)
    ends = np.cumsum([(SIDE // px) ** 2 for px in (8, 16, 32)])
    parts = np.split(rows, ends, axis=1)
    scores = {f"scores{k}": part[..., :80] for k, part in enumerate(parts)}
    return scores | {f"boxes{k}": part[..., 80:] for k, part in enumerate(parts)}


def split_description(**boxes):
    names = {kind: [f"{kind}{k}" for k in range(4)] for kind in ("boxes", "scores")}
    form = {"output": names["boxes"], "columns": [0, 32]} | boxes
    fields = {"family": "nanodet", "model": "m.onnx", "boxes": form, "scores": {"output": names["scores"]}}
    return parse_description(json.dumps(fields), "test")


def test_an_output_for_each_grid_is_that_of_one_output():
    shape = (1, 3, SIDE, SIDE)
    whole = parse_description(json.dumps({"family": "nanodet", "model": "m.onnx"}), "test")
    one = {name: rows.astype(np.float32) for name, rows in nanodet().items()}
    expected = OnnxDetector(whole, constant_model(one, shape), "test").look(Image.new("RGB", IMAGE_WH))
    found = OnnxDetector(split_description(), constant_model(split_nanodet(), shape), "test")
    look = found.look(Image.new("RGB", IMAGE_WH))
    assert look.boxes.tobytes() == expected.boxes.tobytes()
    assert look.scores.tobytes() == expected.scores.tobytes()


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (["boxes0", "boxes1", "boxes2", "boxes"], "boxes is 'boxes', the model's outputs are 'scores0'"),
        (["boxes0", "boxes1", "boxes2", "scores3"], r"'scores3' \(1, 4, 80\) have different numbers of columns"),
        (["boxes0", "boxes1", "boxes2"], "has 336 boxes, the grids of boxes.strides_px"),
    ],
)
def test_outputs_that_do_not_belong_together_are_named(outputs, told):
    model = constant_model(split_nanodet(), (1, 3, SIDE, SIDE))
    with pytest.raises(BackendError, match=f"BCK003.*{told}"):
        OnnxDetector(split_description(output=outputs), model, "test").look(Image.new("RGB", IMAGE_WH))


def test_cells_at_the_border_may_be_cut():
    corner, stride_px = decode.cells((32, 64), (100, 60))
    assert corner.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1], [1, 1], [2, 1], [3, 1], [0, 0], [1, 0]]
    assert stride_px[:, 0].tolist() == [32] * 8 + [64] * 2


def test_several_outputs_of_scores_cannot_have_labels_in_another():
    scores = {"output": ["a", "b"], "label_output": "c"}
    with pytest.raises(SchemaError, match=r"SCH005.*scores\.output"):
        parse_description(json.dumps({"model": "m.onnx", "labels": ["car"], "scores": scores}), "test")
