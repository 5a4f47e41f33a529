"""A made-up vehicle: a LiDAR mounted as on nuScenes (x to the right), and cameras beside it that look forward."""

from pathlib import Path

import numpy as np
import pytest

from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes, CameraView, Frame, PointLabels, Sweep

EGO_R_LIDAR = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # LiDAR y is forward, x is right
EGO_R_CAM = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
WIDTH, HEIGHT = 800, 450


@pytest.fixture
def make_frame():
    def make(camera_names):
        camera = Camera(np.array([[400.0, 0, 399.5], [0, 400, 224.5], [0, 0, 1]]), WIDTH, HEIGHT)
        views = tuple(
            CameraView(name, ImageFile(Path("none.jpg")), 0, camera, SE3(EGO_R_CAM, np.zeros(3)), SE3.identity())
            for name in camera_names
        )
        sweep = Sweep(RawPoints(Path("none.bin"), XYZ), 0, SE3(EGO_R_LIDAR, np.zeros(3)), SE3.identity())
        return Frame("frame", "scene", (sweep,), {}, views)

    return make


@pytest.fixture
def make_labels():
    def make(*instance_and_class):
        table = np.array(instance_and_class).reshape(-1, 2)
        return PointLabels(table[:, 0].astype(np.int32), table[:, 1].astype(np.uint8))

    return make


@pytest.fixture
def one_box():
    """A car of 4 m by 2 m, 20 m ahead, that faces to the vehicle's left."""
    to_the_left = np.array([[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]])
    return Boxes(np.array([[0.0, 20, 0]]), np.array([[4.0, 2, 1.5]]), to_the_left[None], np.zeros(1, np.uint8), ("a",))


@pytest.fixture
def image():
    return np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
