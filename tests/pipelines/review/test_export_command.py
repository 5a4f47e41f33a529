"""`pointsam-label export` on complete runs: read back by the readers of the formats; other files are kept."""

import errno
import io
import json
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from helpers.commands import label, refused, temporaries
from helpers.nuscenes_root import make_root, rename_last_key_sweep
from helpers.semantic_root import make_semantic
from helpers.training import make_labels
from PIL import Image

from pipelines.opened import open_run
from pipelines.review.export import format_of
from pointsam import rle
from pointsam.base.plugins import names
from pointsam.calibration.correction import RigCorrection, rig_of
from pointsam.calibration.perturb import Noise, perturb
from pointsam.datasets.io import read_points
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.export.frame import ExportFrame
from pointsam.geometry.fit import fit_boxes
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.store.reader import Labels

FORMATS = names("exporters")


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"kitti", "rerun"}))
def test_equal_files_are_kept_and_changed_ones_refused(drive, out, tmp_path, form):
    command = ("export", out, drive[0], "--to", form, "--dest", tmp_path / "dest", "--eval-set", "mini_val")
    result = label(*command)
    assert result.exit_code == 0, result.output
    assert f"wrote 1 frame of split 'mini_val' to {tmp_path / 'dest'} ({form})" in result.output
    assert "note: 1 labelled frame outside of split 'mini_val' left out" in result.output
    assert ("note: boxes are fitted" in result.output) == (form in ("nuscenes-boxes", "openpcdet", "mmdet3d"))
    files = {path: path.read_bytes() for path in (tmp_path / "dest").rglob("*") if path.is_file()}
    assert files
    assert label(*command).exit_code == 0
    spoilt = sorted(files)[0]
    spoilt.write_bytes(b"precious")
    refused(label(*command), "OUT003", spoilt)
    assert spoilt.read_bytes() == b"precious"
    assert label(*command, "--overwrite").exit_code == 0
    assert {path: path.read_bytes() for path in files} == files


def test_pycocotools_reads_the_masks_that_built_the_clusters(drive, out, tmp_path):
    from pycocotools.coco import COCO

    assert label("export", out, drive[0], "--to", "coco", "--dest", tmp_path).exit_code == 0
    read = COCO(str(tmp_path / "instances_all.json"))
    labels = Labels(out)
    expected = 0
    for frame_id in labels.frame_ids():
        masks = labels.masks(frame_id)
        for cluster in labels.labels(frame_id).clusters:
            for camera, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True):
                (image,) = (i for i in read.imgs.values() if (i["frame_id"], i["camera"]) == (frame_id, camera))
                found = [a for a in read.imgToAnns[image["id"]] if a["cluster_id"] == cluster.cluster_id]
                whole = rle.decode_mask(masks[camera].masks.rle[mask_id], image["height"], image["width"])
                (one,) = (a for a in found if np.array_equal(read.annToMask(a).astype(bool), whole))
                assert one["area"] == whole.sum()
                rows, columns = np.nonzero(whole)
                size = [np.ptp(columns) + 1, np.ptp(rows) + 1]
                assert one["bbox"] == [columns.min(), rows.min(), *size]
                assert read.cats[one["category_id"]]["name"] == cluster.class_name
                assert one["score"] == round(cluster.probability, 4) != round(cluster.confidence, 4)
                expected += 1
    assert len(read.anns) == expected > 0
    assert len(read.imgs) == 12


def recorded(path):
    """Rows of a recording, by frame."""
    from rerun.dataframe import load_recording

    table = load_recording(str(path)).view(index="frame", contents="/**").select().read_all()
    return table.select([field.name for field in table.schema if not pa.types.is_timestamp(field.type)]).to_pylist()


@pytest.fixture
def remade(drive, out, tmp_path):
    """A function that makes clusters of `out`'s masks anew; their folder holds no masks of its own."""

    def call(*more, folder=tmp_path / "remade"):
        done = label("clusters", drive[0], "--out", folder, "--masks-from", out, "--workers", 1, *more)
        assert done.exit_code == 0, done.output
        return folder

    return call


