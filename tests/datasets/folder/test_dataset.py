import json
import shutil
import time
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from helpers.folder_root import (
    CAMERA_LATE_US,
    LIDARS,
    PERIOD_US,
    START_US,
    cars,
    make_folder,
    pose,
)

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets import open_dataset
from pointsam.datasets.base import HasClouds, HasDevkitVersion, HasUnknownClasses
from pointsam.datasets.folder import DATASET
from pointsam.datasets.folder.calibration import calibration_text
from pointsam.datasets.folder.dataset import Folder
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.projection import project
from pointsam.types import RollingShutter


def rendered(tmp_path, **options):
    make_folder(tmp_path, **options)
    return open_dataset(tmp_path)


def same_pose(one, other, tolerance=1e-5):
    assert np.allclose(one.rotation, other.rotation, atol=tolerance)
    assert np.allclose(one.translation_m, other.translation_m, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "ns", "poses": "csv", "suffix": ".npy", "boxes_frame": "vehicle"},
        {"unit": "s", "poses": "kitti", "suffix": ".ply", "boxes": "kitti"},
        {"unit": "ms", "boxes": "openlabel", "boxes_frame": "top"},
        {"match": "index", "poses": "kitti"},
        {"lidars": ("top", "side"), "boxes": "openlabel"},
    ],
    ids=["tum", "csv", "kitti", "openlabel", "index", "two lidars"],
)
def test_every_form_of_a_drive_gives_the_same_frames(tmp_path, options):
    data = rendered(tmp_path, frames=3, **options)
    frame_ids = data.frame_ids()
    assert len(frame_ids) == 3
    frame = data.frame(frame_ids[1])
    index = options.get("match") == "index"
    t_us = PERIOD_US if index else START_US + PERIOD_US
    assert frame.sweep.t_us == t_us
    assert [view.name for view in frame.cameras] == ["front", "left", "right"]
    assert {view.t_us for view in frame.cameras} == {t_us if index else t_us + CAMERA_LATE_US}
    same_pose(frame.sweep.world_SE3_ego, pose(START_US + PERIOD_US))
    if options.get("poses") != "kitti":  # linear between poses every 50 ms
        same_pose(frame.cameras[0].world_SE3_ego, pose(START_US + PERIOD_US + CAMERA_LATE_US), 1e-3)
    points = read_frame_points(frame).xyz_lidar_m
    boxes = data.boxes(frame_ids[1])
    counts = count_points(points, boxes)  # cars hide some points of others
    assert (counts > 8).all()
    assert (counts == 160 * len(frame.sweeps)).sum() >= 7
    assert np.allclose(boxes.size_lwh_m, [car.lwh for car in cars()])
    kinds = {"car": "car", "Pedestrian": "pedestrian", "vehicle.truck": "truck"}
    assert [data.taxonomy.names[k] for k in boxes.class_id] == [kinds[car.name] for car in cars()]
    truth = data.point_truth(frame_ids[1])
    assert len(truth.labels) == len(points)
    assert not list(data.table_problems())
    if options.get("boxes") != "kitti":
        velocity = data.velocities_mps(frame_ids[1])
        assert np.abs(velocity).max() < 0.05
    assert sorted(frame.neighbours) == [-1, 1]
    assert [sweep.t_us for sweep in data.past_sweeps(frame_ids[2], 5) if sweep.sensor == "top"] == [
        t_us,
        t_us - PERIOD_US,
    ]


def test_points_fall_on_the_cars_that_the_cameras_drew(tmp_path):
    data = rendered(tmp_path, frames=2)
    frame_id = data.frame_ids()[1]
    frame = data.frame(frame_id)
    points, boxes = read_frame_points(frame).xyz_lidar_m, data.boxes(frame_id)
    hits, total, colours = 0, 0, np.array([car.colour for car in cars()])
    for view in frame.cameras:
        seen, image = project(points, frame, view), read_image(view.source)
        for k in range(len(boxes)):
            local = (points - boxes.center_m[k]) @ boxes.rotation[k]
            mine = seen.valid & (np.abs(local) <= boxes.size_lwh_m[k] / 2).all(axis=1)
            u, v = seen.uv_px[mine].round().astype(int).T
            hits += int((image[v, u][:, None] == colours).all(axis=2).any(axis=1).sum())
            total += int(mine.sum())
    assert total > 500
    assert hits > 0.97 * total  # on it, or on a car before it


