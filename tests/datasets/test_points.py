from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.two_lidars import MOUNTS, TIMES_US, Blob, RowGroup, by_hand, pose, two_lidar_frame, write_rows

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.io import image_size, read_columns, read_image, read_points
from pointsam.datasets.points import read_frame_points, read_sweep_points
from pointsam.geometry.motion import motion_within, moved
from pointsam.geometry.projection import project
from pointsam.geometry.revolution import Revolution
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, Sweep


@dataclass(frozen=True)
class Rows:
    """Points in memory."""

    values: np.ndarray
    columns: tuple = ("x", "y", "z")
    name: str = "rows"

    def read(self, columns):
        return self.values[:, [self.columns.index(column) for column in columns]]


def test_the_points_of_two_lidars_stand_where_the_world_does(tmp_path):
    frame, sensed = two_lidar_frame(tmp_path)
    points = read_frame_points(frame)
    assert points.xyz_lidar_m.dtype == np.float32
    assert points.sweep_index.tolist() == [0] * len(sensed[0]) + [1] * len(sensed[1])
    assert points.intensity is None
    assert np.isnan(points.time_s).all()
    in_world = (pose(TIMES_US[0]) @ MOUNTS[0]).apply(points.xyz_lidar_m)
    np.testing.assert_allclose(in_world, np.concatenate(sensed), atol=1e-5)


def test_a_reference_sweep_is_what_its_source_gives(tmp_path):
    frame, sensed = two_lidar_frame(tmp_path)
    points = read_frame_points(frame, intensity=True)
    rows = [sweep.source.read(("x", "y", "z", "intensity")) for sweep in frame.sweeps]
    assert points.rows()[: len(sensed[0])].tobytes() == rows[0].tobytes()
    np.testing.assert_array_equal(points.intensity, np.concatenate(rows)[:, 3])
    np.testing.assert_array_equal(read_sweep_points(frame, frame.sweeps[1]), rows[1][:, :3])


def test_every_point_goes_through_the_pose_of_its_own_sweep(tmp_path):
    """Slow twin: every point of every sweep, step by step through both poses and the lens."""
    frame, _ = two_lidar_frame(tmp_path)
    (view,) = frame.cameras
    seen = project(read_frame_points(frame).xyz_lidar_m, frame, view)
    rows = [(sweep, xyz) for sweep in frame.sweeps for xyz in sweep.source.read(("x", "y", "z")).astype(np.float64)]
    expected = np.array([by_hand(xyz, sweep, view) for sweep, xyz in rows])
    assert seen.valid.sum() > 500
    np.testing.assert_allclose(seen.uv_px[seen.valid], expected[seen.valid, :2], atol=1e-4)
    np.testing.assert_allclose(seen.depth_m, expected[:, 2], atol=1e-5)


def driving(source, mount, compensated=False, sensor="lidar"):
    """A sweep at 1 s of a vehicle that goes 20 m/s along x, with one neighbour 0.1 s before."""
    before, now = (SE3(np.eye(3), [20.0 * t, 5.0, 0.0]) for t in (0.9, 1.0))
    sweep = Sweep(source, 1_000_000, mount, now, sensor=sensor, motion_compensated=compensated)
    return Frame("frame", "drive", (sweep,), {-1: Sweep(source, 900_000, mount, before)}, ())


TIMED = ("x", "y", "z", "time_s")
FORWARD_IS_Y = SE3(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), np.array([1.0, 0, 2.0]))


def test_a_point_with_a_time_is_moved_by_what_the_vehicle_drove_since():
    """Measured 50 ms before the stamp, 10 m ahead: the vehicle has come 1 m nearer."""
    values = np.array([[0, 10, 0, -0.05], [0, 10, 0, 0.0], [0, 10, 0, -0.1]], dtype=np.float32)
    points = read_frame_points(driving(Rows(values, TIMED), FORWARD_IS_Y))
    np.testing.assert_allclose(points.xyz_lidar_m, [[0, 9, 0], [0, 10, 0], [0, 8, 0]], atol=1e-5)
    np.testing.assert_allclose(points.time_s, [-0.05, 0, -0.1], atol=1e-8)


def test_points_of_a_compensated_sweep_stay_and_keep_their_times():
    values = np.array([[0, 10, 0, -0.05], [1, 2, 3, -0.1]], dtype=np.float32)
    points = read_frame_points(driving(Rows(values, TIMED), FORWARD_IS_Y, compensated=True))
    assert points.xyz_lidar_m.tobytes() == values[:, :3].tobytes()
    np.testing.assert_allclose(points.time_s, [-0.05, -0.1], atol=1e-8)