@pytest.mark.parametrize("form", sorted(name for name in FORMATS if format_of(name).masks))
def test_masks_of_other_clusters_are_refused(drive, remade, tmp_path, form):
    command = ("export", remade(), drive[0], "--to", form, "--dest", tmp_path / "dest")
    refused(label(*command), "SCH004", tmp_path / "remade", "--masks-from")
    refused(label(*command, "--masks-from", tmp_path / "none"), "OUT004", tmp_path / "none")
    assert not (tmp_path / "dest").exists()


def test_other_masks_of_the_same_folder_are_refused(drive, remade, scissors, tmp_path):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1, "--seed", 7)
    assert label("masks", drive[0], "--out", tmp_path / "both", *known).exit_code == 0
    both = remade(folder=tmp_path / "both")
    command = ("export", both, drive[0], "--to", "coco", "--dest", tmp_path / "dest")
    refused(label(*command), "SCH004", both)
    assert not (tmp_path / "dest").exists()


def test_masks_of_a_named_folder_are_used(drive, out, remade, tmp_path):
    command = ("export", remade(), drive[0], "--to", "coco", "--dest", tmp_path / "dest", "--masks-from", out)
    assert label(*command).exit_code == 0
    assert label("export", out, drive[0], "--to", "coco", "--dest", tmp_path / "same").exit_code == 0
    name = "instances_all.json"
    assert (tmp_path / "dest" / name).read_bytes() == (tmp_path / "same" / name).read_bytes()


def test_formats_without_masks_need_no_folder_of_masks(drive, remade, tmp_path):
    folder = remade()
    for name in FORMATS:
        if not format_of(name).masks and name != "kitti":
            done = label("export", folder, drive[0], "--to", name, "--dest", tmp_path / name, "--eval-set", "mini_val")
            assert done.exit_code == 0, done.output


def test_images_are_of_the_cameras_of_the_run(drive, out, remade, tmp_path):
    folder = remade("--noise", "dropped=2")
    command = ("export", folder, drive[0], "--to", "coco", "--dest", tmp_path / "dest", "--masks-from", out)
    assert label(*command).exit_code == 0
    images = json.loads((tmp_path / "dest" / "instances_all.json").read_text())["images"]
    run = open_run(folder)
    expected = [(k, v.name) for k in run.labels.frame_ids() for v in run.dataset.frame(k).cameras]
    assert [(image["frame_id"], image["camera"]) for image in images] == expected
    assert len(expected) == 8


def test_a_recording_shows_the_cameras_with_the_runs_calibration(drive, out, remade, tmp_path):
    pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    folder = remade("--noise", "rotation_deg=5")
    command = ("export", folder, drive[0], "--to", "rerun", "--dest", tmp_path, "--masks-from", out)
    assert label(*command).exit_code == 0
    for row, frame_id in zip(recorded(tmp_path / "all.rrd"), Labels(folder).frame_ids(), strict=True):
        true = NuScenes(drive[0]).frame(frame_id)
        wrong = perturb(true, Noise(rotation_deg=5.0))
        for plain, view in zip(true.cameras, wrong.cameras, strict=True):
            (columns,) = row[f"/lidar/{view.name}:TransformMat3x3"]
            rotation = np.reshape(columns, (3, 3)).T
            assert np.allclose(rotation, cam_SE3_lidar(wrong.sweep, view).rotation.T, atol=1e-6)
            assert not np.allclose(rotation, cam_SE3_lidar(true.sweep, plain).rotation.T, atol=1e-2)


def test_kitti_image_boxes_use_the_runs_calibration(tiny_kitti, tmp_path):
    """What stands in the camera's own frame is the data set's: its labels are read with its own calibration."""
    rng = np.random.default_rng(0)
    cloud = np.column_stack([rng.uniform(8, 12, 300), rng.uniform(-0.9, 0.9, 300), rng.uniform(-1.6, 0, 300)])
    tiny_kitti.add("000005", points=np.column_stack([cloud, np.zeros(300)]))
    world, numbers = Kitti(tiny_kitti.root), {}
    frame = world.frame("000005")
    turned = RigCorrection({view.name: np.array([0, np.deg2rad(5), 0, 0, 0, 0]) for view in frame.cameras})
    for name, changed in (("plain", {}), ("turned", {"calibration": {rig_of(frame): turned.stored()}})):
        make_labels(tmp_path / name, world, ["000005"], **changed)
        dest = tmp_path / f"{name}-labels"
        done = label("export", tmp_path / name, tiny_kitti.root, "--to", "kitti", "--dest", dest)
        assert done.exit_code == 0, done.output
        numbers[name] = (dest / "label_2" / "000005.txt").read_text().split()
    assert numbers["plain"][4:8] != numbers["turned"][4:8]
    assert numbers["plain"][8:] == numbers["turned"][8:]


