"""The commands of docs/torchvision.md: a detector with masks is tried, and labels a data set."""

import json

import numpy as np
import pytest
from helpers.commands import label, refused

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("torchvision", reason="needs pointsam[sam]")
from helpers.vision_models import save_vision, vision_model

from pointsam import rle
from pointsam.semantics import semantics_sha256
from pointsam.store.reader import Labels

NAME = "maskrcnn_resnet50_fpn"


@pytest.fixture
def network(tmp_path):
    folder = tmp_path / "network"
    folder.mkdir()
    return save_vision(folder, NAME, vision_model(NAME))


def test_a_detector_with_masks_is_tried_and_labels(root, scissors, network, tmp_path):
    images = sorted((root / "samples" / "CAM_FRONT").glob("*.jpg"))[:1]
    tried = label("try-2d", network, *images, "--dest", tmp_path / "tried")
    assert tried.exit_code == 0, tried.output
    assert "car" in tried.stdout.split()
    done = label("run", root, "--out", tmp_path / "out", "--semantics", network, "--workers", 1, "--sample", 1)
    assert done.exit_code == 0, done.output
    labels = Labels(tmp_path / "out")
    row = labels.masks(labels.frame_ids()[0])["CAM_FRONT"]
    height, width = row.masks.height_px, row.masks.width_px
    assert len(row.detections) == len(row.detections.rle) > 0
    for box, mask in zip(row.detections.box_xyxy_px, row.detections.rle, strict=True):
        inside = np.array(rle.bbox_xyxy_px(mask, height, width)) - box
        assert (inside[:2] > -2).all()
        assert (inside[2:] < 2).all()
        assert rle.area_px(mask, height, width) > 0
    stated = json.loads((tmp_path / "out" / "run.json").read_text())
    assert semantics_sha256("torchvision", network) in json.dumps(stated)


def test_weights_that_do_not_fit_stop_the_run_before_its_first_image(root, network, tmp_path):
    network.write_text(json.dumps({**json.loads(network.read_text()), "torchvision": "fasterrcnn_resnet50_fpn"}))
    result = label("run", root, "--out", tmp_path / "out", "--semantics", network, "--workers", 1)
    refused(result, "BCK003", "roi_heads.mask_head")
