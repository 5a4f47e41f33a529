"""Several LiDARs of nuScenes-like tables in one frame."""

import json

import numpy as np
import pytest
from helpers.nuscenes_root import CATEGORIES, make_root, token, write_table

from pointsam.base.errors import DatasetError
from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_points
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.points import read_frame_points
from pointsam.types import NO_INSTANCE

BOTH = "LIDAR_TOP,LIDAR_FRONT"
CAR, ROAD = CATEGORIES.index("vehicle.car"), CATEGORIES.index("flat.driveable_surface")


def front(tables, keep=lambda row: True):
    """Adds LIDAR_FRONT: it hangs upside down, 7 ms later, and has 37 points a sweep."""
    tables["sensor"].append({"token": "s2", "channel": "LIDAR_FRONT", "modality": "lidar"})
    mounting = {"translation": [3.0, 0.5, 0.6], "rotation": [0.0, 1.0, 0.0, 0.0], "camera_intrinsic": []}
    tables["calibrated_sensor"].append({"token": "c2", "sensor_token": "s2", **mounting})
    poses = {row["token"]: row for row in tables["ego_pose"]}
    top = token("calibrated", "LIDAR_TOP")
    for row in [row for row in tables["sample_data"] if row["calibrated_sensor_token"] == top and keep(row)]:
        links = {name: row[name] and f"2{row[name]}" for name in ("token", "prev", "next", "ego_pose_token")}
        file = row["filename"].replace("LIDAR_TOP", "LIDAR_FRONT")
        moved = {"calibrated_sensor_token": "c2", "timestamp": row["timestamp"] + 7_000, "filename": file}
        tables["sample_data"].append({**row, **links, **moved})
        pose = poses[row["ego_pose_token"]]
        place = [pose["translation"][0] + 0.056, *pose["translation"][1:]]
        tables["ego_pose"].append({**pose, "token": links["ego_pose_token"], "translation": place})


@pytest.fixture
def root(tmp_path):
    """Two samples with both LiDARs, label packs not yet."""
    path = make_root(tmp_path / "root", edit=front, numbered_categories=True)
    rng = np.random.default_rng(5)
    for row in json.loads((path / "v1.0-mini" / "sample_data.json").read_text()):
        if "LIDAR_FRONT" in row["filename"]:
            (path / row["filename"]).parent.mkdir(parents=True, exist_ok=True)
            (path / row["filename"]).write_bytes(rng.uniform(-9, 9, (37, 5)).astype("<f4").tobytes())
    return path


def packed(root, pack, labels):
    """Writes label files {sample_data token: (N,) labels} of a pack and its table."""
    rows = []
    for key, values in labels.items():
        file = root / pack / (f"{key}_lidarseg.bin" if pack == "lidarseg" else f"{key}_panoptic.npz")
        file.parent.mkdir(exist_ok=True)
        if pack == "lidarseg":
            file.write_bytes(np.asarray(values, dtype=np.uint8).tobytes())
        else:
            np.savez(file, data=np.asarray(values, dtype=np.uint16))
        rows.append({"token": key, "sample_data_token": key, "filename": f"{pack}/{file.name}"})
    write_table(root / "v1.0-mini", pack, rows)
    return root


def test_a_frame_has_a_sweep_of_each_in_the_order_in_which_they_are_named(root):
    both, swapped = open_dataset(root, lidar=BOTH), open_dataset(root, lidar=" LIDAR_FRONT, LIDAR_TOP")
    assert (both.lidar, swapped.lidar) == (BOTH, "LIDAR_FRONT,LIDAR_TOP")
    frame, other = (dataset.frame(dataset.frame_ids()[1]) for dataset in (both, swapped))
    assert [sweep.sensor for sweep in frame.sweeps] == ["LIDAR_TOP", "LIDAR_FRONT"]
    assert [sweep.sensor for sweep in other.sweeps] == ["LIDAR_FRONT", "LIDAR_TOP"]
    top, second = frame.sweeps
    assert second.t_us - top.t_us == 7_000
    assert second.ego_SE3_lidar.rotation[2].tolist() == [0, 0, -1]
    assert second.world_SE3_ego.translation_m[0] - top.world_SE3_ego.translation_m[0] == pytest.approx(0.056)
    assert {sweep.sensor for sweep in frame.neighbours.values()} == {"LIDAR_TOP"}
    assert {sweep.sensor for sweep in other.neighbours.values()} == {"LIDAR_FRONT"}
    assert len({dataset.fingerprint() for dataset in (both, swapped, NuScenes(root))}) == 3


def test_points_are_joined_in_the_frame_of_the_first(root):
    dataset = NuScenes(root, lidar=BOTH)
    frame = dataset.frame(dataset.frame_ids()[1])
    points = read_frame_points(frame)
    assert points.sweep_index.tolist() == [0] * 400 + [1] * 37
    top = frame.sweep
    np.testing.assert_array_equal(points.xyz_lidar_m[:400], read_points(top))
    world = [(sweep.world_SE3_ego @ sweep.ego_SE3_lidar).apply(read_points(sweep)) for sweep in frame.sweeps]
    lidar_SE3_world = (top.world_SE3_ego @ top.ego_SE3_lidar).inverse()
    np.testing.assert_allclose(points.xyz_lidar_m[400:], lidar_SE3_world.apply(world[1]), atol=2e-5)


