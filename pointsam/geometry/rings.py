"""The angle between the rings of a LiDAR, from its points.

Only sensors with rings have it: a solid-state sensor, or a file without numbers of rings, gives 0. The angle is
measured between directions, so the axes of the sensor's frame do not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointsam.base.arrays import FloatArray
from pointsam.geometry.ground import OWN_M
from pointsam.types import Frame, FramePoints

UNKNOWN_RING = -1
"""Number of the ring of a point that states none."""

_MOST_RINGS = 1024
"""With more distinct numbers, a column does not number rings."""
_ASKED, _NEIGHBOURS = 512, 64
"""How many points are looked at, and how many neighbours of each: most are of the same ring."""
_SAME = 1e-6
"""Points within this angle are one point."""
_MIXED = 0.8
"""With a larger fraction of points whose nearest point is of another ring, points do not lie in rings."""
_AS_STATED = 0.05
"""A measured angle confirms a stated one that differs by less than this fraction."""


def ring_gap_rad(from_sensor_m: FloatArray, ring: NDArray[np.float32]) -> tuple[float, int]:
    """Median angle between a point and the nearest point of another ring, and the number of rings.

    Returns of the vehicle are left out: some sensors write rows without a return there, many at one place. Both are 0
    without numbers of rings. The angle is NaN if points of one number do not lie in a ring.

    Args:
        from_sensor_m: (N,3) points of one sweep from their sensor, metres; NaN for rows without a position.
        ring: (N,) number of the ring of each point. A column of other values (times, one value for all points,
            fractions) has no rings.
    """
    range_m = np.linalg.norm(from_sensor_m, axis=1)
    usable = np.flatnonzero((range_m > OWN_M) & np.isfinite(range_m) & (ring >= 0))
    number = ring[usable]
    if len(usable) == 0 or not (number == np.round(number)).all() or not 1 < len(np.unique(number)) <= _MOST_RINGS:
        return 0.0, 0
    direction = np.asarray(from_sensor_m, dtype=np.float64)[usable] / range_m[usable, None]
    asked = np.arange(0, len(usable), -(-len(usable) // _ASKED))
    chord, near = cKDTree(direction).query(direction[asked], k=min(_NEIGHBOURS, len(usable)))
    other = (number[near] != number[asked, None]) & (chord > _SAME)
    found = other.any(axis=1)
    count = len(np.unique(number))
    if not found.any() or other[:, 1].mean() > _MIXED:
        return np.nan, count
    nearest = chord[np.arange(len(asked)), other.argmax(axis=1)][found]
    return float(2 * np.arcsin(np.median(nearest) / 2)), count


def ring_gaps_rad(frame: Frame, points: FramePoints, origin_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) angle between the rings of each sweep of a frame, 0 where unknown.

    If the source has numbers of rings, they decide: the angle is measured, and the stated one is used if they confirm
    it. Numbers that lie in no rings confirm it if there are as many as the stated sensor has; otherwise the angle is 0.
    Without numbers, the stated angle is used.

    Args:
        frame: the frame.
        points: its points; numbers of rings that were not read leave the stated angles.
        origin_lidar_m: (S,3) positions of the LiDARs in the frame of the points.
    """
    gaps = np.array([sweep.ring_gap_rad for sweep in frame.sweeps])
    for k, sweep in enumerate(frame.sweeps):
        if points.ring is not None and "ring" in sweep.source.columns:
            its = points.sweep_index == k
            found, count = ring_gap_rad(points.xyz_lidar_m[its] - origin_lidar_m[k], points.ring[its])
            if np.isnan(found):
                gaps[k] *= count == sweep.num_rings
            elif abs(found - gaps[k]) > _AS_STATED * gaps[k]:
                gaps[k] = found
    return gaps
