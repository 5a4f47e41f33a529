import hashlib
import math
import re
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pointsam.base.errors import SchemaError
from pointsam.semantics import load_semantics, semantics_sha256
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.nanodet import NANODET, NanodetConfig
from pointsam.semantics.onnx import network
from pointsam.semantics.onnx.decode import corners
from pointsam.taxonomy import KITTI, NUSCENES
from tests.semantics.test_ssd import SIGNS, drawn_sign

pytest.importorskip("onnxruntime")

CONVERTER = Path(__file__).parents[2] / "scripts" / "convert_nanodet.py"


def model(mapping=SIGNS, threads=1, **config):
    return NANODET.load(mapping, NanodetConfig(**config), threads)


def slow_decode(logits, width, height):
    """One cell, one side and one bin at a time."""
    boxes = []
    cells = ((stride, x, y) for stride in (8, 16, 32) for y in range(height // stride) for x in range(width // stride))
    for row, (stride, x, y) in zip(logits.tolist(), cells, strict=True):
        distance = []
        for side in range(4):
            weight = [math.exp(value) for value in row[11 * side : 11 * side + 11]]
            distance.append(stride * sum(i * w for i, w in enumerate(weight)) / sum(weight))
        cx, cy = stride * (x + 0.5), stride * (y + 0.5)
        boxes.append((cx - distance[0], cy - distance[1], cx + distance[2], cy + distance[3]))
    return np.array(boxes)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (96, 32), (64, 160)])
def test_decoding_equals_the_definition(width, height):
    cells = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    logits = np.random.default_rng(0).normal(0, 4, (cells, 44)).astype(np.float32)
    found = corners(logits, NANODET.describe().boxes, (width, height))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_decode(logits, width, height), rtol=1e-5, atol=1e-3)


def test_large_logits_do_not_overflow():
    logits = np.full((21, 44), -1000, dtype=np.float32)
    logits[:, [0, 11 + 1, 22 + 10, 33 + 2]] = 1000
    np.testing.assert_allclose(corners(logits, NANODET.describe().boxes, (32, 32))[0], [4, -4, 84, 20])


def test_the_network_finds_a_drawn_sign(frame, view_of):
    found = model(tile_px=0).detect(drawn_sign(), frame, view_of(480, 640))
    assert found.class_id.tolist() == [SIGNS.taxonomy.class_id("sign")]
    np.testing.assert_allclose(found.box_xyxy_px[0], [205, 105, 395, 295], atol=15)
    assert found.rle is None


def test_a_sign_too_small_for_the_whole_image_is_found_in_a_tile(frame, view_of):
    image, view = drawn_sign(1600, 900, centre=(1000, 500), radius=18), view_of(900, 1600)
    assert len(model(tile_px=0).detect(image, frame, view)) == 0
    found = model(tile_px=400).detect(image, frame, view)
    assert len(found) == 1
    np.testing.assert_allclose(found.box_xyxy_px[0], [982, 482, 1018, 518], atol=8)


def test_a_mirrored_image_gives_mirrored_boxes(frame, view_of):
    image, view = drawn_sign(centre=(250, 200)), view_of(480, 640)
    here, there = (model(tile_px=0).detect(one, frame, view).box_xyxy_px for one in (image, image[:, ::-1].copy()))
    np.testing.assert_allclose(here[0], [640, 0, 640, 0] + there[0, [2, 1, 0, 3]] * [-1, 1, -1, 1], atol=5)


def test_a_kitti_pedestrian_is_found_where_the_label_says(kitti_root, frame, view_of):
    image = np.array(Image.open(kitti_root / "training" / "image_2" / "000000.png"))
    found = model(default_mapping(KITTI)).detect(image, frame, view_of(*image.shape[:2]))
    people = found.box_xyxy_px[found.class_id == KITTI.class_id("pedestrian")]
    assert len(people) == 1
    np.testing.assert_allclose(people[0], [712.4, 143.0, 810.7, 307.9], atol=16)


class Session:
    """A network that keeps its input and sees nothing."""

    def get_inputs(self):
        return [SimpleNamespace(name="image", shape=[1, 3, "height", "width"], type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name=name) for name in ("scores", "distances")]

    def run(self, outputs, feed):
        self.seen = feed["image"]
        height, width = self.seen.shape[2:]
        cells = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
        return np.zeros((1, cells, 80), dtype=np.float32), np.zeros((1, cells, 44), dtype=np.float32)


@pytest.mark.parametrize(
    ("size", "shape"), [((1600, 900), (224, 416)), ((400, 400), (416, 416)), ((9, 900), (416, 32))]
)
def test_pixels_are_normalised_blue_first_and_keep_their_aspect_ratio(size, shape, monkeypatch, frame, view_of):
    session = Session()
    monkeypatch.setattr(network, "open_session", lambda *_: session)
    image = np.full((size[1], size[0], 3), (10, 20, 30), dtype=np.uint8)
    assert len(model(tile_px=0).detect(image, frame, view_of(size[1], size[0]))) == 0
    assert session.seen.shape == (1, 3, *shape)
    assert session.seen.dtype == np.float32
    expected = [(30 - 103.53) / 57.375, (20 - 116.28) / 57.12, (10 - 123.675) / 58.395]
    np.testing.assert_allclose(session.seen[0, :, 0, 0], expected, rtol=1e-5)


def test_the_model_has_one_column_a_coco_label_and_11_bins_a_side():
    scores, distances = NANODET.open()._session.get_outputs()
    assert (scores.shape[2], distances.shape[2]) == (80, 44)
    assert NANODET.describe().names[2] == "car"


def test_loading_by_name_gives_the_model_with_its_digest():
    loaded = load_semantics("nanodet", mapping=default_mapping(NUSCENES))
    assert (loaded.name, loaded.weights_sha256) == ("nanodet", semantics_sha256("nanodet"))


def test_the_conversion_script_writes_the_bundled_file():
    content = (resources.files("pointsam.semantics") / "data" / NANODET.describe().model).read_bytes()
    (stated,) = re.findall(r'^ONNX_SHA256 = "(\w+)"', CONVERTER.read_text(encoding="utf-8"), re.MULTILINE)
    assert hashlib.sha256(content).hexdigest() == stated == NANODET.sha256


def test_a_value_out_of_range_names_its_field():
    with pytest.raises(SchemaError, match=r"SCH005.*nanodet\.tile_px is 63"):
        NanodetConfig(tile_px=63)