def test_past_sweeps_are_those_of_each_latest_first(root):
    dataset = NuScenes(root, lidar=BOTH)
    frame = dataset.frame(dataset.frame_ids()[1])
    past = dataset.past_sweeps(frame.frame_id, 2)
    assert [sweep.sensor for sweep in past] == ["LIDAR_TOP"] * 2 + ["LIDAR_FRONT"] * 2
    assert [sweep.t_us - frame.sweep.t_us for sweep in past] == [-50_000, -100_000, -43_000, -93_000]


def test_each_sweep_has_a_token(root):
    dataset = NuScenes(root, lidar=BOTH)
    frame_id = dataset.frame_ids()[0]
    key = token("scene-0061", "LIDAR_TOP", 0)
    assert [dataset.lidar_token(frame_id, k) for k in (0, 1)] == [key, f"2{key}"]
    assert dataset.lidar_token(frame_id) == key


def test_a_sample_without_a_sweep_of_one_of_them_is_refused_by_name(tmp_path):
    first = token("scene-0061", "LIDAR_TOP", 0)
    root = make_root(tmp_path / "root", edit=lambda tables: _without(tables, f"2{first}"))
    dataset = NuScenes(root, lidar=BOTH)
    bad, good = dataset.frame_ids()
    with pytest.raises(
        DatasetError, match=rf"DAT011.*sample '{bad}' has no LIDAR_FRONT key frame\n.*leave this LiDAR out of --lidar"
    ):
        dataset.frame(bad)
    assert len(dataset.frame(good).sweeps) == 2
    assert len(NuScenes(root).frame(bad).sweeps) == 1


def _without(tables, gone):
    front(tables)
    tables["sample_data"] = [row for row in tables["sample_data"] if row["token"] != gone]
    for row in tables["sample_data"]:
        row.update({name: "" for name in ("prev", "next") if row[name] == gone})


@pytest.mark.parametrize(
    ("lidar", "what"),
    [
        ("LIDAR_TOP,LIDAR_FORNT", "no LiDAR is called 'LIDAR_FORNT'.*--lidar LIDAR_FRONT"),
        ("LIDAR_TOP,LIDAR_TOP", "names a LiDAR twice"),
        ("LIDAR_TOP,", "no LiDAR is called ''"),
    ],
)
def test_names_that_do_not_fit_are_refused(root, lidar, what):
    with pytest.raises(DatasetError, match=rf"(?s)DAT010.*{what}"):
        open_dataset(root, lidar=lidar)


class TestTruth:
    KEY = token("scene-0061", "LIDAR_TOP", 0)

    def truth(self, root, lidar=BOTH, source=None):
        dataset = NuScenes(root, lidar=lidar)
        return dataset.point_truth(dataset.frame_ids()[0], source)

    def test_panoptic_labels_of_all_sweeps_are_joined(self, root):
        top = np.where(np.arange(400) < 5, CAR * 1000 + 3, ROAD * 1000)
        second = np.where(np.arange(37) < 2, CAR * 1000 + 3, CAR * 1000 + 4)
        truth = self.truth(packed(root, "panoptic", {self.KEY: top, f"2{self.KEY}": second}))
        assert (
            truth.labels.instance_id[:5].tolist() == [0] * 5 == [*truth.labels.instance_id[400:402].tolist(), 0, 0, 0]
        )
        assert truth.labels.instance_id[402:].tolist() == [1] * 35
        assert not truth.void.any()
        alone = self.truth(root, "LIDAR_FRONT")
        assert alone.labels.instance_id.tolist() == truth.labels.instance_id[400:].tolist()

    def test_points_of_a_sweep_without_labels_are_void(self, root):
        truth = self.truth(packed(root, "panoptic", {self.KEY: np.full(400, ROAD * 1000)}))
        assert truth.void.tolist() == [False] * 400 + [True] * 37
        truth = self.truth(packed(root, "lidarseg", {f"2{self.KEY}": np.full(37, ROAD)}), source="lidarseg")
        assert truth.void.tolist() == [True] * 400 + [False] * 37

    def test_lidarseg_labels_and_boxes_give_objects_over_sweeps(self, root):
        dataset = NuScenes(root, lidar=BOTH)
        frame = dataset.frame(dataset.frame_ids()[0])
        boxes = dataset.boxes(frame.frame_id)
        for sweep, count in zip(frame.sweeps, (400, 37), strict=True):
            lidar_SE3_top = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).inverse() @ (
                frame.sweep.world_SE3_ego @ frame.sweep.ego_SE3_lidar
            )
            rows = np.zeros((count, 5), dtype="<f4")
            rows[:, :3] = 50.0 + np.arange(count)[:, None]
            rows[:3, :3] = lidar_SE3_top.apply(boxes.center_m[:1])
            sweep.source.path.write_bytes(rows.tobytes())
        labels = {key: np.full(count, CAR) for key, count in ((self.KEY, 400), (f"2{self.KEY}", 37))}
        truth = self.truth(packed(root, "lidarseg", labels))
        assert np.flatnonzero(truth.labels.instance_id != NO_INSTANCE).tolist() == [0, 1, 2, 400, 401, 402]
        assert truth.source == "lidarseg"
        assert self.truth(root, source="boxes").labels.instance_id[400:403].tolist() == [0] * 3

    def test_labels_of_a_lidar_that_is_not_read_are_left_out(self, root):
        packed(root, "panoptic", {self.KEY: np.full(400, ROAD * 1000), f"2{self.KEY}": np.full(37, ROAD * 1000)})
        assert len(self.truth(root, None).void) == 400
