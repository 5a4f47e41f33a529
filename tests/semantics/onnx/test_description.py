"""A description is checked field by field, and then against its model."""

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
from helpers.onnx_models import constant_model
from PIL import Image

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics import label_names, load_semantics, semantics_sha256
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.onnx.description import parse_description, read_description
from pointsam.semantics.onnx.network import OnnxDetector
from pointsam.taxonomy import NUSCENES

YOLO = {"family": "yolov8", "model": "m.onnx"}
TWO = {"model": "m.onnx", "labels": ["car", "person"], "scores": {"columns": [4, 6]}}
ROWS = np.tile(np.float32([10, 10, 40, 50, 0.9, 0.1]), (1, 7, 1))


def described(values):
    return parse_description(json.dumps(values), "own.json")


def opened(values, outputs, **model):
    return OnnxDetector(described(values), constant_model(outputs, **model), "own.json")


@pytest.fixture
def written(tmp_path):
    """A description and its model in a folder."""

    def write(values=TWO, model=None):
        (tmp_path / "m.onnx").write_bytes(constant_model({"out": ROWS}) if model is None else model)
        (tmp_path / "own.json").write_text(json.dumps(values))
        return tmp_path / "own.json"

    return write


def test_a_family_gives_what_a_file_leaves_out():
    description = described({**YOLO, "labels": ["car"], "scores": {"columns": [4, 5]}, "input": {"fill": 7}})
    assert (description.input.fit, description.input.fill) == ("centre", 7)
    assert (description.scores.transposed, description.scores.columns) == (True, (4, 5))
    assert description.names == ("car",)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({**YOLO, "family": "yolov88"}, "family 'yolov88' is not one of yolox.*did you mean 'yolov8'"),
        ({**YOLO, "labels": "coko"}, "labels is 'coko', did you mean 'coco'"),
        ({**YOLO, "labels": [""]}, "labels is"),
        ({**YOLO, "model": 3}, "model"),
        ({"family": "yolov8"}, "model"),
        ({**YOLO, "input": {"fitt": "corner"}}, "input.fitt.*did you mean 'fit'"),
        ({**YOLO, "input": {"fit": "middle"}}, "input.fit"),
        ({**YOLO, "input": {"std": [0, 1, 1]}}, "input.std"),
        ({**YOLO, "input": {"divide": 0}}, "input.divide"),
        ({**YOLO, "input": {"fill": 256}}, "input.fill"),
        ({**YOLO, "input": {"width_px": 0}}, "input.width_px"),
        ({**YOLO, "input": {"extra": {"size": "wh"}}}, "input.extra"),
        ({**YOLO, "boxes": {"columns": [0, 5]}}, "boxes.columns"),
        ({**YOLO, "boxes": {"grid": "distances", "columns": [0, 4]}}, "boxes.columns"),
        ({**YOLO, "boxes": {"strides_px": [0]}}, "boxes.strides_px"),
        ({**YOLO, "boxes": {"cell_middle": 2}}, "boxes.cell_middle"),
        ({**YOLO, "scores": {"columns": [4, 4]}}, "scores.columns"),
        ({**YOLO, "scores": {"label_column": 5, "label_output": "labels"}}, "scores.label_column"),
        ([], "the document"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(values, told):
    with pytest.raises(SchemaError, match=rf"(?s)SCH005\] own\.json: .*{told}"):
        described(values)


def test_text_that_is_no_json_is_named():
    with pytest.raises(SchemaError, match=r"own\.json: not valid JSON"):
        parse_description("{", "own.json")


@pytest.mark.parametrize("model", ["../m.onnx", "/m.onnx", "a/../../m.onnx"])
def test_a_description_names_no_file_outside_of_its_folder(written, model):
    with pytest.raises(SchemaError, match=r"SCH005.*own\.json: model"):
        read_description(written({**TWO, "model": model}))


def test_a_missing_model_is_named(tmp_path):
    (tmp_path / "own.json").write_text(json.dumps(TWO))
    with pytest.raises(SchemaError, match=r"SCH005.*m\.onnx: cannot be read"):
        semantics_sha256("onnx", tmp_path / "own.json")


@pytest.mark.parametrize(
    ("change", "outputs", "model", "told"),
    [
        ({"boxes": {"output": "boxes"}}, {"out": ROWS}, {}, "boxes is 'boxes', the model's outputs are 'out'"),
        ({"scores": {"output": "s"}}, {"out": ROWS}, {}, "scores is 's', the model's outputs are 'out'"),
        ({"scores": {"label_output": "l"}}, {"out": ROWS}, {}, "scores.label_output is 'l'"),
        ({"boxes": {"columns": [5, 9]}}, {"out": ROWS}, {}, r"'out' of shape \(1, 7, 6\) has 6 columns, boxes.columns"),
        ({"scores": {"columns": [4, 8]}}, {"out": ROWS}, {}, r"'out' of shape \(1, 7, 6\) has 6 columns, scores.col"),
        ({"scores": {"columns": [4, 84]}}, {"out": ROWS}, {}, r"\[4, 6\] would be 2 labels, `labels` names 2"),
        ({"labels": ["car"]}, {"out": ROWS}, {}, r"\(1, 7, 6\) has scores of 2 labels, the description names 1"),
        ({"scores": {"columns": [4, 6], "objectness": 6}}, {"out": ROWS}, {}, "scores.objectness"),
        ({"scores": {"columns": [4, 5], "label_column": 6}}, {"out": ROWS}, {}, "scores.label_column"),
        ({}, {"out": np.tile(ROWS, (1, 30, 1)).transpose(0, 2, 1)}, {}, "has 210 columns.*transposed"),
        ({}, {"out": ROWS.transpose(0, 2, 1)[:, :, :5]}, {}, "boxes may lie in its columns: transposed=true"),
        ({"boxes": {"transposed": True}}, {"out": np.tile(ROWS, (1, 30, 1))}, {}, "in its rows: transposed=false"),
        ({"boxes": {"grid": "exponential"}}, {"out": ROWS}, {}, "has 7 boxes, the grids of boxes.strides_px"),
        (
            {"boxes": {"output": "b"}, "scores": {"output": "s"}},
            {"b": np.zeros((1, 7, 4), np.float32), "s": np.zeros((1, 6, 2), np.float32)},
            {},
            "7 boxes and 6 rows of scores",
        ),
        ({"input": {"width_px": 32}}, {"out": ROWS}, {}, r"\[1, 3, 64, 64\], the description says 32 x None"),
        ({"input": {"layout": "nhwc"}}, {"out": ROWS}, {}, "not one image of three colours in the layout nhwc"),
        ({}, {"out": ROWS}, {"shape": (1, 1, 64, 64)}, "not one image of three colours"),
        ({}, {"out": ROWS}, {"extra": [("size", (1, 2))]}, r"input.extra has \[\], the model's inputs are images"),
        ({"input": {"extra": {"size": "size_wh"}}}, {"out": ROWS}, {}, r"input.extra has \['size'\]"),
        ({"input": {"extra": {"size": "size_wh"}}}, {"out": ROWS}, {"extra": [("size", (1, 3))]}, "the model refuses"),
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_its_model_names_what_differs(change, outputs, model, told):
    with pytest.raises(BackendError, match=rf"(?s)BCK003\] own\.json does not fit its model: .*{told}"):
        opened({**TWO, **change}, outputs, **model)


def test_the_size_of_the_input_is_the_models_own_or_that_of_the_description():
    assert opened(TWO, {"out": ROWS}, shape=(1, 3, 96, 160))._size_px == (160, 96)
    free = {"shape": (1, 3, "h", "w")}
    assert opened({**TWO, "input": {"width_px": 64, "height_px": 32}}, {"out": ROWS}, **free)._size_px == (64, 32)
    assert opened(TWO, {"out": ROWS}, **free)._size_px == (640, 640)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_a_file_that_is_no_model_is_named(content):
    with pytest.raises(BackendError, match=r"BCK004.*own\.json"):
        OnnxDetector(described(TWO), content, "own.json")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_an_error(value):
    rows = ROWS.copy()
    rows[0, 3, 5] = value
    with pytest.raises(SchemaError, match=r"SCH003.*own\.json: the network gave a score of (nan|inf)"):
        opened(TWO, {"out": rows})


@pytest.mark.parametrize("value", [-2.0, 3.0])
def test_scores_that_need_an_activation_are_an_error(value):
    rows = ROWS.copy()
    rows[0, 3, 5] = value
    with pytest.raises(SchemaError, match=r"SCH003.*not 0 to 1(.|\n)*scores\.activation"):
        opened(TWO, {"out": rows})
    opened({**TWO, "scores": {"columns": [4, 6], "activation": "sigmoid"}}, {"out": rows})


@pytest.mark.parametrize(("scale", "unit", "told"), [(1 / 64, "pixels", "fractions"), (10, "fractions", "pixels")])
def test_boxes_that_cannot_have_their_unit_are_an_error(scale, unit, told):
    rows = ROWS.copy()
    rows[..., :4] *= scale
    with pytest.raises(BackendError, match=rf"BCK003.*boxes\.unit may be {told}"):
        opened({**TWO, "boxes": {"unit": unit}}, {"out": rows})
    opened({**TWO, "boxes": {"unit": told}}, {"out": rows})
    opened(TWO, {"out": np.zeros_like(ROWS)})


def test_a_box_that_is_no_number_is_an_error_if_its_score_counts(written, frame, view_of):
    rows = ROWS.copy()
    rows[0, 3, 0] = np.nan
    image, view = np.zeros((64, 64, 3), dtype=np.uint8), view_of(64, 64)
    for score, refused in ((0.9, True), (0.1, False)):
        rows[0, 3, 4:] = score, 0
        model = load_semantics(
            "onnx", mapping=default_mapping(NUSCENES), masks_dir=written(model=constant_model({"out": rows}))
        )
        if refused:
            with pytest.raises(SchemaError, match=r"SCH003.*box of nan"):
                model.detect(image, frame, view)
        else:
            assert len(model.detect(image, frame, view)) == 1


def test_a_described_network_finds_objects_in_the_classes_of_the_run(written, frame, view_of):
    model = load_semantics("onnx", mapping=default_mapping(NUSCENES), masks_dir=written())
    found = model.detect(np.zeros((64, 64, 3), dtype=np.uint8), frame, view_of(64, 64))
    assert found.class_id.tolist() == [NUSCENES.class_id("car")]
    np.testing.assert_allclose(found.box_xyxy_px, [[10, 10, 40, 50]], atol=1e-4)
    np.testing.assert_allclose(found.score, [0.9])


def test_labels_decide_the_built_in_mapping(written):
    assert label_names("onnx", written()) == "coco"
    assert label_names("onnx", written({**TWO, "labels": ["car", "forklift"]})) == "same"


def test_the_digest_follows_the_model_the_labels_and_the_form_but_not_the_name(written, tmp_path):
    path = written()
    before = semantics_sha256("onnx", path)
    moved = path.rename(tmp_path / "other.json")
    assert semantics_sha256("onnx", moved) == before
    for change in ({"labels": ["car", "bus"]}, {"boxes": {"form": "xywh"}}, {"input": {"fill": 1}}):
        assert semantics_sha256("onnx", written({**TWO, **change})) != before
    assert semantics_sha256("onnx", written(model=constant_model({"out": ROWS + 1}))) != before
    assert semantics_sha256("onnx", written()) == before


def test_labels_that_map_to_nothing_are_refused_before_the_model_is_opened(written):
    path = written({**TWO, "labels": ["Stapler", "Kran"]}, b"no model")
    with pytest.raises(SchemaError, match=r"SCH001.*names no label of the network \('Stapler', 'Kran'\)"):
        load_semantics("onnx", mapping=default_mapping(NUSCENES), masks_dir=path)


def test_without_a_description_the_option_is_named():
    for name in ("onnx", "fusion"):
        with pytest.raises(SchemaError, match=r"SCH005(.|\n)*--semantics FILE\.json"):
            semantics_sha256(name)


def test_single_and_half_precision_give_the_same_boxes():
    image = Image.new("RGB", (64, 64))
    half = opened(TWO, {"out": ROWS.astype(np.float16)}, dtype=np.float16).look(image)
    single = opened(TWO, {"out": ROWS}).look(image)
    np.testing.assert_allclose(half.boxes, single.boxes, rtol=1e-3)
    np.testing.assert_allclose(half.scores, single.scores, rtol=1e-3)
