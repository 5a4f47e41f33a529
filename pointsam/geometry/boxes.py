"""Points in oriented boxes, and the ground truth of points that follows from boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Boxes, PointLabels, PointTruth

NO_BOX = -1
"""Box index of a point that lies in no box."""
_SLICES = 30_000


def box_members(
    xyz_lidar_m: FloatArray, boxes: Boxes, margin_m: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every (point, box) pair where the point lies in the box; the surface belongs to the box.

    Args:
        xyz_lidar_m: (N,3) points, metres, in the frame of the boxes.
        boxes: (M) boxes.
        margin_m: every face is moved outwards by this distance.

    Returns:
        point_index, box_index: (P,) int64 each, ordered by box, then point; a point in two boxes appears twice.
    """
    xyz = np.asarray(xyz_lidar_m, dtype=np.float64)
    half = boxes.size_lwh_m / 2 + margin_m
    reach = np.linalg.norm(half, axis=1)
    order, first, last = _by_slice(xyz[:, 0], boxes.center_m[:, 0] - reach, boxes.center_m[:, 0] + reach)
    members = [np.zeros(0, dtype=np.int64)]
    y = xyz[order, 1]
    for m in range(len(boxes)):
        near = slice(first[m], last[m])
        near = order[near][np.abs(y[near] - boxes.center_m[m, 1]) <= reach[m]]
        local = (xyz[near] - boxes.center_m[m]) @ boxes.rotation[m]
        members.append(np.sort(near[(np.abs(local) <= half[m]).all(axis=1)]))
    sizes = [len(inside) for inside in members[1:]]
    return np.concatenate(members), np.repeat(np.arange(len(boxes), dtype=np.int64), sizes)


def _by_slice(
    x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Points in order of slices along x, and which of them each of M intervals may hold: it tests no others.

    Numbers of 16 bits are sorted in a tenth of the time of coordinates.

    Args:
        x: (N,) coordinates; one that is not finite is in any slice.
        low: (M,) lower end of each interval.
        high: (M,) upper end of each interval.

    Returns:
        order, first, last: (N,) indices of the points, and (M,) the first of them in each interval, and the one after
        the last.
    """
    start, end = low.min(initial=np.inf), high.max(initial=-np.inf)
    per_m = _SLICES / max(end - start, 1.0)
    with np.errstate(invalid="ignore"):
        slices, ends = (
            np.clip((at - start) * per_m, -1, _SLICES + 1).astype(np.int16) for at in (x, np.stack([low, high]))
        )
    order = np.argsort(slices, kind="stable")
    ordered = slices[order]
    return order, np.searchsorted(ordered, ends[0], side="left"), np.searchsorted(ordered, ends[1], side="right")


def points_in_boxes(xyz_lidar_m: FloatArray, boxes: Boxes, margin_m: float = 0.0) -> NDArray[np.int32]:
    """The box of each point: of several, the one with the nearest centre; of equally near ones, the first.

    With the nearest centre, the points of a person who stands against a bus belong to the person.

    Args:
        xyz_lidar_m: (N,3) points, metres, in the frame of the boxes.
        boxes: (M) boxes.
        margin_m: every face is moved outwards by this distance.

    Returns:
        (N,) int32 index into `boxes`, NO_BOX for a point in none.
    """
    point, box = box_members(xyz_lidar_m, boxes, margin_m)
    distance = np.linalg.norm(np.asarray(xyz_lidar_m, dtype=np.float64)[point] - boxes.center_m[box], axis=1)
    best_last = np.lexsort((-box, -distance, point))
    index = np.full(len(xyz_lidar_m), NO_BOX, dtype=np.int32)
    index[point[best_last]] = box[best_last]
    return index


def count_points(xyz_lidar_m: FloatArray, boxes: Boxes) -> NDArray[np.int64]:
    """(M,) int64 number of points in each box; a point in two boxes counts in both."""
    return np.bincount(box_members(xyz_lidar_m, boxes)[1], minlength=len(boxes))


def corners(boxes: Boxes) -> NDArray[np.float64]:
    """(M,8,3) corners in the frame of the boxes."""
    sign = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    local = sign[None] * boxes.size_lwh_m[:, None]
    turned: NDArray[np.float64] = np.einsum("mij,mkj->mki", boxes.rotation, local) + boxes.center_m[:, None]
    return turned


def turned(boxes: Boxes, other_SE3_lidar: SE3) -> Boxes:
    """The boxes in another frame."""
    return replace(
        boxes,
        center_m=other_SE3_lidar.apply(boxes.center_m).reshape(-1, 3),
        rotation=other_SE3_lidar.rotation @ boxes.rotation,
    )


def rows(boxes: Boxes) -> NDArray[np.float64]:
    """(M,7) float64 x, y, z of the centre, length, width, height, yaw; roll and pitch are dropped."""
    yaw = np.arctan2(boxes.rotation[:, 1, 0], boxes.rotation[:, 0, 0])
    return np.column_stack([boxes.center_m, boxes.size_lwh_m, yaw]).astype(np.float64).reshape(-1, 7)


def truth_from_boxes(xyz_lidar_m: FloatArray, boxes: Boxes, void_ring_m: float = 0.0) -> PointTruth:
    """Ground truth of points: the points of an object are those in its box.

    A point's instance is the index of its box (`points_in_boxes` resolves overlaps, void boxes included). Points of
    boxes of class BACKGROUND are void. So are points outside all boxes but inside one enlarged by `void_ring_m` at
    every face: a box that misses a surface by that distance must not turn its points into background.

    Args:
        xyz_lidar_m: (N,3) points, metres, in the frame of the boxes.
        boxes: (M) boxes.
        void_ring_m: width of the ring, metres.

    Source: docs/evaluation.md.
    """
    index = points_in_boxes(xyz_lidar_m, boxes)
    inside = index != NO_BOX
    class_id = np.full(len(index), BACKGROUND, dtype=np.uint8)
    class_id[inside] = boxes.class_id[index[inside]]
    void = inside & (class_id == BACKGROUND)
    if void_ring_m > 0:
        ring = np.zeros_like(inside)
        ring[box_members(xyz_lidar_m, boxes, void_ring_m)[0]] = True
        void |= ring & ~inside
    labelled = class_id != BACKGROUND
    return PointTruth(PointLabels(np.where(labelled, index, np.int32(NO_INSTANCE)), class_id), void, source="boxes")
