"""A frame of two LiDARs with other mountings and times, points in a Parquet file and the image in memory.

A vehicle drives and turns past a car. The second LiDAR turns once 40 ms after the first; the camera, with a lens that
distorts, exposes 15 ms after it.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

SPEED_MPS, TURN_RAD_S = 10.0, 0.4
MOUNTS = (
    SE3(np.eye(3), [0.0, 0.0, 1.8]),
    SE3(Rotation.from_euler("zyx", [40, 5, -3], degrees=True).as_matrix(), [1.2, -0.7, 1.1]),
)
TIMES_US = (1_000_000, 1_040_000)
CAMERA = Camera(np.array([[120.0, 0, 80], [0, 118, 60], [0, 0, 1]]), 160, 120, (-0.2, 0.05, 0.001, -0.002, 0.0))
CAMERA_MOUNT = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0.6, 0.3, 1.5])
COLUMNS = ("x", "y", "z", "intensity")


def pose(t_us):
    """world_SE3_ego: forward at a constant speed and turn rate, far from the world's origin."""
    rate = np.zeros((4, 4))
    rate[0, 1], rate[1, 0], rate[0, 3] = -TURN_RAD_S, TURN_RAD_S, SPEED_MPS
    step = expm(rate * (t_us - TIMES_US[0]) * 1e-6)
    return SE3(np.eye(3), [640.0, 1180.0, 0.0]) @ SE3(step[:3, :3], step[:3, 3])


@dataclass(frozen=True)
class RowGroup:
    """The points of one row group of a Parquet file."""

    path: Path
    group: int
    columns: tuple = COLUMNS

    @property
    def name(self):
        return f"{self.path}, row group {self.group}"

    def read(self, columns):
        table = pq.ParquetFile(self.path).read_row_group(self.group, columns=list(columns))
        return np.column_stack([table[column].to_numpy() for column in columns])


@dataclass(frozen=True)
class Blob:
    """An encoded image in memory."""

    content: bytes
    file_name: str = "drive_0001.png"
    name: str = "blob 17"

    def open(self):
        return io.BytesIO(self.content)


def png(height_px, width_px, grey=90):
    stream = io.BytesIO()
    Image.new("RGB", (width_px, height_px), (grey, grey, grey)).save(stream, format="PNG")
    return stream.getvalue()


def write_rows(path, groups, columns=COLUMNS):
    """A Parquet file with one row group for each (N,len(columns)) array."""
    tables = [pa.table({name: values[:, k] for k, name in enumerate(columns)}) for values in groups]
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)


def world_points(rng, count=400):
    """Points at rest in the world: the near sides of a car 12 m ahead, and the road."""
    car = np.column_stack([rng.uniform(11, 15, count), rng.uniform(-1, 1, count), rng.uniform(0.3, 1.6, count)])
    near = rng.random(count) < 0.5
    car[near, 0], car[~near, 1] = 11.0, 1.0
    road = np.column_stack([rng.uniform(5, 30, count), rng.uniform(-8, 8, count), np.zeros(count)])
    return pose(TIMES_US[0]).apply(np.concatenate([car, road]))


def two_lidar_frame(folder, seed=0):
    """The frame, and the (N,3) points of the world of each LiDAR; the first has more points than the second."""
    rng = np.random.default_rng(seed)
    sensed = (world_points(rng), world_points(rng, 250))
    rows = []
    for xyz, mount, t_us in zip(sensed, MOUNTS, TIMES_US, strict=True):
        local = (pose(t_us) @ mount).inverse().apply(xyz)
        rows.append(np.column_stack([local, rng.uniform(0, 255, len(local))]).astype(np.float32))
    path = folder / "sweeps.parquet"
    write_rows(path, rows)
    first, second = (
        Sweep(RowGroup(path, k), TIMES_US[k], MOUNTS[k], pose(TIMES_US[k]), 0.01 * (k + 1), f"lidar_{k}")
        for k in (0, 1)
    )
    t_us = TIMES_US[0] + 15_000
    view = CameraView("front", Blob(png(120, 160)), t_us, CAMERA, CAMERA_MOUNT, pose(t_us))
    return Frame("frame", "drive", (first, second), {}, (view,)), sensed


def by_hand(xyz, sweep, view):
    """(u, v, depth) of one point of a sweep, step by step: lidar, ego, world, ego of the camera, camera, lens."""
    xyz = sweep.ego_SE3_lidar.rotation @ xyz + sweep.ego_SE3_lidar.translation_m
    xyz = sweep.world_SE3_ego.rotation @ xyz + sweep.world_SE3_ego.translation_m
    xyz = view.world_SE3_ego.rotation.T @ (xyz - view.world_SE3_ego.translation_m)
    x, y, z = view.ego_SE3_cam.rotation.T @ (xyz - view.ego_SE3_cam.translation_m)
    k1, k2, p1, p2, k3 = view.camera.distortion
    a, b = x / z, y / z
    r2 = a * a + b * b
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)
    v = b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b
    K = view.camera.K
    return K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2], z