def test_times_of_a_second_sweep_count_from_the_reference():
    """It is stamped 40 ms after the reference; its point was measured 10 ms before its stamp: 0.2 m of driving."""
    first = driving(Rows(np.zeros((1, 3), np.float32)), SE3.identity())
    mount = SE3(np.eye(3), [3.0, 0, 0])
    source = Rows(np.array([[7, 0, 0, -0.01]], np.float32), TIMED)
    second = Sweep(source, 1_040_000, mount, SE3(np.eye(3), [20.8, 5, 0]), sensor="rear", motion_compensated=False)
    points = read_frame_points(replace(first, sweeps=(*first.sweeps, second)))
    np.testing.assert_allclose(points.time_s, [np.nan, 0.03], atol=1e-8)
    # 7 m + 3 m before the vehicle that has driven 0.8 m - 0.2 m since the reference
    np.testing.assert_allclose(points.xyz_lidar_m[1], [10.6, 0, 0], atol=1e-5)


def test_a_turning_vehicle_compensates_along_its_arc(tmp_path):
    """Every point of a resting world, measured at its own time, lands where the world stands."""
    rng = np.random.default_rng(0)
    in_world = pose(TIMES_US[0]).apply(rng.uniform(-30, 30, (200, 3)))
    time_s = rng.uniform(-0.1, 0.0, 200).astype(np.float32)
    rows = [
        np.append((pose(TIMES_US[0] + 1e6 * float(t)) @ MOUNTS[1]).inverse().apply(xyz[None])[0], t)
        for xyz, t in zip(in_world, time_s, strict=True)
    ]
    write_rows(tmp_path / "a.parquet", [np.array(rows, dtype=np.float32)], TIMED)
    source = RowGroup(tmp_path / "a.parquet", 0, TIMED)
    sweep = Sweep(source, TIMES_US[0], MOUNTS[1], pose(TIMES_US[0]), motion_compensated=False)
    before = replace(sweep, t_us=TIMES_US[0] - 100_000, world_SE3_ego=pose(TIMES_US[0] - 100_000))
    points = read_frame_points(Frame("frame", "drive", (sweep,), {-1: before}, ()))
    np.testing.assert_allclose((pose(TIMES_US[0]) @ MOUNTS[1]).apply(points.xyz_lidar_m), in_world, atol=2e-5)


def circling(t_s):
    """The pose of a vehicle that brakes and turns: the rate changes at 1 s."""
    slow = t_s - 1.0
    speed, turn = (15.0, 0.5) if slow < 0 else (10.0, 0.3)
    rate = np.zeros((4, 4))
    rate[0, 1], rate[1, 0], rate[0, 3] = -turn, turn, speed
    return moved(SE3(np.eye(3), [3.0, 4.0, 0.5]), rate, slow)


def spinning(compensated=False, mount=FORWARD_IS_Y, rows=400):
    """A sweep at 1 s of a static world: each point as the LiDAR sees it when its beam passes; the frame, and the world.

    The directions and distances at which it sees points are drawn; the world is where they were then.
    """
    rng = np.random.default_rng(3)
    turn = Revolution(-0.05, 0.05)
    away = np.column_stack([rng.uniform(4, 40, rows), rng.uniform(-np.pi, np.pi, rows), rng.uniform(-2, 3, rows)])
    around = np.column_stack([away[:, 0] * np.cos(away[:, 1]), away[:, 0] * np.sin(away[:, 1]), away[:, 2]])
    time_s = turn.time_s(around[:, 0], around[:, 1])
    in_world = [(circling(1.0 + t) @ mount).apply(xyz[None])[0] for t, xyz in zip(time_s.tolist(), around, strict=True)]
    values = np.concatenate([around, np.full((1, 3), np.nan)]).astype(np.float32)
    sweep = Sweep(Rows(values), 1_000_000, mount, circling(1.0), motion_compensated=compensated, revolution=turn)
    near = {k: replace(sweep, t_us=1_000_000 + k * 100_000, world_SE3_ego=circling(1 + 0.1 * k)) for k in (-1, 1)}
    return Frame("frame", "drive", (sweep,), near, ()), np.array(in_world)


def test_a_skewed_sweep_gives_back_the_static_world():
    """Within 0.1 mm; without compensation points are up to 0.6 m and more off."""
    frame, in_world = spinning()
    points = read_frame_points(frame)
    assert points.present.tolist() == [True] * len(in_world) + [False]
    pose = frame.sweep.world_SE3_ego @ FORWARD_IS_Y
    np.testing.assert_allclose(pose.apply(points.xyz_lidar_m[:-1]), in_world, atol=1e-4)
    skewed = pose.apply(read_points(frame.sweep)[:-1])
    assert np.linalg.norm(skewed - in_world, axis=1).max() > 0.6
    np.testing.assert_allclose(pose.apply(read_sweep_points(frame, frame.sweep)), in_world, atol=1e-4)
    assert np.isnan(points.time_s[-1])
    assert (np.abs(points.time_s[:-1]) <= 0.05).all()


