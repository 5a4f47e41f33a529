import json
import math

import numpy as np
import pytest
from helpers.nuscenes_root import (
    HEIGHT_PX,
    START_US,
    SWEEP_US,
    WIDTH_PX,
    make_root,
    rename_last_key_sweep,
    token,
    yaw_quaternion,
)
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.io import read_image, read_points
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.taxonomy import BACKGROUND, NUSCENES

PUBLISHED_ORDER = [
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_RIGHT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_FRONT_LEFT",
]


@pytest.fixture
def opened(tmp_path):
    """Makes a root and opens it."""
    return lambda **options: NuScenes(make_root(tmp_path / "root", **options))


def refused(raised, code, *parts):
    assert raised.value.code == code
    for part in parts:
        assert part in raised.value.message


class TestVersion:
    @pytest.mark.parametrize("version", ["v1.0-mini", "v1.0-trainval", "v1.0-test", "our drives"])
    def test_the_only_version_folder_is_taken_whatever_its_name(self, opened, version):
        assert opened(version=version).version == version

    def test_of_several_one_must_be_named(self, tmp_path):
        for version in ("a", "b"):
            make_root(tmp_path / "root", version=version, scenes=[f"scene-{version}"])
        with pytest.raises(DatasetError) as raised:
            NuScenes(tmp_path / "root")
        refused(raised, "DAT002", "a, b")
        dataset = NuScenes(tmp_path / "root", "b")
        assert {dataset.scene(i) for i in dataset.frame_ids()} == {"scene-b"}

    def test_a_missing_root_is_DAT001(self, tmp_path):
        with pytest.raises(DatasetError) as raised:
            NuScenes(tmp_path / "gone")
        refused(raised, "DAT001", "gone")

    def test_a_root_without_tables_is_DAT002(self, tmp_path):
        (tmp_path / "samples").mkdir()
        with pytest.raises(DatasetError) as raised:
            NuScenes(tmp_path)
        refused(raised, "DAT002", "sample_data.json")

    @pytest.mark.parametrize("table", ["ego_pose", "scene", "instance"])
    def test_a_missing_table_is_DAT002_and_named(self, tmp_path, table):
        root = make_root(tmp_path / "root")
        (root / "v1.0-mini" / f"{table}.json").unlink()
        with pytest.raises(DatasetError) as raised:
            NuScenes(root)
        refused(raised, "DAT002", f"{table}.json")

    def test_a_version_that_is_not_there_is_DAT002(self, tmp_path):
        with pytest.raises(DatasetError) as raised:
            NuScenes(make_root(tmp_path / "root"), "v1.0-trainval")
        refused(raised, "DAT002", "v1.0-trainval", "those of the root are v1.0-mini")
        assert "--version v1.0-mini" in raised.value.hint


class TestFrameIds:
    def test_frames_come_by_scene_then_time(self, opened):
        scenes = ("scene-0103", "scene-0061", "scene-0553")
        dataset = opened(scenes=scenes, samples_per_scene=3, edit=lambda tables: tables["sample"].reverse())
        expected = [token(scene, "sample", i) for scene in sorted(scenes) for i in range(3)]
        assert dataset.frame_ids() == expected

    def test_a_scene_is_a_split(self, opened):
        dataset = opened(scenes=("scene-0061", "drive 7"))
        assert dataset.frame_ids("drive 7") == [token("drive 7", "sample", i) for i in range(2)]

    @pytest.mark.parametrize(
        ("split", "scene"), [("mini_val", "scene-0103"), ("train", "scene-0061"), ("test", "scene-0077")]
    )
    def test_official_splits_are_known(self, opened, split, scene):
        dataset = opened(scenes=("scene-0061", "scene-0077", "scene-0103"), samples_per_scene=1)
        assert scene in {dataset.scene(frame) for frame in dataset.frame_ids(split)}

    def test_own_splits_come_from_splits_json_and_win_over_official_ones(self, opened):
        dataset = opened(scenes=("one", "two"))
        (dataset.root / "v1.0-mini" / "splits.json").write_text(json.dumps({"val": ["two"]}))
        assert {dataset.scene(frame) for frame in dataset.frame_ids("val")} == {"two"}

    @pytest.mark.parametrize("text", ["[]", '{"val": "one"}', '{"val": [1]}', "{"])
    def test_a_malformed_splits_json_is_DAT011(self, opened, text):
        dataset = opened()
        (dataset.root / "v1.0-mini" / "splits.json").write_text(text)
        with pytest.raises(DatasetError) as raised:
            dataset.frame_ids("val")
        refused(raised, "DAT011", "splits.json")

    def test_an_unknown_split_is_DAT010(self, opened):
        with pytest.raises(DatasetError) as raised:
            opened().frame_ids("holdout")
        refused(raised, "DAT010", "'holdout'")

    def test_an_official_split_without_a_scene_here_is_DAT009(self, opened):
        with pytest.raises(DatasetError) as raised:
            opened(scenes=("scene-0061",)).frame_ids("val")
        refused(raised, "DAT009", "'val'", "v1.0-mini")

    def test_zero_frames_are_DAT009(self, opened):
        with pytest.raises(DatasetError) as raised:
            opened(scenes=()).frame_ids()
        refused(raised, "DAT009", "v1.0-mini", "0 rows")

    def test_an_unknown_frame_is_DAT010(self, opened):
        dataset = opened()
        for ask in (dataset.frame, dataset.boxes, dataset.scene, dataset.point_truth, dataset.lidar_token):
            for unknown in ("", "nowhere", "~"):
                with pytest.raises(DatasetError) as raised:
                    ask(unknown)
                refused(raised, "DAT010", repr(unknown), "sample.json")

    def test_a_key_sweep_whose_token_cannot_name_a_file_is_DAT011_for_every_frame(self, opened):
        dataset = opened(edit=rename_last_key_sweep("../x"))
        assert dataset.frame(dataset.frame_ids()[-1])
        for frame_id in dataset.frame_ids():
            with pytest.raises(DatasetError) as raised:
                dataset.lidar_token(frame_id)
            refused(raised, "DAT011", "sample_data.json", repr(dataset.frame_ids()[-1]), "'../x'")

    def test_a_camera_whose_channel_cannot_name_a_file_is_DAT011(self, opened):
        def spoil(tables):
            next(row for row in tables["sensor"] if row["channel"] == "CAM_BACK")["channel"] = "/../../x"

        dataset = opened(edit=spoil)
        with pytest.raises(DatasetError) as raised:
            dataset.frame(dataset.frame_ids()[0])
        refused(raised, "DAT011", "sensor.json", "'/../../x'", "absolute")


