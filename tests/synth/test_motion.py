import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.synth.motion import STILL, Road, Speed, Track

ROAD = Road(1 / 350, 400.0, 0.7, -2.0)
STOP_AND_GO = Speed((1.0, 4.0, 7.0, 9.0), (8.0, 0.0, 0.0, 6.0))


@given(st.floats(-3, 15), st.floats(-3, 15))
def test_distance_is_the_integral_of_speed(a, b):
    t = np.linspace(a, b, 4001)
    integral = np.trapezoid(STOP_AND_GO.at(t), t) if hasattr(np, "trapezoid") else np.trapz(STOP_AND_GO.at(t), t)
    assert np.diff(STOP_AND_GO.travelled([a, b]))[0] == pytest.approx(integral, abs=1e-3)


def test_nothing_is_travelled_at_the_start():
    assert STOP_AND_GO.travelled(0.0)[0] == 0


def test_a_still_track_never_moves():
    assert not STILL.moves
    assert STOP_AND_GO.moves
    assert STILL.travelled(100.0)[0] == 0


@given(st.floats(-300, 300), st.floats(0.1, 50))
def test_distances_along_the_centre_line_are_metres(start, length):
    x, y, _ = ROAD.place(np.linspace(start, start + length, 400), np.zeros(400))
    assert np.hypot(np.diff(x), np.diff(y)).sum() == pytest.approx(length, rel=1e-3)


@given(st.floats(-200, 200), st.floats(-40, 40))
def test_d_is_the_distance_to_the_left(s, d):
    x0, y0, heading = ROAD.place(s, 0.0)
    x, y, _ = ROAD.place(s, d)
    assert (x - x0) * -np.sin(heading) + (y - y0) * np.cos(heading) == pytest.approx(d, abs=1e-9)


@pytest.mark.parametrize("course", [0.0, np.pi / 2, np.pi, -0.4])
def test_velocity_is_the_speed_in_the_direction_that_the_thing_faces(course):
    track = Track(ROAD, 20.0, 0.0, course, Speed.steady(7.0))
    velocity = track.velocity(0.0)
    _, yaw = track.pose(0.0)
    assert np.hypot(*velocity) == pytest.approx(7.0, rel=1e-3)
    assert np.arctan2(velocity[1], velocity[0]) == pytest.approx(np.arctan2(np.sin(yaw[0]), np.cos(yaw[0])), abs=2e-3)


@settings(max_examples=25)
@given(st.floats(-np.pi, np.pi), st.floats(-15, 15), st.floats(-1, 9))
def test_velocities_add_up_to_the_way_between_two_poses(course, d, begin):
    track = Track(ROAD, 20.0, d, course, STOP_AND_GO)
    edges = np.linspace(begin, begin + 1.0, 101)
    centers = (edges[1:] + edges[:-1]) / 2
    way = sum(track.velocity(float(t)) for t in centers) / len(centers)
    (first, last), _ = track.pose(edges[[0, -1]])
    np.testing.assert_allclose(way, (last - first)[:2], atol=5e-3)


@pytest.mark.parametrize("d", [-12.0, 0.0, 12.0])
def test_a_track_along_the_inside_of_a_bend_is_slower(d):
    track = Track(ROAD, 20.0, d, 0.0, Speed.steady(7.0))
    _, _, (before, after) = ROAD.place([19.0, 21.0], [0.0, 0.0])
    bend = (after - before) / 2
    assert abs(bend) > 1e-3
    assert np.hypot(*track.velocity(0.0)) == pytest.approx(7.0 * (1 - bend * d), rel=2e-3)


def test_pose_takes_many_times_at_once():
    track = Track(ROAD, 5.0, -3.0, 0.0, STOP_AND_GO, z_m=0.14, turn=0.2)
    t = np.linspace(-1, 10, 7)
    xyz, yaw = track.pose(t)
    one_by_one = [track.pose(float(moment)) for moment in t]
    np.testing.assert_allclose(xyz, np.concatenate([p for p, _ in one_by_one]))
    np.testing.assert_allclose(yaw, np.concatenate([y for _, y in one_by_one]))
    assert (xyz[:, 2] == 0.14).all()
