"""Data sets written in other layouts, read back."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.folder_root import make_folder
from helpers.kitti_root import make_kitti
from helpers.nuscenes_root import make_root
from helpers.raw_root import make_raw
from helpers.tracking_root import make_tracking
from PIL import Image

from pipelines.conversion.convert import convert
from pipelines.conversion.new_root import new_folder
from pipelines.conversion.values import Conversion
from pipelines.data import Reading
from pointsam.base.errors import DatasetError, SchemaError, StoreError
from pointsam.datasets import open_dataset
from pointsam.datasets.folder.calibration import LidarEntry
from pointsam.datasets.io import encoded_image, read_columns
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import cam_SE3_lidar, key_SE3_sweep, project
from pointsam.taxonomy import BACKGROUND

SOURCES = ("nuscenes", "kitti", "tracking", "raw")
POINTS = ("x", "y", "z", "intensity")


def made(kind, folder):
    """A tiny root of a kind, with images that differ and points in front of the cameras."""
    if kind == "nuscenes":
        root = make_root(folder, scenes=("scene-0061", "scene-0103"), samples_per_scene=2, numbered_categories=True)
    else:
        make = {"kitti": make_kitti, "tracking": make_tracking, "raw": make_raw}[kind]
        root = make(folder).root
    for k, path in enumerate(sorted(p for p in root.rglob("*") if p.suffix in (".png", ".jpg"))):
        size = Image.open(path).size
        Image.new("RGB", size, (k % 256, k // 256, 7)).save(path)
    return root


@pytest.fixture(scope="module", params=SOURCES)
def source(request, tmp_path_factory):
    return made(request.param, tmp_path_factory.mktemp("source") / request.param)


def written(root, dest, target, **options):
    """A converted root, opened, and what the conversion said."""
    said = convert(Conversion(root, target, accept_loss=True, **options), dest)
    lidar = said.options.removeprefix("--lidar ") or None
    return open_dataset(dest, lidar=lidar), said


@pytest.mark.parametrize("target", ["folder", "kitti", "nuscenes"])
def test_frames_are_those_of_the_source(source, tmp_path, target):
    """Points are equal to the bit, images to the byte, and static points fall on the same pixels."""
    first = open_dataset(source)
    second, said = written(source, tmp_path / "dest", target)
    assert second.name == target
    assert said.frames == len(first.frame_ids()) == len(second.frame_ids())
    assert said.left_out == {}
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        one, other = first.frame(theirs), second.frame(ours)
        np.testing.assert_array_equal(*(read_columns(frame.sweep, POINTS) for frame in (one, other)))
        views = one.cameras[:1] if target == "kitti" else one.cameras
        if target != "kitti":
            assert {v.name for v in views} == {v.name for v in other.cameras}
        for view in views:
            (same,) = (v for v in other.cameras if v.name == view.name or target == "kitti")
            assert encoded_image(same.source)[0] == encoded_image(view.source)[0]
            np.testing.assert_array_equal(same.camera.K, view.camera.K)
            assert (same.camera.width_px, same.camera.height_px) == (view.camera.width_px, view.camera.height_px)
            chains = [cam_SE3_lidar(frame.sweep, v) for frame, v in ((one, view), (other, same))]
            np.testing.assert_allclose(chains[1].rotation, chains[0].rotation, atol=1e-12)
            np.testing.assert_allclose(chains[1].translation_m, chains[0].translation_m, atol=1e-9)
            xyz = read_columns(one.sweep, POINTS)[:, :3]
            uv = [project(xyz, frame, v).uv_px for frame, v in ((one, view), (other, same))]
            np.testing.assert_allclose(uv[1], uv[0], atol=1e-6)


@pytest.mark.parametrize("target", ["folder", "nuscenes"])
def test_times_motion_and_sweeps_between_are_those_of_the_source(source, tmp_path, target):
    first = open_dataset(source)
    second, _ = written(source, tmp_path / "dest", target)
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        one, other = first.frame(theirs), second.frame(ours)
        assert other.sweep.t_us == one.sweep.t_us
        assert [v.t_us for v in sorted(other.cameras, key=lambda v: v.name)] == [
            v.t_us for v in sorted(one.cameras, key=lambda v: v.name)
        ]
        past = [data.past_sweeps(frame_id, 5) for data, frame_id in ((first, theirs), (second, ours))]
        assert [sweep.t_us for sweep in past[1]] == [sweep.t_us for sweep in past[0]]
        for before, same in zip(*past, strict=True):
            np.testing.assert_array_equal(read_columns(same, POINTS), read_columns(before, POINTS))
            moved = [key_SE3_sweep(frame.sweep, s) for frame, s in ((one, before), (other, same))]
            np.testing.assert_allclose(moved[1].translation_m, moved[0].translation_m, atol=1e-6)


@pytest.mark.parametrize(("kind", "moves"), [("raw", True), ("tracking", True), ("kitti", False)])
def test_a_folder_has_the_times_of_points_by_which_motion_is_removed(tmp_path, kind, moves):
    root = made(kind, tmp_path / "source")
    for path in root.rglob("*.bin"):
        np.asarray([(0, 10, 0, 0.1), (9, -3, 1, 0.2)], dtype="<f4").tofile(path)
    first = open_dataset(root)
    second, _ = written(root, tmp_path / "dest", "folder")
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        one, other = first.frame(theirs), second.frame(ours)
        assert not other.sweep.motion_compensated
        assert ("time_s" in other.sweep.source.columns) == moves
        points, found = (read_frame_points(frame) for frame in (one, other))
        np.testing.assert_allclose(found.xyz_lidar_m, points.xyz_lidar_m, atol=1e-5)
        assert (points.xyz_lidar_m[0, 0] == pytest.approx(-0.25, abs=1e-3)) == moves
        if moves:
            np.testing.assert_array_equal(found.time_s, points.time_s)


@pytest.mark.parametrize(("kind", "loss"), [("raw", True), ("kitti", False)])
def test_motion_that_stays_in_the_sweeps_is_a_loss(tmp_path, kind, loss):
    root = made(kind, tmp_path / "source")
    said = convert(Conversion(root, "kitti", accept_loss=True), tmp_path / "dest")
    assert any("times of points are left out" in line for line in said.changing) == loss


@pytest.mark.parametrize(("kind", "compensated"), [("nuscenes", True), ("raw", False)])
def test_kitti_states_whether_motion_is_removed(tmp_path, kind, compensated):
    data, _ = written(made(kind, tmp_path / "source"), tmp_path / "dest", "kitti")
    assert {data.frame(frame_id).sweep.motion_compensated for frame_id in data.frame_ids()} == {compensated}


@pytest.mark.parametrize("target", ["folder", "kitti", "nuscenes"])
def test_boxes_are_those_of_the_source(source, tmp_path, target):
    first = open_dataset(source)
    second, _ = written(source, tmp_path / "dest", target)
    found = 0
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        one, other = first.boxes(theirs), second.boxes(ours)
        found += len(one)
        np.testing.assert_allclose(other.center_m, one.center_m, atol=1e-6)
        np.testing.assert_allclose(other.size_lwh_m, one.size_lwh_m, atol=1e-9)
        np.testing.assert_allclose(other.rotation, one.rotation, atol=1e-6)
        names = [
            [None if k == BACKGROUND else data.taxonomy.names[k] for k in boxes.class_id]
            for data, boxes in ((first, one), (second, other))
        ]
        known = second.taxonomy.names
        assert names[1] == [name if name in known else None for name in names[0]]
        speed = [data.velocities_mps(frame_id) for data, frame_id in ((first, theirs), (second, ours))]
        if target != "kitti" and speed[0] is not None and second.frame(ours).neighbours:
            np.testing.assert_allclose(speed[1], speed[0], atol=1e-3)
    assert found


def test_categories_and_visibility_survive_in_the_same_layout(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    first = open_dataset(root)
    second, said = written(root, tmp_path / "dest", "nuscenes")
    names = ["vehicle.car", "vehicle.bicycle", "human.pedestrian.adult"]
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        assert ours == theirs
        fine = [data.with_categories(names) for data in (first, second)]
        assert fine[0].boxes(theirs).class_id.tolist() == fine[1].boxes(ours).class_id.tolist()
        assert first.visibility(theirs).tolist() == second.visibility(ours).tolist()
    assert said.changing == ()
    assert any("void boxes whose name is not known" in note for note in said.notes)  # the bicycle racks


def test_the_same_conversion_gives_the_same_bytes_with_any_workers(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    trees = []
    for workers in (1, 2):
        convert(Conversion(root, "folder"), tmp_path / str(workers), workers)
        files = sorted(p for p in (tmp_path / str(workers)).rglob("*") if p.is_file())
        trees.append({p.relative_to(tmp_path / str(workers)): p.read_bytes() for p in files})
    assert trees[0] == trees[1]


def test_what_changes_labels_stops_unless_it_is_accepted(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    refused(
        label("convert", root, tmp_path / "dest", "--to", "kitti"), "SCH004", "further cameras", "gap between rings"
    )
    assert not (tmp_path / "dest").exists()
    result = label("convert", root, tmp_path / "dest", "--to", "kitti", "--accept-loss", "--workers", "1")
    assert result.exit_code == 0
    assert "loss: images of further cameras are left out (4 frames)" in result.stderr
    assert "note: times and poses are left out" in result.stderr
    assert "next: pointsam-label run" in result.stdout
    assert (tmp_path / "dest" / "ImageSets" / "scene-0061.txt").read_text() == "000000\n000001\n"


def test_a_gap_that_is_not_stated_is_no_loss(tmp_path):
    for gap_deg, changing, notes in ((0.0, 0, 1), (0.2, 1, 0)):
        root = tmp_path / f"{gap_deg}"
        lidars = {"top": LidarEntry(ring_gap_deg=gap_deg)}
        make_folder(root, frames=1, cameras=("front",), points=50, edit=lambda c, its=lidars: replace(c, lidars=its))
        said = convert(Conversion(root, "kitti", accept_loss=True), tmp_path / f"to-{gap_deg}")
        assert [sum("gap between rings" in line for line in lines) for lines in (said.changing, said.notes)] == [
            changing,
            notes,
        ]


def test_what_a_killed_call_left_is_removed(tmp_path):
    root = made("kitti", tmp_path / "root")
    killed = os.fork()
    if not killed:
        with new_folder(tmp_path / "dest") as folder:
            (folder / "part").write_text("part")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    left = set(tmp_path.glob(".dest.*.tmp"))
    assert len(left) == 1
    convert(Conversion(root, "folder"), tmp_path / "dest")
    assert {path.name for path in tmp_path.iterdir()} == {"root", "dest"}


def test_kitti_gets_the_camera_that_is_named(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    first = open_dataset(root)
    second, _ = written(root, tmp_path / "dest", "kitti", camera="CAM_BACK")
    view = next(v for v in first.frame(first.frame_ids()[0]).cameras if v.name == "CAM_BACK")
    assert encoded_image(second.frame("000000").cameras[0].source) == encoded_image(view.source)
    with pytest.raises(SchemaError, match=r"SCH005.*'CAM_UP'"):
        convert(Conversion(root, "kitti", camera="CAM_UP", accept_loss=True), tmp_path / "none")
    with pytest.raises(SchemaError, match=r"SCH005.*folder holds all cameras"):
        convert(Conversion(root, "folder", camera="CAM_BACK"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_not_empty_or_lies_in_the_data_is_refused(tmp_path):
    root = made("kitti", tmp_path / "root")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for dest, match in ((tmp_path / "full", "not an empty folder"), (root / "inside", "lies in the data set")):
        with pytest.raises(StoreError, match=rf"OUT003.*{match}"):
            convert(Conversion(root, "folder"), dest)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert convert(Conversion(root, "folder"), tmp_path / "link").frames == 2
    assert (tmp_path / "link").is_symlink()
    assert len(open_dataset(tmp_path / "empty").frame_ids()) == 2


def test_frames_that_cannot_be_read_are_left_out_and_named(tmp_path):
    root = made("tracking", tmp_path / "root")
    (root / "training" / "velodyne" / "0000" / "000001.bin").write_bytes(b"")
    (root / "training" / "image_02" / "0001" / "000002.png").unlink()
    result = label("convert", root, tmp_path / "dest", "--to", "nuscenes", "--accept-loss", "--workers", "1")
    assert result.exit_code == 3
    assert "frame 0000_000001 was left out: [DAT008]" in result.stderr
    assert "frame 0001_000002 was left out: [DAT004]" in result.stderr
    assert open_dataset(tmp_path / "dest").frame_ids() == ["0000_000000", "0000_000002", "0001_000000", "0001_000001"]
    for path in root.rglob("*.bin"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"DAT009.*no frame can be read"):
        convert(Conversion(root, "folder"), tmp_path / "none")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_selected_frames_keep_the_sweeps_between_them(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    first = open_dataset(root)
    _, last = first.frame_ids("scene-0061")
    second, said = written(root, tmp_path / "dest", "nuscenes", frames=(last,))
    assert said.frames == 1
    assert [s.t_us for s in second.past_sweeps(last, 9)] == [s.t_us for s in first.past_sweeps(last, 9)]


@pytest.mark.parametrize("target", ["folder", "kitti", "nuscenes"])
def test_frames_in_any_order_and_twice_give_the_same_bytes(tmp_path, target):
    root = made("raw", tmp_path / "root")
    names = open_dataset(root).frame_ids()[:3]
    trees = []
    for place, frames in (("sorted", names), ("mixed", (names[2], names[0], names[1], names[0]))):
        written(root, tmp_path / place, target, frames=tuple(frames))
        files = sorted(p for p in (tmp_path / place).rglob("*") if p.is_file())
        trees.append({p.relative_to(tmp_path / place): p.read_bytes() for p in files})
    assert trees[0] == trees[1]


def test_names_of_images_that_change_are_noted(tmp_path):
    """Precomputed masks go by the names of images, and are not converted."""
    root = made("kitti", tmp_path / "root")
    last = open_dataset(root).frame_ids()[-1]
    for target, frames, expected in (("kitti", (), 0), ("kitti", (last,), 1), ("folder", (last,), 1)):
        dest = tmp_path / f"{target}{len(frames)}"
        notes = [note for note in written(root, dest, target, frames=frames)[1].notes if "--masks-dir" in note]
        assert len(notes) == expected
    _, said = written(made("nuscenes", tmp_path / "tables"), tmp_path / "dest", "folder")
    assert any("images get other names" in note and note.endswith("(4 frames)") for note in said.notes)


def standing(tables):
    """An edit of make_root: the vehicle does not move."""
    for row in tables["ego_pose"]:
        row.update({name: tables["ego_pose"][0][name] for name in ("translation", "rotation")})


@pytest.mark.parametrize("target", ["folder", "nuscenes"])
def test_the_poses_of_a_standing_vehicle_are_kept(tmp_path, target):
    root = make_root(tmp_path / "root", edit=standing)
    first = open_dataset(root)
    second, _ = written(root, tmp_path / "dest", target)
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        assert set(second.frame(ours).neighbours) == {-1, 1}
        past = [data.past_sweeps(frame_id, 5) for data, frame_id in ((first, theirs), (second, ours))]
        assert [sweep.t_us for sweep in past[1]] == [sweep.t_us for sweep in past[0]]
        speed = [data.velocities_mps(frame_id) for data, frame_id in ((first, theirs), (second, ours))]
        np.testing.assert_allclose(speed[1], speed[0], atol=1e-3)


def test_splits_within_a_scene_stay_apart_in_tables(tmp_path):
    """Splits of tables are lists of scenes. Sweeps, tracks and velocities go on across the parts of a scene."""
    make_folder(root := tmp_path / "root", drives=("a", "b"), frames=4, points=200)
    first = open_dataset(root)
    a, b = first.frame_ids("a"), first.frame_ids("b")
    splits = {"train": [a[0], a[2], *b], "val": [a[1]]}
    (root / "ImageSets").mkdir()
    for name, its in splits.items():
        (root / "ImageSets" / f"{name}.txt").write_text("\n".join(its))
    second, said = written(root, tmp_path / "dest", "nuscenes")
    same = {first.frame(name).sweep.t_us: name for name in a}
    scenes = {second.scene(frame_id) for frame_id in second.frame_ids()}
    assert scenes == {"a-train", "a-val", "a-rest", "b"}
    assert any(note.endswith("list splits by scenes (4 frames)") for note in said.notes)
    assert len(second.frame_ids("train")) == 6
    assert set(second.frame_ids("train")).isdisjoint(second.frame_ids("val"))
    for part, expected in (("a-train", [a[0], a[2]]), ("a-val", [a[1]]), ("a-rest", [a[3]])):
        ours = second.frame_ids(part)
        assert [same[second.frame(frame_id).sweep.t_us] for frame_id in ours] == expected
        for frame_id, theirs in zip(ours, expected, strict=True):
            past = [data.past_sweeps(one, 5) for data, one in ((first, theirs), (second, frame_id))]
            assert [sweep.t_us for sweep in past[1]] == [sweep.t_us for sweep in past[0]]
            speed = [data.velocities_mps(one) for data, one in ((first, theirs), (second, frame_id))]
            np.testing.assert_allclose(speed[1], speed[0], atol=1e-3)


def test_splits_of_frames_without_motion_stay_apart_in_tables(tmp_path):
    root = made("kitti", tmp_path / "root")
    (root / "ImageSets").mkdir(exist_ok=True)
    for name, frame_id in zip(("train", "val"), open_dataset(root).frame_ids(), strict=True):
        (root / "ImageSets" / f"{name}.txt").write_text(frame_id)
    second, _ = written(root, tmp_path / "dest", "nuscenes")
    assert second.frame_ids("train") != second.frame_ids("val")
    assert second.frame_ids("training-val") == second.frame_ids("val")


def test_names_of_parts_are_free():
    from types import SimpleNamespace

    from pointsam.convert.parts import parts_of

    scenes = {"p": "a", "q": "a", "r": "a-val", "s": "b"}
    frames = [SimpleNamespace(frame_id=name, scene=scene) for name, scene in scenes.items()]
    splits = {"train": [0, 1, 2, 3], "val": [1]}
    assert parts_of(frames, splits) == {"p": "a-train", "q": "a-train-val"}
    assert parts_of(frames, {"val": [1]}) == {"p": "a-rest", "q": "a-val-2"}
    assert parts_of(frames, {}) == {}


def test_calibrations_that_differ_become_drives(tmp_path):
    """Each frame of KITTI's object layout has its own calibration, a folder has one for each drive."""
    from helpers.kitti_root import CALIB

    tiny = make_kitti(tmp_path / "root")
    tiny.add("000002", calib=CALIB.replace("P2: 100", "P2: 110"))
    first = open_dataset(tiny.root)
    second, _ = written(tiny.root, tmp_path / "dest", "folder")
    assert {second.scene(frame_id) for frame_id in second.frame_ids()} == {"training", "training-2"}
    sizes = [
        [data.frame(frame_id).cameras[0].camera.K[0, 0] for frame_id in data.frame_ids()] for data in (first, second)
    ]
    assert sizes[0] == sizes[1] == [100, 100, 110]


