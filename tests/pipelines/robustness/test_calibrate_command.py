"""`pointsam-label calibrate`, and `--calibration` with its file."""

import json
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.kitti_root import make_kitti
from helpers.masks import write_masks
from helpers.nuscenes_root import token
from helpers.segmenters import Scissors
from helpers.training import make_world

from pipelines.documents import ClustersDocument, MasksDocument
from pipelines.opened import open_run
from pipelines.review.inspect import frame_summary
from pointsam.calibration import estimate
from pointsam.calibration.correction import rig_of
from pointsam.calibration.file import VERSION
from pointsam.calibration.perturb import Noise, perturb
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels

WRONG = ("--noise", "rotation_deg=3", "--noise", "axis=y", "--noise", "translation_m=0.2")


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A root whose sweeps show its boxes, and good 2D results for it."""
    folder = tmp_path_factory.mktemp("world")
    world = make_world(folder / "root", samples=2)
    write_masks(world, folder / "masks")
    return world.root, folder / "masks"


def correction_file(root, path, **changes):
    """A calibration file that corrects WRONG: it rotates every camera back by its error."""
    dataset = NuScenes(root)
    rigs = {}
    for frame_id in dataset.frame_ids():
        true = dataset.frame(frame_id)
        wrong = perturb(true, Noise(rotation_deg=3.0, axis="y", translation_m=0.2))
        cameras = {}
        for before, after in zip(true.cameras, wrong.cameras, strict=True):
            lacks = after.ego_SE3_cam.inverse() @ before.ego_SE3_cam
            angle = np.rad2deg(np.arctan2(lacks.rotation[0, 2], lacks.rotation[2, 2]))
            cameras[before.name] = {
                "status": "mended", "objects": 50, "shift_deg": 3.0, "apart_deg": 0.1, "doubt_deg": 0.18,
                "rotation_deg": [0.0, angle, 0.0], "translation_m": lacks.translation_m.tolist(),
                "rotation_doubt_deg": [0.0] * 3, "translation_doubt_m": [0.0] * 3,
            }  # fmt: skip
        still = {"frames": 4, "speed_mps": 0.0, "time_status": "unknown", "time_ms": 0.0, "time_doubt_ms": 0.0}
        rigs[rig_of(wrong)] = {**still, "cameras": cameras}
    data = {"name": dataset.name, "version": None, "fingerprint": dataset.fingerprint()}
    error = "rotation_deg=3.0, translation_m=0.2, axis=y"
    made = {"dataset": data, "masks_key": "ab", "calibration_perturbation": error, "failed": {}}
    path.write_text(json.dumps({"version": VERSION, **made, "rigs": rigs, **changes}))
    return path


def clusters(drive, out, to, *more):
    return label("clusters", drive[0], "--out", to, "--masks-from", out, "--workers", 1, *more)


def points_of(folder):
    labels = Labels(folder)
    return [labels.labels(frame_id).labels.instance_id.tolist() for frame_id in labels.frame_ids()]


def test_a_file_that_undoes_an_error_gives_the_labels_of_the_true_calibration(drive, out, tmp_path):
    file = correction_file(drive[0], tmp_path / "file.json")
    assert clusters(drive, out, tmp_path / "wrong", *WRONG).exit_code == 0
    assert clusters(drive, out, tmp_path / "mended", *WRONG, "--calibration", file).exit_code == 0
    assert points_of(tmp_path / "wrong") != points_of(out)
    assert points_of(tmp_path / "mended") == points_of(out)
    file.unlink()  # the labels know what they were made with
    frame_id = Labels(out).frame_ids()[0]
    drawn = open_run(tmp_path / "mended", masks_from=out).dataset.frame(frame_id).cameras
    for view, true in zip(drawn, NuScenes(drive[0]).frame(frame_id).cameras, strict=True):
        assert np.allclose(view.ego_SE3_cam.translation_m, true.ego_SE3_cam.translation_m, atol=1e-6)
    assert frame_summary(tmp_path / "mended", frame_id).as_dict()["status"] == "ok"


@pytest.fixture
def corrects(monkeypatch):
    """Every camera counts as corrected, which few objects do not show."""
    results = estimate.camera_results

    def corrected(estimates):
        return {name: replace(one, status="mended") for name, one in results(estimates).items()}

    monkeypatch.setattr(estimate, "camera_results", corrected)


def test_what_is_not_seen_is_unknown_and_changes_nothing(drive, out, tmp_path):
    file = tmp_path / "calibration.json"
    done = label("calibrate", drive[0], "--masks-from", out, "--out", file)
    assert done.exit_code == 0, done.output
    assert "no camera was corrected: 6 cameras with too few objects" in done.output
    assert "next:" not in done.output
    (rig,) = json.loads(file.read_text())["rigs"].values()
    assert {one["status"] for one in rig["cameras"].values()} == {"unknown"}
    assert clusters(drive, out, tmp_path / "same", "--calibration", file).exit_code == 0
    assert points_of(tmp_path / "same") == points_of(out)


@pytest.mark.usefixtures("corrects")
def test_the_next_command_looks_through_the_same_error(drive, out, tmp_path):
    file = tmp_path / "file.json"
    done = label("calibrate", drive[0], "--masks-from", out, "--out", file, *WRONG)
    assert f"--masks-from {out} --calibration {file}" in done.output
    assert "no camera was corrected" not in done.output
    (command,) = (line.partition("pointsam-label ")[2] for line in done.output.splitlines() if line.startswith("next:"))
    words = [word.replace("OUT", str(tmp_path / "next")) for word in shlex.split(command)]
    assert label(*words).exit_code == 0
    assert Labels(tmp_path / "next").metadata("clusters").calibration_perturbation != "none"


def test_a_correction_beyond_the_tested_errors_is_doubted(drive, out, tmp_path, monkeypatch):
    results = estimate.camera_results

    def found(estimates):
        shifts = dict.fromkeys(estimates, 0.4) | {"CAM_BACK": 2.13}
        changes = {"status": "mended", "rotation_deg": (0.1, 0.0, 0.0)}
        return {name: replace(one, **changes, shift_deg=shifts[name]) for name, one in results(estimates).items()}

    monkeypatch.setattr(estimate, "camera_results", found)
    done = label("calibrate", drive[0], "--masks-from", out, "--dest", tmp_path / "file.json")
    assert done.exit_code == 0, done.output
    assert "warning: large corrections of CAM_BACK of rig" in done.output
    assert "(2.1 degrees): beyond about 1 degree" in done.output


def test_a_file_that_is_there_is_kept(drive, out, tmp_path):
    file = tmp_path / "precious"
    file.write_text("precious")
    refused(label("calibrate", drive[0], "--masks-from", out, "--out", file), "OUT003", file)
    assert file.read_text() == "precious"


def test_a_folder_is_no_place_for_the_file(drive, out, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.robustness.calibrate.open_masks", lambda *_: pytest.fail("the masks were opened"))
    done = label("calibrate", drive[0], "--masks-from", out, "--dest", tmp_path, "--overwrite")
    refused(done, "OUT003", f"{tmp_path} is a folder")


def test_masks_of_other_data_are_refused(out, tmp_path):
    other = make_world(tmp_path / "other", scenes=("scene-0916",))
    done = label("calibrate", other.root, "--masks-from", out, "--out", tmp_path / "file.json")
    refused(done, "SCH004", out, other.root)
    assert not (tmp_path / "file.json").exists()


def test_a_frame_that_cannot_be_read_is_left_out_and_named(drive, out, tmp_path):
    shutil.copytree(drive[0], tmp_path / "root")
    world = NuScenes(tmp_path / "root")
    bad = world.frame_ids()[1]
    world.frame(bad).sweep.source.path.write_bytes(b"torn")
    done = label("calibrate", world.root, "--masks-from", out, "--out", tmp_path / "file.json")
    assert done.exit_code == 0, done.output
    assert f"left out: 1 frame:\n  DAT013: 1 of them\n  frame {bad}: [DAT013]" in done.output
    assert list(json.loads((tmp_path / "file.json").read_text())["failed"]) == [bad]


def test_many_frames_that_cannot_be_read_are_counted_by_code(drive, out, tmp_path):
    shutil.copytree(drive[0], tmp_path / "root")
    world = NuScenes(tmp_path / "root")
    for frame_id in world.frame_ids():
        world.frame(frame_id).sweep.source.path.write_bytes(b"torn")
    done = label("calibrate", world.root, "--masks-from", out, "--out", tmp_path / "file.json")
    refused(done, "DAT009", out, "DAT013: 4 of them", "and 1 more with DAT013")
    assert done.output.count("[DAT013]") == 3
    assert not (tmp_path / "file.json").exists()


def standing(tables):
    """The vehicle stands in the first scene."""
    scene = next(row["token"] for row in tables["scene"] if row["name"] == "scene-0061")
    samples = {row["token"] for row in tables["sample"] if row["scene_token"] == scene}
    poses = {row["ego_pose_token"] for row in tables["sample_data"] if row["sample_token"] in samples}
    for row in tables["ego_pose"]:
        if row["token"] in poses:
            row["translation"] = [400.0, 1100.0, 0.0]


def test_frames_of_a_standing_vehicle_are_used_once(tmp_path, scissors):
    world = make_world(tmp_path / "root", samples=3, edit=standing)
    write_masks(world, tmp_path / "masks")
    known = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    assert label("masks", world.root, "--out", tmp_path / "out", *known).exit_code == 0
    done = label("calibrate", world.root, "--masks-from", tmp_path / "out", "--dest", tmp_path / "file.json")
    assert done.exit_code == 0, done.output
    assert "left out: 2 frames of a standing vehicle" in done.output
    assert [rig["frames"] for rig in json.loads((tmp_path / "file.json").read_text())["rigs"].values()] == [4]


def test_of_many_rigs_a_few_are_printed(drive, out, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.robustness.calibrate._SHOWN", 1)
    each = ("--noise", "rotation_deg=1", "--noise", "scope=frame")
    done = label("calibrate", drive[0], "--masks-from", out, "--dest", tmp_path / "file.json", *each)
    assert done.exit_code == 0, done.output
    assert done.output.count("time of the images") == 1
    assert "and 3 more rigs; the file has all" in done.output
    assert "differ from frame to frame" in done.output
    assert len(json.loads((tmp_path / "file.json").read_text())["rigs"]) == 4


def test_a_speed_that_is_not_known_is_not_0(tmp_path, scissors):
    root = make_kitti(tmp_path / "root").root
    for frame_id in ("000000", "000001", "000002"):
        path = tmp_path / "masks" / "image_2" / f"{frame_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
    known = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    assert label("masks", root, "--out", tmp_path / "out", *known).exit_code == 0
    done = label("calibrate", root, "--masks-from", tmp_path / "out", "--dest", tmp_path / "file.json")
    assert done.exit_code == 0, done.output
    assert "at an unknown speed" in done.output


def test_an_unfinished_run_is_used_as_far_as_it_is_finished(drive, tmp_path, scissors):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    assert label("masks", drive[0], "--out", tmp_path / "half", *known, "--shard", "0/2").exit_code == 0
    made = label("calibrate", drive[0], "--masks-from", tmp_path / "half", "--dest", tmp_path / "found.json")
    assert made.exit_code == 0, made.output
    assert f"note: {tmp_path / 'half'} is unfinished: 2 of 4 frames have no masks yet" in made.output
    assert sum(rig["frames"] for rig in json.loads((tmp_path / "found.json").read_text())["rigs"].values()) == 2


def test_an_image_that_met_a_defect_leaves_its_frame_out(drive, tmp_path, monkeypatch):
    class Blunt(Scissors):
        """Fails once, at the first image that is segmented."""

        def embed(self, image_rgb):
            if type(self).sharp:
                return super().embed(image_rgb)
            type(self).sharp = True
            raise ValueError("blunt")

        sharp = False

    monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Blunt())
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    assert label("masks", drive[0], "--out", tmp_path / "masks", *known).exit_code == 3
    done = label("calibrate", drive[0], "--masks-from", tmp_path / "masks", "--out", tmp_path / "file.json")
    assert done.exit_code == 0, done.output
    (why,) = json.loads((tmp_path / "file.json").read_text())["failed"].values()
    assert "[INT001] ValueError: blunt" in why


def test_nothing_seen_tells_no_time(drive, out, tmp_path):
    done = label("calibrate", drive[0], "--masks-from", out, "--out", tmp_path / "file.json")
    assert "time of the images: unknown\n" in done.output
    (rig,) = json.loads((tmp_path / "file.json").read_text())["rigs"].values()
    assert rig["speed_mps"] > 1
    assert rig["time_status"] == "unknown"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not valid JSON"),
        ("[]", "is wrong"),
        ('{"version": 2, "rigs": ' + "[" * 100_000, "nested too deeply"),
        ('{"version": 2}', "dataset is missing"),
    ],
)
def test_a_file_that_is_none_is_refused(drive, out, tmp_path, text, told):
    file = tmp_path / "file.json"
    file.write_text(text)
    refused(clusters(drive, out, tmp_path / "out", "--calibration", file), "SCH005", file, told)
    assert not (tmp_path / "out").exists()


def test_an_edited_file_is_refused_by_its_field(drive, out, tmp_path):
    rigs = json.loads(correction_file(drive[0], tmp_path / "good.json").read_text())["rigs"]
    rig, result = next(iter(rigs.items()))
    edited = correction_file(drive[0], tmp_path / "edited.json", rigs={rig: {**result, "time_ms": "20"}})
    told = f"rigs.{rig}.time_ms is wrong"
    refused(clusters(drive, out, tmp_path / "out", "--calibration", edited), "SCH005", edited, told)


def altered(root, path, change):
    """A calibration file of the true calibration, after `change` of the result of its rig."""
    frame = NuScenes(root).frame(NuScenes(root).frame_ids()[0])
    document = json.loads(correction_file(root, path).read_text())
    (result,) = document["rigs"].values()
    change(result)
    path.write_text(json.dumps({**document, "rigs": {rig_of(frame): result}, "calibration_perturbation": "none"}))
    return path


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("time_ms",), 20.0, "time_ms is not 0"),
        (("time_status",), "corrected", "time_status is wrong"),
        (("cameras", "CAM_BACK", "status"), "right", "cameras.CAM_BACK.rotation_deg is not 0"),
        (("cameras", "CAM_BACK", "status"), "corrected", "cameras.CAM_BACK.status is wrong"),
    ],
)
def test_a_correction_that_would_not_be_applied_is_refused(drive, out, tmp_path, place, value, told):
    def change(result):
        *parents, leaf = place
        for name in parents:
            result = result[name]
        result[leaf] = value

    file = altered(drive[0], tmp_path / "edited.json", change)
    refused(clusters(drive, out, tmp_path / "out", "--calibration", file), "SCH005", file, told, "mended")


def test_a_correction_of_a_camera_that_the_rig_lacks_is_refused(drive, out, tmp_path):
    def change(result):
        result["cameras"]["CAM_FRNT"] = result["cameras"].pop("CAM_FRONT")

    file = altered(drive[0], tmp_path / "edited.json", change)
    done = clusters(drive, out, tmp_path / "out", "--calibration", file)
    refused(done, "SCH004", "'CAM_FRNT'", "did you mean 'CAM_FRONT'")
    assert not (tmp_path / "out").exists()


def test_another_version_and_another_rig_are_refused(drive, out, tmp_path):
    later = correction_file(drive[0], tmp_path / "later.json", version=VERSION + 1)
    refused(clusters(drive, out, tmp_path / "a", "--calibration", later), "SCH003", later)
    # of the wrong calibration, which these frames do not have
    other = correction_file(drive[0], tmp_path / "other.json", calibration_perturbation="none")
    refused(clusters(drive, out, tmp_path / "b", "--calibration", other), "SCH004", "is of rig")
    assert not (tmp_path / "b").exists()


SECOND = "scene-0103"


def moved(tables):
    """The front camera of the second scene has another position."""
    front = next(row for row in tables["calibrated_sensor"] if row["token"] == token("calibrated", "CAM_FRONT"))
    x, y, z = front["translation"]
    tables["calibrated_sensor"].append({**front, "token": "moved", "translation": [x + 0.1, y, z]})
    for row in tables["sample_data"]:
        if f"CAM_FRONT/{SECOND}" in row["filename"]:
            row["calibrated_sensor_token"] = "moved"


@pytest.fixture
def two_rigs(tmp_path, scissors):
    """A root of two rigs, and masks of it."""
    world = make_world(tmp_path / "root", samples=2, edit=moved)
    write_masks(world, tmp_path / "masks")
    known = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    assert label("run", world.root, "--out", tmp_path / "out", *known).exit_code == 0
    return world, tmp_path / "out"


def test_a_rig_of_which_nothing_can_be_read_is_unknown_and_its_frames_are_quarantined(two_rigs, tmp_path):
    world, out = two_rigs
    for frame_id in world.frame_ids():
        if world.scene(frame_id) == SECOND:
            world.frame(frame_id).sweep.source.path.write_bytes(b"torn")
    file = tmp_path / "file.json"
    assert label("calibrate", world.root, "--masks-from", out, "--out", file).exit_code == 0
    rigs = json.loads(file.read_text())["rigs"]
    assert [rig["frames"] for rig in rigs.values()] == [2, 0]
    assert {one["status"] for rig in rigs.values() for one in rig["cameras"].values()} == {"unknown"}
    assert clusters((world.root,), out, tmp_path / "next", "--calibration", file).exit_code == 3
    assert [row.status for row in Labels(tmp_path / "next").frames()] == ["ok"] * 2 + ["failed"] * 2


def test_a_file_that_lacks_a_rig_is_refused_before_anything_is_written(two_rigs, tmp_path):
    world, out = two_rigs
    file = tmp_path / "file.json"
    assert label("calibrate", world.root, "--masks-from", out, "--out", file).exit_code == 0
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "rigs": dict(list(document["rigs"].items())[:1])}))
    refused(clusters((world.root,), out, tmp_path / "next", "--calibration", file), "SCH004", "is of rig")
    assert not (tmp_path / "next").exists()


@pytest.mark.usefixtures("corrects")
def test_the_next_command_opens_the_same_tables(drive, out, tmp_path):
    where = ("--dataset", "nuscenes", "--version", NuScenes(drive[0]).version)
    done = label("calibrate", drive[0], "--masks-from", out, "--out", tmp_path / "file.json", *where)
    assert " ".join(where) in done.output.partition("next: ")[2]


@pytest.fixture
def corrected_masks(drive, tmp_path, scissors):
    """The summary of masks that were made through an error and its correction, their folder and the file."""
    file = correction_file(drive[0], tmp_path / "file.json")
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    done = label("masks", drive[0], "--out", tmp_path / "masks", *known, *WRONG, "--calibration", file)
    assert done.exit_code == 0, done.output
    return done, tmp_path / "masks", file


def test_clusters_of_the_next_command_have_the_calibration_of_their_masks(corrected_masks):
    done, masks, _ = corrected_masks
    (command,) = (line.partition("pointsam-label ")[2] for line in done.output.splitlines() if line.startswith("next:"))
    made = label(*shlex.split(command))
    assert made.exit_code == 0, made.output
    assert "corrected calibration" not in made.output
    masks_document, clusters_document = (Labels(masks).document(kind) for kind in (MasksDocument, ClustersDocument))
    assert clusters_document.calibration == masks_document.calibration is not None
    assert clusters_document.noise == masks_document.noise is not None


def test_clusters_that_lack_the_correction_of_their_masks_say_so(drive, corrected_masks, tmp_path):
    made = clusters(drive, corrected_masks[1], tmp_path / "plain")
    assert made.exit_code == 0, made.output
    assert "warning: the masks were made with a corrected calibration, and these clusters with that of" in made.output


def test_a_sweep_does_not_take_the_calibration_of_corrected_masks_for_the_true_one(drive, tmp_path, scissors):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    file = altered(drive[0], tmp_path / "file.json", lambda _: None)
    assert label("masks", drive[0], "--out", tmp_path / "masks", *known, "--calibration", file).exit_code == 0
    done = label("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", tmp_path / "masks")
    refused(done, "SCH003", tmp_path / "masks", "corrected calibration")
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("error", ["time_ms=40.0", "masks: rotation_deg=1.0; time_ms=40.0"])
def test_a_file_of_another_error_is_refused(drive, out, tmp_path, error):
    """An error of the times changes no mounting, so the rig is the same."""
    file = altered(drive[0], tmp_path / "file.json", lambda _: None)
    file.write_text(json.dumps({**json.loads(file.read_text()), "calibration_perturbation": error}))
    done = clusters(drive, out, tmp_path / "true", "--calibration", file)
    refused(done, "SCH004", file, "with the error time_ms=40.0, and that of this call is none")
    same = clusters(drive, out, tmp_path / "late", "--calibration", file, "--noise", "time_ms=40")
    assert same.exit_code == 0, same.output


def test_readers_of_corrected_labels_say_so(drive, out, tmp_path):
    file = correction_file(drive[0], tmp_path / "file.json")
    assert clusters(drive, out, tmp_path / "mended", *WRONG, "--calibration", file).exit_code == 0
    error = "calibration error: rotation_deg=3.0, translation_m=0.2, axis=y"
    ways = (
        ("inspect", tmp_path / "mended", "0"),
        ("eval", tmp_path / "mended", drive[0]),
        ("report", tmp_path / "mended", drive[0], "--masks-from", out, "--dest", tmp_path / "page"),
        ("export", tmp_path / "mended", drive[0], "--to", "ply", "--dest", tmp_path / "ply"),
    )
    for words in ways:
        done = label(*words)
        assert done.exit_code == 0, done.output
        assert f"the labels were made with a {error}" in done.output
        assert "the labels were made with a corrected calibration" in done.output
    assert error in (tmp_path / "page" / "index.html").read_text()
    assert "calibration" not in label("eval", out, drive[0]).output.replace("calibration error", "")


def test_a_file_that_corrects_nothing_is_no_correction(drive, out, tmp_path):
    file = tmp_path / "calibration.json"
    assert label("calibrate", drive[0], "--masks-from", out, "--dest", file).exit_code == 0
    assert clusters(drive, out, tmp_path / "same", "--calibration", file).exit_code == 0
    assert "corrected calibration" not in label("eval", tmp_path / "same", drive[0]).output


def test_a_sweep_takes_no_file(drive, out, tmp_path):
    file = correction_file(drive[0], tmp_path / "file.json")
    done = label("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", out, "--calibration", file)
    assert done.exit_code == 2
    assert "cannot be combined with a sweep" in done.output
