"""Properties of the objects and clusters of a sweep: the bins in which `pointsam.evaluate.slices` counts them.

Dimensions
    range        distance in the ground plane from the reference LiDAR to the mean of the segment's points, metres.
    points       number of the segment's points, without void ones.
    visibility   the data set's annotation of the box with most of the object's points; objects only.
    camera       every camera whose image contains at least half of the segment's points; "none" otherwise.
    overlap      "one camera", "several cameras" or "none", from the number of these cameras.
    sensor       the LiDAR that measured most of the segment's points, in data with several; of equals, the first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.evaluate.overlap import Overlaps
from pointsam.evaluate.slices import Members
from pointsam.geometry.boxes import box_members
from pointsam.geometry.ground import level_m
from pointsam.geometry.projection import project
from pointsam.types import Boxes, Frame, FramePoints

RANGE_M = (0, 10, 20, 30, 40, 50)
NUM_POINTS = (1, 5, 15, 50, 200)
OVERLAP = ("one camera", "several cameras", "none")
_INSIDE = 0.5


def dimensions(
    cameras: tuple[str, ...], visibility: tuple[str, ...], sensors: tuple[str, ...] = ()
) -> dict[str, tuple[str, ...]]:
    """Names of all bins.

    Args:
        cameras: names of the rig's cameras.
        visibility: names of the data set's levels, empty if it has none.
        sensors: names of the rig's LiDARs.
    """
    levels = {"visibility": visibility} if visibility else {}
    lidars = {"sensor": sensors} if len(sensors) > 1 else {}
    return {
        "range": _names(RANGE_M, " m", 0),
        "points": _names(NUM_POINTS, "", 1),
        **levels,
        "camera": (*cameras, "none"),
        "overlap": OVERLAP,
        **lidars,
    }


def _names(edges: tuple[int, ...], unit: str, less: int) -> tuple[str, ...]:
    between = [f"{low}-{high - less}{unit}" for low, high in pairwise(edges)]
    return (*between, f"{edges[-1]}{unit} and more")


def members_of(
    seen: Overlaps,
    points: FramePoints,
    frame: Frame,
    cameras: tuple[str, ...],
    boxes: Boxes | None,
    visibility: NDArray[np.int8] | None,
    levels: int,
) -> dict[str, Members]:
    """Bins of the segments of a frame.

    Args:
        seen: the segments.
        points: (N) points of the frame.
        frame: the frame, with its cameras.
        cameras: names of the rig's cameras, in the order of the bins.
        boxes: annotated boxes of the frame, for visibility.
        visibility: (M,) level of each box, -1 if unknown.
        levels: number of levels.

    Returns:
        by dimension, the bins of all true and predicted segments.
    """
    sides = ((seen.true_of_point, seen.true_size), (seen.pred_of_point, seen.pred_size))
    xyz_lidar_m = points.xyz_lidar_m
    inside, level = _inside(xyz_lidar_m, frame, cameras), level_m(xyz_lidar_m, frame.sweep.ego_SE3_lidar)
    names = ("range", "points", "camera", "overlap", *(("sensor",) if len(frame.sweeps) > 1 else ()))
    found: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in names}
    for segment, size in sides:
        at = np.flatnonzero(segment >= 0)
        of = segment[at]
        mean = np.column_stack([np.bincount(of, weights=level[at, k]) / size for k in (0, 1)])
        found["range"].append(_binned(np.linalg.norm(mean, axis=1), RANGE_M))
        found["points"].append(_binned(size, NUM_POINTS))
        share = np.column_stack([np.bincount(of, weights=column[at]) / size for column in inside])
        sees = share >= _INSIDE
        number = sees.sum(axis=1)
        found["camera"].append(np.column_stack([sees, number == 0]))
        found["overlap"].append(np.column_stack([number == 1, number > 1, number == 0]))
        if "sensor" in found:
            found["sensor"].append(_most_of(of, points.sweep_index[at], len(size), len(frame.sweeps)))
    members = {name: Members(*both) for name, both in found.items()}
    if boxes is not None and visibility is not None:
        objects = _level(seen, xyz_lidar_m, boxes, visibility)[:, None] == np.arange(levels)
        members["visibility"] = Members(objects, np.zeros((len(seen.pred_size), levels), dtype=bool))
    return members


def _most_of(segment: IntArray, sweep: IntArray, num_segments: int, num_sweeps: int) -> NDArray[np.bool_]:
    """(K,S) whether each sweep is the one with most points of each segment."""
    count = np.bincount(segment * num_sweeps + sweep, minlength=num_segments * num_sweeps)
    most = count.reshape(num_segments, num_sweeps).argmax(axis=1)
    out: NDArray[np.bool_] = most[:, None] == np.arange(num_sweeps)
    return out


def _binned(value: FloatArray | IntArray, edges: tuple[int, ...]) -> NDArray[np.bool_]:
    place = np.searchsorted(edges, value, side="right") - 1
    out: NDArray[np.bool_] = place[:, None] == np.arange(len(edges))
    return out


def _inside(xyz_lidar_m: FloatArray, frame: Frame, cameras: tuple[str, ...]) -> list[NDArray[np.bool_]]:
    """(N,) bool for each camera, whether its image contains a point; all False for a camera that the frame lacks."""
    views = {view.name: view for view in frame.cameras}
    none = np.zeros(len(xyz_lidar_m), dtype=bool)
    return [project(xyz_lidar_m, frame, views[name]).valid if name in views else none for name in cameras]


def _level(seen: Overlaps, xyz_lidar_m: FloatArray, boxes: Boxes, visibility: NDArray[np.int8]) -> NDArray[np.int64]:
    """(T,) visibility of the box with most points of each true segment, -1 without a box."""
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
