"""Bad input through the command line: a clear error and exit code 2, or a quarantined frame and exit code 3."""

import itertools
import json
import math
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.checkpoints import Trap, plain_pickle
from helpers.commands import label, refused, tables, temporaries
from helpers.nuscenes_root import token

from pointsam.base.errors import DatasetError
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels


def edit(root, table, change):
    path = root / "v1.0-mini" / f"{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))
    return path


# A quarantined frame: exit code 3, and the others are labelled.


def sensor_file(sensor, spoil):
    def damage(root):
        frame = NuScenes(root).frame(NuScenes(root).frame_ids()[0])
        path = frame.sweep.source.path if sensor == "lidar" else frame.cameras[0].source.path
        spoil(path)
        return [path]

    return damage


def keep(share):
    return lambda path: path.write_bytes(path.read_bytes()[: math.floor(path.stat().st_size * share)])


def nothing(path):
    np.full_like(np.fromfile(path, dtype="<f4"), np.nan).tofile(path)


def pose(root):
    row = token("scene-0061", "LIDAR_TOP", 0)
    path = edit(root, "ego_pose", lambda rows: next(r for r in rows if r["token"] == row).update(rotation=[2, 0, 0, 0]))
    return [path, row, "'rotation'"]


def focal_length(root):
    """The first scene's front camera gets a calibration of its own, with a focal length of zero."""
    bad, camera = "0" * 32, token("calibrated", "CAM_FRONT")

    def add(rows):
        row = next(r for r in rows if r["token"] == camera)
        rows.append({**row, "token": bad, "camera_intrinsic": [[0, 0, 32], [0, 40, 18], [0, 0, 1]]})

    def use(rows):
        mine = [r for r in rows if r["calibrated_sensor_token"] == camera and "scene-0061" in r["filename"]]
        for row in mine:
            row["calibrated_sensor_token"] = bad

    edit(root, "sample_data", use)
    return [edit(root, "calibrated_sensor", add), bad, "'camera_intrinsic'", "CAM_FRONT"]


SPOILT = {
    "a missing image": ("DAT004", sensor_file("camera", lambda path: path.unlink())),
    "a truncated image": ("DAT005", sensor_file("camera", keep(0.5))),
    "an image of zero bytes": ("DAT005", sensor_file("camera", keep(0))),
    "a missing sweep": ("DAT004", sensor_file("lidar", lambda path: path.unlink())),
    "a sweep that ends within a point": ("DAT006", sensor_file("lidar", keep(0.999))),
    "an empty sweep": ("DAT008", sensor_file("lidar", keep(0))),
    "a sweep of NaN only": ("DAT008", sensor_file("lidar", nothing)),
    "a rotation that is none": ("CAL001", pose),
    "a focal length of zero": ("CAL002", focal_length),
}


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize("what", SPOILT)
def test_a_frame_is_quarantined_and_the_others_are_labelled(run, root, tmp_path, scissors, what, recipe):
    code, damage = SPOILT[what]
    named = damage(root)
    bad, good = NuScenes(root).frame_ids()
    result = run("--recipe", recipe)
    assert result.exit_code == 3, result.output
    assert "1 frames quarantined; correct them, then --retry-failed" in result.output
    assert f"frame {bad}: [{code}] " in result.output
    assert all(str(name) in result.output for name in named)
    assert "    hint: " in result.output
    labels = Labels(tmp_path / "out")
    assert [(row.frame_id, row.status, row.error_code) for row in labels.frames()] == [
        (bad, "failed", code),
        (good, "ok", ""),
    ]
    assert recipe == "paper" or labels.labels(good).clusters
    assert temporaries(tmp_path / "out") == []


def with_cameras(monkeypatch, frame_id, cameras):
    """Frames as they are, but one has only `cameras(its cameras, number of the call)`."""

    def frame(self, asked):
        made = real(self, asked)
        return made if asked != frame_id else replace(made, cameras=cameras(made.cameras, next(calls)))

    real, calls = NuScenes.frame, itertools.count()
    monkeypatch.setattr(NuScenes, "frame", frame)


