import json
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics import load_semantics, semantics_sha256
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.onnx import network
from pointsam.semantics.onnx.carried import CarriedNetwork
from pointsam.semantics.ssd import SSD, SsdConfig
from pointsam.taxonomy import KITTI, NUSCENES, ClassSpec, LabelMapping, Taxonomy

COCO_TO_NUSCENES = default_mapping(NUSCENES)

pytest.importorskip("onnxruntime")


SIGNS = LabelMapping(Taxonomy("signs", (ClassSpec("other"), ClassSpec("sign"))), {"stop sign": "sign"})


def drawn_sign(width=640, height=480, centre=(300, 200), radius=100):
    picture = Image.new("RGB", (width, height), (135, 175, 215))
    draw = ImageDraw.Draw(picture)
    x, y = centre
    draw.rectangle([x - 5, y, x + 5, height], fill=(120, 120, 120))
    turns = np.pi / 8 + np.arange(8) * np.pi / 4
    corners = [(x + radius * np.cos(t), y + radius * np.sin(t)) for t in turns]
    draw.polygon(corners, fill=(190, 20, 30))
    draw.line([*corners, corners[0]], fill="white", width=6)
    return np.array(picture)


def model(mapping=SIGNS, threads=1, **config):
    return SSD.load(mapping, SsdConfig(**config), threads)


def test_the_bundled_model_finds_a_drawn_sign(frame, view_of):
    found = model().detect(drawn_sign(), frame, view_of(480, 640))
    assert found.class_id.tolist() == [SIGNS.taxonomy.class_id("sign")]
    np.testing.assert_allclose(found.box_xyxy_px[0], [205, 105, 395, 295], atol=15)
    assert found.rle is None
    assert found.instances


def test_a_sign_too_small_for_the_whole_image_is_found_in_a_tile(frame, view_of):
    image, view = drawn_sign(1600, 900, centre=(1000, 500), radius=22), view_of(900, 1600)
    assert len(model().detect(image, frame, view)) == 0
    found = model(tile_px=400).detect(image, frame, view)
    assert len(found) == 1
    np.testing.assert_allclose(found.box_xyxy_px[0], [978, 478, 1022, 522], atol=8)


def test_labels_outside_the_mapping_are_background(frame, view_of):
    found = model(default_mapping(NUSCENES)).detect(drawn_sign(), frame, view_of(480, 640))
    assert len(found) == 0
    assert found.box_xyxy_px.shape == (0, 4)


def test_tiles_find_smaller_objects(nuscenes_root, frame, view_of):
    (path,) = (nuscenes_root / "samples" / "CAM_FRONT").glob("*.jpg")
    image, view = np.array(Image.open(path)), view_of(900, 1600)
    person = NUSCENES.class_id("pedestrian")
    whole, tiled = (model(default_mapping(NUSCENES), tile_px=px).detect(image, frame, view).class_id for px in (0, 400))
    assert np.sum(tiled == person) > np.sum(whole == person)


def test_a_kitti_pedestrian_is_found_where_the_label_says(kitti_root, frame, view_of):
    image = np.array(Image.open(kitti_root / "training" / "image_2" / "000000.png"))
    found = model(default_mapping(KITTI)).detect(image, frame, view_of(*image.shape[:2]))
    people = found.box_xyxy_px[found.class_id == KITTI.class_id("pedestrian")]
    assert len(people) == 1
    np.testing.assert_allclose(people[0], [712.4, 143.0, 810.7, 307.9], atol=16)


def test_the_model_has_one_column_a_coco_id():
    (_, scores) = SSD.open()._session.get_outputs()
    assert scores.shape == [1, 1917, 90]
    assert len(COCO_NAMES) == 80
    assert (COCO_NAMES[1], COCO_NAMES[3], COCO_NAMES[13], COCO_NAMES[90]) == (
        "person",
        "car",
        "stop sign",
        "toothbrush",
    )


def test_loading_by_name_gives_the_model_with_its_digest():
    loaded = load_semantics("ssd", mapping=default_mapping(KITTI), config=SsdConfig())
    assert loaded.name == "ssd"
    assert loaded.weights_sha256 == semantics_sha256("ssd")


def test_an_unknown_name_lists_the_known_ones():
    for call in (
        lambda: semantics_sha256("htc"),
        lambda: load_semantics("htc", mapping=None),
    ):
        with pytest.raises(SchemaError, match=r"SCH005.*'htc'(.|\n)*oracle, precomputed, ssd"):
            call()


@pytest.mark.parametrize(
    "change",
    [
        {"score_threshold": 1.0},
        {"score_threshold": -0.01},
        {"nms_iou": 0.0},
        {"nms_iou": 1.01},
        {"tile_px": -1},
        {"tile_px": 63},
        {"tile_overlap": 0.9},
        {"tile_overlap": -0.01},
    ],
    ids=str,
)
def test_a_value_out_of_range_names_its_field(change):
    with pytest.raises(SchemaError, match=f"SCH005.*{next(iter(change))}"):
        replace(SsdConfig(), **change)


@pytest.mark.parametrize(
    "change",
    [{"score_threshold": 0.0}, {"nms_iou": 1.0}, {"tile_px": 64}, {"tile_overlap": 0.0}, {"tile_overlap": 0.89}],
    ids=str,
)
def test_the_ends_of_a_range_are_in_it(change):
    assert vars(SsdConfig(**change)).items() >= change.items()