def test_the_devkit_reads_boxes_and_finds_them_where_they_were_fitted(drive, out, tmp_path):
    loaders = pytest.importorskip("nuscenes.eval.common.loaders", reason="needs nuscenes-devkit")
    from nuscenes.eval.detection.data_classes import DetectionBox

    command = ("export", out, drive[0], "--to", "nuscenes-boxes", "--dest", tmp_path)
    refused(label(*command), "SCH005", "mini_train (1 frame), mini_val (1 frame)", "--eval-set")
    assert label(*command, "--eval-set", "mini_val").exit_code == 0
    boxes, meta = loaders.load_prediction(str(tmp_path / "results_nusc.json"), 500, DetectionBox)
    assert [name for name, used in meta.items() if used] == ["use_camera", "use_lidar", "use_external"]
    dataset, labels = NuScenes(drive[0]), Labels(out)
    assert set(boxes.sample_tokens) == set(dataset.frame_ids("mini_val"))
    for frame_id in dataset.frame_ids("mini_val"):
        sweep = dataset.frame(frame_id).sweep
        clusters = labels.labels(frame_id).clusters
        assert [box.detection_name for box in boxes[frame_id]] == [cluster.class_name for cluster in clusters]
        lidar_SE3_world = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).inverse()
        for box, cluster in zip(boxes[frame_id], clusters, strict=True):
            assert box.detection_score == cluster.probability != cluster.confidence
            middle = lidar_SE3_world.apply(np.array(box.translation))
            assert np.linalg.norm(middle - cluster.center_lidar_m) < 4  # beside what is seen of it


def test_kitti_reads_its_labels_back_as_the_boxes_that_were_fitted(tiny_kitti, tmp_path):
    rng = np.random.default_rng(0)
    cloud = np.column_stack([rng.uniform(8, 12, 300), rng.uniform(-0.9, 0.9, 300), rng.uniform(-1.6, 0, 300)])
    behind = cloud * [-1, 1, 1]
    tiny_kitti.add("000005", points=np.column_stack([np.concatenate([cloud, behind]), np.zeros(600)]))
    world = Kitti(tiny_kitti.root)
    out = tmp_path / "out"
    make_labels(out, world, ["000005"], probability=0.37)
    found = Labels(out).labels("000005")
    assert len(found.clusters) == 1
    assert label("export", out, tiny_kitti.root, "--to", "kitti", "--dest", tmp_path / "dest").exit_code == 0
    text = (tmp_path / "dest" / "label_2" / "000005.txt").read_text()
    assert text.split()[-1] == "0.3700"
    tiny_kitti.path("label_2", "000005").write_text(text)
    read = Kitti(tiny_kitti.root).boxes("000005")
    xyz = np.concatenate([cloud, behind]).astype(np.float32)
    fitted = fit_boxes(xyz, found.labels, world.taxonomy)
    assert len(read) == len(fitted) == 1
    assert read.center_m == pytest.approx(fitted.center_m, abs=0.02)
    assert read.size_lwh_m == pytest.approx(fitted.size_lwh_m, abs=0.02)
    assert abs((read.rotation[0].T @ fitted.rotation[0])[0, 0]) > 0.999


