"""The commands of docs/onnx.md: a described network is tried, labels a data set, and its run can go on."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import label, refused

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("onnxruntime")
from helpers.onnx_models import constant_model

from pointsam.semantics import SemanticsContext, semantics_sha256, survey_semantics
from pointsam.semantics.mapping import default_mapping
from pointsam.store.reader import Labels
from pointsam.taxonomy import NUSCENES

PAGE = (Path(__file__).parents[3] / "docs" / "onnx.md").read_text()

SCALE = 96 / 64
"""The images of 64 x 36 px become an input of 96 x 96, padded below."""


def answer(score=0.9):
    """YOLOX's answer of 189 cells: one car that fills the middle of every image."""
    rows = np.zeros((1, 189, 85), dtype=np.float32)
    u, v, width, height = 32 * SCALE, 20 * SCALE, 36 * SCALE, 20 * SCALE
    column, row = int(u // 8), int(v // 8)
    cell = row * 12 + column
    rows[0, cell, :5] = u / 8 - column, v / 8 - row, np.log(width / 8), np.log(height / 8), 1
    rows[0, cell, 5 + 2] = score
    return rows


@pytest.fixture
def network(tmp_path):
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "yolox_s.onnx").write_bytes(constant_model({"output": answer()}, (1, 3, 96, 96)))
    (folder / "yolox.json").write_text('{"family": "yolox", "model": "yolox_s.onnx"}')
    return folder / "yolox.json"


def run(root, out, network, *more):
    return label("run", root, "--out", out, "--semantics", network, "--workers", 1, *more)


def test_a_described_network_is_tried_and_labels(root, scissors, network, tmp_path):
    images = sorted((root / "samples" / "CAM_FRONT").glob("*.jpg"))[:1]
    tried = label("try-2d", network, *images, "--dest", tmp_path / "tried")
    assert tried.exit_code == 0, tried.output
    assert tried.stdout.splitlines()[2].split() == ["car", "car", "1", "0.90"]
    done = run(root, tmp_path / "out", network)
    assert done.exit_code == 0, done.output
    labels = Labels(tmp_path / "out")
    found = labels.masks(labels.frame_ids()[0])["CAM_FRONT"].detections
    assert [labels.taxonomy.names[k] for k in found.class_id] == ["car"]
    np.testing.assert_allclose(found.box_xyxy_px, [[14, 10, 50, 30]], atol=0.01)
    stated = json.loads((tmp_path / "out" / "run.json").read_text())
    assert semantics_sha256("onnx", network) in json.dumps(stated)


def test_a_run_goes_on_with_the_same_network_wherever_it_lies_and_with_no_other(root, scissors, network, tmp_path):
    assert run(root, tmp_path / "out", network).exit_code == 0
    moved = shutil.move(network.parent, tmp_path / "elsewhere")
    assert run(root, tmp_path / "out", f"{moved}/yolox.json").exit_code == 0
    model = tmp_path / "elsewhere" / "yolox_s.onnx"
    model.write_bytes(constant_model({"output": answer(0.8)}, (1, 3, 96, 96)))
    refused(run(root, tmp_path / "out", f"{moved}/yolox.json"), "OUT001", "semantics")


@pytest.fixture
def site(tmp_path):
    """The folder of the network with labels of its own, as the page describes it, and its fusion with others."""
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    marks = {"site.json": "site.onnx", "site_to_nuscenes.json": "taxonomy", "fusion.json": "sources"}
    for name, mark in marks.items():
        (block,) = (block for block in blocks if mark in block)
        (tmp_path / name).write_text(block)
    rows = np.float32([[[48, 40, 20, 20, 0.9, 0, 0, 0], [20, 40, 9, 9, 0, 0, 0.8, 0]]]).transpose(0, 2, 1)
    (tmp_path / "site.onnx").write_bytes(constant_model({"output": rows}, (1, 3, 96, 96)))
    (tmp_path / "o365.onnx").write_bytes(constant_model({"output": rows[:, :6]}, (1, 3, 96, 96)))
    other = {"family": "yolov8", "model": "o365.onnx", "labels": ["SUV", "Bus"], "scores": {"columns": [4, 6]}}
    (tmp_path / "o365.json").write_text(json.dumps(other))
    return tmp_path


def test_labels_of_ones_own_get_their_classes_from_the_mapping_of_the_page(root, site):
    image = min((root / "samples" / "CAM_FRONT").glob("*.jpg"))
    tried = label(
        "try-2d", site / "site.json", image, "--dest", site / "tried", "--mapping", site / "site_to_nuscenes.json"
    )
    assert tried.exit_code == 0, tried.output
    rows = [line.split() for line in tried.stdout.splitlines()[2:4]]
    assert rows == [["worker", "pedestrian", "1", "0.90"], ["cone", "traffic_cone", "1", "0.80"]]
    assert "not found: excavator (construction_vehicle), fence (barrier)" in tried.stdout


def test_the_fusion_of_the_page_fits_its_networks(site):
    context = SemanticsContext(default_mapping(NUSCENES), site / "fusion.json")
    survey_semantics("fusion", context, [])


def test_a_description_beside_results_is_refused(root, network, tmp_path):
    result = run(root, tmp_path / "out", network, "--masks-dir", tmp_path)
    refused(result, "SCH005", "--masks-dir")
    assert not (tmp_path / "out").exists()


def test_a_description_that_does_not_fit_stops_the_run_before_its_first_image(root, network, tmp_path):
    network.write_text('{"family": "yolov8", "model": "yolox_s.onnx"}')
    result = run(root, tmp_path / "out", network)
    refused(result, "BCK003", "'output' of shape (1, 189, 85)")