@pytest.mark.parametrize("known", ["compensated", "no motion"])
def test_nothing_moves_where_no_motion_is_left_or_none_is_known(known):
    frame, _ = spinning(compensated=known == "compensated")
    frame = replace(frame, neighbours={}) if known == "no motion" else frame
    assert motion_within(frame) == ("removed by the data set" if known == "compensated" else "kept: no poses")
    points = read_frame_points(frame)
    assert points.xyz_lidar_m.tobytes() == read_points(frame.sweep).tobytes()
    assert np.isfinite(points.time_s[:-1]).all()


def test_times_of_the_file_are_used_before_those_of_the_turn():
    frame = driving(Rows(np.array([[0, 10, 0, -0.1]], dtype=np.float32), TIMED), SE3.identity())
    frame = replace(frame, sweeps=(replace(frame.sweep, revolution=Revolution(-0.05, 0.05)),))
    np.testing.assert_allclose(read_frame_points(frame).xyz_lidar_m, [[-2, 10, 0]], atol=1e-5)


def test_columns_may_be_read_in_any_order_with_times_of_the_turn():
    values = np.array([[0, 10, 0, 5], [10, 0, 0, 6]], dtype=np.float32)
    sweep = Sweep(Rows(values, ("x", "y", "z", "intensity")), 0, SE3.identity(), SE3.identity())
    sweep = replace(sweep, motion_compensated=False, revolution=Revolution(-0.05, 0.05))
    np.testing.assert_allclose(
        read_columns(sweep, ("time_s", "z", "intensity", "ring")), [[-0.025, 0, 5, -1], [0, 0, 6, -1]], atol=1e-8
    )
    with pytest.raises(DatasetError, match=r"DAT011.*no column time_s"):
        read_columns(replace(sweep, revolution=None), ("x", "y", "z", "time_s"))


def test_rows_without_a_position_change_nothing_about_the_others():
    """Their times do not count for the middle of the sweep."""
    rows = np.array([[0, 10, 0, -0.05], [0, 10, 0, 0.0], [3, 10, 0, -0.1]], dtype=np.float32)
    gaps = np.array([[np.nan, 1, 1, 99], [1, np.inf, 1, np.nan]], dtype=np.float32)
    mixed = np.stack([rows[0], gaps[0], rows[1], gaps[1], rows[2]])
    few, all_rows = (read_frame_points(driving(Rows(values, TIMED), FORWARD_IS_Y)) for values in (rows, mixed))
    assert all_rows.present.tolist() == [True, False, True, False, True]
    assert all_rows.xyz_lidar_m[all_rows.present].tobytes() == few.xyz_lidar_m.tobytes()
    assert np.isnan(all_rows.xyz_lidar_m[~all_rows.present]).all()


def test_the_points_of_a_sweep_are_those_with_a_position():
    rows = np.array([[1, 2, 3], [np.nan, 2, 3], [4, 5, 6]], dtype=np.float32)
    frame = driving(Rows(rows), SE3.identity())
    assert read_sweep_points(frame, frame.sweep).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_points_to_compensate_need_a_frame_that_tells_of_motion():
    frame = driving(Rows(np.zeros((1, 4), np.float32), TIMED), SE3.identity())
    with pytest.raises(CalibrationError) as raised:
        read_frame_points(replace(frame, neighbours={}))
    assert raised.value.code == "CAL004"


def test_a_sweep_without_intensity_has_zeros():
    frame = driving(Rows(np.ones((2, 3), np.float32)), SE3.identity())
    assert read_frame_points(frame, intensity=True).rows().tolist() == [[1, 1, 1, 0]] * 2


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        (Rows(np.ones((2, 2), np.float32), ("x", "y")), "DAT011", "no column z"),
        (Rows(np.full((2, 3), np.nan, np.float32)), "DAT008", "all 2 rows"),
        (Rows(np.zeros((0, 3), np.float32)), "DAT008", "no points"),
        (Rows(np.array([[1, 2, 3, 0], [1, 2, 3, np.nan]], np.float32), TIMED), "DAT007", "time_s.* 1 of 2 points"),
    ],
)
def test_what_a_source_gives_is_checked(source, code, message):
    with pytest.raises(DatasetError, match=message) as raised:
        read_frame_points(driving(source, SE3.identity()))
    assert raised.value.code == code
    assert "rows" in raised.value.message


def test_a_row_group_that_is_missing_is_DAT004(tmp_path):
    with pytest.raises(DatasetError, match="row group 3") as raised:
        read_frame_points(driving(RowGroup(tmp_path / "gone.parquet", 3), SE3.identity()))
    assert raised.value.code == "DAT004"


def test_an_image_in_memory_is_an_image(tmp_path):
    frame, _ = two_lidar_frame(tmp_path)
    (view,) = frame.cameras
    assert image_size(view.source) == (120, 160)
    assert read_image(view.source, expect=(120, 160)).shape == (120, 160, 3)
    assert view.stem == "drive_0001"
    with pytest.raises(DatasetError, match="blob 17") as raised:
        read_image(Blob(b"no image"))
    assert raised.value.code == "DAT005"
