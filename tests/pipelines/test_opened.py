"""A finished run opens with its masks and its calibration; ground truth has that of the data set."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.training import make_labels, make_world

from pipelines.data import DataSpec, Reading
from pipelines.documents import ClustersDocument
from pipelines.opened import mapped_anew, open_labels, open_masks, open_run
from pointsam.base.errors import ChangedSourceError, DatasetError, SchemaError, StoreError
from pointsam.calibration.perturb import Noise, perturb
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.document import DatasetId
from pointsam.store.reader import Labels
from pointsam.taxonomy import KITTI, Taxonomy


@pytest.fixture(scope="module")
def turned(drive, out, tmp_path_factory):
    """Clusters of `out`'s masks, made with cameras that are turned by five degrees."""
    folder = tmp_path_factory.mktemp("turned")
    known = ("--masks-from", out, "--workers", 1, "--noise", "rotation_deg=5")
    assert label("clusters", drive[0], "--out", folder, *known).exit_code == 0
    return folder


def rotations(frame):
    return np.array([view.ego_SE3_cam.rotation for view in frame.cameras])


def test_the_data_set_has_the_runs_noise_and_ground_truth_has_none(drive, turned):
    run, plain = open_run(turned), NuScenes(drive[0])
    for frame_id in plain.frame_ids():
        true = plain.frame(frame_id)
        wrong = perturb(true, Noise(rotation_deg=5.0))
        assert np.array_equal(rotations(run.truth.frame(frame_id)), rotations(true))
        assert np.array_equal(rotations(run.dataset.frame(frame_id)), rotations(wrong))
        for before, after in zip(true.cameras, run.dataset.frame(frame_id).cameras, strict=True):
            turn = before.ego_SE3_cam.rotation.T @ after.ego_SE3_cam.rotation
            assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(5.0)


def test_masks_are_those_that_the_clusters_were_made_from(out, turned):
    frame_id = Labels(out).frame_ids()[0]
    found = Labels(turned).labels(frame_id)
    assert open_run(turned, masks_from=out).masks_of(found).keys() == Labels(out).masks(frame_id).keys()
    with pytest.raises(SchemaError, match="SCH004") as caught:
        open_run(turned).masks_of(found)
    assert str(turned) in caught.value.message
    assert "--masks-from" in caught.value.hint


def test_a_folder_without_a_run_holds_no_masks(turned, tmp_path):
    with pytest.raises(StoreError, match="OUT004"):
        _ = open_run(turned, masks_from=tmp_path).masks


def test_missing_data_are_named(turned, tmp_path):
    with pytest.raises(DatasetError, match="DAT001") as caught:
        open_run(turned, tmp_path / "gone")
    assert str(tmp_path / "gone") in caught.value.message


def test_the_requested_version_is_opened(turned):
    with pytest.raises(DatasetError, match=r"v1\.0-other"):
        open_run(turned, reading=Reading(version="v1.0-other"))


def shift_poses(root):
    """Moves the vehicle by a metre: other frames than those that were labelled."""
    path = root / "v1.0-mini" / "ego_pose.json"
    rows = json.loads(path.read_text())
    for row in rows:
        row["translation"][0] += 1
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("eval", ()),
        ("report", ("--dest", "PLACE")),
        ("inspect", ("--png", "PLACE")),
        ("export", ("--to", "coco", "--dest", "PLACE")),
        ("calibrate", ("--masks-from", "OUT", "--out", "PLACE")),
        ("noise", ("--masks-from", "OUT", "--out", "PLACE")),
        ("clusters", ("--masks-from", "OUT", "--out", "PLACE")),
    ],
)
def test_data_that_changed_since_are_refused_by_every_command(out, root, tmp_path, command, more):
    shift_poses(root)
    told = {"OUT": out, "PLACE": tmp_path / "place"}
    known = {"inspect": (out, "0", "--data", root), "eval": (out, root), "report": (out, root), "export": (out, root)}
    result = label(command, *known.get(command, (root,)), *(told.get(word, word) for word in more))
    refused(result, "SCH004", out, root, Labels(out).data_root())
    assert not (tmp_path / "place").exists()


