"""A frame with one camera that looks along the LiDAR's x axis; the vehicle stands still at the world's origin."""

from pathlib import Path

import numpy as np
import pytest

from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

LIDAR_R_CAM = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@pytest.fixture(scope="session")
def one_camera_frame():
    """64 x 48 px, focal length 50 px; the previous sweep was taken 2 m farther back."""
    here = SE3.identity()
    behind = SE3(np.eye(3), np.array([-2.0, 0.0, 0.0]))
    camera = Camera(np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]]), 64, 48)
    view = CameraView("CAM", ImageFile(Path("cam.jpg")), 0, camera, SE3(LIDAR_R_CAM, np.zeros(3)), here)
    sweep = Sweep(RawPoints(Path("key.bin"), XYZ), 0, here, here)
    before = Sweep(RawPoints(Path("before.bin"), XYZ), -50_000, here, behind)
    return Frame("frame", "scene", (sweep,), {-1: before, 1: sweep}, (view,))


@pytest.fixture(scope="session")
def ray():
    """(N,2) pixels and a depth to the points of the key sweep that the camera of `one_camera_frame` sees there."""

    def points(uv_px, depth_m=10.0):
        u, v = np.asarray(uv_px, dtype=np.float64).reshape(-1, 2).T
        depth = np.broadcast_to(np.asarray(depth_m, dtype=np.float64), u.shape)
        return np.stack([depth, -(u - 32) / 50 * depth, -(v - 24) / 50 * depth], axis=1).astype(np.float32)

    return points
