import json
import re

import numpy as np
import pytest

from pointsam.base.document import json_object
from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.folder.calibration import (
    BoxesEntry,
    Calibration,
    CameraEntry,
    Distortion,
    Files,
    Intrinsics,
    LidarEntry,
    PosesEntry,
    calibration_text,
    find_calibration,
    read_calibration,
)
from pointsam.datasets.folder.transforms import Transform
from pointsam.geometry.se3 import SE3

SMALL = """\
cameras:
  front: {size: [64, 48], intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}}
lidars:
  top: {}
transforms:
  - {from: top, to: vehicle, translation: [0, 0, 2], quaternion_wxyz: [1, 0, 0, 0]}
  - {from: front, to: top, translation: [0, 0, 0], quaternion_wxyz: [0.5, -0.5, 0.5, -0.5]}
"""


def refusal(tmp_path, text, name="calibration.yaml"):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((CalibrationError, DatasetError)) as caught:
        read_calibration(path)
    return caught.value


def test_every_field_that_is_written_is_read_back(tmp_path):
    full = Calibration(
        {
            "front": CameraEntry(
                (640, 480),
                Intrinsics(500.0, 501.0, 320.0, 240.0),
                distortion=Distortion("brown", (0.1, -0.2, 1e-5, 1e-6)),
                readout_s=(-0.01, 0.02),
                readout_axis="columns",
                time_offset_s=0.003,
            ),
            "left": CameraEntry(
                (64, 48),
                K=(50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0),
                frame="l",
                distortion=Distortion("pinhole"),
            ),
        },
        {"top": LidarEntry(("x", "y", "z", "_"), motion_compensated=False, ring_gap_deg=0.4), "side": LidarEntry()},
        tuple(Transform.of(name, "base", SE3(np.eye(3), np.full(3, 1 / 3))) for name in ("front", "l", "top", "side")),
        vehicle="base",
        files=Files("index", period_s=0.1),
        poses=PosesEntry("imu.csv", "csv", "top", "ns", 0.5),
        boxes=BoxesEntry("world", "us"),
    )
    path = tmp_path / "calibration.yaml"
    path.write_text(calibration_text(full))
    assert read_calibration(path) == full


def test_json_means_what_yaml_means(tmp_path):
    (tmp_path / "calibration.yaml").write_text(SMALL)
    read = read_calibration(tmp_path / "calibration.yaml")
    values = {name: value for name, value in json_object(read).items() if name != "path"}
    values["transforms"] = json_object({"t": read.transforms})["t"]
    (tmp_path / "calibration.json").write_text(json.dumps({k: v for k, v in values.items() if k != "poses"}))
    assert read_calibration(tmp_path / "calibration.json") == read
    with pytest.raises(DatasetError, match="are both there"):
        find_calibration(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("fx: 50", "fx: TODO", "to be completed: cameras.front.intrinsics.fx"),
        ("[0, 0, 2]", "[0, TODO, 2]", "to be completed: transforms.0.translation"),
        ("fx: 50", "fx: fifty", r"cameras.front.intrinsics.fx is wrong: .* got 'fifty'"),
        ("fx: 50, ", "", "cameras.front.intrinsics.fx is missing"),
        ("fx: 50", "fx: -50", "cameras.front: focal length must be positive"),
        ("intrinsics", "intrinsic", "cameras.front.intrinsic is not a field, did you mean 'intrinsics'"),
        ("size: [64, 48]", "size: [64]", "cameras.front.size"),
        ("size:", "distortion: {model: brown, coefficients: [0.1]}, size:", "a brown lens has the coefficients"),
        ("size:", "distortion: {model: pinhole, coefficients: [0.1]}, size:", "1 numbers for the model 'pinhole'"),
        ("size:", "K: [1, 2, 3], size:", "one of `intrinsics`, `K` and `P`"),
        ("top: {}", "top: {columns: [x, y]}", "lidars.top.columns: .* z must be there once"),
        ("top: {}", "side: {}", "lidars.side: no chain of transforms"),
        ("  top: {}", "  {}", "lidars is empty"),
        ("top: {}", "top: {time_offset_s: 1e300}", "lidars.top.time_offset_s: 1e\\+300 s"),
        ("lidars:", "files: {tolerance_s: 0}\nlidars:", "files.tolerance_s: 0 s"),
        ("lidars:", "files: {tolerance_s: 38.5}\nlidars:", "files.tolerance_s: 38.5 s: images of other moments"),
        ("top: {}", "top: {ring_gap_deg: -5}", "lidars.top.ring_gap_deg: -5"),
        (
            "intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}",
            "K: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]",
            "K is no 3x3 matrix",
        ),
        ("intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}", "K: [[1, 0], [0, 1, 0], [0, 0, 1]]", "K is no 3x3 matrix"),
        ("intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}", "P: [1, 0, 0, 0, 1, 0, 0, 0, 1]", "P is no 3x4 matrix"),
        (
            "intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}",
            "P: [1, 0, 0, .nan, 0, 1, 0, 0, 0, 0, 1, 0]",
            "cameras.front.*P is no 3x4 matrix|cameras.front.P",
        ),
        ("lidars:", "poses: {file: ../../other/poses.txt}\nlidars:", r"poses.file: '\.\./.*it has '\.\.' as a part"),
        ("lidars:", "poses: {file: /etc/passwd}\nlidars:", "poses.file: '/etc/passwd' .* it is absolute"),
        ("front:", "../other/front:", r"cameras\.\.\./other/front: .* it has '\.\.' as a part"),
        ("  top:", "  /tmp/top:", "lidars./tmp/top: .* it is absolute"),
        ("from: top", "form: top", "transforms.0.form is not a field"),
        ("quaternion_wxyz: [1, 0, 0, 0]", "euler: [0, 0, 90]", "transforms.0.euler is not a field"),
    ],
)
def test_the_field_that_is_wrong_is_named(tmp_path, old, new, problem):
    assert old in SMALL
    error = refusal(tmp_path, SMALL.replace(old, new, 1))
    assert re.search(problem, error.message)