def test_drives_are_scenes_and_splits_name_them(tmp_path):
    make_folder(tmp_path, drives=("a", "b", "c_1"), frames=2, cameras=("front",))
    (tmp_path / "splits.json").write_text(json.dumps({"val": ["b", "c_1"]}))
    lists = tmp_path / "ImageSets"
    lists.mkdir()
    data = open_dataset(tmp_path)
    ids = data.frame_ids()
    assert [data.scene(frame_id) for frame_id in ids] == ["a", "a", "b", "b", "c_1", "c_1"]
    assert ids[4] == f"c_1_{START_US}"
    (lists / "few.txt").write_text(f"a\n{ids[3]}  # one frame\n")
    assert data.frame_ids("few") == [*ids[:2], ids[3]]
    assert data.frame_ids("val") == ids[2:]
    assert data.frame_ids("b") == ids[2:4]
    with pytest.raises(DatasetError, match="no split or drive 'test'"):
        data.frame_ids("test")
    (lists / "bad.txt").write_text("nothing\n")
    with pytest.raises(DatasetError, match="no such drive or frame"):
        data.frame_ids("bad")


def test_a_split_with_an_unknown_drive_is_refused(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=1, cameras=("front",))
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b", "c"]}))
    data = open_dataset(tmp_path)
    assert len(data.frame_ids("train")) == 1
    with pytest.raises(DatasetError, match=r"splits.json: val lists 'c', and .* has no such drive"):
        data.frame_ids("val")


def test_names_of_drives_may_have_dots_and_be_decomposed(tmp_path):
    decomposed = unicodedata.normalize("NFD", "fährt")
    make_folder(tmp_path, drives=("2026.11.30", "v1.b", decomposed), frames=1, cameras=("front",))
    data = open_dataset(tmp_path)
    assert list(data.drives) == ["2026.11.30", unicodedata.normalize("NFC", "fährt"), "v1.b"]
    assert [data.frame(frame_id).frame_id for frame_id in data.frame_ids()] == data.frame_ids()
    assert data.frame_ids("fährt") == [f"fährt_{START_US}"]


def test_names_of_sensors_may_be_decomposed_on_the_disk(tmp_path):
    make_folder(tmp_path, frames=1, edit=lambda made: calibration_text(made).replace("front", "vörne"))
    (tmp_path / "images" / "front").rename(tmp_path / "images" / unicodedata.normalize("NFD", "vörne"))
    data = open_dataset(tmp_path)
    assert [view.name for view in data.frame(data.frame_ids()[0]).cameras] == ["vörne", "left", "right"]
    assert not list(data.table_problems())


def test_a_calibration_without_cameras_is_named(tmp_path):
    make_folder(tmp_path, frames=1, edit=lambda made: replace(made, cameras={}))
    data = open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"calibration.yaml: it names no camera"):
        data.frame(data.frame_ids()[0])


def test_a_drive_may_have_its_own_calibration(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=2, cameras=("front",))
    text = (tmp_path / "calibration.yaml").read_text()
    (tmp_path / "b" / "calibration.yaml").write_text(text.replace("fx: 200.0", "fx: 210.0"))
    data = open_dataset(tmp_path)
    focal = {data.scene(one): data.frame(one).cameras[0].camera.K[0, 0] for one in data.frame_ids()}
    assert focal == {"a": 200.0, "b": 210.0}
    (tmp_path / "calibration.yaml").unlink()
    with pytest.raises(DatasetError, match=r"a: no calibration file") as caught:
        open_dataset(tmp_path)
    assert "pointsam-label init" in caught.value.hint


