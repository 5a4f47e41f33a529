"""Poses of KITTI's inertial unit, from oxts files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.kitti.files import text_lines
from pointsam.geometry.se3 import SE3

_EARTH_RADIUS_M = 6378137.0
_VALUES = 6
"""Latitude and longitude in degrees, altitude in metres, roll, pitch and yaw in radians; 24 more values follow."""


def read_poses(path: DataPath) -> Mapping[int, SE3 | DatasetError]:
    """world_SE3_imu of each frame of a sequence, from a file with a line for each; `poses_of` says which world.

    Raises:
        DatasetError: DAT004 if the file cannot be read.
    """
    lines = text_lines(path, "oxts file")
    while lines and not lines[-1]:
        lines.pop()
    return poses_of((number, f"{path}, line {number + 1}", line) for number, line in enumerate(lines))


def read_packets(files: Mapping[int, DataPath]) -> Mapping[int, SE3 | DatasetError]:
    """world_SE3_imu of each frame of a drive of KITTI raw, from a file for each; `poses_of` says which world.

    Args:
        files: file by number of the frame.

    Raises:
        DatasetError: DAT004 if a file cannot be read.
    """
    return poses_of((number, str(path), "".join(text_lines(path, "oxts file")[:1])) for number, path in files.items())


def poses_of(packets: Iterable[tuple[int, str, str]]) -> Mapping[int, SE3 | DatasetError]:
    """world_SE3_imu by number of the frame; DAT011 in place of a pose whose line is malformed.

    The world's axes point east, north and up, and its origin is the first position that can be read. Positions are
    Mercator's, with the scale of the first latitude.
    Source: KITTI raw data development kit, convertOxtsToPose.m and latlonToMercator.m.

    Args:
        packets: number of the frame, name of the line for errors, and the line.
    """
    values: dict[int, NDArray[np.float64]] = {}
    poses: dict[int, SE3 | DatasetError] = {}
    for number, where, line in packets:
        try:
            values[number] = _numbers(line)
        except ValueError as error:
            what = f"{where}: {error}"
            poses[number] = DatasetError("DAT011", what, "complete the download; without oxts poses count as unknown")
    if values:
        first = next(iter(values.values()))
        scale = float(np.cos(np.radians(first[0])))
        origin_m = _mercator(first, scale)
        poses |= {n: SE3(rotation_of(*row[3:]), _mercator(row, scale) - origin_m) for n, row in values.items()}
    return poses


def _numbers(line: str) -> NDArray[np.float64]:
    """(6,) the first values of a line.

    Raises:
        ValueError: if there are fewer, or one is no finite number, or the latitude is not below 90 degrees.
    """
    row = np.array([float(word) for word in line.split()[:_VALUES]])
    if len(row) < _VALUES or not np.isfinite(row).all():
        raise ValueError(f"no {_VALUES} finite numbers")
    if abs(row[0]) >= 90:
        raise ValueError(f"latitude {row[0]:g}")
    return row


def _mercator(row: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    latitude, longitude, altitude_m = row[:3]
    east_m = scale * _EARTH_RADIUS_M * np.radians(longitude)
    north_m = scale * _EARTH_RADIUS_M * np.log(np.tan(np.radians(90 + latitude) / 2))
    return np.array([east_m, north_m, altitude_m])


def rotation_of(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """(3,3) rotation Rz(yaw) Ry(pitch) Rx(roll), radians; of oxts, world_R_imu."""
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    rotation: NDArray[np.float64] = about_z @ about_y @ about_x
    return rotation