class Session:
    """A network that sees three boxes, whatever it looks at."""

    def __init__(self, boxes, scores):
        self.boxes, self.scores, self.seen = boxes, scores, []

    def get_inputs(self):
        return [SimpleNamespace(name="image", shape=[1, 300, 300, 3], type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name=name) for name in (SSD.describe().boxes.output, SSD.describe().scores.output)]

    def run(self, outputs, feed):
        self.seen.append(feed["image"])
        scores = np.zeros((1, len(self.boxes), 90), dtype=np.float32)
        for k, (category, score) in enumerate(self.scores):
            scores[0, k, category - 1] = score
        return np.array(self.boxes, dtype=np.float32)[None, :, None], scores


@pytest.fixture
def found_by(monkeypatch, frame, view_of):
    def find(boxes, scores, image, mapping=COCO_TO_NUSCENES, **config):
        session = Session(boxes, scores)
        monkeypatch.setattr(network, "open_session", lambda *_: session)
        opened = model(mapping, **config)
        session.seen.clear()  # the description was checked with a blank image
        found = opened.detect(image, frame, view_of(*image.shape[:2]))
        return found, session.seen

    return find


def test_boxes_are_shares_of_the_window_top_first(found_by):
    image = np.zeros((50, 100, 3), dtype=np.uint8)
    boxes = [(0.1, 0.2, 0.5, 0.6), (-0.2, 0.5, 0.4, 1.3), (0.2, 1.0, 0.4, 1.2), (0.8, 0.8, 0.81, 0.805)]
    found, _ = found_by(boxes, [(1, 0.5), (3, 0.75), (3, 0.9), (3, 0.625)], image)  # the third lies outside
    expected = [[50, 0, 100, 20], [80, 40, 80.5, 40.5], [20, 5, 60, 25]]
    np.testing.assert_allclose(found.box_xyxy_px, expected, atol=1e-4)
    assert found.class_id.tolist() == [NUSCENES.class_id(name) for name in ("car", "car", "pedestrian")]
    assert found.score.tolist() == [0.75, 0.625, 0.5]


def test_a_score_must_exceed_the_threshold(found_by):
    boxes, image = [(0.1, 0.1, 0.3, 0.3), (0.5, 0.5, 0.9, 0.9)], np.zeros((50, 100, 3), dtype=np.uint8)
    found, _ = found_by(boxes, [(3, 0.5), (3, 0.5 + 2**-10)], image, score_threshold=0.5)
    np.testing.assert_allclose(found.box_xyxy_px, [[50, 25, 90, 45]], atol=1e-4)


def test_pixels_go_from_minus_one_to_one_in_squares_of_300(found_by):
    image = np.zeros((50, 100, 3), dtype=np.uint8)
    image[:, 50:], image[..., 2] = 255, 255
    _, (seen,) = found_by([(0, 0, 1, 1)], [(1, 0.9)], image)
    assert (seen.shape, seen.dtype) == ((1, 300, 300, 3), np.float32)
    assert seen[0, 150, 10].tolist() == [-1, -1, 1]
    assert seen[0, 150, 290].tolist() == [1, 1, 1]


def test_tiles_look_beside_the_whole_and_lose_what_their_borders_cut(found_by):
    image = np.zeros((100, 180, 3), dtype=np.uint8)
    inner, cut = (0.2, 0.03, 0.6, 0.5), (0.1, 0.01, 0.15, 0.4)  # 3 and 1 px from the left border of a tile
    found, seen = found_by([inner, cut], [(3, 0.75), (1, 0.5)], image, tile_px=100, nms_iou=1.0)
    assert len(seen) == 3  # the whole and two tiles, at 0 and 80
    assert len(found.box_xyxy_px) == 5
    cars = found.box_xyxy_px[found.class_id == NUSCENES.class_id("car")]
    np.testing.assert_allclose(cars, [[3, 20, 50, 60], [5.4, 20, 90, 60], [83, 20, 130, 60]], atol=1e-3)
    people = found.box_xyxy_px[found.class_id == NUSCENES.class_id("pedestrian")]
    np.testing.assert_allclose(people, [[1, 10, 40, 15], [1.8, 10, 72, 15]], atol=1e-3)


def test_an_image_that_is_one_tile_is_looked_at_once(found_by):
    _, seen = found_by([(0, 0, 1, 1)], [(3, 0.9)], np.zeros((64, 64, 3), dtype=np.uint8), tile_px=64)
    assert len(seen) == 1


def test_of_two_looks_at_an_object_the_better_one_stays(found_by):
    boxes = [(0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.45), (0.1, 0.1, 0.5, 0.2)]
    found, _ = found_by(boxes, [(3, 0.5), (3, 0.75), (3, 0.625)], np.zeros((100, 100, 3), dtype=np.uint8))
    np.testing.assert_allclose(found.box_xyxy_px, [[10, 10, 45, 50], [10, 10, 20, 50]], atol=1e-4)


def test_a_mapping_without_coco_labels_is_refused():
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the bundled network(.|\n)*for --mapping"):
        SSD.load(LabelMapping(NUSCENES, {"Lieferwagen": "truck"}), SsdConfig())


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    description = SSD.describe()
    monkeypatch.setattr(CarriedNetwork, "describe", lambda _: description)
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(BackendError, match="BCK001"):
        model()
    (tmp_path / "data" / description.model).write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(BackendError, match="BCK002"):
        model()


def test_without_onnxruntime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"BCK005(.|\n)*pointsam\[ssd\]"):
        model()


def test_naming_the_configuration_loads_no_runtime():
    code = (
        "import sys, json, pointsam.semantics.ssd, pointsam.semantics.precomputed; print(json.dumps(list(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "pointsam.semantics.ssd" in loaded
    assert not {"onnxruntime", "pycocotools", "torch"} & set(loaded)