class TestFrame:
    def test_it_is_the_key_sweep_with_six_cameras_in_the_published_order(self, opened):
        dataset = opened()
        first = dataset.frame_ids()[0]
        frame = dataset.frame(first)
        assert (frame.frame_id, frame.scene) == (first, "scene-0061")
        assert [camera.name for camera in frame.cameras] == PUBLISHED_ORDER
        assert frame.sweep.source.path.parent == dataset.root / "samples" / "LIDAR_TOP"
        assert dataset.lidar_token(first) == token("scene-0061", "LIDAR_TOP", 0)

    def test_other_cameras_follow_by_name(self, opened):
        def rename(tables):
            names = {"CAM_FRONT": "CAM_Z", "CAM_BACK": "CAM_A"}
            for sensor in tables["sensor"]:
                sensor["channel"] = names.get(sensor["channel"], sensor["channel"])

        dataset = opened(edit=rename)
        names = [camera.name for camera in dataset.frame(dataset.frame_ids()[0]).cameras]
        assert names == [n for n in PUBLISHED_ORDER if n not in ("CAM_FRONT", "CAM_BACK")] + ["CAM_A", "CAM_Z"]

    def test_its_files_can_be_read(self, opened):
        dataset = opened()
        frame = dataset.frame(dataset.frame_ids()[1])
        for sweep in (frame.sweep, *frame.neighbours.values()):
            assert read_points(sweep).shape == (400, 3)
        for view in frame.cameras:
            assert read_image(view.source, (HEIGHT_PX, WIDTH_PX)).shape == (HEIGHT_PX, WIDTH_PX, 3)

    def test_every_sensor_has_the_ego_pose_of_its_own_time(self, opened):
        dataset = opened()
        frame = dataset.frame(dataset.frame_ids()[0])
        assert {camera.t_us - frame.sweep.t_us for camera in frame.cameras} == {10_000}
        assert frame.sweep.world_SE3_ego.translation_m.tolist() == [400, 1100, 0]
        rotation = Rotation.from_quat(yaw_quaternion(0.3), scalar_first=True).as_matrix()
        np.testing.assert_allclose(frame.cameras[0].world_SE3_ego.rotation, rotation, atol=1e-12)
        assert dataset.frame(dataset.frame_ids()[1]).sweep.world_SE3_ego.translation_m[0] == 400 + 8 * 3 * 0.05

    def test_a_missing_sensor_file_is_left_to_the_reader(self, opened):
        dataset = opened()
        frame = dataset.frame(dataset.frame_ids()[0])
        frame.sweep.source.path.unlink()
        assert dataset.frame(frame.frame_id).sweep.source.path == frame.sweep.source.path

    def test_neighbours_are_one_revolution_away(self, opened):
        dataset = opened(samples_per_scene=3, sweeps_between=2)
        frame = dataset.frame(dataset.frame_ids()[1])
        assert {k: sweep.t_us - frame.sweep.t_us for k, sweep in frame.neighbours.items()} == {
            -1: -SWEEP_US,
            1: SWEEP_US,
        }
        assert {sweep.source.path.parent.parent.name for sweep in frame.neighbours.values()} == {"sweeps"}

    def test_at_the_ends_of_the_chain_the_key_sweep_stands_in(self, opened):
        dataset = opened(samples_per_scene=2)
        first, last = (dataset.frame(frame) for frame in dataset.frame_ids())
        assert first.neighbours[-1].source.path == first.sweep.source.path
        assert first.neighbours[1].source.path != first.sweep.source.path
        assert last.neighbours[1].source.path == last.sweep.source.path

    def test_chains_are_those_of_a_slow_walk(self, opened):
        scenes = ("scene-0002", "scene-0001", "scene-0003")
        dataset = opened(scenes=scenes, samples_per_scene=4, sweeps_between=1)
        rows = json.loads((dataset.root / "v1.0-mini" / "sample_data.json").read_text())
        by_token = {row["token"]: row for row in rows}
        for frame_id in dataset.frame_ids():
            key = by_token[dataset.lidar_token(frame_id)]
            assert key["sample_token"] == frame_id
            assert key["is_key_frame"]
            for offset, link in ((-1, "prev"), (1, "next")):
                expected = by_token[key[link]] if key[link] else key
                found = dataset.frame(frame_id).neighbours[offset]
                assert (found.source.path, found.t_us) == (dataset.root / expected["filename"], expected["timestamp"])