@pytest.mark.parametrize("command", ["run", "masks"])
def test_a_frame_without_a_camera_is_quarantined(drive, root, tmp_path, scissors, monkeypatch, command):
    bad, good = NuScenes(root).frame_ids()  # each is a shard
    with_cameras(monkeypatch, bad, lambda _cameras, _call: ())
    files = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    result = label(command, root, "--out", tmp_path / "out", *files)
    assert result.exit_code == 3, result.output
    assert f"frame {bad}: [DAT011] frame {bad} has no camera" in result.output
    assert "    hint: leave the frame out" in result.output
    labels = Labels(tmp_path / "out")
    assert {camera: row.error_code for camera, row in labels.masks(bad).items()} == {"": "DAT011"}
    assert {row.frame_id for row in labels.masks(good).values()} == {good}
    if command == "run":
        assert [(row.frame_id, row.status) for row in labels.frames()] == [(bad, "failed"), (good, "ok")]


def test_a_camera_that_a_worker_does_not_find_quarantines_the_frame(run, root, tmp_path, scissors, monkeypatch):
    bad, good = NuScenes(root).frame_ids()
    with_cameras(monkeypatch, bad, lambda cameras, call: cameras if call < 3 else cameras[1:])
    result = run()
    assert result.exit_code == 3, result.output
    assert f"frame {bad}: [DAT011] frame {bad} has the cameras " in result.output
    assert "now, but it had a camera 'CAM_FRONT" in result.output
    assert "--retry-failed" in result.output
    assert [(row.frame_id, row.status) for row in Labels(tmp_path / "out").frames()] == [(bad, "failed"), (good, "ok")]


def test_a_frame_that_only_the_worker_can_read_is_quarantined(run, root, scissors, monkeypatch):
    def cameras(views, call):
        if call < 3:  # the check, the survey of the masks, and the list of images
            raise DatasetError("DAT004", "a file is late", "wait")
        return views

    bad, _ = NuScenes(root).frame_ids()
    with_cameras(monkeypatch, bad, cameras)
    result = run()
    assert result.exit_code == 3, result.output
    assert "now, but it could not be read when the run listed its images" in result.output


def test_a_quarantined_frame_is_reported_again_until_it_is_corrected(run, root, tmp_path, scissors):
    image = next((root / "samples" / "CAM_FRONT").iterdir())
    whole = image.read_bytes()
    image.write_bytes(b"")
    for _ in range(2):
        result = run()
        assert result.exit_code == 3
        assert str(image) in result.output
    image.write_bytes(whole)
    assert run("--retry-failed").exit_code == 0
    assert run().exit_code == 0
    assert {row.status for row in Labels(tmp_path / "out").frames()} == {"ok"}


@pytest.mark.parametrize(("damage", "code"), [(lambda path: path.unlink(), "DAT004"), (keep(0.5), "DAT011")])
def test_a_corrected_mask_file_is_retried(run, drive, tmp_path, scissors, damage, code):
    masks_dir = shutil.copytree(drive[1], tmp_path / "masks")
    path = next((masks_dir / "CAM_FRONT").iterdir())
    whole = path.read_bytes()
    damage(path)
    result = run("--masks-dir", masks_dir)
    assert result.exit_code == 3
    assert f"[{code}] " in result.output
    path.write_bytes(whole)
    assert run("--masks-dir", masks_dir, "--retry-failed").exit_code == 0
    assert {row.status for row in Labels(tmp_path / "out").frames()} == {"ok"}


# A clear error: exit code 2, before anything is written.


def test_no_such_root(tmp_path):
    refused(label("run", tmp_path / "nowhere", "--out", tmp_path / "out"), "DAT001", tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_a_root_without_tables(tmp_path):
    (tmp_path / "root").mkdir()
    result = label("run", tmp_path / "root", "--out", tmp_path / "out")
    refused(result, "DAT002", tmp_path / "root", "sample_data.json")
    assert not (tmp_path / "out").exists()


def test_a_root_that_lacks_one_table(run, root, tmp_path):
    (root / "v1.0-mini" / "ego_pose.json").unlink()
    refused(run(), "DAT002", root / "v1.0-mini", "ego_pose.json")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("sample_data", "calibrated_sensor_token"),
        ("sample_data", "ego_pose_token"),
        ("sample_data", "sample_token"),
        ("sample", "scene_token"),
        ("calibrated_sensor", "sensor_token"),
        ("sample_annotation", "instance_token"),
    ],
)
def test_a_row_that_points_to_a_missing_token(run, root, tmp_path, table, field):
    path = edit(root, table, lambda rows: [row.update({field: "gone"}) for row in rows])
    refused(run(), "DAT003", path, f"'{field}'", "'gone'", status=4)
    assert not (tmp_path / "out").exists()


def test_zero_frames_in_the_tables(run, root, tmp_path):
    for table in ("sample", "sample_data", "sample_annotation"):
        edit(root, table, lambda rows: rows.clear())
    refused(run(), "DAT009", root / "v1.0-mini")
    assert not (tmp_path / "out").exists()


