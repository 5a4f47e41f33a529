"""The points of a frame that a detector gets: those of its key sweeps, and of sweeps before them.

P points, of which the first K are of the key sweeps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points, read_sweep_points
from pointsam.detect.data.sample import PointsConfig
from pointsam.geometry.level import is_level, map_SE3_lidar
from pointsam.geometry.projection import key_SE3_sweep, project
from pointsam.types import Frame, Sweep

_OWN_M = 1.0
"""Points of past sweeps with |x| and |y| below this, horizontally from any LiDAR of the vehicle, belong to the vehicle,
which has moved since."""


def read_cloud(dataset: Dataset, frame: Frame, config: PointsConfig) -> tuple[NDArray[np.float32], int]:
    """(P,5) points of a frame in the order of labels, then of past sweeps, all in the frame's LiDAR frame; and K.

    Points of past sweeps are compensated for ego motion. The age of a point is that of its sweep.

    Raises:
        DatasetError, CalibrationError: as `read_frame_points`.
    """
    used = _past_sweeps(dataset, frame, config)
    read = read_frame_points(frame, intensity=True)
    key, past = read.rows(), list[NDArray[np.float32]]()
    for k, sweep in enumerate(used):
        past.append(past[-1] if k and sweep is used[k - 1] else _past_points(frame, sweep))
    points = np.empty((len(key) + sum(map(len, past)), 5), dtype=np.float32)
    parts = np.split(points, np.cumsum([len(key), *map(len, past)])[:-1])
    parts[0][:, :4] = key
    parts[0][:, 4] = np.array([_age_s(frame, sweep) for sweep in frame.sweeps])[read.sweep_index]
    parts[0][:, 3] /= config.intensity_full
    for part, values, sweep in zip(parts[1:], past, used, strict=True):
        pose, linear = key_SE3_sweep(frame.sweep, sweep), np.eye(4, 5, dtype=np.float32)
        linear[:3, :3], linear[3, 3] = pose.rotation.T, 1 / config.intensity_full
        np.matmul(values, linear, out=part)
        for axis in range(3):
            part[:, axis] += np.float32(pose.translation_m[axis])
        part[:, 4] = _age_s(frame, sweep)
    np.clip(points[:, 3], 0, 1, out=points[:, 3])
    return points, len(key)


def _age_s(frame: Frame, sweep: Sweep) -> float:
    return (frame.sweep.t_us - sweep.t_us) * 1e-6


def _past_sweeps(dataset: Dataset, frame: Frame, config: PointsConfig) -> list[Sweep]:
    """The past sweeps of a frame, latest first, LiDAR by LiDAR; missing ones are repeated if configured."""
    found, used = dataset.past_sweeps(frame.frame_id, config.past_sweeps), list[Sweep]()
    for key in frame.sweeps:
        mine = found if len(frame.sweeps) == 1 else [sweep for sweep in found if sweep.sensor == key.sensor]
        missing = config.past_sweeps - len(mine) if config.repeat_missing else 0
        used += [*mine, *[mine[-1] if mine else key] * missing]
    return used


def lidar_places_m(frame: Frame, sweep: Sweep) -> NDArray[np.float64]:
    """(L,2) horizontal places of the L LiDARs of a frame, seen from the LiDAR of a sweep, along axes of its map frame.

    Returns of the vehicle are near its LiDARs: what a LiDAR on the roof sees of the bumper is far from it, but near the
    LiDAR at the bumper.
    """
    if len(frame.sweeps) == 1:
        return np.zeros((1, 2))
    map_SE3_ego = map_SE3_lidar(sweep.ego_SE3_lidar) @ sweep.ego_SE3_lidar.inverse()
    return map_SE3_ego.apply(np.array([one.ego_SE3_lidar.translation_m for one in frame.sweeps]))[:, :2]


def _past_points(frame: Frame, sweep: Sweep) -> NDArray[np.float32]:
    """(N,4) points of a past sweep in its own LiDAR frame, and their intensity, without those of the vehicle."""
    try:
        values = read_sweep_points(frame, sweep, intensity=True)
    except DatasetError as error:
        if error.code != "DAT004":
            raise
        hint = f"{error.hint}, or train without sweeps before key frames: --set data.points.past_sweeps=0"
        raise DatasetError(error.code, error.message, hint) from error
    mount = sweep.ego_SE3_lidar
    flat = values[:, :2] if is_level(mount) else map_SE3_lidar(mount).apply(values[:, :3])[:, :2]
    outside = np.ones(len(values), dtype=bool)
    for x, y in lidar_places_m(frame, sweep):
        outside &= (np.abs(flat[:, 0] - x) >= _OWN_M) | (np.abs(flat[:, 1] - y) >= _OWN_M)
    return np.compress(outside, values, axis=0)


def in_view(points: NDArray[np.float32], frame: Frame) -> NDArray[np.bool_]:
    """(P,) whether at least one camera sees each point; points in the LiDAR frame."""
    seen = np.zeros(len(points), dtype=bool)
    for camera in frame.cameras:
        seen |= project(points[:, :3], frame, camera).valid
    return seen