def test_moved_data_are_accepted(turned, out, root):
    assert open_run(turned, root).truth.root == root
    assert open_masks(out, DataSpec(root))[1].root == root


def test_the_perturbation_includes_that_of_the_masks(out):
    masks, _ = open_masks(out, DataSpec(Labels(out).data_root()))
    assert masks.perturbation_with(Noise(rotation_deg=5.0)) == "rotation_deg=5.0"


CHANGED = {
    "sweep": lambda frame: frame.sweep.source.path,
    "image": lambda frame: frame.cameras[0].source.path,
}
READS_SWEEPS = [
    ("eval", (), 3),
    ("export", ("--to", "openpcdet", "--dest", "PLACE"), 2),
    ("export", ("--to", "ply", "--dest", "PLACE"), 2),
    ("inspect", ("--png", "PLACE"), 2),
    ("calibrate", ("--masks-from", "OUT", "--dest", "PLACE"), 0),
    ("noise", ("--masks-from", "OUT", "--out", "PLACE", "--levels", "rotation=1", "--seeds", "1"), 3),
]
READS_IMAGES = [("export", ("--to", "coco", "--dest", "PLACE"), 2), *READS_SWEEPS[3:]]


class TestFilesThatChangedSinceTheyWereLabelled:
    """Every command that reads them says so, and never fails without a code."""

    @pytest.fixture
    def call(self, out, root, tmp_path):
        """A function that calls a command on the run, with the copy of its data."""

        def call(command, more):
            known = {"inspect": (out, "0", "--data", root), "eval": (out, root), "report": (out, root)}
            told = {"OUT": out, "PLACE": tmp_path / "place"}
            known["export"] = (out, root)
            return label(command, *known.get(command, (root,)), *(told.get(word, word) for word in more))

        return call

    def change(self, root, kind, size=1.0):
        path = CHANGED[kind](NuScenes(root).frame(NuScenes(root).frame_ids()[0]))
        content = path.read_bytes()
        path.write_bytes(content[20 : round(len(content) * size) // 20 * 20] + (content[:20] if size == 1 else b""))
        return path

    @pytest.mark.parametrize(("command", "more", "status"), READS_SWEEPS)
    @pytest.mark.parametrize("size", [1.0, 0.75])
    def test_sweeps(self, call, root, tmp_path, command, more, status, size):
        path = self.change(root, "sweep", size)
        result = call(command, more)
        assert result.exit_code == status, result.output
        assert "DAT013" in result.output
        assert str(path) in result.output
        assert status != 2 or not (tmp_path / "place").exists()

    @pytest.mark.parametrize(("command", "more", "status"), READS_IMAGES)
    def test_images(self, call, root, command, more, status):
        path = self.change(root, "image")
        result = call(command, more)
        assert result.exit_code == status, result.output
        assert "DAT013" in result.output
        assert str(path) in result.output

    @pytest.mark.parametrize("kind", CHANGED)
    def test_a_page_leaves_them_out(self, call, root, tmp_path, kind):
        path = self.change(root, kind)
        result = call("report", ("--dest", "PLACE"))
        assert result.exit_code == 3, result.output
        assert f"{path} has changed since" in result.output
        assert str(path) in (tmp_path / "place" / "index.html").read_text()
        assert len(list((tmp_path / "place" / "frames").glob("*.js"))) == 1

    @pytest.mark.parametrize("kind", CHANGED)
    def test_a_page_leaves_out_frames_that_cannot_be_read_any_more(self, call, root, tmp_path, kind):
        path = CHANGED[kind](NuScenes(root).frame(NuScenes(root).frame_ids()[0]))
        path.unlink()
        result = call("report", ("--dest", "PLACE"))
        assert result.exit_code == 3, result.output
        assert f"a frame is not shown: {path}" in result.output
        assert len(list((tmp_path / "place" / "frames").glob("*.js"))) == 1

    def test_no_page_without_a_frame(self, call, root, tmp_path):
        for frame_id in NuScenes(root).frame_ids():
            path = NuScenes(root).frame(frame_id).cameras[0].source.path
            path.write_bytes(path.read_bytes() + b"more")
        refused(call("report", ("--dest", "PLACE")), "DAT013", path.parent)
        assert not (tmp_path / "place").exists()


def test_masks_of_an_image_of_another_size_are_refused(out, drive):
    """Runs of 0.1.0 stored no digests; an image of another size would end the whole run with SCH003."""
    masks, dataset = open_masks(out, DataSpec(drive[0]))
    frame = dataset.frame(dataset.frame_ids()[0])
    images = masks.images(frame.frame_id)
    assert set(masks.checked_sources(frame, images)) == {"masks"}
    view = frame.cameras[1]
    smaller = replace(view, camera=replace(view.camera, width_px=view.camera.width_px - 1))
    other = replace(frame, cameras=(frame.cameras[0], smaller, *frame.cameras[2:]))
    with pytest.raises(ChangedSourceError, match=r"DAT013.*has changed since its masks") as caught:
        masks.checked_sources(other, images)
    assert view.source.name in caught.value.message


def test_a_perturbed_run_and_a_clean_one_are_compared_on_the_same_objects(drive, out, turned):
    """Bins by camera, visibility and range have the data set's calibration, whatever that of the labels."""
    clean, wrong = (json.loads(label("eval", folder, drive[0], "--json", "-").stdout)[0] for folder in (out, turned))
    bins = [{(one["dimension"], one["bin"]): one for one in report["bins"]} for report in (clean, wrong)]
    assert bins[0].keys() == bins[1].keys()
    assert {name for name, _ in bins[0]} >= {"camera", "range"}
    for name, one in bins[0].items():
        assert one["objects"]["num_objects"] == bins[1][name]["objects"]["num_objects"], name
    assert clean != wrong


def test_other_code_is_noted_by_every_command_that_reads(out, root, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.made_by.source_digest", lambda *_: "other")
    for command, more in [
        ("eval", (out, root)),
        ("export", (out, root, "--to", "openpcdet", "--dest", tmp_path / "export")),
        ("report", (out, root, "--dest", tmp_path / "page")),
        ("inspect", (out, "0", "--png", tmp_path / "frame.png")),
        ("calibrate", (root, "--masks-from", out, "--dest", tmp_path / "calibration.json")),
        ("noise", (root, "--masks-from", out, "--out", tmp_path / "n", "--levels", "rotation=1", "--seeds", "1")),
    ]:
        result = label(command, *more)
        assert result.exit_code == 0, result.output
        assert result.output.count("other code or libraries: code: ") == 1, result.output


class TestLabelsToTrainOn:
    """What `fit` and `experiment` refuse."""

    @pytest.fixture(scope="class")
    def world(self, tmp_path_factory):
        return make_world(tmp_path_factory.mktemp("world") / "root", samples=2)

    def test_labels_of_another_data_set(self, world, tmp_path):
        make_labels(tmp_path / "out", make_world(tmp_path / "other", scenes=("scene-0553",), samples=2))
        with pytest.raises(SchemaError, match=r"SCH004.*another data set"):
            open_labels(tmp_path / "out", world)

    def test_labels_of_other_classes(self, world, tmp_path):
        make_labels(tmp_path / "out", world, taxonomy=Taxonomy("fewer", world.taxonomy.classes[:9]))
        with pytest.raises(SchemaError, match=r"SCH004.*classes"):
            open_labels(tmp_path / "out", world)

    def test_labels_of_a_noise_run_only_on_demand(self, world, tmp_path):
        make_labels(tmp_path / "out", world, noise="rotation 1 deg")
        with pytest.raises(SchemaError, match=r"SCH003.*rotation 1 deg"):
            open_labels(tmp_path / "out", world)
        assert open_labels(tmp_path / "out", world, allow_noise=True).out == tmp_path / "out"


@pytest.mark.parametrize("command", ["report", "inspect", "eval", "clusters"])
def test_an_archive_that_has_moved_is_named(out, tmp_path, command):
    pytest.importorskip("upath", reason="needs pointsam[remote]")
    gone = f"zip://::file://{tmp_path / 'moved.zip'}"
    place = tmp_path / "place"
    arguments = {
        "report": (out, gone, "--dest", place),
        "inspect": (out, "0", "--data", gone, "--png", place),
        "eval": (out, gone),
        "clusters": (gone, "--masks-from", out, "--out", place),
    }
    refused(label(command, *arguments[command]), "DAT001", "moved.zip")


def test_a_run_is_opened_as_it_read_its_data(drive, scissors, tmp_path):
    """Two version folders, and files of six columns: the reading commands need none of the options again."""
    root = tmp_path / "root"
    shutil.copytree(drive[0], root)
    shutil.copytree(root / "v1.0-mini", root / "v1.0-other")
    for path in (root / "samples" / "LIDAR_TOP").iterdir():
        rows = np.fromfile(path, "<f4").reshape(-1, 5)
        np.column_stack([rows, rows[:, 4]]).tofile(path)
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    assert "name one of them: --version v1.0-other" in label("run", root, "--out", tmp_path / "out", *known).output
    columns = "x,y,z,intensity,ring,_"
    how = ("--version", "v1.0-mini", "--columns", columns, "--accept", "cloud-columns")
    assert label("masks", root, "--out", tmp_path / "out", *known, *how).exit_code == 0
    assert label("clusters", root, "--out", tmp_path / "out", "--workers", 1).exit_code == 0
    run = open_run(tmp_path / "out")
    assert run.truth.version == "v1.0-mini"
    frame = run.truth.frame(run.truth.frame_ids()[0])
    assert frame.sweep.source.columns == tuple(columns.split(","))
    assert run.labels.document(ClustersDocument).dataset.columns == tuple(columns.split(","))
    assert label("eval", tmp_path / "out", root).exit_code == 0
    assert label("report", tmp_path / "out", "--dest", tmp_path / "page").exit_code == 0
    assert label("inspect", tmp_path / "out", "0", "--png", tmp_path / "a.png").exit_code == 0
    assert label("export", tmp_path / "out", root, "--to", "ply", "--dest", tmp_path / "ply").exit_code == 0


def test_what_is_given_wins_over_the_run():
    made = Reading(version="v1.0-mini", columns=("x", "y", "z")).like(
        DatasetId("nuscenes", "v1.0-other", "", "LIDAR_TOP", ("x",))
    )
    assert made == Reading("nuscenes", "v1.0-mini", "LIDAR_TOP", ("x", "y", "z"))
    other = Reading("kitti")
    assert other.like(DatasetId("nuscenes", "v1.0-other", "")) == other


def test_a_run_records_its_lidar_unless_it_is_the_usual_one(drive, scissors, tmp_path):
    def documents(root, out, *more):
        known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
        result = label("run", root, "--out", out, *known, *more)
        assert result.exit_code == 0, result.output
        return result, Labels(out).document(ClustersDocument)

    root = tmp_path / "root"
    shutil.copytree(drive[0], root)
    _, usual = documents(root, tmp_path / "a")
    again, _ = documents(root, tmp_path / "a", "--lidar", "LIDAR_TOP")
    assert "nothing left to do" in again.output  # the same run
    sensors = root / "v1.0-mini" / "sensor.json"
    sensors.write_text(sensors.read_text().replace("LIDAR_TOP", "LIDAR_CONCAT"))
    result, other = documents(root, tmp_path / "b")
    assert (usual.dataset.lidar, other.dataset.lidar) == (None, "LIDAR_CONCAT")
    assert "the LiDAR is LIDAR_CONCAT" in result.output
    assert open_run(tmp_path / "b").truth.lidar == "LIDAR_CONCAT"
    refused(label("eval", tmp_path / "b", root, "--lidar", "lidar_concat"), "DAT010", "--lidar LIDAR_CONCAT")
    noise = ("--noise", "rotation_deg=1", "--workers", 1, "--masks-from", tmp_path / "b")
    assert label("clusters", root, "--out", tmp_path / "c", *noise).exit_code == 0
    assert Labels(tmp_path / "c").document(ClustersDocument).dataset.lidar == "LIDAR_CONCAT"


def test_a_mapping_without_labels_gives_the_truth(tmp_path):
    own = tmp_path / "own.json"
    own.write_text('{"taxonomy": "kitti", "labels": {}, "truth": {"van": "car"}}')
    assert mapped_anew(KITTI, own).truth == {"van": "car"}
