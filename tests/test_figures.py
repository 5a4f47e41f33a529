"""The ray caster behind the README's picture: camera, sweep and truth must be of the same surfaces."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3

SCRIPTS = str(Path(__file__).resolve().parents[1] / "scripts")


@pytest.fixture
def raycast(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    yield __import__("raycast")
    sys.modules.pop("raycast")


@pytest.fixture
def glazed(raycast):
    """A pane 4 m ahead of a wall at 8 m."""
    pane = raycast.box((4, -9, -9), (4.1, 9, 9), (0, 0, 0), glass=True)
    wall = raycast.box((8, -9, -9), (9, 9, 9), (1, 1, 1))
    return [raycast.Thing([solid], np.zeros(3), np.inf) for solid in (pane, wall)]


AHEAD = np.array([[1.0, 0, 0]])


def test_rays_end_at_the_nearest_surface(raycast, glazed):
    distance, owner, _, normal = raycast.cast(glazed, np.zeros((1, 3)), AHEAD)
    assert distance[0] == pytest.approx(4)
    assert owner[0] == 0
    assert normal[0].tolist() == [-1, 0, 0]


def test_glass_is_clear_to_rays_marked_so(raycast, glazed):
    distance, owner, _, _ = raycast.cast(glazed, np.zeros((1, 3)), AHEAD, clear=np.array([True]))
    assert distance[0] == pytest.approx(8)
    assert owner[0] == 1


def test_a_ball_is_hit_at_its_radius(raycast):
    ball = raycast.stand([raycast.ball((0, 0, 0), (2, 2, 2), (1, 1, 1))], 10, 0, radius=2.0)
    assert raycast.cast([ball], np.zeros((1, 3)), AHEAD)[0][0] == pytest.approx(8, abs=1e-4)
    assert np.isinf(raycast.cast([ball], np.array([[0, 2.1, 0]]), AHEAD)[0][0])


def test_camera_and_lidar_see_a_thing_in_one_place(raycast):
    box = raycast.stand([raycast.box((-1, -1, 0), (1, 1, 2), (1, 0, 0))], 9, 1, size=(2, 2, 2))
    camera = PinholeCamera(np.array([[200.0, 0, 100], [0, 200, 80], [0, 0, 1]]), 200, 160)
    ego_SE3_cam = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0, 0, 1])
    _, owner = raycast.photograph([box], camera, ego_SE3_cam, samples=1)
    xyz_lidar_m, truth = raycast.scan([box], SE3(np.eye(3), [0, 0, 1]), 16, 720, np.random.default_rng(0))
    assert len(truth) > 10
    assert (truth == 0).all()
    uv, _ = camera.project(ego_SE3_cam.inverse().apply(xyz_lidar_m + np.array([0, 0, 1])))
    u, v = np.round(uv).astype(int).T
    assert (owner[v, u] == 0).mean() > 0.95  # noise of 2 cm takes a few across the outline