def test_truth_of_images_goes_with_them(tmp_path):
    root = made("nuscenes", tmp_path / "root")
    frame = (data := open_dataset(root)).frame(data.frame_ids()[0])
    view = frame.cameras[0]
    for suffix, content in ((".png", b"ids"), (".json", b"{}")):
        path = root / "truth2d" / view.name / (view.stem + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for target in ("folder", "kitti", "nuscenes"):
        second, _ = written(root, tmp_path / target, target)
        same = second.frame(second.frame_ids()[0]).cameras[0]
        for suffix, content in ((".png", b"ids"), (".json", b"{}")):
            assert (tmp_path / target / "truth2d" / same.name / (same.stem + suffix)).read_bytes() == content


def test_labels_of_points_survive_in_tables(tmp_path, open3d):
    """A lidarseg or panoptic source: objects, void points and the rest stay what they are."""
    root = make_root(tmp_path / "root", samples_per_scene=1, numbered_categories=True)
    data = open_dataset(root)
    (frame_id,) = data.frame_ids()
    count = len(read_columns(data.frame(frame_id).sweep, POINTS))
    labels = np.full(count, 24000, dtype=np.uint16)
    labels[: count // 4], labels[count // 4 : count // 3] = 17001, 17002
    labels[count // 3 : count // 2] = 0
    folder = root / "panoptic"
    folder.mkdir()
    np.savez_compressed(folder / "a.npz", data=labels)
    key = data.lidar_token(frame_id)
    (root / "v1.0-mini" / "panoptic.json").write_text(
        f'[{{"token": "{key}", "sample_data_token": "{key}", "filename": "panoptic/a.npz"}}]'
    )
    first = open_dataset(root).point_truth(frame_id)
    second, said = written(root, tmp_path / "dest", "nuscenes")
    found = second.point_truth(frame_id)
    assert found.source == "panoptic"
    np.testing.assert_array_equal(found.labels.class_id, first.labels.class_id)
    np.testing.assert_array_equal(found.labels.instance_id, first.labels.instance_id)
    np.testing.assert_array_equal(found.void, first.void)
    assert any("points that are no object become static.manmade" in note for note in said.notes)


def test_a_source_is_read_as_the_options_say(tmp_path):
    root = made("kitti", tmp_path / "root")
    said = convert(Conversion(root, "folder", Reading(columns=("x", "y", "z", "intensity"))), tmp_path / "dest")
    assert said.frames == 2
    assert Path(said.dest, "frames.csv").read_text().splitlines()[1].endswith(",000000,training,0")


def with_lenses(tables):
    """An edit of make_root: two cameras that distort, one of them with a rolling shutter."""
    lenses = {
        "CAM_FRONT": {"camera_distortion": [-0.2, 0.05, 0.001, -0.002, 0.01], "camera_readout_s": [-0.01, 0.02]},
        "CAM_BACK": {"camera_distortion": [0.1, -0.02, 0.003, 0.001], "camera_lens": "fisheye"},
    }
    channel = {row["token"]: row["channel"] for row in tables["sensor"]}
    for row in tables["calibrated_sensor"]:
        row.update(lenses.get(channel[row["sensor_token"]], {}))


@pytest.mark.parametrize("target", ["folder", "nuscenes"])
def test_lenses_and_times_of_rows_survive(tmp_path, target):
    root = make_root(tmp_path / "root", edit=with_lenses)
    first = open_dataset(root)
    second, said = written(root, tmp_path / "dest", target)
    assert said.changing == ()
    views = [{v.name: v for v in data.frame(data.frame_ids()[0]).cameras} for data in (first, second)]
    assert views[0]["CAM_BACK"].camera.lens == "fisheye"
    assert views[0]["CAM_FRONT"].shutter is not None
    for name, view in views[0].items():
        same = views[1][name]
        assert (same.camera.lens, tuple(same.camera.distortion)) == (view.camera.lens, tuple(view.camera.distortion))
        assert same.shutter == view.shutter


def test_lenses_are_a_loss_in_kitti(tmp_path):
    root = make_root(tmp_path / "root", edit=with_lenses)
    said = convert(Conversion(root, "kitti", camera="CAM_FRONT", accept_loss=True), tmp_path / "dest")
    assert any("distortion of the lens is left out" in line for line in said.changing)
    assert any("times of rows of the image are left out" in line for line in said.changing)
    assert open_dataset(tmp_path / "dest").frame("000000").cameras[0].camera.model is None


def second_lidar(tables, late_us=20_000):
    """An edit of make_root: LIDAR_FRONT, with the files of LIDAR_TOP, later than it and mounted elsewhere."""
    sensor = next(row for row in tables["sensor"] if row["channel"] == "LIDAR_TOP")
    mounted = next(row for row in tables["calibrated_sensor"] if row["sensor_token"] == sensor["token"])
    tables["sensor"].append({**sensor, "token": "front", "channel": "LIDAR_FRONT"})
    other = {"token": "front", "sensor_token": "front", "translation": [2.0, 0.5, 0.6]}
    tables["calibrated_sensor"].append({**mounted, **other})
    own = [row for row in tables["sample_data"] if row["calibrated_sensor_token"] == mounted["token"]]
    for row in own:
        names = {key: row[key] and "front" + row[key] for key in ("token", "prev", "next")}
        late = {"timestamp": row["timestamp"] + late_us, "calibrated_sensor_token": "front"}
        tables["sample_data"].append({**row, **names, **late})


@pytest.mark.parametrize("target", ["folder", "nuscenes"])
def test_all_lidars_survive(tmp_path, target):
    root = make_root(tmp_path / "root", edit=second_lidar)
    reading = Reading(lidar="LIDAR_TOP,LIDAR_FRONT")
    first = open_dataset(root, lidar=reading.lidar)
    second, said = written(root, tmp_path / "dest", target, reading=reading)
    assert said.options == ("--lidar LIDAR_TOP,LIDAR_FRONT" if target == "nuscenes" else "")
    for theirs, ours in zip(first.frame_ids(), second.frame_ids(), strict=True):
        one, other = first.frame(theirs), second.frame(ours)
        assert [s.sensor for s in other.sweeps] == ["LIDAR_TOP", "LIDAR_FRONT"]
        for sweep, same in zip(one.sweeps, other.sweeps, strict=True):
            assert same.t_us == sweep.t_us
            np.testing.assert_array_equal(read_columns(same, POINTS), read_columns(sweep, POINTS))
            moved = [key_SE3_sweep(frame.sweep, s) for frame, s in ((one, sweep), (other, same))]
            np.testing.assert_allclose(moved[1].translation_m, moved[0].translation_m, atol=1e-6)
        past = [data.past_sweeps(frame_id, 3) for data, frame_id in ((first, theirs), (second, ours))]
        assert [(s.sensor, s.t_us) for s in past[1]] == [(s.sensor, s.t_us) for s in past[0]]
    refused(
        label("convert", root, tmp_path / "none", "--to", "kitti", "--lidar", reading.lidar), "SCH004", "further LiDARs"
    )


@pytest.mark.parametrize("late_us", [20_000, 40_000])
def test_a_sweep_between_frames_does_not_replace_one_of_a_later_lidar(tmp_path, late_us):
    """Sweeps come each 50 ms. 40 ms late, the sweep before that of a frame is nearer to it: a folder cannot hold it."""
    root = make_root(tmp_path / "root", edit=lambda tables: second_lidar(tables, late_us))
    reading = Reading(lidar="LIDAR_TOP,LIDAR_FRONT")
    wanted = Conversion(root, "folder", reading, accept_loss=True)
    if late_us == 20_000:
        assert convert(wanted, tmp_path / "dest").frames == 2
        return
    with pytest.raises(DatasetError, match=r"DAT012.*a file of LIDAR_FRONT of another time is nearer"):
        convert(wanted, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()