def test_lidars_are_selected_and_the_first_is_the_reference(tmp_path):
    make_folder(tmp_path, frames=3, lidars=("top", "side"))
    both = open_dataset(tmp_path)
    assert both.lidar is None
    assert [s.sensor for s in both.frame(both.frame_ids()[0]).sweeps] == ["top", "side"]
    turned = open_dataset(tmp_path, lidar="side,top")
    assert turned.frame_ids()[0] == str(START_US + 30_000)
    assert [s.sensor for s in turned.frame(turned.frame_ids()[1]).sweeps] == ["side", "top"]
    assert turned.fingerprint() != both.fingerprint()
    alone = open_dataset(tmp_path, lidar="side")
    same_pose(alone.frame(alone.frame_ids()[0]).sweep.ego_SE3_lidar, LIDARS["side"])
    for lidar, problem in (("tpo", "did you mean 'top'"), ("top,top", "there twice")):
        with pytest.raises(DatasetError, match=problem):
            open_dataset(tmp_path, lidar=lidar)


def test_both_lidars_see_the_same_world(tmp_path):
    data = rendered(tmp_path, frames=2, lidars=("top", "side"))
    frame = data.frame(data.frame_ids()[1])
    points = read_frame_points(frame)
    counts = [count_points(points.xyz_lidar_m[points.sweep_index == k], data.boxes(frame.frame_id)) for k in range(2)]
    assert ((np.array(counts) == 160).sum(axis=1) >= 7).all()


def test_columns_are_those_of_the_file_or_of_the_user(tmp_path):
    make_folder(tmp_path, frames=1)
    assert open_dataset(tmp_path).frame(str(START_US)).sweep.source.columns == ("x", "y", "z", "intensity")
    given = open_dataset(tmp_path, columns=("x", "y", "z", "_"))
    assert given.frame(str(START_US)).sweep.source.columns == ("x", "y", "z", "_")


def test_lens_shutter_and_offsets_reach_the_frame(tmp_path):
    def edit(calibration):
        front = replace(calibration.cameras["front"], readout_s=(-0.01, 0.02), time_offset_s=0.004)
        return replace(calibration, cameras={"front": front})

    make_folder(tmp_path, frames=2, cameras=("front",), edit=edit)
    text = (tmp_path / "calibration.yaml").read_text()
    text = text.replace("model: pinhole", "model: fisheye").replace("coefficients: []", "coefficients: [0.1, 0, 0, 0]")
    (tmp_path / "calibration.yaml").write_text(text)
    data = open_dataset(tmp_path)
    view = data.frame(data.frame_ids()[0]).cameras[0]
    assert (view.camera.lens, view.camera.distortion) == ("fisheye", (0.1, 0.0, 0.0, 0.0))
    assert view.shutter == RollingShutter(-0.01, 0.02)
    assert view.t_us == START_US + CAMERA_LATE_US + 4000
    (tmp_path / "poses.txt").unlink()
    data = open_dataset(tmp_path)
    frame = data.frame(data.frame_ids()[0])
    assert frame.cameras[0].shutter is None
    assert not frame.neighbours
    assert data.past_sweeps(data.frame_ids()[1], 3) == []


def test_times_of_a_list_hold_for_names_with_other_zeros(tmp_path):
    make_folder(tmp_path, frames=4, match="index", poses="none", boxes="none", cameras=("front",), points=50)
    (tmp_path / "clouds" / "top" / "000001.bin").unlink()
    for path in (tmp_path / "images" / "front").iterdir():
        path.rename(path.with_name(f"{int(path.stem):010d}.png"))
    (tmp_path / "times.txt").write_text("7.0\n7.3\n7.5\n")
    data = open_dataset(tmp_path)
    frames = [data.frame(frame_id) for frame_id in data.frame_ids()]
    assert [frame.sweep.t_us for frame in frames] == [7_000_000, 7_300_000, 7_500_000]
    assert [frame.cameras[0].t_us for frame in frames] == [frame.sweep.t_us for frame in frames]


