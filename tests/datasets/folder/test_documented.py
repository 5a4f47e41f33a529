"""The calibration files of docs/folder.md can be read, and that of KITTI means what the reader of KITTI reads."""

import re
from pathlib import Path

import numpy as np

import pointsam
from pointsam.datasets import open_dataset
from pointsam.datasets.folder.calibration import read_calibration
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import project

PAGE = Path(pointsam.__file__).parents[1] / "docs" / "folder.md"


def blocks():
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documented_file_is_a_calibration(tmp_path):
    (tmp_path / "calibration.yaml").write_text(blocks()[0])
    read = read_calibration(tmp_path / "calibration.yaml")
    assert list(read.cameras) == ["front", "rear"]
    forward = {name: read.tree.pose(camera.frame or name, name).rotation[:, 2] for name, camera in read.cameras.items()}
    assert np.allclose(forward["front"], [1, 0, 0])
    assert np.allclose(forward["rear"], [-1, 0, 0])
    assert np.allclose(read.tree.pose("left", "left").translation_m, [1.6, 0.9, 1.1])
    assert read.cameras["rear"].camera("rear").lens == "fisheye"


def test_the_documented_folder_is_what_the_reader_of_kitti_reads(kitti_root, tmp_path):
    for k in (1, 2):
        for theirs, ours in (
            (f"image_2/{k:06d}.png", f"images/cam2/{k:06d}.png"),
            (f"velodyne/{k:06d}.bin", f"clouds/velo/{k:06d}.bin"),
            (f"label_2/{k:06d}.txt", f"label_2/{k:06d}.txt"),
        ):
            (tmp_path / ours).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / ours).symlink_to((kitti_root / "training" / theirs).resolve())
    (tmp_path / "calibration.yaml").write_text(blocks()[1])
    native, folder = open_dataset(kitti_root), open_dataset(tmp_path)
    assert folder.frame_ids() == ["000001", "000002"]
    for frame_id in folder.frame_ids():
        one, other = native.frame(frame_id), folder.frame(frame_id)
        xyz_m = read_frame_points(other).xyz_lidar_m
        np.testing.assert_array_equal(xyz_m, read_frame_points(one).xyz_lidar_m)
        seen = [project(xyz_m, frame, frame.cameras[0]) for frame in (one, other)]
        np.testing.assert_array_equal(seen[1].valid, seen[0].valid)
        np.testing.assert_allclose(seen[1].uv_px[seen[0].valid], seen[0].uv_px[seen[0].valid], atol=1e-12)
        assert abs(other.sweep.ring_gap_rad - one.sweep.ring_gap_rad) < 1e-6
        boxes = [data.boxes(frame_id) for data in (native, folder)]
        np.testing.assert_allclose(boxes[1].center_m, boxes[0].center_m, rtol=0, atol=1e-13)
        np.testing.assert_allclose(boxes[1].rotation, boxes[0].rotation, atol=1e-13)
        assert len(boxes[0]) == {"000001": 3, "000002": 2}[frame_id]
