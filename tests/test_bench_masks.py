"""scripts/bench_masks.py: its clock, and a report of one small image."""

import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs pointsam[sam]")

from helpers.kitti_root import make_kitti

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import bench_masks

    monkeypatch.setattr(bench_masks, "keep_freed_memory", lambda: None)  # it would change this process for good
    return bench_masks


def test_a_stage_within_another_is_not_counted_twice(script):
    clock = script.Clock("cpu")
    with clock.stage("outer"):
        clock.timed(time.sleep, "inner")(0.05)
        clock.timed(time.sleep, "inner")(0.05)
    assert clock.seconds[("inner",)][0] >= 0.1
    assert clock.seconds[("outer",)][0] < 0.05


def test_masks_without_a_counterpart_count_as_zero(script):
    assert script.overlaps([], [], matched=True) == []
    assert script.overlaps([{"size": [1, 1], "counts": b"01"}], [], matched=False) == [0.0]


def test_the_report_compares_both_ways_on_the_same_image(script, tmp_path, monkeypatch):
    boxes = np.array([[20, 30, 80, 80]], dtype=np.float32)
    detector = SimpleNamespace(detect=lambda *_: SimpleNamespace(box_xyxy_px=boxes))
    monkeypatch.setattr(script, "load_semantics", lambda *_args, **_kwargs: detector)
    report = tmp_path / "masks.md"
    data = make_kitti(tmp_path / "kitti")
    image = np.full((80, 100, 3), 60, dtype=np.uint8)
    image[30:80, 20:80] = (200, 40, 40)
    Image.fromarray(image).save(data.path("image_2"))
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench_masks", str(data.root), "--report", str(report), "--images", "1", "--points", "3", "--threads", "1"],
    )
    script.main()
    text = report.read_text(encoding="utf-8")
    assert text.count("| encode ") == text.count("| hours for nuScenes ") == 2
    overlap = float(re.findall(r"Masks: 1 and 1\. .*mean ([\d.]+)", text)[0])
    assert overlap > 0.99
