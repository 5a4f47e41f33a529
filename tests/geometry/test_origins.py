"""What the LiDAR that measured a point determines: where it was seen from, and how far away it is."""

from dataclasses import replace

import numpy as np
from helpers.two_lidars import MOUNTS, TIMES_US, pose, two_lidar_frame
from helpers.two_rigs import ROOF, VIEW, scan, street, sweep_of

from pointsam.datasets.points import read_frame_points
from pointsam.geometry.origins import origin_of_point_m, origins_m
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.geometry.visibility import occluded, parallax

AT_CAMERA = SE3(np.eye(3), VIEW.ego_SE3_cam.translation_m)


def test_origins_are_the_places_of_the_lidars_at_their_times(tmp_path):
    frame, _ = two_lidar_frame(tmp_path)
    in_world = [(pose(t) @ mount).translation_m for t, mount in zip(TIMES_US, MOUNTS, strict=True)]
    first = (pose(TIMES_US[0]) @ MOUNTS[0]).inverse()
    np.testing.assert_allclose(origins_m(frame), first.apply(np.array(in_world)), atol=1e-9)
    assert origins_m(frame)[0].tolist() == [0, 0, 0]
    index = np.array([1, 0, 1], dtype=np.uint8)
    np.testing.assert_array_equal(origin_of_point_m(frame, index), origins_m(frame)[[1, 0, 1]])
    assert origin_of_point_m(replace(frame, sweeps=frame.sweeps[:1]), index) is None


def test_a_point_is_seen_from_its_own_lidar():
    """A LiDAR at the place of the camera sees what the camera sees: its points do not move, and none is hidden."""
    roof, near = sweep_of(scan(ROOF), ROOF), sweep_of(scan(AT_CAMERA), AT_CAMERA, "near")
    frame = street(roof, near)
    points = read_frame_points(frame)
    seen = project(points.xyz_lidar_m, frame, VIEW)
    of_near = (points.sweep_index == 1) & seen.valid
    shift = parallax(points.keep(seen.valid), frame, VIEW)
    assert np.abs(shift[points.sweep_index[seen.valid] == 1]).max() < 1e-3
    hidden = occluded(points, seen, frame, VIEW)
    assert of_near.sum() > 1000
    assert not hidden[of_near & (points.sweep_index == 1)].any()
    assert hidden[points.sweep_index == 0].sum() > 20


def test_the_shift_of_a_point_does_not_depend_on_the_reference_lidar():
    roof, near = sweep_of(scan(ROOF), ROOF), sweep_of(scan(AT_CAMERA), AT_CAMERA, "near")
    both, alone = street(near, roof), street(roof)
    shifts = []
    for frame in (both, alone):
        points = read_frame_points(frame)
        valid = project(points.xyz_lidar_m, frame, VIEW).valid
        of_roof = points.keep((points.sweep_index == len(frame.sweeps) - 1) & valid)
        shifts.append(parallax(of_roof, frame, VIEW))
    np.testing.assert_allclose(*shifts, atol=1e-3)
