"""`pointsam-label check`: what it prints, its exit status, and what it accepts."""

import json

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.nuscenes_root import make_root
from PIL import Image

from pointsam.checks.rules import RULES

POINTS = np.random.default_rng(0).uniform((4, -8, -1, 0), (40, 8, 1, 1), (2000, 4))


@pytest.fixture
def drive(tiny_kitti):
    """A KITTI root of five frames in front of the camera."""
    for number in range(5):
        tiny_kitti.add(f"{number:06d}", points=POINTS)
    return tiny_kitti


@pytest.fixture
def far(drive):
    """The same, with the camera 40 m away in every frame."""
    for number in range(5):
        file = drive.path("calib", f"{number:06d}")
        file.write_text(file.read_text().replace("-0.1", "-40.1"))
    return drive


def test_a_plausible_root_passes(drive):
    result = label("check", drive.root)
    assert result.exit_code == 0
    assert "checked 5 frames and opened the files of 5: no problem found" in result.output
    assert f"next: pointsam-label run {drive.root} --out OUT" in result.output


def test_a_finding_of_several_frames_is_printed_once(far):
    result = label("check", far.root, "--sample", "4")
    assert result.exit_code == 4
    assert result.output.count("image_2: 40") == 1
    assert "the origin of the vehicle (4 times)" in result.output
    assert "checked 5 frames and opened the files of 4: 1 error and 1 warning" in result.output


def test_a_broken_rule_is_named_with_what_to_do_and_how_many_more(far):
    for number in range(5):
        file = far.path("calib", f"{number:06d}")
        file.write_text(file.read_text().replace("-40.1", f"-4{number}.1"))
    result = label("check", far.root, "--sample", "4")
    assert result.exit_code == 4
    assert "error [camera-mounting]" in result.output
    assert "image_2: 40" in result.output
    assert "and 1 more" in result.output
    assert "hint: Correct the extrinsic calibration" in result.output
    assert "checked 5 frames and opened the files of 4: 4 errors and 1 warning" in result.output
    assert "next:" not in result.output


def test_accepted_rules_do_not_count(far):
    result = label("check", far.root, "--accept", "camera-mounting")
    assert result.exit_code == 0
    assert "accepted [camera-mounting]" in result.output
    assert f"next: pointsam-label run {far.root} --out OUT --accept camera-mounting\n" in result.output


def test_a_warning_does_not_fail(drive):
    drive.path("image_2", "000002").unlink()
    result = label("check", drive.root, "--all")
    assert result.exit_code == 0
    assert "warning [readable]" in result.output
    assert "000002: [DAT004]" in result.output
    assert "0 errors and 1 warning" in result.output


def test_data_of_which_nothing_can_be_read_fail(drive):
    for number in range(5):
        drive.path("velodyne", f"{number:06d}").write_bytes(b"")
    result = label("check", drive.root)
    assert result.exit_code == 4
    assert "0 errors and 1 warning; none of the opened frames can be read" in result.output
    assert "next:" not in result.output


def test_findings_go_to_a_file(far, tmp_path):
    label("check", far.root, "--frames", "000003", "--json", tmp_path / "found.json")
    document = json.loads((tmp_path / "found.json").read_text())
    assert (document["frames"], document["opened"], document["accepted"]) == (1, 1, [])
    assert [found["rule"] for found in document["findings"]] == ["camera-mounting", "points-in-view"]
    assert document["findings"][0]["where"] == "image_2"


def test_an_unknown_rule_is_refused(drive):
    result = label("check", drive.root, "--accept", "mounting")
    assert result.exit_code == 2
    assert "--accept mounting: no such rule" in result.output
    assert "camera-mounting" in result.output


@pytest.mark.parametrize("command", ["check", "run"])
def test_tables_that_contradict_themselves_end_with_status_4(tmp_path, command):
    def repeated(tables):
        tables["scene"].append({**tables["scene"][0], "name": "another"})

    root = make_root(tmp_path / "root", edit=repeated)
    result = label(command, root, *(["--out", tmp_path / "out"] if command == "run" else []))
    assert result.exit_code == 4
    assert "error [DAT012]" in result.output
    assert "scene.json: two different rows have the token" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_explained(rule):
    text = label("explain", rule.id).output
    assert text == f"{rule.id} ({rule.severity}): {rule.title}\n\n{rule.remedy}\n"
    assert f"{rule.id}  {rule.title}" in label("explain").output


