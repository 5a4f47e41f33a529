"""The oracle through the command line."""

import json

import numpy as np
import pytest
from helpers.commands import label, refused
from PIL import Image

from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels
from pointsam.taxonomy import NUSCENES

NAMES = {"1": {"label": "bicycle", "score": 1}, "2": {"label": "pedestrian", "score": 1}}


@pytest.fixture
def truth(root):
    """Ground truth of every image: a person in front of a parked bicycle."""
    for frame_id in NuScenes(root).frame_ids():
        for view in NuScenes(root).frame(frame_id).cameras:
            ids = np.zeros((view.camera.height_px, view.camera.width_px), dtype=np.uint16)
            ids[20:30, 10:28] = 1
            ids[13:28, 15:22] = 2
            path = root / "truth2d" / view.name / f"{view.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids).save(path)
            path.with_suffix(".json").write_text(json.dumps(NAMES))
    return root / "truth2d"


def found(out):
    """Sorted (class, box) of every image."""
    labels = Labels(out)
    images = [row.detections for frame in labels.frame_ids("masks") for row in labels.masks(frame).values()]
    return [
        sorted((NUSCENES.names[c], tuple(box)) for c, box in zip(d.class_id, d.box_xyxy_px.tolist(), strict=True))
        for d in images
    ]


BOTH = [("bicycle", (10, 20, 28, 30)), ("pedestrian", (15, 13, 22, 28))]


def masks(root, out, *more):
    return label("masks", root, "--out", out, "--workers", 1, *more)


def test_sam_is_prompted_with_the_ground_truth_boxes_of_the_data_root(root, truth, tmp_path, scissors):
    result = masks(root, tmp_path / "out", "--semantics", "oracle")
    assert result.exit_code == 0, result.output
    assert found(tmp_path / "out") == [BOTH] * 12
    rows = Labels(tmp_path / "out").masks(NuScenes(root).frame_ids()[0]).values()
    assert all(row.masks.source.tolist() == [0, 1] for row in rows)


def test_complete_objects_are_not_merged_as_riders(root, truth, tmp_path, scissors):
    for name in ("oracle", "precomputed"):
        on = ("--set", "masks.riders.enabled=true", "--semantics", name, "--masks-dir", truth)
        assert masks(root, tmp_path / name, *on).exit_code == 0
    assert found(tmp_path / "oracle") == [BOTH] * 12
    assert found(tmp_path / "precomputed") == [[("bicycle", (10, 13, 28, 30))]] * 12


def test_degradations_are_fields_of_the_recipe(root, truth, tmp_path, scissors):
    blind = ("--semantics", "oracle", "--set", "masks.oracle.miss_rate=1")
    assert masks(root, tmp_path / "out", *blind).exit_code == 0
    assert found(tmp_path / "out") == [[]] * 12
    refused(masks(root, tmp_path / "out", "--semantics", "oracle"), "OUT001", "oracle.miss_rate")
    oracle = ("--semantics", "oracle")
    refused(masks(root, tmp_path / "no", *oracle, "--set", "masks.oracle.miss_rate=2"), "SCH005", "oracle.miss_rate")
    both = ("--set", "masks.oracle.masks=true", "--set", "masks.oracle.boundary=0.1")
    refused(masks(root, tmp_path / "no", *oracle, *both), "SCH005", "oracle.boundary")


def test_the_seed_of_the_run_decides_which_objects_are_missed(root, truth, tmp_path, scissors):
    half = ("--semantics", "oracle", "--set", "masks.oracle.miss_rate=0.5", "--seed")
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert masks(root, tmp_path / out, *half, seed).exit_code == 0
    assert found(tmp_path / "a") == found(tmp_path / "b") != found(tmp_path / "c")


def test_a_dry_run_reads_the_ground_truth_too(root, truth, tmp_path, scissors):
    result = masks(root, tmp_path / "out", "--semantics", "oracle", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output[result.output.index("{") :])
    assert (plan["images"], plan["notes"]) == (12, [])
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_ground_truth_is_refused(root, tmp_path):
    said = masks(root, tmp_path / "out", "--semantics", "oracle")
    refused(said, "DAT001", root / "truth2d", "--masks-dir")
    assert not (tmp_path / "out").exists()


def test_an_image_without_ground_truth_quarantines_its_frame(root, truth, tmp_path, scissors):
    missing = next((truth / "CAM_FRONT").glob("*.png"))
    missing.unlink()
    result = masks(root, tmp_path / "out", "--semantics", "oracle")
    assert result.exit_code == 3, result.output
    assert "DAT004" in result.output
    assert missing.name in result.output
