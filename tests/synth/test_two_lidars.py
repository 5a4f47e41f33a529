"""A root with two LiDARs: both see one world, each at its own time and with labels of its own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pointsam.geometry.boxes import box_members
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes

pytestmark = pytest.mark.usefixtures("open3d")

TOP, FRONT = CHANNELS = ("LIDAR_TOP", "LIDAR_FRONT")
POINTS = {TOP: 1084 * 32, FRONT: 5000 * 6}
EARLY_US = {TOP: 0, FRONT: 17_000}


@pytest.fixture(scope="module")
def root(open3d, tmp_path_factory):
    """A root in which nothing moves, with one small camera."""
    from pipelines.world.config import SynthConfig
    from pipelines.world.render import synthesize
    from pointsam.synth import rig

    out = tmp_path_factory.mktemp("two") / "world"
    lidar, optics = rig._RIGS["two-lidars"]
    front = replace(optics, cameras={"CAM_FRONT": optics.cameras["CAM_FRONT"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rig._RIGS, "two-lidars", (lidar, front))
        synthesize(SynthConfig(scenes=1, frames=2, seed=2, preset="still", scale=0.1, rig="two-lidars"), out, workers=1)
    return out


@pytest.fixture(scope="module")
def table(root):
    """A function that gives the rows of a table by token."""

    def rows(name):
        return {row["token"]: row for row in json.loads((root / "v1.0-mini" / f"{name}.json").read_text())}

    return rows


@pytest.fixture(scope="module")
def sweeps(table):
    """Rows of sample_data by channel."""
    sensor, mounting = table("sensor"), table("calibrated_sensor")
    found = {}
    for row in table("sample_data").values():
        channel = sensor[mounting[row["calibrated_sensor_token"]]["sensor_token"]]["channel"]
        found.setdefault(channel, []).append(row)
    return found


@pytest.fixture(scope="module")
def boxes(table):
    """Boxes of the last key frame in the world."""
    sample = list(table("sample"))[-1]
    rows = [row for row in table("sample_annotation").values() if row["sample_token"] == sample]
    size_wlh = np.array([row["size"] for row in rows])
    turns = [SE3.from_quaternion(row["rotation"], row["translation"]).rotation for row in rows]
    return Boxes(
        np.array([row["translation"] for row in rows]),
        size_wlh[:, [1, 0, 2]],
        np.array(turns),
        np.zeros(len(rows), np.uint8),
        tuple(row["token"] for row in rows),
    )


@pytest.fixture(scope="module")
def seen(root, table, sweeps):
    """Channel -> (N,3) world positions and (N,) panoptic labels of its last key sweep."""
    mounting, pose, found = table("calibrated_sensor"), table("ego_pose"), {}
    for channel in CHANNELS:
        row = sweeps[channel][-1]
        xyz = np.fromfile(root / row["filename"], "<f4").reshape(-1, 5)[:, :3].astype(float)
        for at in (mounting[row["calibrated_sensor_token"]], pose[row["ego_pose_token"]]):
            xyz = SE3.from_quaternion(at["rotation"], at["translation"]).apply(xyz)
        labels = np.load(root / table("panoptic")[row["token"]]["filename"])["data"]
        np.testing.assert_array_equal(
            np.fromfile(root / table("lidarseg")[row["token"]]["filename"], np.uint8), labels // 1000
        )
        found[channel] = xyz, labels
    return found


def test_each_lidar_has_files_rows_and_times_of_its_own(root, table, sweeps):
    samples = [row["timestamp"] for row in table("sample").values()]
    labelled, keys = set(table("lidarseg")), set()
    assert labelled == set(table("panoptic"))
    for name in CHANNELS:
        rows = sweeps[name]
        assert len(rows) == 11
        assert [row["timestamp"] + EARLY_US[name] for row in rows if row["is_key_frame"]] == samples
        assert (np.diff([row["timestamp"] for row in rows]) == 50_000).all()
        assert {row["fileformat"] for row in rows} == {"pcd"}
        for row in rows:
            data = np.fromfile(root / row["filename"], "<f4").reshape(-1, 5)
            assert len(data) == POINTS[name]
            assert row["filename"].startswith(f"{'samples' if row['is_key_frame'] else 'sweeps'}/{name}/")
            assert (np.ptp(data[:, 4]) == 0) == (name == FRONT)
        keys |= {row["token"] for row in rows if row["is_key_frame"]}
    assert labelled == keys


def test_points_of_both_lie_in_the_box_of_their_object(seen, boxes):
    """Through all that is written: mountings, ego poses, times and labels."""
    found = {}
    for channel, (xyz, labels) in seen.items():
        point, box = box_members(xyz, boxes, margin_m=0.03)
        thing = labels % 1000 > 0
        assert thing.sum() > 400
        assert np.isin(np.flatnonzero(thing), point).mean() > 0.995
        found[channel] = {
            label: np.bincount(box[labels[point] == label]).argmax()
            for label in np.unique(labels[point])
            if label % 1000
        }
    common = found[TOP].keys() & found[FRONT].keys()
    assert len(common) > 5
    assert all(found[TOP][label] == found[FRONT][label] for label in common)
    assert found[TOP].keys() - common  # behind the vehicle


def test_both_measure_the_same_ground(seen):
    height = {}
    for channel, (xyz, labels) in seen.items():
        height[channel] = np.median(xyz[labels // 1000 == 24, 2])  # driveable_surface
    assert height[TOP] == pytest.approx(height[FRONT], abs=0.01)


def test_stated_points_are_those_of_the_first_lidar(seen, boxes, table):
    stated = [table("sample_annotation")[token]["num_lidar_pts"] for token in boxes.token]
    for channel, (xyz, _) in seen.items():
        _, box = box_members(xyz, boxes)
        apart = np.abs(np.bincount(box, minlength=len(boxes)) - stated)
        assert (apart.max() <= 1) == (channel == TOP)


def test_the_devkit_loads_both(root):
    module = pytest.importorskip("nuscenes.nuscenes")
    devkit = module.NuScenes("v1.0-mini", str(root), verbose=False)
    for sample in devkit.sample:
        assert set(CHANNELS) < set(sample["data"])
        for name in CHANNELS:
            _, boxes, _ = devkit.get_sample_data(sample["data"][name])
            assert len(boxes) > 5
            assert (root / devkit.get("lidarseg", sample["data"][name])["filename"]).exists()
