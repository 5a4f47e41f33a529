import numpy as np
import pytest

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.kitti.files import LabelRow, read_calibration, read_labels

CALIB = {
    "P2": "700 0 600 45 0 700 180 -0.3 0 0 1 0.005",
    "R0_rect": "1 0 0 0 1 0 0 0 1",
    "Tr_velo_to_cam": "0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3",
}
CAR = "Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57"
DONT_CARE = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"


@pytest.fixture
def calib_file(tmp_path):
    def write(colon=":", **changes):
        lines = {**CALIB, **changes}
        path = tmp_path / "000007.txt"
        path.write_text("\n".join(f"{key}{colon} {text}" for key, text in lines.items() if text is not None) + "\n\n")
        return path

    return write


@pytest.fixture
def label_file(tmp_path):
    def write(*rows):
        path = tmp_path / "000007.txt"
        path.write_text("\n".join(rows))
        return path

    return write


@pytest.mark.parametrize("colon", [":", ""])
def test_keys_may_end_in_a_colon_or_not(calib_file, colon):
    calibration = read_calibration(calib_file(colon))
    assert calibration.P2_px.tolist() == [[700, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]]
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


def test_label_rows_keep_their_line(label_file):
    rows = read_labels(label_file(CAR, "", DONT_CARE, CAR + " 0.93"))
    assert [(row.line, row.kind) for row in rows] == [(1, "Car"), (3, "DontCare"), (4, "Car")]
    assert rows[0].size_hwl_m == (1.67, 1.87, 3.69)
    assert rows[0].bottom_rect_m == (-16.53, 2.39, 58.49)


def test_a_heading_of_zero_points_along_the_cameras_x_axis(label_file):
    (row,) = read_labels(label_file("Car 0 0 0 0 0 9 9 2 1 4 10 1 20 0"))
    corner = row.rect_SE3_box().apply(np.array([[2.0, 0.5, 1]]))
    np.testing.assert_allclose(corner, [[12, -1, 20.5]])


def test_a_turn_of_90_degrees_points_towards_the_camera(label_file):
    (row,) = read_labels(label_file("Car 0 0 0 0 0 9 9 2 1 4 10 1 20 1.5707963267948966"))
    nose = row.rect_SE3_box().apply(np.array([[2.0, 0, 0]]))
    np.testing.assert_allclose(nose, [[10, 0, 18]], atol=1e-12)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("Car 0 0 0", "4 columns"),
        (CAR + " 1 2", "17 columns"),
        (CAR.replace("58.49", "far"), "'far'"),
        (CAR.replace("58.49", "nan"), "NaN"),
        (CAR.replace("1.67", "-1.67"), "must be positive"),
        (CAR.replace("Car", "Spaceship"), "unknown type 'Spaceship'"),
        (" ".join([*CAR.split()[:2], "1e30", *CAR.split()[3:]]), "occluded is 1e30"),
    ],
)
def test_a_malformed_label_is_DAT011_with_file_and_line(label_file, row, says):
    with pytest.raises(DatasetError, match=rf"000007\.txt, line 2: .*{says}") as raised:
        read_labels(label_file(CAR, row))
    assert raised.value.code == "DAT011"


def test_a_label_row_has_its_columns_in_kittis_order(tmp_path):
    path = tmp_path / "000000.txt"
    path.write_text(
        "\nCar 0.25 2 -1.5 10 20 30 40 1.5 1.6 4.0 5.0 6.0 7.0 0.5\nVan 0 0 0 1 2 3 4 2 2 5 1 1 9 -0.5 0.9\n"
    )
    car, van = read_labels(path)
    assert car == LabelRow(2, "Car", (10, 20, 30, 40), (1.5, 1.6, 4.0), (5, 6, 7), 0.5, truncated=0.25, occluded=2)
    assert (van.line, van.kind, van.rotation_y, van.truncated, van.occluded) == (3, "Van", -0.5, 0.0, 0)
