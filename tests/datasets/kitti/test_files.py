import numpy as np
import pytest

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets import open_dataset
from pointsam.datasets.kitti.files import read_calibration, text_lines

CALIB = {
    "P2": "700 0 600 45 0 700 180 -0.3 0 0 1 0.005",
    "R0_rect": "1 0 0 0 1 0 0 0 1",
    "Tr_velo_to_cam": "0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3",
}


@pytest.fixture
def calib_file(tmp_path):
    def write(colon=":", **changes):
        lines = {**CALIB, **changes}
        path = tmp_path / "000007.txt"
        path.write_text("\n".join(f"{key}{colon} {text}" for key, text in lines.items() if text is not None) + "\n\n")
        return path

    return write


@pytest.mark.parametrize("colon", [":", ""])
def test_keys_may_end_in_a_colon_or_not(calib_file, colon):
    calibration = read_calibration(calib_file(colon))
    assert calibration.P_px.tolist() == [[700, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]]
    assert calibration.rect_SE3_lidar.translation_m.tolist() == [0, -0.1, -0.3]


def test_the_names_of_the_tracking_release_are_known(calib_file):
    renamed = {
        "R0_rect": None,
        "Tr_velo_to_cam": None,
        "R_rect": CALIB["R0_rect"],
        "Tr_velo_cam": CALIB["Tr_velo_to_cam"],
    }
    calibration = read_calibration(calib_file("", **renamed))
    assert calibration.rect_SE3_lidar.rotation.tolist() == [[0, -1, 0], [0, 0, -1], [1, 0, 0]]


def test_camera_2_is_offset_by_the_fourth_column(calib_file):
    calibration = read_calibration(calib_file())
    camera = calibration.camera(1242, 375)
    rect_to_cam = calibration.cam_SE3_lidar(camera).translation_m - calibration.rect_SE3_lidar.translation_m
    np.testing.assert_allclose(camera.K @ rect_to_cam, [45, -0.3, 0.005], atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"P2": None}, "CAL003", "no key P2"),
        ({"R0_rect": None}, "CAL003", "no key R0_rect"),
        ({"Tr_velo_to_cam": None}, "CAL003", "no key Tr_velo_to_cam"),
        ({"P2": "1 2 3"}, "CAL003", "P2: expected 12"),
        ({"P2": "700 0 600 45 0 700 180 -0.3 0 0 1 nan"}, "CAL003", "P2: expected 12 finite"),
        ({"R0_rect": "1 0 0 0 one 0 0 0 1"}, "CAL003", "R0_rect: .*'one'"),
        ({"R0_rect": "2 0 0 0 2 0 0 0 2"}, "CAL001", "R0_rect: not a rotation"),
        ({"Tr_velo_to_cam": "0 1 0 0 0 0 -1 0 1 0 0 0"}, "CAL001", "Tr_velo_to_cam: not a rotation"),
    ],
)
def test_a_bad_calibration_names_file_and_key(calib_file, changes, code, says):
    with pytest.raises(CalibrationError, match=says) as raised:
        read_calibration(calib_file(**changes))
    assert raised.value.code == code
    assert "000007.txt" in raised.value.message


@pytest.mark.parametrize("P2", ["0 0 600 45 0 0 180 -0.3 0 0 1 0.005", "700 0 600 45 0 700 180 -0.3 0 0 2 0.005"])
def test_a_projection_of_no_pinhole_camera_is_CAL002(calib_file, P2):
    with pytest.raises(CalibrationError, match=r"000007\.txt, P2") as raised:
        read_calibration(calib_file(P2=P2)).camera(1242, 375)
    assert raised.value.code == "CAL002"


def test_a_line_with_nothing_but_a_colon_is_passed_over(calib_file):
    path = calib_file(":")
    path.write_text(":\n \n" + path.read_text())
    read_calibration(path)


def test_a_missing_calibration_is_DAT004(tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.txt") as raised:
        read_calibration(tmp_path / "gone.txt")
    assert raised.value.code == "DAT004"


@pytest.mark.parametrize(
    "text", [":\n", "# made by hand\n# twice\n", "Tr_imu_to_velo: 1 2\n", "P0: x\nP3\ncalib_time: now\n"]
)
def test_lines_that_are_not_needed_do_no_harm(calib_file, text):
    path = calib_file()
    path.write_text(text + path.read_text())
    assert read_calibration(path).lidar_SE3_imu is None


@pytest.mark.parametrize("name", ["Tr_imu_to_velo", "Tr_imu_velo"])
def test_the_mounting_of_the_inertial_unit_is_read_where_it_is_needed(calib_file, name):
    calibration = read_calibration(calib_file(**{name: "1 0 0 -0.8 0 1 0 0.3 0 0 1 -0.8"}), imu=True)
    assert calibration.lidar_SE3_imu.translation_m.tolist() == [-0.8, 0.3, -0.8]
    with pytest.raises(CalibrationError, match=r"CAL003.*no key Tr_imu_to_velo"):
        read_calibration(calib_file(), imu=True)


def test_two_different_lines_of_one_key_are_refused(calib_file):
    path = calib_file()
    path.write_text(path.read_text() + f"P2: {CALIB['P2']}\n")
    read_calibration(path)
    path.write_text(path.read_text() + "P2: 701 0 600 45 0 701 180 0 0 0 1 0\n")
    with pytest.raises(CalibrationError, match=r"CAL003.*key P2"):
        read_calibration(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_marks_and_windows_line_ends_are_no_part_of_a_line(tmp_path, encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "a.txt").write_bytes(f"{mark}Tr: 1 \r\n\r\n é\t\r\n".encode(encoding))
    assert text_lines(tmp_path / "a.txt", "file") == ["Tr: 1", "", "é"]


@pytest.mark.parametrize("make", ["kitti", "tracking", "semantic"])
def test_columns_of_the_sweeps_may_be_stated(tmp_path, make):
    from helpers.kitti_root import make_kitti
    from helpers.semantic_root import make_semantic
    from helpers.tracking_root import make_tracking

    {"kitti": make_kitti, "tracking": make_tracking, "semantic": make_semantic}[make](tmp_path)
    columns = ("x", "y", "z", "intensity", "ring")
    data = open_dataset(tmp_path, columns=columns)
    assert data.frame(data.frame_ids()[0]).sweep.source.columns == columns
