"""Measure whether the implied times of points align the sweeps of a sequence of KITTI tracking.

    python scripts/sweep_alignment.py TRACKING

Two sweeps a few frames apart are registered by point-to-plane ICP, and the motion between them gives the motion within
both. This is repeated with the points as they are, with the times of a clockwise turn, which the reader uses, and with
those of the other way round. The distances that remain are printed for all surfaces, and for those that face along the
road within 25 m: only they show a shift along the road. `fitted` is the share of a clockwise turn that fits best when
it is a seventh unknown of the registration: 0 if motion was removed from the sweeps, 1 if it was not, -1 if the LiDAR
turns the other way. No poses are read: the motion is that of the registration.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, logm
from scipy.spatial import cKDTree

from pointsam.datasets.io import read_points
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.geometry.motion import carried
from pointsam.types import Sweep

Floats = NDArray[np.float64]

GAPS = (1, 3, 5)
CELL_M, NEAR_M, FAR_M, PAIR_M, WIDTH_M, CUT_M = 0.2, 3.0, 60.0, 0.6, 0.1, 0.3
FACING, FACING_M, FLAT, NEIGHBOURS = 0.7, 25.0, 0.05, 12
SPEED_MPS = 11.0
"""Of the first guess."""


def main() -> None:
    """Read the arguments, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracking", type=Path, help="root of KITTI tracking")
    data = KittiTracking(parser.parse_args().tracking)
    sweeps = [data.cloud(frame_id).sweep for frame_id in data.frame_ids()]
    clouds = [_cloud(sweep) for sweep in sweeps]
    for gap in GAPS:
        pairs = [(clouds[k], clouds[k + gap]) for k in range(len(clouds) - gap)]
        seconds = gap * (sweeps[1].t_us - sweeps[0].t_us) * 1e-6
        for name, share in (("as they are", 0.0), ("clockwise", 1.0), ("the other way", -1.0)):
            found = np.array([_remaining(*pair, seconds, share) for pair in pairs])
            every, facing, median = 1e3 * found.mean(axis=0)
            print(f"{seconds:.1f} s, {name}: mean {every:.1f} mm, facing {facing:.1f} mm, median {median:.1f} mm")
        fitted = np.array([_register(*pair, seconds, None)[1] for pair in pairs])
        print(f"{seconds:.1f} s, fitted: median {np.median(fitted):.2f}, from {fitted.min():.2f} to {fitted.max():.2f}")


def _cloud(sweep: Sweep) -> tuple[Floats, Floats]:
    """(N,3) thinned points, and (N,) their times in a clockwise turn."""
    assert sweep.revolution is not None
    xyz = read_points(sweep).astype(np.float64)
    range_m = np.linalg.norm(xyz, axis=1)
    xyz = xyz[(range_m > NEAR_M) & (range_m < FAR_M)]
    _, first = np.unique(np.floor(xyz / CELL_M).astype(int), axis=0, return_index=True)
    xyz = xyz[np.sort(first)]
    return xyz, sweep.revolution.time_s(xyz[:, 0], xyz[:, 1])


def _register(
    one: tuple[Floats, Floats], other: tuple[Floats, Floats], seconds: float, share: float | None
) -> tuple[Floats, float]:
    """(4,4) pose of the other sweep in the first one, and the share of the times; None fits it too."""
    pose, fits = np.eye(4), share is None
    pose[0, 3], used = SPEED_MPS * seconds, share or 0.0
    for _ in range(6 if fits else 3):
        rate = logm(pose).real / seconds
        first, second = (carried(xyz, rate, used * time_s) for xyz, time_s in (one, other))
        slopes = [_slope(rate, xyz, time_s) for xyz, time_s in ((first, one[1]), (second, other[1]))]
        tree, normal, flat = _planes(first)
        change = 0.0
        for _ in range(10):
            there = (second + change * slopes[1]) @ pose[:3, :3].T + pose[:3, 3]
            pairs, at, normals, apart = _pairs(tree, normal, flat, first + change * slopes[0], there)
            across = np.einsum("ij,ij->i", normals, slopes[1][pairs] @ pose[:3, :3].T - slopes[0][at])
            jacobian = np.column_stack([np.cross(there[pairs], normals), normals, across])[:, : 7 if fits else 6]
            weighted = jacobian * ((1 + (apart / WIDTH_M) ** 2) ** -2)[:, None]
            step = -np.linalg.solve(weighted.T @ jacobian, weighted.T @ apart)
            pose = expm(_twist(step[:6])) @ pose
            change += step[6] if fits else 0.0
            if np.abs(step).max() < 1e-5:
                break
        used += change
    return pose, used


def _remaining(
    one: tuple[Floats, Floats], other: tuple[Floats, Floats], seconds: float, share: float
) -> tuple[float, float, float]:
    """Mean distance of all points from planes, and mean and median of those on surfaces that face along the road."""
    pose, _ = _register(one, other, seconds, share)
    rate = logm(pose).real / seconds
    first, second = (carried(xyz, rate, share * time_s) for xyz, time_s in (one, other))
    there = second @ pose[:3, :3].T + pose[:3, 3]
    pairs, _, normals, apart = _pairs(*_planes(first), first, there)
    apart = np.minimum(np.abs(apart), CUT_M)
    facing = (np.abs(normals[:, 0]) > FACING) & (np.hypot(*there[pairs, :2].T) < FACING_M)
    return float(apart.mean()), float(apart[facing].mean()), float(np.median(apart[facing]))


def _planes(xyz: Floats) -> tuple[cKDTree, Floats, NDArray[np.bool_]]:
    tree = cKDTree(xyz)
    near = xyz[tree.query(xyz, NEIGHBOURS)[1]]
    near -= near.mean(axis=1, keepdims=True)
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))
    return tree, axes[:, :, 0], spread[:, 0] < FLAT * spread[:, 1]


def _pairs(
    tree: cKDTree, normal: Floats, flat: NDArray[np.bool_], first: Floats, there: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Points of the other sweep on planes of the first, these planes, their normals, and the signed distances."""
    distance, at = tree.query(there, distance_upper_bound=PAIR_M)
    at = np.where(np.isfinite(distance), at, 0)
    pairs = np.flatnonzero(np.isfinite(distance) & flat[at])
    at, normals = at[pairs], normal[at[pairs]]
    return pairs, at, normals, np.einsum("ij,ij->i", normals, there[pairs] - first[at])


def _slope(rate: Floats, xyz: Floats, time_s: Floats) -> Floats:
    turn = np.array([rate[2, 1], rate[0, 2], rate[1, 0]])
    slope: Floats = (np.cross(turn, xyz) + rate[:3, 3]) * time_s[:, None]
    return slope


def _twist(values: Floats) -> Floats:
    x, y, z = values[:3]
    return np.array([[0, -z, y, values[3]], [z, 0, -x, values[4]], [-y, x, 0, values[5]], [0, 0, 0, 0]])


if __name__ == "__main__":
    main()
