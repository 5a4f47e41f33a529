import numpy as np
import pytest
from helpers.two_rigs import COLUMNS, ROOF, remounted, scan, street, sweep_of
from scipy.spatial.transform import Rotation

from pointsam.datasets.points import read_frame_points
from pointsam.geometry.origins import origins_m
from pointsam.geometry.rings import ring_gap_rad, ring_gaps_rad
from pointsam.geometry.se3 import SE3

GAP_DEG = 41.4 / 31
"""Of `scan`."""


def gap_deg(rows):
    return np.degrees(ring_gap_rad(rows[:, :3], rows[:, 4])[0])


def gaps_deg(*sweeps, ring=True):
    frame = street(*sweeps)
    return np.degrees(ring_gaps_rad(frame, read_frame_points(frame, ring=ring), origins_m(frame)))


@pytest.mark.parametrize("rings", [16, 32, 64])
def test_the_gap_is_that_between_neighbouring_rings(rings):
    rows = scan(ROOF, rings=rings, steps=900)
    assert gap_deg(rows) == pytest.approx(41.4 / (rings - 1), rel=0.05)
    assert ring_gap_rad(rows[:, :3], rows[:, 4])[1] == len(np.unique(rows[:, 4]))


def test_axes_order_and_numbering_of_the_rings_do_not_matter():
    rows = scan(ROOF)
    turned = rows.copy()
    turned[:, :3] = rows[:, :3] @ Rotation.from_euler("xyz", [40, 100, -7], degrees=True).as_matrix().T
    numbered = rows.copy()
    numbered[:, 4] = (rows[:, 4] * 13) % 32  # as lasers are numbered that do not fire from bottom to top
    assert gap_deg(turned) == pytest.approx(gap_deg(rows), rel=1e-4)
    assert gap_deg(numbered) == gap_deg(rows)


@pytest.mark.parametrize(
    "column",
    [
        lambda rows: np.zeros(len(rows)),
        lambda rows: np.full(len(rows), 7.0),
        lambda rows: np.full(len(rows), -1.0),
        lambda rows: np.linspace(0, 0.1, len(rows)),
        lambda rows: np.arange(len(rows)),
    ],
    ids=["zeros", "one ring", "unknown", "times", "numbers of points"],
)
def test_a_column_without_rings_has_none(column):
    rows = scan(ROOF)
    assert ring_gap_rad(rows[:, :3], column(rows).astype(np.float32)) == (0.0, 0)


def test_numbers_that_lie_in_no_rings_say_nothing():
    rows = scan(ROOF)
    gap, count = ring_gap_rad(rows[:, :3], (np.arange(len(rows)) % 6).astype(np.float32))
    assert np.isnan(gap)
    assert count == 6


def test_no_point_with_a_position_has_none():
    xyz = np.full((5, 3), np.nan, dtype=np.float32)
    assert ring_gap_rad(xyz, np.arange(5, dtype=np.float32)) == (0.0, 0)


def test_a_stated_gap_that_points_confirm_is_used_as_it_is():
    stated = np.radians(41.33 / 31)
    assert gaps_deg(sweep_of(scan(ROOF), ROOF, ring_gap_rad=stated)) == np.degrees(stated)


def test_points_of_another_sensor_overrule_a_stated_gap():
    dense = sweep_of(scan(ROOF, rings=96), ROOF, ring_gap_rad=np.radians(41.33 / 31), num_rings=32)
    assert gaps_deg(dense) == pytest.approx([41.4 / 95], rel=0.05)
    solid = scan(ROOF)
    solid[:, 4] = np.arange(len(solid)) % 6
    assert gaps_deg(sweep_of(solid, ROOF, ring_gap_rad=0.02, num_rings=32)) == [0]
    solid[:, 4] = np.arange(len(solid)) % 32
    assert gaps_deg(sweep_of(solid, ROOF, ring_gap_rad=0.02, num_rings=32)) == pytest.approx([np.degrees(0.02)])


def test_without_numbers_of_rings_the_stated_gap_is_used():
    rows = scan(ROOF)
    without = sweep_of(rows[:, :4], ROOF, columns=COLUMNS[:4], ring_gap_rad=0.01)
    assert gaps_deg(without) == pytest.approx([np.degrees(0.01)])
    assert gaps_deg(sweep_of(rows, ROOF, ring_gap_rad=0.02), ring=False) == pytest.approx([np.degrees(0.02)])


def test_each_lidar_has_its_own():
    low = SE3(np.eye(3), [3.4, 0.5, 1.0])
    second = remounted(
        sweep_of(scan(low, rings=16, low=-30, high=15), low, "front"),
        Rotation.from_euler("x", 180, degrees=True).as_matrix(),
    )
    assert gaps_deg(sweep_of(scan(ROOF), ROOF), second) == pytest.approx([GAP_DEG, 3.0], rel=0.05)


def test_rows_without_a_return_that_lie_at_one_place_do_not_count():
    rows = scan(ROOF)
    none = np.zeros((len(rows), 5), dtype=np.float32)
    none[:, 4] = np.arange(len(rows)) % 32
    none[::2, 1] = -0.5
    assert gap_deg(np.concatenate([rows, none])) == gap_deg(rows)
    none[:, 0] = 30.0
    assert gap_deg(np.concatenate([rows, none[:2000]])) == pytest.approx(gap_deg(rows), rel=0.05)