class TestBadFrames:
    """What concerns single frames stops only those."""

    def spoiled(self, opened, change):
        dataset = opened(edit=change, scenes=("scene-0061",), sweeps_between=0, samples_per_scene=4)
        return dataset, dataset.frame_ids()

    def test_a_sample_without_key_sweep_is_DAT011(self, opened):
        def change(tables):
            row = next(r for r in tables["sample_data"] if r["token"] == token("scene-0061", "LIDAR_TOP", 1))
            row["is_key_frame"] = False

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(DatasetError) as raised:
            dataset.frame(frames[1])
        refused(raised, "DAT011", "sample_data.json", repr(frames[1]), "LIDAR_TOP")
        assert dataset.frame(frames[0])

    def test_a_sample_without_cameras_is_DAT011(self, opened):
        def change(tables):
            lost = [r for r in tables["sample_data"] if "CAM" in r["filename"] and frame_of(r) == 1]
            tables["sample_data"][:] = [r for r in tables["sample_data"] if r not in lost]

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(DatasetError) as raised:
            dataset.frame(frames[1])
        refused(raised, "DAT011", "sample_data.json", repr(frames[1]), "camera")
        assert dataset.frame(frames[0])
        cloud, other = dataset.cloud(frames[1]), dataset.frame(frames[0])
        assert cloud.cameras == ()
        assert cloud.sweep.sensor == other.sweep.sensor
        assert cloud.neighbours.keys() == other.neighbours.keys()

    def test_a_sample_may_miss_one_camera(self, opened):
        def change(tables):
            tables["sample_data"][:] = [r for r in tables["sample_data"] if "CAM_BACK/" not in r["filename"]]

        dataset, frames = self.spoiled(opened, change)
        names = [camera.name for camera in dataset.frame(frames[0]).cameras]
        assert names == [name for name in PUBLISHED_ORDER if name != "CAM_BACK"]

    @pytest.mark.parametrize("rotation", [[2, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0], [1, 0, 0, "x"], [None] * 4, []])
    def test_an_ego_pose_that_is_no_rotation_is_CAL001(self, opened, rotation):
        spoiled_token = token("scene-0061", "CAM_BACK", 3)

        def change(tables):
            next(r for r in tables["ego_pose"] if r["token"] == spoiled_token)["rotation"] = rotation

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(CalibrationError) as raised:
            dataset.frame(frames[3])
        refused(raised, "CAL001", "ego_pose.json", spoiled_token, "'rotation'")
        assert dataset.frame(frames[0])

    @pytest.mark.parametrize(
        "translation", [[1, 2], [1, 2, "x"], [1, 2, float("nan")], [1, 2, -math.inf], [1, 2, 10**400]]
    )
    def test_a_translation_that_is_not_three_numbers_is_CAL003(self, opened, translation):
        def change(tables):
            key = token("scene-0061", "LIDAR_TOP", 0)
            next(r for r in tables["ego_pose"] if r["token"] == key)["translation"] = translation

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(CalibrationError) as raised:
            dataset.frame(frames[0])
        refused(raised, "CAL003", "ego_pose.json", token("scene-0061", "LIDAR_TOP", 0), "'translation'")

    def test_a_mounting_that_is_no_rotation_is_CAL001(self, opened):
        def change(tables):
            next(r for r in tables["calibrated_sensor"] if r["token"] == token("calibrated", "CAM_FRONT"))[
                "rotation"
            ] = [1, 1, 1, 1]

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(CalibrationError) as raised:
            dataset.frame(frames[0])
        refused(raised, "CAL001", "calibrated_sensor.json", token("calibrated", "CAM_FRONT"), "'rotation'")

    @pytest.mark.parametrize(
        "intrinsic", [[[0, 0, 32], [0, 40, 18], [0, 0, 1]], [], [[40, 0], [0, 40]], [1, 2, 3], [["x"] * 3] * 3]
    )
    def test_a_camera_that_cannot_be_is_CAL002_and_named(self, opened, intrinsic):
        def change(tables):
            next(r for r in tables["calibrated_sensor"] if r["token"] == token("calibrated", "CAM_BACK_LEFT"))[
                "camera_intrinsic"
            ] = intrinsic

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(CalibrationError) as raised:
            dataset.frame(frames[0])
        refused(raised, "CAL002", "calibrated_sensor.json", "CAM_BACK_LEFT", token("calibrated", "CAM_BACK_LEFT"))

    def test_a_box_that_is_no_rotation_is_CAL001_and_spares_the_frame(self, opened):
        spoiled_token = token("scene-0061", "box", 2, 1)

        def change(tables):
            next(r for r in tables["sample_annotation"] if r["token"] == spoiled_token)["rotation"] = [9, 0, 0, 0]

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(CalibrationError) as raised:
            dataset.boxes(frames[1])
        refused(raised, "CAL001", "sample_annotation.json", spoiled_token, "'rotation'")
        assert dataset.frame(frames[1])

    @pytest.mark.parametrize(
        "size", [[1, 0, 1], [1, -1, 1], [1, 1], [1, 1, None], [1, 1, float("inf")], [1, 1, 10**400]]
    )
    def test_a_box_without_extent_is_DAT011(self, opened, size):
        spoiled_token = token("scene-0061", "box", 2, 1)

        def change(tables):
            next(r for r in tables["sample_annotation"] if r["token"] == spoiled_token)["size"] = size

        dataset, frames = self.spoiled(opened, change)
        with pytest.raises(DatasetError) as raised:
            dataset.boxes(frames[1])
        refused(raised, "DAT011", "sample_annotation.json", spoiled_token, "'size'")
        assert len(dataset.boxes(frames[0])) == 4