def test_zero_frames_in_a_split(run, root, tmp_path):
    refused(run("--split", "test"), "DAT009", root / "v1.0-mini", "'test'")
    assert not (tmp_path / "out").exists()


def test_zero_frames_in_a_kitti_folder(tmp_path):
    (tmp_path / "kitti" / "training" / "velodyne").mkdir(parents=True)
    result = label("run", tmp_path / "kitti", "--out", tmp_path / "out")
    refused(result, "DAT009", tmp_path / "kitti" / "training" / "velodyne")
    assert not (tmp_path / "out").exists()


def test_an_unknown_frame(run, root, tmp_path):
    known = NuScenes(root).frame_ids()[0]
    refused(run("--frames", f"{known},f00"), "DAT010", "sample.json", "'f00'")
    assert not (tmp_path / "out").exists()


def test_a_frame_of_another_split(run, root, tmp_path):
    first, second = NuScenes(root).frame_ids()
    refused(run("--frames", f"{first},{second}", "--split", "scene-0061"), "DAT010", second, "'scene-0061'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shard", ["2/2", "1", "-1/2", "a/b", "²/3", "0/0"])
def test_a_shard_that_is_none(run, tmp_path, shard):
    result = run("--shard", shard)
    assert result.exit_code == 2
    assert f"--shard: '{shard}': write I/N" in result.output
    assert not (tmp_path / "out").exists()


def test_a_list_of_no_frames_is_not_all_frames(run, tmp_path):
    result = run("--frames", "")
    assert result.exit_code == 2
    assert "--frames: no frame id" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--masks", "--semantics"])
def test_an_unknown_model(run, tmp_path, option):
    refused(run(option, "sam_vit_x"), "SCH005", "'sam_vit_x'")
    assert not (tmp_path / "out").exists()


def test_an_unknown_class_in_the_mapping(run, tmp_path):
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"taxonomy": "nuscenes", "labels": {"person": "pedestrain"}}))
    refused(run("--mapping", mapping), "SCH001", mapping, "labels.person", "'pedestrain'")
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_absent_is_told_before_anything_is_read(tmp_path):
    torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    refused(label("run", tmp_path / "nowhere", "--out", tmp_path / "out", "--device", "cuda"), "BCK006", "'cuda'")
    assert not (tmp_path / "out").exists()


# A checkpoint that is not what it should be is met when a worker opens it.


@pytest.fixture
def checkpoint(tmp_path):
    """A function that writes a checkpoint: of another architecture, or one that runs code when it is trusted."""
    torch = pytest.importorskip("torch", reason="needs pointsam[sam]")

    def write(kind):
        path = tmp_path / f"{kind}.pth"
        if kind == "other":
            torch.save({"image_encoder.pos_embed": torch.zeros(1, 2, 2, 768)}, path)
        else:
            plain_pickle(path, {"weight": Trap(tmp_path / "executed")})
        return path

    return write


def test_a_checkpoint_of_another_architecture(run, tmp_path, checkpoint):
    weights = checkpoint("other")
    refused(
        run("--weights", weights), "BCK003", weights, "weights of sam_vit_b, not of mobile_sam", "--masks sam_vit_b"
    )
    assert tables(tmp_path / "out") == {}
    assert temporaries(tmp_path / "out") == []


def test_a_malicious_checkpoint_is_never_executed(run, tmp_path, checkpoint):
    weights = checkpoint("malicious")
    refused(run("--weights", weights), "BCK004", weights)
    assert not (tmp_path / "executed").exists()
    assert tables(tmp_path / "out") == {}
    pickle.loads(weights.read_bytes())
    assert (tmp_path / "executed").exists(), "the trap does not work"


def test_an_error_of_a_worker_process_reaches_the_user_without_a_traceback(run, checkpoint, capfd):
    weights = checkpoint("malicious")
    refused(run("--weights", weights, "--workers", 2), "BCK004", weights)
    assert "Traceback" not in capfd.readouterr().err


def test_a_refused_checkpoint_leaves_the_output_folder_free(run, checkpoint, request):
    assert run("--weights", checkpoint("other")).exit_code == 2
    request.getfixturevalue("scissors")
    assert run().exit_code == 0


def test_a_folder_as_checkpoint(run, tmp_path):
    refused(run("--weights", tmp_path), "BCK001", tmp_path)
    assert not (tmp_path / "out").exists()