def test_a_long_list_of_key_frames_takes_no_quadratic_time(tmp_path):
    make_folder(tmp_path, frames=1, cameras=("front",), points=5, boxes="none")
    for k in range(1, 6000):
        (tmp_path / "clouds" / "top" / f"{START_US + k}.bin").touch()
    (tmp_path / "key_frames.txt").write_text("".join(f"{START_US + k}\n" for k in range(6000)))
    drive = open_dataset(tmp_path).drives["drive"]
    stems, begin = drive.reference.stems, time.process_time()
    assert drive.frames == stems
    assert time.process_time() - begin < 1


def test_key_frames_are_those_of_the_list(tmp_path):
    make_folder(tmp_path, frames=4, cameras=("front",))
    keys = [START_US, START_US + 2 * PERIOD_US]
    (tmp_path / "key_frames.txt").write_text("".join(f"{key}\n" for key in keys))
    data = open_dataset(tmp_path)
    assert data.frame_ids() == [str(key) for key in keys]
    frame = data.frame(data.frame_ids()[1])
    assert {k: sweep.t_us for k, sweep in frame.neighbours.items()} == {-1: keys[1] - PERIOD_US, 1: keys[1] + PERIOD_US}
    assert len(data.past_sweeps(frame.frame_id, 9)) == 2
    (tmp_path / "key_frames.txt").write_text("17\n")
    with pytest.raises(DatasetError, match="'17' is no sweep of top"):
        open_dataset(tmp_path).frame_ids()


def test_unknown_classes_are_void_and_counted(tmp_path):
    things = cars()
    things[0].name = things[1].name = "Forklift"
    data = rendered(tmp_path, frames=2, things=things)
    assert isinstance(data, HasUnknownClasses)
    assert data.unknown_classes(data.frame_ids()) == {"Forklift": 4}
    frame_id = data.frame_ids()[0]
    assert data.boxes(frame_id).class_id[:3].tolist() == [255, 255, 1]
    assert data.point_truth(frame_id).void.sum() >= 320
    own = data.with_categories(("Forklift",))
    assert own.taxonomy.names[-1] == "Forklift"
    assert own.boxes(frame_id).class_id[0] == 10
    assert own.unknown_classes(data.frame_ids()) == {}


def test_a_root_without_images_can_give_clouds(tmp_path):
    data = rendered(tmp_path, frames=2)
    assert isinstance(data, HasClouds)
    assert not isinstance(data, HasDevkitVersion)
    for image in (tmp_path / "images" / "front").iterdir():
        image.unlink()
    shutil.rmtree(tmp_path / "images" / "left")
    shutil.rmtree(tmp_path / "images" / "right")
    data = open_dataset(tmp_path)
    assert data.cloud(data.frame_ids()[0]).cameras == ()
    with pytest.raises(DatasetError, match=r"DAT011.*has no image within 0.05 s"):
        data.frame(data.frame_ids()[0])


def test_the_fingerprint_follows_names_calibration_and_poses(tmp_path):
    make_folder(tmp_path, frames=2)
    before = Folder(tmp_path).fingerprint()
    assert Folder(tmp_path).fingerprint() == before
    (tmp_path / "boxes" / f"{START_US}.json").unlink()
    assert Folder(tmp_path).fingerprint() == before
    poses = tmp_path / "poses.txt"
    poses.write_text(poses.read_text().replace("99.2", "99.3", 1))
    assert (after := Folder(tmp_path).fingerprint()) != before
    next((tmp_path / "images" / "left").iterdir()).unlink()
    assert Folder(tmp_path).fingerprint() != after


def test_a_sweep_that_another_lidar_lacks_is_an_error_of_its_frame(tmp_path):
    make_folder(tmp_path, frames=2, lidars=("top", "side"))
    min((tmp_path / "clouds" / "side").iterdir()).unlink()
    data = open_dataset(tmp_path)
    assert data.frame(str(START_US + PERIOD_US))
    with pytest.raises(DatasetError, match=r"DAT011.*no sweep of side within 0.05 s"):
        data.frame(str(START_US))