def frame_of(row):
    return json.loads(row["filename"].rpartition("__")[2].partition(".")[0]) % 1_000_000 // SWEEP_US


class TestBoxes:
    def test_they_are_those_of_the_sample_in_the_lidar_frame(self, opened):
        dataset = opened()
        for i, frame_id in enumerate(dataset.frame_ids()):
            boxes, sweep = dataset.boxes(frame_id), dataset.frame(frame_id).sweep
            assert boxes.token == tuple(token("scene-0061", "box", k, i) for k in range(4))
            centre = sweep.world_SE3_ego.apply(sweep.ego_SE3_lidar.apply(boxes.center_m))
            np.testing.assert_allclose(centre[0], [400 + 8 * np.cos(0.3), 1100 + 8 * np.sin(0.3), 0.85], atol=1e-9)

    def test_size_is_length_width_height(self, opened):
        dataset = opened()
        assert dataset.boxes(dataset.frame_ids()[0]).size_lwh_m[0].tolist() == [4.5, 1.9, 1.7]

    def test_categories_beyond_the_ten_classes_are_void(self, opened):
        dataset = opened()
        classes = [NUSCENES.class_id(name) for name in ("car", "pedestrian", "bicycle")]
        assert dataset.boxes(dataset.frame_ids()[0]).class_id.tolist() == [*classes, BACKGROUND]

    def test_a_sample_without_annotations_has_no_boxes(self, opened):
        def change(tables):
            keep = [r for r in tables["sample_annotation"] if r["sample_token"] == token("scene-0061", "sample", 1)]
            tables["sample_annotation"][:] = keep

        dataset = opened(edit=change)
        assert [len(dataset.boxes(frame)) for frame in dataset.frame_ids()] == [0, 4]

    @pytest.mark.parametrize(
        "change",
        [
            lambda tables: tables["sample_annotation"].clear(),
            lambda tables: [tables.pop(name) for name in ("sample_annotation", "instance", "category")],
        ],
        ids=["empty table", "no table"],
    )
    def test_a_version_without_annotations_has_no_truth(self, opened, change):
        dataset = opened(edit=change)
        first = dataset.frame_ids()[0]
        assert dataset.boxes(first) is None
        assert dataset.point_truth(first) is None
        assert dataset.frame(first)


def test_time_is_the_tables(opened):
    dataset = opened(samples_per_scene=1)
    t_us = dataset.frame(dataset.frame_ids()[0]).sweep.t_us
    assert t_us >= START_US
    assert (t_us - START_US) % 60_000_000 == 0
