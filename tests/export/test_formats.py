"""Each format read back by a parser of its own, or by the target's reader where one installs."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.exports import item_of, labels_of, objects

from pointsam.base.errors import BackendError, SchemaError
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.export.boxes import kitti
from pointsam.export.clouds import pcd, ply
from pointsam.export.detection import mmdet3d, mmdet3d_info, mmdet3d_split, openpcdet, openpcdet_split
from pointsam.export.lidarseg import lidarseg
from pointsam.export.semantickitti import CLASSES, semantickitti
from pointsam.geometry.boxes import box_members, corners
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.report.points import cluster_colours
from pointsam.report.style import UNLABELLED
from pointsam.taxonomy import KITTI, NUSCENES, ClassSpec, Taxonomy
from pointsam.types import CameraView, Frame, Sweep


@pytest.fixture(params=range(3))
def item(request, rng_of):
    labels, points = objects(rng_of(request.param))
    return item_of(labels, points)


def test_semantickitti_has_the_class_below_and_the_instance_above(item):
    ((name, content),) = semantickitti(item).items()
    assert name == "labels/abc.label"
    value = np.frombuffer(content, dtype=np.uint32)  # as the API reads it
    labels = item.found.labels
    none = labels.instance_id < 0
    assert (value[none] == 0).all()
    assert np.array_equal(value >> 16, labels.instance_id + 1)
    names = np.array(NUSCENES.names)[labels.class_id[~none]]
    assert (value[~none] & 0xFFFF).tolist() == [CLASSES[name] for name in names]


def test_semantickitti_refuses_ids_beyond_16_bits_and_classes_it_lacks():
    fits, beyond = labels_of([65534], [0]), labels_of([65535], [0])
    raw = item_of(fits)
    object.__setattr__(raw.found, "labels", fits)
    assert np.frombuffer(semantickitti(raw)["labels/abc.label"], dtype=np.uint32)[0] >> 16 == 65535
    object.__setattr__(raw.found, "labels", beyond)
    with pytest.raises(SchemaError, match="65535 does not fit") as caught:
        semantickitti(raw)
    assert caught.value.code == "SCH006"
    foreign = Taxonomy("zoo", (ClassSpec("zebra"),))
    with pytest.raises(SchemaError, match=r"SCH004.*zebra"):
        semantickitti(item_of(labels_of([0], [0]), taxonomy=foreign))


@pytest.mark.parametrize("cameras", [0, 2])
def test_kitti_refuses_frames_without_a_single_camera(cameras):
    frame = SimpleNamespace(frame_id="abc", cameras=(None,) * cameras)
    item = item_of(labels_of([0], [0]), taxonomy=KITTI, frame=frame, rect_SE3_lidar=SE3.identity())
    with pytest.raises(SchemaError, match=rf"SCH004.*frame abc has {cameras}"):
        kitti(item)


def test_lidarseg_is_a_byte_a_point(item):
    ((name, content),) = lidarseg(item, "val").items()
    assert name == "lidarseg/val/abc_lidarseg.bin"
    value = np.frombuffer(content, dtype=np.uint8)
    assert np.array_equal(value == 0, item.found.labels.instance_id < 0)
    cars = item.found.labels.class_id == NUSCENES.class_id("car")
    assert (value[cars] == 4).all()
    with pytest.raises(SchemaError, match="SCH004"):
        lidarseg(item_of(labels_of([0], [0]), taxonomy=KITTI), "val")


@pytest.mark.parametrize(("write", "suffix"), [(ply, "ply"), (pcd, "pcd")])
def test_open3d_reads_the_clouds(item, write, suffix, tmp_path, open3d):
    pytest.importorskip("pypcd4", reason="needs pointsam[clouds]")
    ids = item.found.labels.instance_id
    grown = (ids >= 0) & (np.arange(len(ids)) % 3 == 0)
    item = replace(item, found=replace(item.found, grown=grown))
    ((name, content),) = write(item).items()
    assert name == f"abc.{suffix}"
    path = tmp_path / name
    path.write_bytes(content)
    read = open3d.t.io.read_point_cloud(str(path))
    assert np.allclose(read.point.positions.numpy(), item.points[:, :3])
    assert np.allclose(read.point.intensity.numpy().ravel(), item.points[:, 3])
    assert read.point["cluster"].numpy().ravel().tolist() == item.found.labels.instance_id.tolist()
    assert read.point["class"].numpy().ravel().tolist() == item.found.labels.class_id.tolist()
    assert read.point["grown"].numpy().ravel().tolist() == grown.tolist()
    grey = np.array(UNLABELLED, dtype=np.uint8)
    assert np.array_equal(read.point.colors.numpy()[ids < 0], np.broadcast_to(grey, ((ids < 0).sum(), 3)))
    assert np.array_equal(read.point.colors.numpy()[ids >= 0], cluster_colours(ids[ids >= 0], grown[ids >= 0]))


def test_equal_frames_are_equal_bytes(item, open3d):
    pytest.importorskip("pypcd4", reason="needs pointsam[clouds]")
    assert ply(item) == ply(item)
    assert pcd(item) == pcd(item)


def test_pcd_without_pypcd4_names_the_extra(item, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypcd4.pypcd4", None)
    with pytest.raises(BackendError, match=r"BCK005(.|\n)*pointsam\[clouds\]"):
        pcd(item)


def test_a_frame_that_open3d_does_not_write_is_named(open3d):
    with pytest.raises(BackendError, match=r"BCK008.*abc"):
        ply(item_of(labels_of([], []), np.zeros((0, 4), np.float32)))


def test_openpcdet_reads_points_and_a_line_a_box(item):
    files = openpcdet(item) | openpcdet_split(["abc"], "train")
    assert set(files) == {"points/abc.npy", "labels/abc.txt", "ImageSets/train.txt"}
    assert files["ImageSets/train.txt"] == b"abc\n"
    points = np.load(io.BytesIO(files["points/abc.npy"]), allow_pickle=False)
    assert np.array_equal(points, item.points)
    lines = [line.split(" ") for line in files["labels/abc.txt"].decode().splitlines()]
    boxes = np.array([line[:7] for line in lines], dtype=np.float32)  # as OpenPCDet parses it
    assert [line[7] for line in lines] == [cluster.class_name for cluster in item.found.clusters]
    assert np.allclose(boxes[:, :3], item.boxes.center_m, atol=1e-4)
    assert np.allclose(boxes[:, 3:6], item.boxes.size_lwh_m, atol=1e-4)
    heading = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6])], axis=1)
    assert np.allclose(heading, item.boxes.rotation[:, :2, 0], atol=1e-4)


def test_mmdet3d_has_boxes_from_the_bottom_in_json(item):
    files = mmdet3d(item) | mmdet3d_split([mmdet3d_info(item)], NUSCENES.names, "train")
    points = np.frombuffer(files["points/abc.bin"], dtype=np.float32).reshape(-1, 4)
    assert np.array_equal(points, item.points)
    assert np.frombuffer(files["labels/abc.bin"], dtype=np.uint8).tolist() == item.found.labels.class_id.tolist()
    document = json.loads(files["pointsam_infos_train.json"])
    assert document["metainfo"]["categories"]["truck"] == NUSCENES.class_id("truck")
    (info,) = document["data_list"]
    assert info["lidar_points"] == {"lidar_path": "abc.bin", "num_pts_feats": 4}
    boxes = np.array([one["bbox_3d"] for one in info["instances"]])
    assert np.allclose(boxes[:, 2] + boxes[:, 5] / 2, item.boxes.center_m[:, 2], atol=1e-3)
    assert [one["bbox_label_3d"] for one in info["instances"]] == item.boxes.class_id.tolist()
    clusters = tuple(replace(cluster, probability=0.37) for cluster in item.found.clusters)
    scored = mmdet3d_info(replace(item, found=replace(item.found, clusters=clusters)))
    assert {one["score"] for one in scored["instances"]} == {0.37}


def test_a_fitted_box_holds_its_cluster(item):
    point, box = box_members(item.points[:, :3], item.boxes, margin_m=1e-3)
    held = {(int(p), int(b)) for p, b in zip(point, box, strict=True)}
    labels = item.found.labels.instance_id
    assert all((int(p), int(labels[p])) in held for p in np.flatnonzero(labels >= 0))


def test_a_frame_without_clusters_is_written_empty():
    empty = item_of(labels_of([-1, -1], [255, 255]))
    assert openpcdet(empty)["labels/abc.txt"] == b""
    assert mmdet3d_info(empty)["instances"] == []
    assert not np.frombuffer(semantickitti(empty)["labels/abc.label"], dtype=np.uint32).any()


def test_kitti_boxes_in_the_image_are_as_the_lens_shows_them():
    pixels = []
    for lens in ({}, {"distortion": (-0.2, 0.02, 0.0, 0.0)}, {"distortion": (0.0,) * 4, "lens": "fisheye"}):
        camera = Camera(np.array([[700.0, 0, 600], [0, 700, 300], [0, 0, 1]]), 1200, 600, **lens)
        still = SE3.identity()
        ahead = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3))
        view = CameraView("image_2", ImageFile(Path("0.png")), 0, camera, ahead, still)
        sweep = Sweep(RawPoints(Path("0.bin"), XYZ), 0, still, still)
        rng = np.random.default_rng(0)
        points = np.column_stack([rng.uniform([8, -4, -1], [12, -2, 0], (300, 3)), np.zeros(300)]).astype(np.float32)
        frame = Frame("abc", "scene", (sweep,), {}, (view,))
        item = item_of(labels_of([0] * 300, [0] * 300), points, KITTI, frame=frame, rect_SE3_lidar=ahead.inverse())
        (content,) = kitti(item).values()
        found = np.array(content.split()[4:8], dtype=float)
        uv, _ = camera.project(ahead.inverse().apply(corners(item.boxes)[0]))
        np.testing.assert_allclose(found, [*uv.min(axis=0), *uv.max(axis=0)], atol=0.006)
        pixels.append(found)
    assert np.abs(pixels[1] - pixels[0]).max() > 5
    assert np.abs(pixels[2] - pixels[0]).max() > 5