def test_a_pose_is_not_invented_where_there_is_none(tmp_path):
    make_folder(tmp_path, frames=30, cameras=("front",), points=10, boxes="none")
    lines = (tmp_path / "poses.txt").read_text().splitlines()
    (tmp_path / "poses.txt").write_text("\n".join(lines[:10] + lines[40:]) + "\n")
    data = open_dataset(tmp_path)
    with pytest.raises(CalibrationError, match=r"CAL003.*no pose at .* poses are from"):
        data.frame(data.frame_ids()[15])
    assert data.frame(data.frame_ids()[0])
    assert data.frame(data.frame_ids()[-1])


def test_a_line_of_poses_is_that_of_a_sweep_whatever_its_number(tmp_path):
    make_folder(tmp_path, frames=5, match="index", poses="kitti", boxes="none", cameras=("front",), points=50)
    for part in ("clouds/top", "images/front"):
        for path in (tmp_path / part).iterdir():
            if path.stem in ("000001", "000003"):
                path.unlink()
    with pytest.raises(DatasetError, match="5 poses for 3 times"):
        _ = open_dataset(tmp_path).drives["drive"].poses
    lines = (tmp_path / "poses.txt").read_text().splitlines()
    (tmp_path / "poses.txt").write_text("\n".join(lines[::2]))
    data = open_dataset(tmp_path)
    for frame_id in data.frame_ids():
        sweep = data.frame(frame_id).sweep
        assert sweep.t_us == int(frame_id) * PERIOD_US
        same_pose(sweep.world_SE3_ego, pose(START_US + sweep.t_us))


def test_names_with_a_number_have_its_time_and_order(tmp_path):
    make_folder(tmp_path, frames=12, match="index", poses="kitti", boxes="none", cameras=("front",), points=50)
    for part in ("clouds/top", "images/front"):
        for path in sorted((tmp_path / part).iterdir()):
            path.rename(path.with_name(f"scan_{int(path.stem)}{path.suffix}"))
    for times in (False, True):
        if times:
            (tmp_path / "times.txt").write_text("".join(f"{k / 10}\n" for k in range(12)))
        data = open_dataset(tmp_path)
        assert data.frame_ids() == [f"scan_{k}" for k in range(12)]
        frame = data.frame("scan_10")
        assert frame.sweep.t_us == frame.cameras[0].t_us == 10 * PERIOD_US
        same_pose(frame.sweep.world_SE3_ego, pose(START_US + 10 * PERIOD_US))
        assert {k: sweep.t_us for k, sweep in frame.neighbours.items()} == {-1: 9 * PERIOD_US, 1: 11 * PERIOD_US}
    (tmp_path / "clouds" / "top" / "scan_3.bin").unlink()
    (tmp_path / "times.txt").unlink()
    (tmp_path / "poses.txt").unlink()
    assert open_dataset(tmp_path).frame("scan_4").sweep.t_us == 4 * PERIOD_US


@pytest.mark.parametrize(
    ("boxes", "text", "problem"),
    [
        ("json", "[{}]", "box 0, translation: expected 3 finite numbers"),
        (
            "json",
            '[{"translation": [1, 2, 3], "size": [1, 2, 0], "rotation": [1, 0, 0, 0], "name": "car"}]',
            "positive",
        ),
        (
            "json",
            '[{"translation": [1, 2, 3], "size": [1, 2, 3], "rotation": [9, 0, 0, 0], "name": "car"}]',
            "length 9",
        ),
        ("json", '[{"translation": [1, 2, 3], "size": [1, 2, 3], "yaw": 90, "name": "car"}]', "unit of angles"),
        ("json", '[{"translation": [1, 2, 3], "size": [1, 2, 3], "name": "car"}]', "neither `rotation` nor `yaw`"),
        ("json", '[{"translation": [1, 2, 3], "size": [1, 2, 3], "rotation": [1, 0, 0, 0]}]', "no name"),
        ("json", '{"boxes": 3}', "neither a list"),
        ("json", "[1", "not valid JSON"),
    ],
)
def test_a_box_that_cannot_be_read_is_named(tmp_path, boxes, text, problem):
    data = rendered(tmp_path, frames=2, boxes=boxes)
    (tmp_path / "boxes" / f"{START_US}.json").write_text(text)
    with pytest.raises((DatasetError, CalibrationError), match=problem):
        data.boxes(data.frame_ids()[0])
    assert data.boxes(data.frame_ids()[1]) is not None
    assert data.unknown_classes(data.frame_ids()) == {}
    assert np.isnan(data.velocities_mps(data.frame_ids()[1])).all()