def test_an_unknown_code_or_rule_names_the_nearest():
    assert label("explain", "TIMES").output.startswith("times (error): ")
    for given, near in (("dat-004", "DAT004"), ("cloud_columns", "cloud-columns")):
        refused(label("explain", given), "SCH005", f"did you mean '{near}'?")


def test_a_run_refuses_data_that_break_a_rule_before_it_loads_a_model(far, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.labelling.jobs.segmenter_plugin", None)
    result = label("run", far.root, "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert "error [DAT012]" in result.output
    assert "error [camera-mounting]" in result.output
    assert "--accept RULE" in result.output
    assert not (tmp_path / "out").exists()


def test_an_accepted_rule_is_recorded_in_the_run(far, tmp_path, scissors):
    (tmp_path / "masks" / "image_2").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "masks" / "image_2" / f"{number:06d}.json").write_text("[]")
    options = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    accepted = ("--accept", "points-in-view", "--accept", "camera-mounting")
    result = label("masks", far.root, "--out", tmp_path / "out", *options, *accepted)
    assert result.exit_code == 0, result.output
    assert "accepted [camera-mounting]" in result.output
    document = json.loads((tmp_path / "out" / "run.json").read_text())["stages"]["masks"]["document"]
    assert document["accepted"] == ["camera-mounting", "points-in-view"]


def test_a_warning_is_printed_and_the_run_goes_on(drive, tmp_path, scissors):
    drive.path("image_2", "000004").unlink()
    (tmp_path / "masks" / "image_2").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "masks" / "image_2" / f"{number:06d}.json").write_text("[]")
    options = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    result = label("masks", drive.root, "--out", tmp_path / "out", *options)
    assert result.exit_code == 3
    assert "warning [readable]" in result.output
    assert "frame 000004: [DAT004]" in result.output


def test_images_of_another_size_than_their_camera_matrix_are_suspected(tiny_kitti):
    for path in (tiny_kitti.root / "training" / "image_2").iterdir():
        Image.new("RGB", (50, 40)).save(path)
    result = label("check", tiny_kitti.root)
    assert result.exit_code == 0
    assert "[principal-point]" in result.output
    assert "the principal point is at 100% of the width and 100% of the height" in result.output


@pytest.mark.parametrize("name", ["000001.laz", "000001.bin.gz"])
def test_sweeps_of_a_kind_that_is_not_read_are_counted(tiny_kitti, name):
    path = tiny_kitti.root / "training" / "velodyne" / "000001.bin"
    path.rename(path.with_name(name))
    (path.parent / "timestamps.txt").write_text("0\n")
    result = label("check", tiny_kitti.root)
    assert "[missing-files]" in result.output
    assert (
        f"1 frame left out: sweeps are read from .bin, .pcd, .ply, .npy, .parquet, .las, not from {name}"
        in result.output
    )


def test_millimetres_of_a_file_with_a_header_are_not_cured_by_columns(tiny_kitti):
    xyz_mm = np.random.default_rng(0).uniform([-40e3, -40e3, -2e3], [40e3, 40e3, 2e3], (4000, 3))
    rows = "\n".join(" ".join(f"{value:.0f}" for value in row) for row in xyz_mm)
    names = "\n".join(f"property float {name}" for name in "xyz")
    header = f"ply\nformat ascii 1.0\nelement vertex 4000\n{names}\nend_header"
    for path in sorted((tiny_kitti.root / "training" / "velodyne").iterdir()):
        path.with_suffix(".ply").write_text(f"{header}\n{rows}\n")
        path.unlink()
    result = label("check", tiny_kitti.root)
    assert result.exit_code == 4
    assert "these are probably millimetres; convert the file to metres" in result.output
