"""A drive whose cameras state a lens, from `check` to exports."""

import json

import numpy as np
import pytest
from helpers.commands import label

from pipelines.opened import open_run
from pointsam.stages.frame import calibration_hash

STATED = {"camera_distortion": [-0.05, 0.01, 0.001, -0.001]}


@pytest.fixture
def stated(root):
    path = root / "v1.0-mini" / "calibrated_sensor.json"
    table = json.loads(path.read_text())
    cameras = [row for row in table if row["camera_intrinsic"]]
    for row in cameras:
        row.update(STATED)
    path.write_text(json.dumps(table))
    return root


def test_a_run_uses_and_records_the_lens(stated, run, out, scissors, tmp_path):
    checked = label("check", stated)
    assert "camera-distortion" not in checked.output + checked.stderr
    folder = tmp_path / "out"
    assert run().exit_code == 0
    opened, plain = open_run(folder), open_run(out)
    for frame_id in opened.labels.frame_ids():
        frame = opened.dataset.frame(frame_id)
        (row,) = [row for row in opened.labels.frames() if row.frame_id == frame_id]
        (other,) = [row for row in plain.labels.frames() if row.frame_id == frame_id]
        assert row.calibration_hash == calibration_hash(frame) != other.calibration_hash
        assert {view.camera.distortion for view in frame.cameras} == {tuple(STATED["camera_distortion"])}
        assert opened.labels.labels(frame_id).clusters
        assert np.isfinite(opened.labels.labels(frame_id).labels.instance_id).all()


def test_formats_with_a_matrix_only_say_that_the_lens_is_left_out(stated, run, drive, out, scissors, tmp_path):
    pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    folder = tmp_path / "out"
    assert run().exit_code == 0
    note = "note: rerun holds a matrix for each camera: the lens or row times of CAM_BACK, CAM_BACK_LEFT"
    done = label("export", folder, stated, "--to", "rerun", "--dest", tmp_path / "dest")
    assert done.exit_code == 0, done.output
    assert note in done.output
    done = label("export", folder, stated, "--to", "coco", "--dest", tmp_path / "dest")
    assert "a matrix" not in done.output
    done = label("export", out, drive[0], "--to", "rerun", "--dest", tmp_path / "plain")
    assert done.exit_code == 0, done.output
    assert "a matrix" not in done.output


def test_a_run_refuses_a_folded_lens_and_a_labelled_root_whose_lens_changed(stated, run, scissors, tmp_path):
    folder = tmp_path / "out"
    assert run().exit_code == 0
    path = stated / "v1.0-mini" / "calibrated_sensor.json"
    path.write_text(path.read_text().replace("-0.05, 0.01", "-0.06, 0.01"))
    changed = label("eval", folder, stated)
    assert changed.exit_code == 2
    assert "the fingerprints differ" in changed.output
    path.write_text(path.read_text().replace("-0.06, 0.01", "-1.5, 0.1"))
    folded = label("run", stated, "--out", tmp_path / "other", "--semantics", "oracle")
    assert folded.exit_code == 4
    assert "[camera-distortion]" in folded.output
