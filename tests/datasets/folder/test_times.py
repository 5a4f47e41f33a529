"""Stamps, files in order of time, and poses between them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.folder.calibration import PosesEntry
from pointsam.datasets.folder.poses import read_poses, trajectory
from pointsam.datasets.folder.recording import by_stamp, problems_of
from pointsam.datasets.folder.stamps import inferred_unit, microseconds
from pointsam.datasets.folder.trajectory import PoseFile
from pointsam.datasets.kitti.listing import Listing
from pointsam.geometry.se3 import SE3
from pointsam.geometry.trajectory import Trajectory


@pytest.mark.parametrize(
    ("text", "unit", "t_us"),
    [
        ("1700000000123456789", "ns", 1700000000123457),
        ("1700000000.123456789", "s", 1700000000123457),
        ("1700000000_123456789", "us", 1700000000123457),
        ("1700000000123.5", "ms", 1700000000123500),
        ("0012", "s", 12_000_000),
        ("1e3", "s", 1_000_000_000),
        ("frame", "s", None),
        ("1" * 40, "s", None),
        ("9e99", "s", None),
        ("", "s", None),
    ],
)
def test_stamps_are_exact(text, unit, t_us):
    assert microseconds(text, unit) == t_us


def test_a_unit_is_inferred_only_from_times_since_1970():
    assert inferred_unit(["1700000000.5", "1700000001"]) == "s"
    assert inferred_unit(["1700000000000"]) == "ms"
    assert inferred_unit(["1700000000000000"]) == "us"
    assert inferred_unit(["1700000000000000000", "name"]) == "ns"
    assert inferred_unit(["1700000000_000000001"]) == "s"
    assert inferred_unit(["000012"]) is None
    assert inferred_unit(["1700000000", "1700000000000"]) is None
    assert inferred_unit([]) is None


def recording(tmp_path, *names, unit=None):
    tmp_path.mkdir(exist_ok=True)
    for name in names:
        (tmp_path / name).touch()
    return by_stamp("front", Listing(tmp_path, (".png",)), unit, 0.5)


def test_files_are_in_order_of_time_and_what_is_wrong_is_named(tmp_path):
    found = recording(tmp_path, "2.png", "10.png", "1.5.png", "x.png", "1.50.png", "._3.png", unit="s")
    assert found.stems == ("1.5", "1.50", "2", "10")
    assert (found.t_us * 1e-6).tolist() == [2.0, 2.0, 2.5, 10.5]
    assert problems_of(found) == [
        "1 file left out: the name states no time, for example 'x'",
        "1 file with the time of the file before: '1.5' and '1.50'",
    ]


def test_the_nearest_file_is_that_of_a_search_through_all(tmp_path, rng_of):
    names = sorted({f"{int(n)}.png" for n in rng_of(0).integers(0, 5000, 60)})
    found = recording(tmp_path, *names, unit="ms")
    for t_us in rng_of(1).integers(0, 6_000_000, 300).tolist():
        apart = np.abs(found.t_us - t_us)
        near = found.nearest(t_us, 40_000)
        assert (near is None) == (apart.min() > 40_000)
        assert near is None or apart[near] == apart.min()


def test_names_without_a_unit_or_a_time_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="'000001' do not show the unit") as caught:
        recording(tmp_path, "000001.png")
    assert "files.unit" in caught.value.hint
    with pytest.raises(DatasetError, match="no name is a time"):
        recording(tmp_path / "other", "frame_a.png", unit="s")


def track(rng, count=20):
    t_us = np.cumsum(rng.integers(30_000, 200_000, count)) + 10**15
    turns = Rotation.from_rotvec(rng.normal(0, 0.4, (count, 3)))
    return Trajectory(t_us, rng.normal(0, 9, (count, 3)), turns.as_matrix())


def test_poses_between_two_are_those_of_slerp_and_lines(rng_of):
    path = track(rng_of(0))
    seconds = (path.t_us - path.t_us[0]) * 1e-6
    slerp = Slerp(seconds, Rotation.from_matrix(path.rotation))
    for t_us in rng_of(1).integers(path.t_us[0], path.t_us[-1], 50).tolist():
        at = (t_us - path.t_us[0]) * 1e-6
        pose = path.at(t_us)
        assert np.allclose(pose.rotation, slerp([at]).as_matrix()[0], atol=1e-9)
        assert np.allclose(pose.translation_m, [np.interp(at, seconds, path.position_m[:, k]) for k in range(3)])
    assert np.array_equal(path.at(int(path.t_us[3])).rotation, path.rotation[3])


def test_motion_goes_on_for_a_moment_beyond_the_ends_and_no_longer(rng_of):
    path = track(rng_of(2))
    start = int(path.t_us[0])
    step = (path.position_m[2] - path.position_m[0]) / (path.t_us[2] - path.t_us[0])
    assert path.t_us[1] - start < 100_000 < path.t_us[2] - start
    assert np.allclose(path.at(start - 100_000).translation_m, path.position_m[0] - 100_000 * step)
    for t_us in (start - 300_000, int(path.t_us[-1]) + 300_000):
        with pytest.raises(CalibrationError, match="no pose at"):
            PoseFile("poses", path).at(t_us)


TUM = "# stamp tx ty tz qx qy qz qw\n10 1 2 3 0 0 0 1\n\n11.5 2 2 3 0 0 0.6 0.8\n"


def test_tum_csv_and_kitti_mean_the_same(tmp_path):
    (tmp_path / "a.txt").write_text(TUM)
    (tmp_path / "b.csv").write_text("Time_ms;qw;qx;qy;qz;X;Y;Z\n10000;1;0;0;0;1;2;3\n11500;0.8;0;0;0.6;2;2;3\n")
    turn = Rotation.from_quat([0, 0, 0.6, 0.8]).as_matrix()
    rows = np.concatenate([np.eye(3), [[1], [2], [3]]], axis=1), np.concatenate([turn, [[2], [2], [3]]], axis=1)
    (tmp_path / "c.txt").write_text("\n".join(" ".join(map(str, row.ravel())) for row in rows))
    tables = [read_poses(tmp_path / name) for name in ("a.txt", "b.csv", "c.txt")]
    assert [table.form for table in tables] == ["tum", "csv", "kitti"]
    for table in tables:
        assert np.allclose(table.position_m, [[1, 2, 3], [2, 2, 3]])
        assert np.allclose(table.rotation, [np.eye(3), turn])
    assert [table.times_us(None).tolist() for table in tables[:2]] == [[10_000_000, 11_500_000]] * 2


def test_poses_of_another_frame_become_those_of_the_vehicle(tmp_path):
    (tmp_path / "a.txt").write_text(TUM)
    imu = SE3(Rotation.from_euler("z", 90, degrees=True).as_matrix(), np.array([0.5, -1.0, 2.0]))
    found, problems = trajectory(read_poses(tmp_path / "a.txt"), PosesEntry(time_offset_s=-1), imu, None)
    path = found.path
    assert problems == []
    assert path.t_us.tolist() == [9_000_000, 10_500_000]
    for k, world_SE3_imu in enumerate(
        (SE3(np.eye(3), [1, 2, 3]), SE3(read_poses(tmp_path / "a.txt").rotation[1], [2, 2, 3]))
    ):
        expected = world_SE3_imu @ imu.inverse()
        assert np.allclose(path.rotation[k], expected.rotation)
        assert np.allclose(path.position_m[k], expected.translation_m)


def test_unordered_and_double_stamps_of_poses_are_told(tmp_path):
    lines = ["10 1 0 0 0 0 0 1", "12 3 0 0 0 0 0 1", "11 2 0 0 0 0 0 1", "11 9 0 0 0 0 0 1"]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    found, problems = trajectory(read_poses(tmp_path / "a.txt"), PosesEntry(), SE3.identity(), None)
    assert found.path.position_m[:, 0].tolist() == [1, 2, 3]
    assert problems == [
        "1 pose before the one that it follows, first pose 3",
        "1 pose left out: its time is that of another pose",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no pose"),
        ("10 1 2 3 0 0 0\n", "line 1: 7 numbers; TUM has 8, KITTI 12"),
        ("10 1 2 3 0 0 0 1\n10 1 2 3 0 0 0\n", "line 2: 7 numbers"),
        ("10 1 2 3 0 0 0 x\n", "line 1: could not convert"),
        ("10 1 2 3 0 0 90 0\n", "line 1: quaternion .* length 90"),
        ("time_s,x,y,z,roll,pitch,yaw\n1,2,3,4,5,6,7\n", "lacks qw, qx, qy, qz"),
        ("x,y,z,qw,qx,qy,qz\n1,2,3,1,0,0,0\n", "lacks one column of times"),
        ("time_s,x,y,z,qw,qx,qy,qz\n1,2,3\n", "line 2: 3 values for 8 columns"),
    ],
)
def test_a_pose_that_cannot_be_read_is_named(tmp_path, text, problem):
    (tmp_path / "poses.txt").write_text(text)
    with pytest.raises((DatasetError, CalibrationError), match=problem):
        read_poses(tmp_path / "poses.txt")


def test_poses_with_nan_are_left_out_and_named(tmp_path):
    turn = "1 0 0 {} 0 1 0 0 0 0 1 0"
    (tmp_path / "k.txt").write_text("\n".join(["# x", turn.format(0), " ".join(["nan"] * 12), turn.format(2)]))
    (tmp_path / "t.txt").write_text("0 0 0 0 0 0 0 1\nnan nan 0 0 0 0 0 1\n2 2 0 0 inf 0 0 1\n4 4 0 0 0 0 0 1\n")
    (tmp_path / "c.csv").write_text("time_s,x,y,z,qw,qx,qy,qz\n0,0,0,0,1,0,0,0\n1,,,,,,,\n4,4,0,0,1,0,0,0\n")
    times_us = np.array([0, 1_000_000, 2_000_000])
    for name, times, kept, lost in (
        ("k.txt", times_us, [0, 2_000_000], "1 pose left out: NaN or infinity, first in line 3;"),
        ("t.txt", None, [0, 4_000_000], "2 poses left out: NaN or infinity, first in line 2;"),
        ("c.csv", None, [0, 4_000_000], "1 pose left out: NaN or infinity, first in line 3;"),
    ):
        found, problems = trajectory(read_poses(tmp_path / name), PosesEntry(), SE3.identity(), times)
        assert found.path.t_us.tolist() == kept
        assert found.path.position_m[:, 0].tolist() == [t * 1e-6 for t in kept]
        assert [problem.startswith(lost) for problem in problems] == [True]
    (tmp_path / "n.txt").write_text("0 nan 0 0 0 0 0 1\n")
    with pytest.raises(DatasetError, match=r"n.txt, line 1: it holds NaN or infinity, as all others do"):
        read_poses(tmp_path / "n.txt")
