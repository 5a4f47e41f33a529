"""Poses between known poses."""

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation

from pointsam.geometry.se3 import SE3
from pointsam.geometry.trajectory import Trajectory, interpolated


def pose(rotvec, xyz):
    return SE3(Rotation.from_rotvec(rotvec).as_matrix(), np.array(xyz, dtype=np.float64))


A, B = pose((0.1, -0.2, 0.3), (1, 2, 3)), pose((0.2, 0.1, 0.5), (5, 2, 2))


def test_a_pose_lies_on_the_way():
    turn = logm(A.rotation.T @ B.rotation).real
    for fraction in (-0.3, 0.0, 0.25, 0.5, 1.0, 1.2):
        found = interpolated(A, B, fraction)
        np.testing.assert_allclose(found.rotation, A.rotation @ expm(fraction * turn), atol=1e-12)
        np.testing.assert_allclose(found.translation_m, np.array([1, 2, 3]) + fraction * np.array([4, 0, -1]))


def test_known_poses_are_returned_as_they_are():
    poses = [A, B, A]
    path = Trajectory(np.array([0, 100, 250]), poses)
    assert [path.at(t) for t in (0, 100, 250)] == poses


def test_between_and_just_outside_the_motion_goes_on():
    path = Trajectory(np.array([0, 100_000]), [A, B])
    for t in (-50_000, 30_000, 130_000):
        np.testing.assert_allclose(path.at(t).translation_m, interpolated(A, B, t / 1e5).translation_m)


@pytest.mark.parametrize("t", [-200_000, 500_000, 3_000_000, 7_000_000])
def test_a_time_far_from_all_poses_has_none(t):
    assert Trajectory(np.array([0, 100_000, 5_000_000]), [A, B, A]).at(t) is None


def test_one_pose_holds_near_its_time_and_none_never():
    assert Trajectory(np.array([1000]), [A]).at(900) is A
    assert Trajectory(np.array([], dtype=np.int64), []).at(0) is None
