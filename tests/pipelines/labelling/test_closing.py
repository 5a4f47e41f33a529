"""The end of a run: failures by code, and labels without any cluster."""

import json

import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import make_root

from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.stages.probability import BUNDLED


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "root", samples_per_scene=8)


@pytest.fixture
def run(root, tmp_path, scissors):
    """Run both stages on masks of the ground-truth boxes, with further options."""
    write_masks(NuScenes(root), tmp_path / "masks")
    given = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    return lambda *options: label("run", root, "--out", tmp_path / "out", *given, *options)


def test_failures_are_counted_by_code_with_examples(root, run):
    data = NuScenes(root)
    frames = [data.frame(frame_id) for frame_id in data.frame_ids()]
    for frame in frames[:5]:
        frame.sweep.source.path.unlink()
    frames[6].sweep.source.path.write_bytes(b"")
    result = run()
    assert result.exit_code == 3
    lines = [line.strip() for line in result.output.splitlines()]
    assert "6 frames quarantined; correct them, then --retry-failed (changed tables: a new --out):" in lines
    assert lines.index("DAT004: 5 of them") < lines.index("DAT008: 1 of them")
    assert sum(line.startswith("frame ") and "[DAT004]" in line for line in lines) == 3
    assert "and 2 more with DAT004; --json lists all" in lines
    assert f"frame {frames[6].frame_id}: [DAT008]" in result.output


def test_a_probability_that_was_fitted_to_other_labels_asks_for_a_fit(run, root, tmp_path):
    result = run()
    assert result.exit_code == 0
    assert "from boxes of bundled, ssd, oracle, not from boxes of precomputed: fit it" in result.output
    masks = ("clusters", root, "--masks-from", tmp_path / "out")
    bare = label(*masks, "--out", tmp_path / "bare", "--set", "clusters.grow.enabled=false")
    assert "of precomputed, and with growth, which is off (clusters.grow.enabled): fit it" in bare.output
    finer = run("--out", tmp_path / "finer", "--masks", "sam_vit_b", "--weights", root / "v1.0-mini" / "ego_pose.json")
    assert "of precomputed, and with masks of mobile_sam, not of sam_vit_b: fit it" in finer.output
    own = tmp_path / "own.json"
    own.write_bytes(BUNDLED.read_bytes())
    again = label(*masks, "--out", tmp_path / "new", "--probability", own)
    assert again.exit_code == 0
    assert "probability was fitted" not in again.output


def test_without_detections_the_source_of_the_classes_is_suspected(run, tmp_path):
    for file in (tmp_path / "masks").rglob("*.json"):
        file.write_text("[]")
    result = run()
    assert result.exit_code == 0
    assert "warning: 8 frames have no cluster at all: no object of any class was detected" in result.output
    assert "--mapping" in result.output


def test_with_detections_the_calibration_is_suspected(run, root):
    table = root / "v1.0-mini" / "calibrated_sensor.json"
    rows = json.loads(table.read_text())
    for row in rows:
        if not row["camera_intrinsic"]:  # the LiDAR, far below the ground
            row["translation"] = [0.0, 0.0, -500.0]
    table.write_text(json.dumps(rows))
    result = run("--accept", "camera-mounting")
    assert result.exit_code == 0
    assert "objects were detected in the images of the first 8, but no points are in their masks" in result.output
    assert f"pointsam-label check {root}" in result.output


def test_cameras_without_points_are_named(run, root):
    table = root / "v1.0-mini" / "calibrated_sensor.json"
    rows = json.loads(table.read_text())
    turned = [row for row in rows if row["camera_intrinsic"]][1]
    turned["translation"] = [0.0, 0.0, 900.0]
    turned["rotation"] = [1.0, 0.0, 0.0, 0.0]  # upwards, far above
    table.write_text(json.dumps(rows))
    sensors = json.loads((root / "v1.0-mini" / "sensor.json").read_text())
    (name,) = [one["channel"] for one in sensors if one["token"] == turned["sensor_token"]]
    result = run("--accept", "camera-mounting")
    assert result.exit_code == 0, result.output
    assert f"warning: no point is in the image of {name} in any of 3 frames" in result.output
    assert f"pointsam-label check {root}" in result.output


def test_quarantined_frames_are_counted_while_a_run_goes_on(root, run, monkeypatch):
    shown = []

    class Bar:
        update = lambda *_: None  # noqa: E731
        set_postfix = lambda _self, *, refresh=True, **counts: shown.append(counts)  # noqa: E731
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr("pipelines.labelling.jobs.progress", lambda **_: Bar())
    data = NuScenes(root)
    frames = [data.frame(frame_id) for frame_id in data.frame_ids()]
    for frame in frames[:2]:
        frame.sweep.source.path.unlink()
    frames[3].sweep.source.path.write_bytes(b"")
    assert run().exit_code == 3
    assert shown == [{"DAT004": 1}, {"DAT004": 2}, {"DAT004": 2, "DAT008": 1}]


def test_with_clusters_there_is_no_warning(run):
    assert "warning" not in run().output
