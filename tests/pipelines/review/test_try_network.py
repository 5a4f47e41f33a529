"""`pointsam-label try-2d`: labels with their classes, and pictures."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("onnxruntime")
from helpers.commands import refused
from helpers.onnx_models import constant_model

from pipelines.cli.label import main
from pointsam.report.boxes import draw_boxes
from pointsam.report.style import class_rgb
from pointsam.semantics.base import Look
from pointsam.taxonomy import NUSCENES

ROWS = np.float32([[[10, 20, 60, 80, 0.9, 0, 0, 0], [100, 30, 180, 90, 0, 0.7, 0, 0], [12, 20, 60, 80, 0.6, 0, 0, 0]]])


@pytest.fixture
def made(tmp_path):
    """A description, its model and an image."""
    labels = {"model": "m.onnx", "labels": ["car", "giraffe", "person", ""], "scores": {"columns": [4, 8]}}
    (tmp_path / "net.json").write_text(json.dumps(labels))
    (tmp_path / "m.onnx").write_bytes(constant_model({"out": ROWS}, (1, 3, 100, 200)))
    Image.new("RGB", (200, 100), (40, 40, 40)).save(tmp_path / "view.jpg")
    return tmp_path


def try_2d(folder, *more, model="net.json", image="view.jpg"):
    words = ["try-2d", folder / model, folder / image, "--dest", folder / "tried", *more]
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_labels_are_listed_with_their_classes_and_boxes_drawn(made):
    result = try_2d(made)
    assert result.exit_code == 0, result.output
    found = [line.split() for line in result.stdout.splitlines()[2:4]]
    assert found == [["car", "car", "1", "0.90"], ["giraffe", "-", "1", "0.70"]]
    assert "not found: person (pedestrian)" in result.stdout
    picture = np.array(Image.open(made / "tried" / "view.png"))
    assert picture[50, 60].tolist() == list(class_rgb(NUSCENES.class_id("car")))
    assert picture[60, 180].tolist() == [150, 150, 158]
    assert picture[60, 100 + 40].tolist() == pytest.approx([40, 40, 40], abs=3)


def test_captions_of_equal_boxes_do_not_cover_each_other():
    box, black = np.float32([[40, 40, 160, 80]] * 3), np.zeros((100, 200, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    picture = np.array(draw_boxes(black, box, ["car 0.50"] * 3, colours))
    for colour in colours[1:]:  # the lines are all of the first box
        strong = picture[..., np.argmax(colour)].astype(int) - picture.min(axis=2) > 150
        assert (strong & (picture.argmax(axis=2) == np.argmax(colour))).sum() > 20


def test_labels_without_any_class_ask_for_a_mapping(made):
    (made / "net.json").write_text((made / "net.json").read_text().replace("car", "auto").replace("person", "docker"))
    result = try_2d(made)
    assert "3 labels without a class: auto, giraffe, docker" in result.stdout
    assert "give it with --mapping" in result.stdout


def test_a_mapping_and_options_are_those_of_a_run(made):
    mapping = {"taxonomy": {"name": "zoo", "classes": [{"name": "animal"}]}, "labels": {"giraffe": "animal"}}
    (made / "zoo.json").write_text(json.dumps(mapping))
    result = try_2d(made, "--mapping", made / "zoo.json", "--set", "masks.onnx.score_threshold=0.8", "--json")
    rows = {row["label"]: (row["class_name"], row["objects"]) for row in json.loads(result.stdout)["labels"]}
    assert rows == {"car": ("-", 1), "giraffe": ("animal", 0), "person": ("-", 0)}


def test_a_network_that_finds_nothing_says_so(made):
    result = try_2d(made, "--set", "masks.onnx.score_threshold=0.95")
    assert result.exit_code == 0
    assert result.stdout.startswith("nothing was found\n")
    assert "1 label without a class: giraffe" in result.stdout


def test_pictures_replace_nothing_by_accident(made):
    assert try_2d(made).exit_code == 0
    refused(try_2d(made), "OUT003", "view.png")
    assert try_2d(made, "--overwrite").exit_code == 0
    shutil.copy(made / "view.jpg", made / "tried" / "view.jpg")
    refused(try_2d(made, made / "tried" / "view.jpg", "--overwrite"), "SCH005", "several images would be drawn to")
    Image.new("RGB", (8, 8)).save(made / "tried" / "own.png")
    refused(try_2d(made, "--overwrite", image="tried/own.png"), "SCH005", "would replace it")


@pytest.mark.parametrize("name", ["oracle", "precomputed", "bundled"])
def test_a_source_that_is_not_one_network_is_refused(made, name):
    words = ["try-2d", name, str(made / "view.jpg"), "--dest", str(made / "tried")]
    refused(CliRunner().invoke(main, words, catch_exceptions=False), "SCH005", f"semantics {name} is not one network")


def test_a_bundled_network_can_be_tried(made):
    words = ["try-2d", "ssd", str(made / "view.jpg"), "--dest", str(made / "tried")]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "traffic light" in result.stdout


def test_masks_tint_their_pixels(made, monkeypatch):
    disc = np.hypot(*np.ogrid[-50:50, -100:100]) < 40
    masks, boxes = [disc, ~disc], np.float32([[60, 10, 140, 90], [0, 0, 200, 100]])
    scores = np.float32([[0.9, 0, 0, 0], [0, 0.8, 0, 0]])

    monkeypatch.setattr(
        "pointsam.semantics.onnx.network.OnnxDetector.look", lambda *_: Look(boxes, scores, masks.__getitem__)
    )
    assert try_2d(made).exit_code == 0
    picture = np.array(Image.open(made / "tried" / "view.png")).astype(int)
    ground, car, grey = np.array([40, 40, 40]), class_rgb(NUSCENES.class_id("car")), [150, 150, 158]
    np.testing.assert_allclose(picture[60, 100], (ground + car) / 2, atol=3)
    np.testing.assert_allclose(picture[60, 30], (ground + grey) / 2, atol=3)