def test_files_of_boxes_belong_to_the_nearest_sweep(tmp_path):
    make_folder(tmp_path, frames=4, cameras=("front",), points=50, boxes_frame="vehicle")
    files = [tmp_path / "boxes" / f"{START_US + k * PERIOD_US}.json" for k in range(4)]
    rows = json.loads(files[0].read_text())
    files[1].rename(files[1].with_name(f"{START_US + PERIOD_US + 3}.json"))
    files[2].with_name(f"{START_US + 2 * PERIOD_US - 40_000}.json").write_text("[]")  # that sweep has one of its name
    files[3].rename(files[3].with_name(f"{START_US + 3 * PERIOD_US - 9000}.json"))
    files[3].with_name(f"{START_US + 3 * PERIOD_US + 9001}.json").write_text("[]")
    files[3].with_name(f"{START_US + 4 * PERIOD_US}.json").write_text("[]")
    data = open_dataset(tmp_path)
    assert [len(data.boxes(frame_id)) for frame_id in data.frame_ids()] == 4 * [len(rows)]
    (found,) = data.table_problems()
    assert found.rule == "ground-truth"
    assert found.what.startswith("3 of 7 files of boxes belong to no sweep of top, for example ")
    assert f"{START_US + 160_000}.json" in found.what


def test_numbered_files_of_boxes_belong_to_equal_numbers(tmp_path):
    make_folder(tmp_path, frames=3, match="index", poses="none", boxes_frame="vehicle", cameras=("front",), points=50)
    path = tmp_path / "boxes" / "000001.json"
    path.rename(path.with_name("1.json"))
    path.with_name("7.json").write_text("[]")
    data = open_dataset(tmp_path)
    assert all(len(data.boxes(frame_id)) for frame_id in data.frame_ids())
    assert "1 of 4 files of boxes belong to no sweep of top, for example 7.json" in next(data.table_problems()).what


def test_boxes_need_a_frame(tmp_path):
    make_folder(tmp_path, frames=1, edit=lambda c: replace(c, boxes=replace(c.boxes, frame=None)))
    data = open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="frame that boxes are in is not known") as caught:
        data.boxes(data.frame_ids()[0])
    assert "boxes.frame" in caught.value.hint


def test_yaw_is_read_in_the_stated_unit(tmp_path):
    def edit(calibration):
        return replace(calibration, boxes=replace(calibration.boxes, frame="top", angles="deg"))

    make_folder(tmp_path, frames=1, edit=edit)
    row = {"translation": [9, 2, 0], "size": [1, 2, 3], "yaw": 90, "label": "Car"}
    (tmp_path / "boxes" / f"{START_US}.json").write_text(json.dumps({"boxes": [row]}))
    boxes = open_dataset(tmp_path).boxes(str(START_US))
    assert np.allclose(boxes.rotation[0][:, 0], [0, 1, 0])
    assert np.allclose(boxes.center_m, [[9, 2, 0]])
    assert boxes.size_lwh_m.tolist() == [[2, 1, 3]]
    assert boxes.token == (f"{START_US}/line-0",)


def test_drives_may_have_dots_in_their_names(tmp_path):
    names = ("2024.10.11", "v1.2", "a.b")
    make_folder(tmp_path, drives=names, frames=1, cameras=("front",), points=50, boxes="none")
    for name in ("notes.md", "scan.bin.gz", "archive.ZIP", "poses.CSV"):
        (tmp_path / name).touch()
    assert sorted(open_dataset(tmp_path).drives) == sorted(names)
    assert DATASET.recognises(tmp_path)