@pytest.mark.filterwarnings("error")
def test_a_recording_holds_points_masks_and_boxes_along_time(drive, out, tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    command = ("export", out, drive[0], "--to", "rerun", "--dest", tmp_path)
    assert label(*command).exit_code == 0
    refused(label(*command), "OUT003", tmp_path / "all.rrd")
    assert temporaries(tmp_path) == []
    labels, dataset, rows = Labels(out), NuScenes(drive[0]), recorded(tmp_path / "all.rrd")
    assert [row["frame"] for row in rows] == [0, 1]
    for row, frame_id in zip(rows, labels.frame_ids(), strict=True):
        found, boxes = labels.labels(frame_id), dataset.boxes(frame_id)
        assert len(row["/lidar/points:Position3D"]) == len(row["/lidar/points:Color"]) == len(found.labels)
        coloured = np.array(row["/lidar/points:Color"]) != row["/lidar/points:Color"][0]
        assert coloured.any()
        assert row["/lidar/fitted:Text"] == [f"{c.class_name} {c.cluster_id}" for c in found.clusters]
        assert np.allclose(row["/lidar/true:PoseTranslation3D"], boxes.center_m[boxes.class_id != 255], atol=1e-3)
        for view in dataset.frame(frame_id).cameras:
            assert bytes(row[f"/lidar/{view.name}/image:Blob"][0]) == view.source.path.read_bytes()
            mask = Image.open(io.BytesIO(bytes(row[f"/lidar/{view.name}/image/masks:Blob"][0])))
            built = any(view.name in cluster.cameras for cluster in found.clusters)
            assert (np.asarray(mask)[..., 3] > 0).any() == built
    plain = Labels.labels
    monkeypatch.setattr(
        Labels,
        "labels",
        lambda self, frame_id: replace(found := plain(self, frame_id), grown=found.labels.instance_id >= 0),
    )
    assert label(*command[:-1], tmp_path / "grown").exit_code == 0
    (paler, *_) = (np.array(row["/lidar/points:Color"]) for row in recorded(tmp_path / "grown" / "all.rrd"))
    labelled = plain(labels, labels.frame_ids()[0]).labels.instance_id >= 0
    assert ((paler != np.array(rows[0]["/lidar/points:Color"])) == labelled).all()


def test_data_without_tokens_and_data_without_a_rectified_camera_are_refused(drive, out, tiny_kitti, tmp_path):
    world = Kitti(tiny_kitti.root)
    make_labels(tmp_path / "kitti", world, ["000000"])
    command = ("export", tmp_path / "kitti", tiny_kitti.root, "--dest", tmp_path / "dest", "--to")
    refused(label(*command, "nuscenes-panoptic"), "SCH004", "nuScenes' tokens")
    result = label("export", out, drive[0], "--dest", tmp_path / "dest", "--to", "kitti")
    refused(result, "SCH004", "takes KITTI data only", "--to openpcdet")
    assert "label with classes" not in result.output
    assert not (tmp_path / "dest").exists()


BROKEN = """
from contextlib import contextmanager

from pointsam.export.base import Format


class Stream:
    def __init__(self, path):
        self.path = path
        path.write_text("begun")

    def add(self, item):
        raise KeyError(item.number)


@contextmanager
def unopened(path):
    path.write_text("begun")
    raise ValueError("no version")
    yield


@contextmanager
def opened(path):
    yield Stream(path)


def _frame(item):
    return {}


SIGNATURE = Format(frame=_frame)
CONTENT = Format(frame=lambda item, split: {"a.txt": "text"})
NOTHING = Format(frame=lambda item, split: None)
ROW = Format(frame=lambda item, split: {f"{item.name}.txt": b"1"}, row=lambda item: item.lidar)
MISSING = Format(frame=lambda item, split: {"a.txt": open("no_such_file").read()})
CLOSE = Format(row=lambda item: 1, close=lambda done: {"a": done.rows[9]})
STREAM = Format(stream=opened, suffix=".one")
OPEN = Format(stream=unopened, suffix=".one")
"""


@pytest.mark.parametrize(
    ("name", "where", "error"),
    [
        ("SIGNATURE", "frame", "TypeError: _frame() takes 1 positional argument but 2 were given"),
        ("CONTENT", "frame", "TypeError: the content of 'a.txt' is of type str, not bytes"),
        ("NOTHING", "frame", "AttributeError: 'NoneType' object has no attribute 'items'"),
        ("ROW", "frame", "AttributeError: 'ExportFrame' object has no attribute 'lidar'"),
        ("MISSING", "frame", "FileNotFoundError"),
        ("CLOSE", "split 'all'", "IndexError: list index out of range"),
        ("STREAM", "frame", "KeyError: 0"),
        ("OPEN", "file 'all.one'", "ValueError: no version"),
    ],
)
def test_a_plug_in_that_fails_is_named_and_leaves_no_file(name, where, error, drive, out, tmp_path, install):
    install("theirs", [("exporters", "broken", f"broken_export:{name}")], {"broken_export": BROKEN})
    result = label("export", out, drive[0], "--to", "broken", "--dest", tmp_path / "dest")
    place = where if where != "frame" else f"frame {Labels(out).frame_ids()[0]!r}"
    who = f"'broken' of theirs 1.0 (broken_export:{name})"
    refused(result, "PLG003", f"export format {who} failed at {place}: {error}")
    assert "Traceback (most recent call last)" in result.stderr
    assert [path for path in (tmp_path / "dest").rglob("*") if path.is_file()] == []


def test_quarantined_frames_are_left_out(tmp_path):
    world = NuScenes(make_root(tmp_path / "root", samples_per_scene=3))
    bad = world.frame_ids()[1]
    make_labels(tmp_path / "out", world, failed={bad})
    result = label("export", tmp_path / "out", world.root, "--to", "mmdet3d", "--dest", tmp_path / "dest")
    assert result.exit_code == 0, result.output
    infos = json.loads((tmp_path / "dest" / "pointsam_infos_mini_train.json").read_text())["data_list"]
    assert len(infos) == len(world.frame_ids()) - 1
    assert not any(world.lidar_token(bad) in info["lidar_points"]["lidar_path"] for info in infos)


@pytest.mark.parametrize("form", ["nuscenes-boxes", "nuscenes-panoptic", "nuscenes-lidarseg"])
def test_the_devkit_gets_every_frame_of_the_split(tmp_path, form):
    """A frame that was quarantined is there without objects; one that cannot be read is named."""
    world = NuScenes(make_root(tmp_path / "root", scenes=("scene-0061", "scene-0103"), samples_per_scene=3))
    ids = world.frame_ids("mini_val")
    make_labels(tmp_path / "out", world, failed={ids[1]})
    command = ("export", tmp_path / "out", world.root, "--to", form, "--eval-set", "mini_val", "--dest")
    result = label(*command, tmp_path / "dest")
    assert result.exit_code == 0, result.output
    assert "wrote 3 frames of split 'mini_val'" in result.output
    assert "note: 1 quarantined frame written without objects" in result.output
    if form == "nuscenes-boxes":
        results = json.loads((tmp_path / "dest" / "results_nusc.json").read_text())["results"]
        assert list(results) == ids
        assert results[ids[1]] == []
    else:
        (path,) = (tmp_path / "dest").rglob(f"{world.lidar_token(ids[1])}_*")
        values = np.load(path)["data"] if path.suffix == ".npz" else np.fromfile(path, dtype="u1")
        assert values.tolist() == [0] * len(read_points(world.frame(ids[1]).sweep))
    make_labels(tmp_path / "some", world, frame_ids=[ids[0]])
    notes = label("export", tmp_path / "some", *command[2:], tmp_path / "some_dest").output
    assert f"note: 2 frames of split 'mini_val' without labels are not in the export, the first is {ids[1]}" in notes


def test_the_split_is_that_of_the_labels_and_another_one_is_refused(tmp_path):
    world = NuScenes(make_root(tmp_path / "root", scenes=("scene-0061", "scene-0103"), samples_per_scene=2))
    make_labels(tmp_path / "out", world, frame_ids=world.frame_ids("mini_train")[:1])
    command = ("export", tmp_path / "out", world.root, "--to", "nuscenes-panoptic", "--dest", tmp_path / "dest")
    assert "of split 'mini_train'" in label(*command).output
    assert (tmp_path / "dest" / "mini_train" / "submission.json").exists()
    refused(label(*command, "--eval-set", "mini_val"), "SCH005", "none of 1 frame", "mini_train (1 frame)")
    refused(label(*command, "--eval-set", "test"), "SCH005", "none of 1 frame")
    refused(label(*command, "--eval-set", "vall"), "SCH005", "no such split")
    free = (*command[:4], "openpcdet", *command[5:], "--eval-set", "mine")
    assert label(*free).exit_code == 0
    assert (tmp_path / "dest" / "ImageSets" / "mine.txt").exists()


def test_semantickitti_predictions_are_where_its_api_looks(tmp_path):
    """evaluate_panoptic.py of semantic-kitti-api: sequences/NN/predictions/*.label, as many as labels, uint32."""
    make_semantic(tmp_path / "root", name="00", values=[0] * 5, frames=2)
    world = make_semantic(tmp_path / "root", values=[(1 << 16) | 10] * 3 + [30, 0], frames=3)
    make_labels(tmp_path / "out", world, frame_ids=world.frame_ids("08"), failed={"08_000001"})
    command = ("export", tmp_path / "out", world.root, "--to", "semantickitti", "--dest", tmp_path / "dest")
    result = label(*command)
    assert "wrote 3 frames of split 'val'" in result.output
    found = sorted(path.relative_to(tmp_path / "dest").as_posix() for path in (tmp_path / "dest").rglob("*.label"))
    assert found == [f"sequences/08/predictions/{k:06d}.label" for k in range(3)]
    for name in found:
        values = np.fromfile(tmp_path / "dest" / name, dtype=np.uint32)
        truth = np.fromfile(tmp_path / "root" / name.replace("predictions", "labels"), dtype=np.uint32)
        assert len(values) == len(truth)
        assert set((values & 0xFFFF).tolist()) <= {0, 10, 30}
        assert values.any() == ("000001" not in name)


def test_an_export_does_not_lie_in_the_labels_or_the_data(drive, out, tmp_path):
    for place in (out, out / "export", drive[0], drive[0] / "labels"):
        command = ("export", out, drive[0], "--to", "ply", "--dest", place)
        refused(label(*command), "OUT003", place, "outside of the labels")
    assert not (out / "export").exists()


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"kitti"}))
def test_a_token_that_leaves_the_folder_stops_the_export_before_it_writes(tmp_path, form):
    if form == "rerun":
        pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    world = NuScenes(make_root(tmp_path / "root", edit=rename_last_key_sweep("../../pwn")))
    make_labels(tmp_path / "out", world)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    command = ("export", tmp_path / "out", world.root, "--to", form, "--dest", tmp_path / "a" / "b")
    refused(label(*command), "DAT011", "sample_data.json", world.frame_ids()[-1], "../../pwn")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("form", ["semantickitti", "openpcdet", "mmdet3d", "ply", "pcd"])
