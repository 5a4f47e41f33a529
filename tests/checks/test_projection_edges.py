"""A camera that is turned against the LiDAR is found by edges; an aligned one raises no alarm."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from pointsam.checks.base import Probe
from pointsam.checks.rules.projection_edges import RULE, edge_points
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

WIDTH, HEIGHT = 640, 360
CAMERA = Camera(np.array([[800.0, 0, 320], [0, 800, 180], [0, 0, 1]]), WIDTH, HEIGHT)
FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


@dataclass(frozen=True)
class Cloud:
    """Points in memory."""

    xyz: np.ndarray
    name: str = "cloud"
    columns: tuple[str, ...] = ("x", "y", "z")

    def read(self, columns):
        return self.xyz[:, [self.columns.index(name) for name in columns]]


@dataclass(frozen=True)
class Picture:
    """An image in memory."""

    pixels: np.ndarray
    name: str = "picture"
    file_name: str = "picture.png"

    def open(self):
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, format="PNG")
        stream.seek(0)
        return stream


def street(rng):
    """A wall 25 m ahead, and panels of different sizes 8 m ahead of the vehicle: points and image."""
    bearing = np.tile(np.linspace(-0.35, 0.35, 400), 60)
    down = np.repeat(np.linspace(-0.2, 0.2, 60), 400)
    across, upright = np.cumsum(rng.uniform(0.03, 0.1, 30)) - 0.4, np.cumsum(rng.uniform(0.03, 0.1, 20)) - 0.25
    there = rng.random((31, 21)) < 0.4

    def panel(bearing, down):
        return there[np.searchsorted(across, bearing), np.searchsorted(upright, down)]

    x = np.where(panel(bearing, down), 8.0, 25.0)
    xyz = np.column_stack([x, x * bearing, x * down]).astype("<f4")
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.where(panel((320 - u) / 800, (180 - v) / 800)[..., None], 200, 60) + rng.integers(
        0, 20, (HEIGHT, WIDTH, 3)
    )
    return xyz, pixels.astype(np.uint8)


def survey(yaw_deg, frames=4, picture=lambda pixels: pixels, step_m=0.0):
    """The problems of some frames whose camera is calibrated with an error."""
    found, rng = RULE.survey(), np.random.default_rng(0)
    rotation = FORWARD @ Rotation.from_euler("y", yaw_deg, degrees=True).as_matrix()
    for k in range(frames):
        xyz, pixels = street(rng)
        pose = SE3(np.eye(3), [k * step_m + (step_m > 0), 0, 0])
        view = CameraView("FRONT", Picture(picture(pixels)), 0, CAMERA, SE3(rotation, np.zeros(3)), pose)
        sweep = Sweep(Cloud(xyz), 0, SE3.identity(), pose)
        found.open(Probe(Frame(f"f{k}", "drive", (sweep,), {}, (view,)), None))
    return [(problem.where, problem.what) for problem in found.problems()]


@pytest.mark.parametrize("yaw_deg", [0, 0.3, -0.3])
def test_an_aligned_camera_raises_no_alarm(yaw_deg):
    assert survey(yaw_deg) == []


@pytest.mark.parametrize(("yaw_deg", "words"), [(1, "+2.2% (right)"), (-1, "-2.2% (right)")])
def test_a_turned_camera_is_found_with_its_offset(yaw_deg, words):
    ((where, what),) = survey(yaw_deg)
    assert where == "FRONT"
    assert words in what


def test_few_frames_images_of_noise_and_a_parked_vehicle_say_nothing():
    rng = np.random.default_rng(1)
    assert survey(1, frames=2) == []
    assert survey(1, picture=lambda pixels: rng.integers(0, 255, pixels.shape, dtype=np.uint8)) == []
    assert survey(1, step_m=0.1) == []
    assert len(survey(1, step_m=10.0)) == 1


def test_edges_are_points_in_front_of_others():
    xyz, pixels = street(np.random.default_rng(0))
    view = CameraView("FRONT", Picture(pixels), 0, CAMERA, SE3(FORWARD, np.zeros(3)), SE3.identity())
    frame = Frame("f", "drive", (Sweep(Cloud(xyz), 0, SE3.identity(), SE3.identity()),), {}, (view,))
    uv = edge_points(project(xyz, frame, view), WIDTH)
    assert len(uv) > 300
    column, row = np.clip(uv.round().astype(int), 4, [WIDTH - 5, HEIGHT - 5]).T
    grey = pixels.mean(axis=2)
    near = [grey[row + dy, column + dx] for dx, dy in ((4, 0), (-4, 0), (0, 4), (0, -4))]
    assert (np.ptp(near, axis=0) > 50).mean() > 0.9