def test_drives_beyond_the_limit_are_told(tmp_path, monkeypatch):
    make_folder(tmp_path, drives=("a", "b", "c"), frames=1, cameras=("front",), points=50, boxes="none")
    assert list(open_dataset(tmp_path).table_problems()) == []
    monkeypatch.setattr("pointsam.datasets.folder._MOST", 2)
    data = open_dataset(tmp_path)
    assert list(data.drives) == ["a", "b"]
    (found,) = data.table_problems()
    assert found.what == "1 name passed over: they are too many to look for drives in them"


def test_a_folder_of_many_data_sets_is_not_one_of_them(tmp_path):
    for name in ("drive_a", "drive_b"):
        for part in ("images", "clouds"):
            (tmp_path / name / part).mkdir(parents=True)
    assert DATASET.recognises(tmp_path)
    for name in ("kitti", "nuscenes", "models"):
        (tmp_path / name).mkdir()
    assert not DATASET.recognises(tmp_path)


def test_one_drive_is_recognised_beside_lists_and_ground_truth_of_images(tmp_path):
    make_folder(tmp_path, drives=("a",), frames=1, cameras=("front",))
    for name in ("ImageSets", "truth2d", "notes"):
        (tmp_path / name).mkdir()
    assert DATASET.recognises(tmp_path)
    (tmp_path / "kitti").mkdir()
    assert not DATASET.recognises(tmp_path)


def one_file_each(root, content):
    """Make boxes/STEM.json of openlabel.json; `content` takes the objects, the number of a frame and the frame."""
    whole = json.loads((root / "openlabel.json").read_text())["openlabel"]
    (root / "openlabel.json").unlink()
    (root / "boxes").mkdir()
    for number, frame in whole["frames"].items():
        path = root / "boxes" / f"{START_US + int(number) * PERIOD_US}.json"
        path.write_text(json.dumps({"openlabel": content(whole["objects"], number, frame)}))


@pytest.mark.parametrize(
    "content",
    [
        lambda objects, number, frame: {"objects": objects, "frames": {number: frame}},
        lambda objects, _, frame: {"objects": objects, "frames": {"0": frame}},
        lambda objects, _, frame: {"objects": {k: {**objects[k], **one} for k, one in frame["objects"].items()}},
    ],
    ids=["its number", "number 0", "no frames"],
)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_file_of_openlabel_for_each_frame_means_the_same(tmp_path, content, frames):
    make_folder(tmp_path, frames=frames, points=20, cameras=("front",), boxes="openlabel")
    whole = open_dataset(tmp_path)
    expected = {frame_id: whole.boxes(frame_id) for frame_id in whole.frame_ids()}
    one_file_each(tmp_path, content)
    for frame_id, boxes in expected.items():
        found = open_dataset(tmp_path).boxes(frame_id)
        assert found.token == boxes.token
        np.testing.assert_array_equal(found.center_m, boxes.center_m)
        np.testing.assert_array_equal(found.class_id, boxes.class_id)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda o, _, f: {"objects": o, "frames": {"0": f, "1": f}}, "it holds 2 frames, and by its name"),
        (
            lambda o, _, f: {"objects": {k: {**o[k], **one} for k, one in f["objects"].items()}, "frames": {"0": f}},
            "object 0 has a cuboid outside of the frames",
        ),
    ],
)
def test_frames_of_openlabel_that_are_not_clear_are_refused(tmp_path, content, problem):
    make_folder(tmp_path, frames=2, points=20, cameras=("front",), boxes="openlabel")
    one_file_each(tmp_path, content)
    with pytest.raises(DatasetError, match=f"DAT011.*{problem}"):
        open_dataset(tmp_path).boxes(str(START_US))


def test_openlabel_without_frames_belongs_to_no_drive(tmp_path):
    make_folder(tmp_path, frames=2, points=20, cameras=("front",), boxes="openlabel")
    whole = json.loads((tmp_path / "openlabel.json").read_text())["openlabel"]
    objects = {k: {**whole["objects"][k], **one} for k, one in whole["frames"]["0"]["objects"].items()}
    (tmp_path / "openlabel.json").write_text(json.dumps({"openlabel": {"objects": objects}}))
    with pytest.raises(DatasetError, match="it has no frames"):
        open_dataset(tmp_path).boxes(str(START_US))
