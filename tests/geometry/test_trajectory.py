"""Poses between known poses."""

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation

from pointsam.geometry.se3 import SE3
from pointsam.geometry.trajectory import Trajectory


def pose(rotvec, xyz):
    return SE3(Rotation.from_rotvec(rotvec).as_matrix(), np.array(xyz, dtype=np.float64))


A, B = pose((0.1, -0.2, 0.3), (1, 2, 3)), pose((0.2, 0.1, 0.5), (5, 2, 2))


def path(t_us, poses):
    position = np.array([one.translation_m for one in poses]).reshape(-1, 3)
    rotation = np.array([one.rotation for one in poses]).reshape(-1, 3, 3)
    return Trajectory(np.array(t_us, dtype=np.int64), position, rotation)


def same(found, wanted):
    return np.array_equal(found.rotation, wanted.rotation) and np.array_equal(found.translation_m, wanted.translation_m)


@pytest.mark.parametrize("t", [-50_000, 25_000, 30_000, 99_999, 130_000])
def test_a_pose_lies_on_the_way_and_the_motion_goes_on(t):
    turn = logm(A.rotation.T @ B.rotation).real
    found, fraction = path([0, 100_000], [A, B]).at(t), t / 100_000
    np.testing.assert_allclose(found.rotation, A.rotation @ expm(fraction * turn), atol=1e-12)
    np.testing.assert_allclose(found.translation_m, np.array([1, 2, 3]) + fraction * np.array([4, 0, -1]))


def test_known_poses_are_returned_as_they_are():
    poses = [A, B, A]
    assert all(same(path([0, 100, 250], poses).at(t), one) for t, one in zip((0, 100, 250), poses, strict=True))


@pytest.mark.parametrize("t", [-250_000, 500_000, 3_000_000, 7_000_000])
def test_a_time_far_from_all_poses_has_none(t):
    assert path([0, 100_000, 5_000_000], [A, B, A]).at(t) is None


@pytest.mark.parametrize("beyond_us", [-150_000, 150_000])
def test_noise_of_frequent_poses_does_not_grow_beyond_the_ends(beyond_us, rng_of):
    t_us = np.arange(0, 1_000_000, 5000)
    worst = 0.0
    for seed in range(30):
        noisy = rng_of(seed).normal(0, 0.005, (len(t_us), 3)) + t_us[:, None] * [10e-6, 0, 0]
        poses = [pose((0, 0, 0), one) for one in noisy]
        t = beyond_us + (int(t_us[-1]) if beyond_us > 0 else 0)
        worst = max(worst, float(np.linalg.norm(path(t_us, poses).at(t).translation_m - [10e-6 * t, 0, 0])))
    assert worst < 0.08


def test_two_poses_of_almost_one_time_show_no_motion():
    close = pose((0, 0, 0), (1.0002, 0, 0))
    poses = [pose((0, 0, 0), (0, 0, 0)), pose((0, 0, 0), (1, 0, 0)), close]
    found = path([0, 100_000, 100_001], poses).at(250_000)
    np.testing.assert_allclose(found.translation_m[0], 2.5, atol=0.01)
    assert path([0, 1], poses[1:]).at(150_000) is None
    assert path([0, 1], poses[1:]).at(-150_000) is None
    assert path([0, 5_000_000, 5_050_000], poses[:2] + poses[:1]).at(5_100_000).translation_m[0] == pytest.approx(-1)
    assert path([0, 50_000, 5_000_000], [poses[1], *poses[:2]]).at(-50_000).translation_m[0] == pytest.approx(2)
    assert path([0, 5_000_000], poses[:2]).at(5_100_000) is None


def test_one_pose_holds_near_its_time_and_none_never():
    assert same(path([1000], [A]).at(900), A)
    assert path([1000], [A]).at(900_000) is None
    assert path([], []).at(0) is None
