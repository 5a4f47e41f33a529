"""What is said of a root that no plug-in recognises, or that one recognises wrongly."""

import pytest

from pointsam.base.errors import BrokenRuleError, DatasetError, MissingFolderError
from pointsam.datasets import open_dataset
from pointsam.datasets.layouts import FOREIGN, INCOMPLETE, LIKE_KITTI


@pytest.fixture
def root(tmp_path):
    """A function that makes empty files, and folders whose names end in a slash."""

    def make(*paths):
        for path in paths:
            place = tmp_path / "root" / path
            (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                place.write_bytes(b"")
        return tmp_path / "root"

    return make


FOREIGN_ROOTS = {
    "KITTI raw under other names": "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000000.bin",
    "KITTI-360": "data_3d_raw/2013_05_28_drive_0000_sync/velodyne_points/data/0000000000.bin",
    "the Waymo Open Dataset": "training/segment-1_with_camera_labels.tfrecord",
    "Argoverse 2": "val/7fab/sensors/lidar/315.feather",
    "Argoverse 1": "train1/c6911883/ring_front_center/",
    "ONCE": "data/000000/lidar_roof/1616.bin",
    "PandaSet": "001/lidar/00.pkl.gz",
    "A2D2": "camera_lidar_semantic_bboxes/20180807/",
    "CADC": "2018_03_06/0001/labeled/lidar_points/",
    "DAIR-V2X": "single-vehicle-side/vehicle-side/",
    "a recording of ROS": "drive.bag",
    "a custom data set of OpenPCDet or MMDetection3D (points/)": "custom/points/000000.npy",
    "a scene of SUSTechPOINTS (lidar/)": "lidar/000965.pcd",
}


def test_every_foreign_layout_has_an_example():
    assert set(FOREIGN_ROOTS) == {layout.name for layout in FOREIGN}


@pytest.mark.parametrize("name", FOREIGN_ROOTS)
def test_a_layout_without_an_adapter_is_named_with_the_way_out(root, name):
    with pytest.raises(BrokenRuleError) as raised:
        open_dataset(root(FOREIGN_ROOTS[name]))
    assert raised.value.code == "DAT014"
    assert f"this is {name}, for which PointSAM has no adapter" in raised.value.message
    assert "docs/own_data.md" in raised.value.hint
    assert "docs/plugins.md" in raised.value.hint


def test_missing_parts_of_a_foreign_layout_are_named(root):
    made = root("val/7fab/sensors/lidar/315.feather")
    with pytest.raises(BrokenRuleError, match=r"images \(sensors/cameras\) are missing, too"):
        open_dataset(made)
    root("val/7fab/sensors/cameras/ring_front_center/")
    with pytest.raises(BrokenRuleError) as raised:
        open_dataset(made)
    assert "are missing" not in raised.value.message


@pytest.mark.parametrize("sign", ["image", "calibration"])
def test_waymo_in_kittis_layout_is_refused_unless_it_is_named(root, sign):
    made = root("training/velodyne/0000000.bin", "training/calib/0000000.txt", "training/image_2/0000000.png")
    assert open_dataset(made).name == "kitti"
    if sign == "image":
        root("training/image_4/0000000.png")
    else:
        (made / "training" / "calib" / "0000000.txt").write_text("Tr_velo_to_cam_0: 1 0 0\n")
    with pytest.raises(BrokenRuleError, match=rf"DAT014.*{LIKE_KITTI[0].name.split(' (')[0]}"):
        open_dataset(made)
    assert open_dataset(made, "kitti").frame_ids() == ["0000000"]


INCOMPLETE_ROOTS = {
    "KITTI tracking": "training/image_02/0000/000000.png",
    "KITTI raw": "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png",
    "KITTI object": "training/image_2/000000.png",
    "KITTI odometry": "sequences/00/calib.txt",
    "nuScenes": "samples/LIDAR_TOP/a.pcd.bin",
}


def test_every_incomplete_layout_has_an_example():
    assert set(INCOMPLETE_ROOTS) == {layout.name for layout in INCOMPLETE}


@pytest.mark.parametrize("name", INCOMPLETE_ROOTS)
def test_an_incomplete_root_says_what_is_missing(root, name):
    with pytest.raises(MissingFolderError, match=rf"DAT001.*this is {name}, .*are missing") as raised:
        open_dataset(root(INCOMPLETE_ROOTS[name], "velodyne.zip"))
    assert "velodyne.zip" in raised.value.hint


def test_archives_that_are_not_unpacked_are_named(root):
    with pytest.raises(DatasetError, match=r"DAT002.*4 archives.*a\.zip, b\.tgz, c\.tar\.gz and 1 more"):
        open_dataset(root("a.zip", "b.tgz", "c.tar.gz", "d.zip", "readme.txt"))


@pytest.mark.parametrize("folder", ["training", "training/velodyne"])
def test_a_folder_inside_of_a_data_set_names_its_root(tiny_kitti, folder):
    with pytest.raises(DatasetError, match=r"DAT002.*inside of a data set") as raised:
        open_dataset(tiny_kitti.root / folder)
    assert raised.value.hint == f"give {tiny_kitti.root}"


@pytest.mark.parametrize("levels", [1, 2])
def test_a_folder_that_holds_a_data_set_names_it(tmp_path, root, levels):
    root("deep/kitti/training/velodyne/000000.bin", "deep/other/")
    given = tmp_path / "root" if levels == 2 else tmp_path / "root" / "deep"
    with pytest.raises(DatasetError, match=r"DAT002.*holds one: .*kitti is recognised as kitti"):
        open_dataset(given)


def test_a_root_that_holds_a_data_set_and_a_foreign_one_below_names_the_first(root):
    made = root("nuscenes/v1.0-mini/sample_data.json", "raw/2011/velodyne_points/")
    with pytest.raises(DatasetError, match=r"DAT002.*holds one: .*nuscenes"):
        open_dataset(made)


def test_hidden_files_tell_nothing(root):
    with pytest.raises(DatasetError, match=r"DAT002.*no known data set"):
        open_dataset(root("._drive.bag", ".lidar_roof/"))
