import numpy as np
import pytest

from pointsam.base.errors import DatasetError
from pointsam.datasets.kitti.labels import NO_TRACK, LabelRow, read_labels, unknown_kinds

CAR = "Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57"
DONT_CARE = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"


@pytest.fixture
def label_file(tmp_path):
    def write(*rows):
        path = tmp_path / "000007.txt"
        path.write_text("\n".join(rows))
        return path

    return write


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
        ("0 0 0", "3 columns"),
        (CAR + " 1 2", "17 columns"),
        ("0 7 " + CAR + " 1 2", "19 columns"),
        ("7 " + CAR.replace("58.49", ""), "15 columns"),
        (CAR.replace("58.49", "far"), "'far'"),
        (CAR.replace("58.49", "nan"), "NaN"),
        (CAR.replace("1.67", "-1.67"), "must be positive"),
        (CAR.replace("Car", "car").replace("1.67", "0"), "must be positive"),
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


@pytest.mark.parametrize(
    ("text", "track"),
    [(CAR, NO_TRACK), (CAR + " 0.9", NO_TRACK), ("12 " + CAR, 12), ("7 12 " + CAR, 12), ("7 12 " + CAR + " 0.9", 12)],
)
def test_a_track_and_a_score_may_be_there(label_file, text, track):
    (row,) = read_labels(label_file(text))
    assert (row.kind, row.track, row.rotation_y, row.occluded) == ("Car", track, 1.57, 0)


@pytest.mark.parametrize(
    ("written", "kind"), [("car", "Car"), ("PERSON_SITTING", "Person_sitting"), ("dontcare", "DontCare")]
)
def test_types_are_known_in_any_letter_case(label_file, written, kind):
    assert read_labels(label_file(CAR.replace("Car", written)))[0].kind == kind


def test_unknown_types_are_counted_and_are_regions_where_they_have_no_size(label_file):
    rows = read_labels(label_file(CAR, *[CAR.replace("Car", "Bus")] * 2, DONT_CARE.replace("DontCare", "Ignore")))
    assert unknown_kinds(rows) == {"Bus": 2, "Ignore": 1}
    assert [row.is_region for row in rows] == [False, False, False, True]


@pytest.mark.parametrize("occluded", ["-1", "3", "7", "0.5", "1e300"])
def test_an_occlusion_that_is_no_level_is_unknown(label_file, occluded):
    assert read_labels(label_file(CAR.replace("0.00 0", f"0.00 {occluded}")))[0].occluded == 3
