"""A view of an image for tests that only need names and sizes."""

from pathlib import Path

import numpy as np
import pytest

from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep


@pytest.fixture
def view_of():
    def make(height_px, width_px, camera="CAM_FRONT", image="drive_0001.jpg"):
        still = SE3(np.eye(3), np.zeros(3))
        pinhole = Camera(np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]]), width_px, height_px)
        return CameraView(camera, ImageFile(Path("images") / image), 0, pinhole, still, still)

    return make


@pytest.fixture
def frame():
    still = SE3(np.eye(3), np.zeros(3))
    return Frame("f", "s", (Sweep(RawPoints(Path("sweep.bin"), XYZ), 0, still, still),), {}, ())