def test_a_projection_matrix_holds_the_shift_of_its_camera(tmp_path):
    projection = np.array([[700.0, 0, 600, 45.7], [0, 710, 180, -0.35], [0, 0, 1, 0.005]])
    entry = f"P: {projection.ravel().tolist()}"
    (tmp_path / "calibration.yaml").write_text(
        SMALL.replace("intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}", entry).replace("[64, 48]", "[1242, 375]")
    )
    read = read_calibration(tmp_path / "calibration.yaml")
    points_m = np.random.default_rng(0).uniform((-5, -5, 4), (5, 5, 30), (20, 3))
    homogeneous = np.column_stack([points_m, np.ones(20)]) @ projection.T
    frame = read.tree.pose("front", "cameras.front")
    seen = read.vehicle_SE3_cam("front").inverse().apply(frame.apply(points_m))
    uv_px, depth_m = read.cameras["front"].camera("front").project(seen)
    np.testing.assert_allclose(uv_px, homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-9)
    np.testing.assert_allclose(depth_m, homogeneous[:, 2], atol=1e-9)
    flat = {name: one.P for name, one in read.cameras.items()}
    (tmp_path / "calibration.yaml").write_text(calibration_text(read))
    assert {name: one.P for name, one in read_calibration(tmp_path / "calibration.yaml").cameras.items()} == flat


def test_a_projection_with_a_rotation_is_refused(tmp_path):
    text = SMALL.replace(
        "intrinsics: {fx: 50, fy: 50, cx: 32, cy: 24}", "P: [50, 0, 32, 1, 0, 50, 24, 0, 0.1, 0, 1, 0]"
    )
    error = refusal(tmp_path, text)
    assert "cameras.front: not a 3x3 camera matrix" in error.message
    assert error.hint == "P is K [I | t]: write a K [R | t] as `K`, with R and t in `transforms`"


def test_a_table_where_yaml_belongs_is_recognised(tmp_path):
    error = refusal(tmp_path, "camera,fx,fy,cx,cy\nfront,50,50,32,24\n")
    assert error.code == "CAL003"
    assert "it looks like a table (CSV)" in error.hint
    assert "it looks like a table (CSV)" in refusal(tmp_path, "front;50;50;32\n", "calibration.json").hint
