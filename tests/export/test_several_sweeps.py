"""Frames of several LiDARs, and of tilted ones, in the formats of other tools."""

import io
import json

import numpy as np
import pytest
from helpers.exports import labels_of
from helpers.two_rigs import FRONT, ROOF, remounted, scan, street, sweep_of
from scipy.spatial.transform import Rotation

from pointsam.datasets.points import read_frame_points
from pointsam.export.clouds import pcd
from pointsam.export.detection import mmdet3d, mmdet3d_info, openpcdet
from pointsam.export.frame import ExportFrame
from pointsam.export.lidarseg import lidarseg
from pointsam.export.nuscenes_panoptic import panoptic
from pointsam.export.semantickitti import semantickitti
from pointsam.geometry.boxes import points_in_boxes, turned
from pointsam.geometry.level import level_SE3_lidar
from pointsam.geometry.se3 import SE3
from pointsam.stages.summarize import summarize
from pointsam.taxonomy import NUSCENES
from pointsam.types import FrameLabels, FrameRow

CAR = NUSCENES.class_id("car")
UPSIDE_DOWN = Rotation.from_euler("x", 180, degrees=True).as_matrix()


def item_of(*sweeps, names=("top", "low")):
    """The points above the ground within 25 m are one car; the name of the frame is "frame"."""
    frame = street(*sweeps)
    points = read_frame_points(frame, intensity=True)
    in_ego = frame.sweep.ego_SE3_lidar.apply(points.xyz_lidar_m)
    car = (in_ego[:, 2] > 0.1) & (np.abs(in_ego[:, :2] - (14, 3)).max(axis=1) < 3)
    labels = labels_of(np.where(car, 0, -1), np.where(car, CAR, 255))
    labels, clusters = summarize(points.xyz_lidar_m, labels, [], NUSCENES, None, frame.sweep.ego_SE3_lidar)
    none = np.zeros(len(labels), dtype=np.uint8)
    counts = tuple(np.bincount(points.sweep_index).tolist())
    row = FrameRow("frame", "scene", 0, len(labels), len(clusters), sweep_points=counts)
    found = FrameLabels(row, labels, none, none, none > 0, clusters)
    several = names if len(sweeps) > 1 else ()
    return ExportFrame(0, "frame", found, NUSCENES, lambda: frame, points.rows, dict, sweep_names=several)


@pytest.fixture(scope="module")
def both():
    return item_of(sweep_of(scan(ROOF), ROOF), sweep_of(scan(FRONT, rings=16), FRONT, "low"))


def test_formats_of_sweeps_have_a_file_for_each(both):
    first, second = both.found.frame.sweep_points
    ids, classes = both.found.labels.instance_id, both.found.labels.class_id
    parts = {"top": slice(0, first), "low": slice(first, first + second)}
    segments, wholes, kitti = lidarseg(both, "val"), panoptic(both, "val"), semantickitti(both)
    assert [len(files) for files in (segments, wholes, kitti)] == [2, 2, 2]
    for name, part in parts.items():
        member = ids[part] == 0
        assert 5 < member.sum() < len(member)
        assert (np.frombuffer(segments[f"lidarseg/val/{name}_lidarseg.bin"], "u1") == np.where(member, 4, 0)).all()
        values = np.load(io.BytesIO(wholes[f"panoptic/val/{name}_panoptic.npz"]))["data"]
        assert (values == np.where(member, 4001, 0)).all()
        values = np.frombuffer(kitti[f"labels/{name}.label"], "<u4")
        assert (values == np.where(classes[part] == CAR, 10 | 1 << 16, 0)).all()


def test_formats_of_frames_have_one_cloud(both):
    count = both.found.frame.num_points
    assert len(np.load(io.BytesIO(openpcdet(both)["points/frame.npy"]))) == count
    files = mmdet3d(both)
    assert len(files["points/frame.bin"]) == 16 * count
    assert len(files["labels/frame.bin"]) == count


def test_clouds_name_the_sweep_of_each_point_if_there_are_several(both):
    pytest.importorskip("pypcd4")
    from pypcd4 import PointCloud

    cloud = PointCloud.from_fileobj(io.BytesIO(pcd(both)["frame.pcd"]))
    assert cloud.pc_data["sweep"].tolist() == both.found.frame.sweep_index.tolist()
    alone = item_of(sweep_of(scan(ROOF), ROOF))
    assert "sweep" not in PointCloud.from_fileobj(io.BytesIO(pcd(alone)["frame.pcd"])).fields


def test_boxes_of_a_lidar_upside_down_stand_upright_in_a_level_frame():
    upright = item_of(sweep_of(scan(ROOF), ROOF))
    inverted = item_of(remounted(sweep_of(scan(ROOF), ROOF), UPSIDE_DOWN))
    (entry,), (other,) = (mmdet3d_info(item)["instances"] for item in (upright, inverted))
    np.testing.assert_allclose(entry["bbox_3d"], other["bbox_3d"], atol=1e-3)
    assert -1.8 < entry["bbox_3d"][2] < -1.5  # the lowest ring on the car
    assert openpcdet(upright)["labels/frame.txt"].split()[0] == openpcdet(inverted)["labels/frame.txt"].split()[0]
    for item in (upright, inverted):
        points = np.load(io.BytesIO(openpcdet(item)["points/frame.npy"]))
        np.testing.assert_allclose(points[:, 2].min(), -1.8, atol=1e-3)
        inside = points_in_boxes(points[:, :3], item.map_boxes, 1e-3) == 0
        assert inside[item.found.labels.instance_id == 0].all()


def test_points_of_a_level_lidar_are_written_as_they_are():
    rows = scan(ROOF)
    item = item_of(sweep_of(rows, ROOF))
    np.testing.assert_array_equal(np.load(io.BytesIO(openpcdet(item)["points/frame.npy"])), rows[:, :4])
    a_degree_off = remounted(sweep_of(rows, ROOF), Rotation.from_euler("y", 1.4, degrees=True).as_matrix())
    again = np.load(io.BytesIO(openpcdet(item_of(a_degree_off))["points/frame.npy"]))
    np.testing.assert_array_equal(again, a_degree_off.source.read(("x", "y", "z", "intensity")))


def test_boxes_turn_with_their_frame():
    item = item_of(sweep_of(scan(ROOF), ROOF))
    pose = SE3(Rotation.from_euler("xyz", [0.3, 2, -1]).as_matrix(), [1, 2, 3])
    xyz = item.points[:, :3].astype(np.float64)
    index = points_in_boxes(pose.apply(xyz), turned(item.boxes, pose), 1e-6)
    assert index.tolist() == points_in_boxes(xyz, item.boxes, 1e-6).tolist()
    assert (index == 0).sum() > 20


def test_the_level_frame_is_that_of_the_mounting():
    tilted = remounted(sweep_of(scan(ROOF), ROOF), UPSIDE_DOWN)
    rotation = item_of(tilted).map_SE3_lidar.rotation
    assert json.dumps(rotation.tolist()) == json.dumps(level_SE3_lidar(tilted.ego_SE3_lidar).rotation.tolist())
