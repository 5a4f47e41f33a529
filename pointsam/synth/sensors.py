"""LiDARs: one that turns and has rings, and one without moving parts that scans a field. Both give 20 sweeps a second.

The frame of an upright LiDAR has x right, y forward, z up. A revolution starts on the left of the sensor and turns
clockwise seen from above it. The time stamp of a sweep is its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3

SWEEP_US = 50_000
SWEEPS_PER_KEY = 10


@dataclass(frozen=True, eq=False)
class LidarModel:
    """A LiDAR that turns: all rings of a column are measured at once.

    Args:
        columns: number of columns per revolution.
        elevation_rad: (R,) elevation of the rings, lowest first.
        ego_SE3_lidar: its mounting.
        name: its channel.
        early_us: time from the end of its sweep to that of the first LiDAR of the rig.
    """

    columns: int
    elevation_rad: NDArray[np.float64]
    ego_SE3_lidar: SE3
    name: str = "LIDAR_TOP"
    early_us: int = 0

    @property
    def rings(self) -> int:
        """Number of rings, R."""
        return len(self.elevation_rad)

    def azimuth_rad(self) -> NDArray[np.float64]:
        """(C,) azimuth of each column in the LiDAR frame, radians from x (right) towards y (forward)."""
        return np.pi - (np.arange(self.columns) + 0.5) * 2 * np.pi / self.columns

    def delay_s(self) -> NDArray[np.float64]:
        """(C,) time from the measurement of each column to the end of the sweep, seconds."""
        return (1 - (np.arange(self.columns) + 0.5) / self.columns) * SWEEP_US * 1e-6

    def rays(self, end_s: float) -> NDArray[np.float64]:
        """(C,R,3) unit vectors in the LiDAR frame of the sweep that ends at a time, which are those of any other."""
        azimuth = self.azimuth_rad()[:, None]
        flat, up = np.cos(self.elevation_rad), np.sin(self.elevation_rad)
        return np.stack(
            [flat * np.cos(azimuth), flat * np.sin(azimuth), np.broadcast_to(up, (self.columns, self.rings))], axis=2
        )

    def ring_of_points(self) -> NDArray[np.float32]:
        """(C*R,) ring of every point of a sweep."""
        return np.tile(np.arange(self.rings, dtype=np.float32), self.columns)


@dataclass(frozen=True, eq=False)
class SolidStateLidar:
    """A LiDAR with a limited field of view and without rings: two turning prisms lead its lines along a rosette.

    At time t the lines point to `half_field_rad * (cos a + cos b, sin a + sin b) / 2`, right and up from forward, with
    a and b the angles of the prisms. No sweep repeats another. The sensor is invented.

    Args:
        shots: number of times per sweep at which all lines are measured, S.
        lines_rad: (L,) elevation of the lines relative to their common direction.
        half_field_rad: half the width and half the height of the rosette.
        prism_hz: turns per second of both prisms; negative is the other way round.
        ego_SE3_lidar: its mounting.
        name: its channel.
        early_us: time from the end of its sweep to that of the first LiDAR of the rig.
    """

    shots: int
    lines_rad: NDArray[np.float64]
    half_field_rad: tuple[float, float]
    prism_hz: tuple[float, float]
    ego_SE3_lidar: SE3
    name: str
    early_us: int

    def delay_s(self) -> NDArray[np.float64]:
        """(S,) time from each measurement to the end of the sweep, seconds."""
        return (1 - (np.arange(self.shots) + 0.5) / self.shots) * SWEEP_US * 1e-6

    def rays(self, end_s: float) -> NDArray[np.float64]:
        """(S,L,3) unit vectors in the LiDAR frame of the sweep that ends at a time, seconds."""
        time = end_s - self.delay_s()
        a, b = (2 * np.pi * hz * time for hz in self.prism_hz)
        width, height = self.half_field_rad
        right = (width * (np.cos(a) + np.cos(b)) / 2)[:, None]
        up = (height * (np.sin(a) + np.sin(b)) / 2)[:, None] + self.lines_rad
        return np.stack([np.cos(up) * np.sin(right), np.cos(up) * np.cos(right), np.sin(up)], axis=2)

    def ring_of_points(self) -> NDArray[np.float32]:
        """(S*L,) zeros: nuScenes' files have this column, the sensor has no rings."""
        return np.zeros(self.shots * len(self.lines_rad), dtype=np.float32)


AnyLidar: TypeAlias = LidarModel | SolidStateLidar
"""A LiDAR of a rig."""


def beam_delay_s(xy_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) time from the beam of a turning LiDAR at (N,2) points of its frame to the end of the sweep, seconds."""
    turned = (np.pi - np.arctan2(xy_lidar_m[:, 1], xy_lidar_m[:, 0])) % (2 * np.pi) / (2 * np.pi)
    delay: NDArray[np.float64] = (1 - turned) * SWEEP_US * 1e-6
    return delay