def test_a_frame_id_that_leaves_the_folder_is_refused(tiny_kitti, tmp_path, form, monkeypatch):
    world = Kitti(tiny_kitti.root)
    make_labels(tmp_path / "out", world, ["000000"])
    monkeypatch.setattr(
        "pipelines.review.export.ExportFrame", lambda number, name, *rest: ExportFrame(number, f"../{name}", *rest)
    )
    command = ("export", tmp_path / "out", tiny_kitti.root, "--to", form, "--dest", tmp_path / "dest")
    refused(label(*command), "DAT011", "../000000", "frame's token or id")
    assert not (tmp_path / "dest").exists()
    assert not list(tmp_path.rglob("000000.*[dl]"))


@pytest.mark.parametrize("form", ["nuscenes-panoptic", "coco", "rerun"])
def test_the_name_of_the_split_stays_in_the_folder(drive, out, tmp_path, form):
    command = ("export", out, drive[0], "--to", form, "--dest", tmp_path / "dest", "--eval-set", "/../../x")
    refused(label(*command), "DAT011", "/../../x", "--eval-set")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_file_behind(drive, out, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    command = ("export", out, drive[0], "--to", "nuscenes-panoptic", "--dest", tmp_path / "dest")
    command += ("--eval-set", "mini_train")
    refused(label(*command), "OUT002", "disk full")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_destination_that_cannot_be_written_is_named(drive, out, tmp_path):
    (tmp_path / "file").write_text("")
    command = ("export", out, drive[0], "--to", "ply", "--dest", tmp_path / "file")
    refused(label(*command), "OUT003", tmp_path / "file")


def test_a_recording_on_a_full_disk_leaves_no_file_behind(drive, out, mounted):
    """The SDK only logs that the disk is full."""
    pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    disk = mounted("size=16k")
    refused(label("export", out, drive[0], "--to", "rerun", "--dest", disk / "dest"), "OUT002", disk)
    assert not [path for path in disk.rglob("*") if path.is_file()]
