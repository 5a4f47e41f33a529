"""A street that LiDARs of any attitude scan by casting rays, and masks of its objects in one image."""

from dataclasses import dataclass

import numpy as np

from pointsam import rle
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import NUSCENES
from pointsam.types import CameraView, Detections, Frame, ImageMasks, InstanceMap, Masks, Sweep

COLUMNS = ("x", "y", "z", "intensity", "ring")
OBJECTS = (
    ("car", (14.0, 3.0, 0.8), (4.4, 1.8, 1.6), 0.2),
    ("car", (21.0, -4.0, 0.8), (4.4, 1.8, 1.6), 1.4),
    ("truck", (30.0, 5.0, 1.6), (8.0, 2.5, 3.2), -0.3),
    ("pedestrian", (9.0, -2.5, 0.9), (0.6, 0.6, 1.8), 0.0),
    ("pedestrian", (16.0, -1.0, 0.9), (0.6, 0.6, 1.8), 0.7),
    ("bicycle", (12.0, -5.0, 0.7), (1.7, 0.6, 1.4), 0.9),
)
"""Class, centre, size and yaw of boxes on the ground, in the vehicle's frame."""

ROOF, FRONT = SE3(np.eye(3), [0.9, 0.0, 1.8]), SE3(np.eye(3), [3.4, 0.2, 0.7])
WIDTH_PX, HEIGHT_PX = 640, 320
CAMERA = Camera(np.array([[320.0, 0, 320], [0, 320, 160], [0, 0, 1]]), WIDTH_PX, HEIGHT_PX)
VIEW = CameraView(
    "front", None, 0, CAMERA, SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [1.7, 0, 1.5]), SE3.identity()
)


@dataclass(frozen=True)
class Rows:
    """Points in memory."""

    values: np.ndarray
    columns: tuple = COLUMNS
    name: str = "rows"

    def read(self, columns):
        return self.values[:, [self.columns.index(column) for column in columns]]


def cast(origin, direction):
    """Distance along rays to the ground or the nearest object, infinity without a return; vehicle's frame."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(direction[:, 2] < 0, -origin[2] / direction[:, 2], np.inf)
        nearest = np.where(ground < 60, ground, np.inf)
        for _, center, size, yaw in OBJECTS:
            turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
            start, ray = turn @ (origin - center), direction @ turn.T
            ends = np.stack([(side * np.array(size) / 2 - start) / ray for side in (-1, 1)])
            near, far = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
            nearest = np.where((near <= far) & (near > 0), np.minimum(nearest, near), nearest)
    return nearest


def scan(mount, rings=32, steps=700, low=-30.7, high=10.7):
    """(N,5) rows of a spinning LiDAR, in its frame: x, y, z, intensity, ring."""
    elevation = np.radians(np.linspace(low, high, rings))
    azimuth = np.radians(np.linspace(-70, 70, steps))
    ring, step = np.meshgrid(np.arange(rings), np.arange(steps), indexing="ij")
    e, a = elevation[ring.ravel()], azimuth[step.ravel()]
    rays = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    distance = cast(mount.translation_m, rays @ mount.rotation.T)
    there = np.isfinite(distance)
    xyz = rays[there] * distance[there, None]
    return np.column_stack([xyz, np.ones(len(xyz)), ring.ravel()[there]]).astype(np.float32)


def sweep_of(rows, mount, name="roof", columns=COLUMNS, **more):
    return Sweep(Rows(rows, columns), 0, mount, SE3.identity(), sensor=name, **more)


def remounted(sweep, turn):
    """The sweep of a LiDAR that hangs there in another attitude: its frame is turned by a (3,3) rotation."""
    rows = sweep.source.values.copy()
    rows[:, :3] = (rows[:, :3].astype(np.float64) @ turn.T).astype(np.float32)
    mount = SE3(sweep.ego_SE3_lidar.rotation @ turn.T, sweep.ego_SE3_lidar.translation_m)
    return sweep_of(rows, mount, sweep.sensor, sweep.source.columns)


def street(*sweeps):
    return Frame("street", "drive", sweeps, {}, (VIEW,))


def images():
    """Masks of the objects: what their corners span in the image, a little too large; nearer ones on top."""
    painted = np.full((HEIGHT_PX, WIDTH_PX), -1, dtype=np.int32)
    classes = np.array([NUSCENES.class_id(name) for name, *_ in OBJECTS], dtype=np.uint8)
    level = street(sweep_of(np.zeros((1, 5)), SE3.identity()))
    for k in sorted(range(len(OBJECTS)), key=lambda k: -OBJECTS[k][1][0]):
        _, center, size, yaw = OBJECTS[k]
        sign = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        uv = project(sign * size @ turn.T + center, level, VIEW).uv_px
        (left, top), (right, bottom) = (uv.min(axis=0) - 2).astype(int), (uv.max(axis=0) + 3).astype(int)
        painted[max(top, 0) : bottom, max(left, 0) : right] = k
    one = np.ones(len(OBJECTS), dtype=np.float32)
    runs = tuple(rle.encode_mask(painted == k) for k in range(len(OBJECTS)))
    masks = Masks(HEIGHT_PX, WIDTH_PX, runs, 0.9 * one, 0.9 * one, np.arange(len(OBJECTS), dtype=np.int32))
    found = Detections(np.zeros((len(OBJECTS), 4), np.float32), classes, 0.9 * one, runs)
    row = ImageMasks("street", "front", "ok", "", "", masks, found, np.zeros((0, 2), np.int32))
    return row, InstanceMap(painted, classes, np.arange(len(OBJECTS), dtype=np.int32))
