"""What the objects and clusters of a sweep are like: the bins that `pointsam.evaluate.slices` counts in.

Dimensions
    range        of the mean of the segment's points from the LiDAR in the ground plane, metres.
    points       of the segment, void ones left out.
    visibility   as the data set annotates it, of the box that holds most of the object's points; objects alone.
    camera       every camera in whose image at least half of the segment's points fall; "none" otherwise.
    overlap      "one camera", "several cameras" or "none", by the same count.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.evaluate.overlap import Overlaps
from pointsam.evaluate.slices import Members
from pointsam.geometry.boxes import box_members
from pointsam.geometry.projection import project
from pointsam.types import Boxes, Frame

RANGE_M = (0, 10, 20, 30, 40, 50)
NUM_POINTS = (1, 5, 15, 50, 200)
OVERLAP = ("one camera", "several cameras", "none")
_INSIDE = 0.5


def dimensions(cameras: tuple[str, ...], visibility: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Names of all bins.

    Args:
        cameras: of the rig.
        visibility: the data set's levels, empty if it has none.
    """
    levels = {"visibility": visibility} if visibility else {}
    return {
        "range": _names(RANGE_M, " m", 0),
        "points": _names(NUM_POINTS, "", 1),
        **levels,
        "camera": (*cameras, "none"),
        "overlap": OVERLAP,
    }


def _names(edges: tuple[int, ...], unit: str, less: int) -> tuple[str, ...]:
    between = [f"{low}-{high - less}{unit}" for low, high in pairwise(edges)]
    return (*between, f"{edges[-1]}{unit} and more")


def members_of(
    seen: Overlaps,
    xyz_lidar_m: FloatArray,
    frame: Frame,
    cameras: tuple[str, ...],
    boxes: Boxes | None,
    visibility: NDArray[np.int8] | None,
    levels: int,
) -> dict[str, Members]:
    """Bins of the segments of a sweep.

    Args:
        seen: the segments.
        xyz_lidar_m: (N,3) the sweep.
        frame: its cameras.
        cameras: of the rig, in the order of the bins.
        boxes: of the frame, for visibility.
        visibility: (M,) level of each box, -1 if unknown.
        levels: number of levels.
    """
    sides = ((seen.true_of_point, seen.true_size), (seen.pred_of_point, seen.pred_size))
    inside = _inside(xyz_lidar_m, frame, cameras)
    found: dict[str, list[NDArray[np.bool_]]] = {"range": [], "points": [], "camera": [], "overlap": []}
    for segment, size in sides:
        at = np.flatnonzero(segment >= 0)
        of = segment[at]
        mean = np.column_stack([np.bincount(of, weights=xyz_lidar_m[at, k]) / size for k in (0, 1)])
        found["range"].append(_binned(np.linalg.norm(mean, axis=1), RANGE_M))
        found["points"].append(_binned(size, NUM_POINTS))
        share = np.column_stack([np.bincount(of, weights=column[at]) / size for column in inside])
        sees = share >= _INSIDE
        number = sees.sum(axis=1)
        found["camera"].append(np.column_stack([sees, number == 0]))
        found["overlap"].append(np.column_stack([number == 1, number > 1, number == 0]))
    members = {name: Members(*both) for name, both in found.items()}
    if boxes is not None and visibility is not None:
        level = _level(seen, xyz_lidar_m, boxes, visibility)
        objects = level[:, None] == np.arange(levels)
        members["visibility"] = Members(objects, np.zeros((len(seen.pred_size), levels), dtype=bool))
    return members


def _binned(value: FloatArray | IntArray, edges: tuple[int, ...]) -> NDArray[np.bool_]:
    place = np.searchsorted(edges, value, side="right") - 1
    out: NDArray[np.bool_] = place[:, None] == np.arange(len(edges))
    return out


def _inside(xyz_lidar_m: FloatArray, frame: Frame, cameras: tuple[str, ...]) -> list[NDArray[np.bool_]]:
    """(N,) for each camera, whether a point falls into its image; a camera that the frame lacks sees nothing."""
    views = {view.name: view for view in frame.cameras}
    none = np.zeros(len(xyz_lidar_m), dtype=bool)
    return [project(xyz_lidar_m, frame, views[name]).valid if name in views else none for name in cameras]


def _level(seen: Overlaps, xyz_lidar_m: FloatArray, boxes: Boxes, visibility: NDArray[np.int8]) -> NDArray[np.int64]:
    """(T,) visibility of the box that holds most points of each true segment, -1 without any."""
    level = np.full(len(seen.true_size), -1, dtype=np.int64)
    point, box = box_members(xyz_lidar_m, boxes)
    owner = seen.true_of_point[point]
    box, owner = box[owner >= 0], owner[owner >= 0]
    pair, count = np.unique(owner * len(boxes) + box, return_counts=True)
    segment, of_box = np.divmod(pair, len(boxes))
    order = np.lexsort((of_box, -count, segment))
    first = order[np.diff(segment[order], prepend=-1) != 0]
    level[segment[first]] = visibility[of_box[first]]
    return level
