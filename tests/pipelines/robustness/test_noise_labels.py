"""Labels record the calibration errors that they and their masks were made with. A frame to which an error does not
apply is quarantined; an error that applies to no frame is rejected."""

import json

import pytest
from helpers.commands import label, refused
from helpers.masks import write_masks
from helpers.segmenters import Scissors
from helpers.training import make_world

from pointsam.base.document import write_document
from pointsam.calibration.correction import rig_of
from pointsam.calibration.file import VERSION, CalibrationFile, RigResult
from pointsam.store.reader import Labels

SINGLE = "scene-0103"


def cut(tables):
    """Unlinks the LiDAR sweeps of one scene, so that the motion of the vehicle is unknown."""
    for row in tables["sample_data"]:
        if f"LIDAR_TOP/{SINGLE}" in row["filename"]:
            row["prev"] = row["next"] = ""


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A scene with sweeps around its frames, one without, and good 2D results for both."""
    folder = tmp_path_factory.mktemp("world")
    world = make_world(folder / "root", samples=2, edit=cut)
    write_masks(world, folder / "masks")
    return world, folder / "masks"


@pytest.fixture(scope="module")
def out(drive, tmp_path_factory):
    """A run with the true calibration."""
    return made(drive, tmp_path_factory.mktemp("out"), "run")


@pytest.fixture(scope="module")
def turned(drive, tmp_path_factory):
    """Masks whose cameras are turned by three degrees."""
    return made(drive, tmp_path_factory.mktemp("turned"), "masks", "--noise", "rotation_deg=3")


def made(drive, folder, command, *more):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        done = label(command, drive[0].root, "--out", folder, *known, *more)
    assert done.exit_code == 0, done.output
    return folder


def clusters(drive, folder, masks, *more):
    return label("clusters", drive[0].root, "--out", folder, "--masks-from", masks, "--workers", 1, *more)


def said(folder, stage="clusters"):
    return Labels(folder).metadata(stage).calibration_perturbation


def of_scene(drive, scene):
    return [frame_id for frame_id in drive[0].frame_ids() if drive[0].scene(frame_id) == scene]


@pytest.mark.parametrize(
    ("noise", "text"),
    [
        ((), "masks: rotation_deg=3.0"),
        (("--noise", "rotation_deg=3"), "rotation_deg=3.0"),
        (("--noise", "translation_m=0.5"), "masks: rotation_deg=3.0; translation_m=0.5"),
        (("--noise", "rotation_deg=3", "--noise", "seed=1"), "masks: rotation_deg=3.0; rotation_deg=3.0, seed=1"),
    ],
)
def test_clusters_say_what_their_masks_were_made_with(drive, turned, tmp_path, noise, text):
    assert clusters(drive, tmp_path, turned, *noise).exit_code == 0
    assert said(tmp_path) == text


def test_a_run_says_its_noise_once(drive, tmp_path):
    made(drive, tmp_path, "run", "--noise", "rotation_deg=3")
    assert said(tmp_path, "masks") == said(tmp_path) == "rotation_deg=3.0"


def test_a_calibration_file_says_what_its_masks_were_made_with(drive, turned, tmp_path):
    file = tmp_path / "file.json"
    assert label("calibrate", drive[0].root, "--masks-from", turned, "--out", file).exit_code == 0
    assert json.loads(file.read_text())["calibration_perturbation"] == "masks: rotation_deg=3.0"


def test_a_frame_without_a_second_sweep_is_quarantined_where_time_is_wrong(drive, out, tmp_path):
    done = clusters(drive, tmp_path, out, "--noise", "time_ms=20")
    assert done.exit_code == 3, done.output
    told = {row.frame_id: (row.status, row.error_code) for row in Labels(tmp_path).frames()}
    single = of_scene(drive, SINGLE)
    assert 0 < len(single) < len(told)
    assert told == {frame_id: ("failed", "CAL004") if frame_id in single else ("ok", "") for frame_id in told}


def test_a_frame_without_a_second_sweep_is_quarantined_where_time_is_corrected(drive, out, tmp_path):
    file = tmp_path / "file.json"
    late = {"frames": 4, "speed_mps": 8.0, "time_status": "mended", "time_ms": 20.0, "time_doubt_ms": 1.0}
    rig = rig_of(drive[0].frame(drive[0].frame_ids()[0]))
    rigs = {rig: RigResult(**late, cameras={})}
    write_document(file, CalibrationFile(VERSION, Labels(out).dataset("masks"), "ab", "none", rigs, {}))
    done = clusters(drive, tmp_path / "out", out, "--calibration", file)
    assert done.exit_code == 3, done.output
    failed = [row.frame_id for row in Labels(tmp_path / "out").frames() if row.status == "failed"]
    assert failed == of_scene(drive, SINGLE)


@pytest.mark.parametrize(
    ("noise", "frames", "lacks"),
    [("dropped=6", False, "6 cameras"), ("time_ms=20", True, "has a single sweep")],
)
def test_an_error_that_fits_no_frame_is_refused_before_anything_is_written(drive, out, tmp_path, noise, frames, lacks):
    which = ("--frames", ",".join(of_scene(drive, SINGLE))) if frames else ()
    refused(clusters(drive, tmp_path / "out", out, "--noise", noise, *which), "SCH005", lacks)
    assert not (tmp_path / "out").exists()


def sweep(drive, folder, masks, *more):
    return label("noise", drive[0].root, "--out", folder, "--masks-from", masks, "--workers", 1, *more)


def test_a_sweep_takes_no_masks_of_a_wrong_calibration(drive, turned, tmp_path):
    for more in ((), ("--dry-run",)):
        refused(sweep(drive, tmp_path / "sweep", turned, *more), "SCH003", turned, "rotation_deg=3.0")
    assert not (tmp_path / "sweep").exists()


def test_a_sweep_sets_aside_a_frame_that_an_error_does_not_fit(drive, out, tmp_path):
    done = sweep(drive, tmp_path, out, "--kind", "time", "--levels", "time=20", "--json")
    assert done.exit_code == 3, done.output
    single = of_scene(drive, SINGLE)
    assert list(json.loads(done.stdout)["failures"]) == single
    document = json.loads((tmp_path / "noise.json").read_text())
    assert (document["num_frames"], document["failed"]) == (2, len(single))


def test_a_shard_names_its_quarantined_frames(drive, out, tmp_path):
    told = []
    for shard in ("0/2", "1/2"):
        done = sweep(drive, tmp_path / shard, out, "--kind", "time", "--levels", "time=20", "--json", "--shard", shard)
        told.append((done.exit_code, json.loads(done.stdout)))
        assert all(f"frame {frame_id}: [CAL004]" in done.stderr for frame_id in told[-1][1]["failures"])
    assert [code for code, _ in told] == [0, 3]
    assert [list(document["failures"]) for _, document in told] == [[], of_scene(drive, SINGLE)]
    assert [document["shards_left"] for _, document in told] == [1, 1]


def test_a_sweep_over_frames_that_tell_no_motion_is_refused(drive, out, tmp_path):
    single = ",".join(of_scene(drive, SINGLE))
    done = sweep(drive, tmp_path / "sweep", out, "--kind", "rotation", "--kind", "time", "--frames", single)
    refused(done, "SCH005", "time=10/0 fits none of 2 frames", "has a single sweep")
    assert not (tmp_path / "sweep").exists()
