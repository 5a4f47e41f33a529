"""Coarse labels of an annotator who draws no boxes, simulated from boxes; see docs/method.md B.1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.detect.data.coarse import CoarseConfig, CoarseLabels, of_points
from pointsam.geometry.boxes import box_members
from pointsam.types import NO_INSTANCE, Boxes


def simulated_from_boxes(
    xyz_m: FloatArray, boxes: Boxes, config: CoarseConfig, rng: np.random.Generator
) -> CoarseLabels:
    """Simulated coarse labels of an annotator who draws no boxes.

    "simulated": the points in the box with each axis enlarged by its own factor. "clicks": the points inside the
    parallelogram of three clicks near corners in bird's-eye view, between the bottom and the top of the box, which
    excludes the ground. "centers": a position without points.

    Args:
        xyz_m: (N,3).
        boxes: (M) boxes of the objects without a box label.
        config: the kind and its noise.
        rng: random generator of the noise.
    """
    if config.kind == "centers":
        noise = np.column_stack([rng.normal(0, config.center_noise_m, (len(boxes), 2)), np.zeros(len(boxes))])
        none = CoarseLabels.empty(len(xyz_m))
        zero = np.zeros(len(boxes))
        return CoarseLabels(
            none.cluster_id, boxes.class_id, boxes.center_m + noise, zero, zero.astype(np.int64), none.unknown
        )
    if config.kind == "simulated":
        size = boxes.size_lwh_m * rng.uniform(*config.enlarge, (len(boxes), 3))
        point, box = box_members(xyz_m, Boxes(boxes.center_m, size, boxes.rotation, boxes.class_id, boxes.token))
    else:
        point, box = _clicked(np.asarray(xyz_m, dtype=np.float64), boxes, config.click_noise_m, rng)
    ids = np.full(len(xyz_m), NO_INSTANCE, dtype=np.int32)
    ids[point[::-1]] = box[::-1]  # a point in several boxes belongs to the first
    return of_points(xyz_m, ids, boxes.class_id)


def _clicked(
    xyz: NDArray[np.float64], boxes: Boxes, noise_m: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(K,) points in the parallelograms through three noisy corners, and their boxes; ordered by box, then point."""
    sign = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)]) / 2
    points, owners = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    noise = rng.normal(0, noise_m, (len(boxes), 3, 2))
    for m in range(len(boxes)):
        length, width, height = boxes.size_lwh_m[m]
        corner = (sign * (length, width)) @ boxes.rotation[m][:2, :2].T + boxes.center_m[m, :2] + noise[m]
        side = np.column_stack([corner[0] - corner[1], corner[2] - corner[1]])
        if abs(np.linalg.det(side)) < 1e-6:
            continue
        near = np.flatnonzero(np.abs(xyz[:, 2] - boxes.center_m[m, 2]) <= height / 2)
        along = np.linalg.solve(side, (xyz[near, :2] - corner[1]).T)
        inside = near[((along >= 0) & (along <= 1)).all(axis=0)]
        points.append(inside)
        owners.append(np.full(len(inside), m, dtype=np.int64))
    return np.concatenate(points), np.concatenate(owners)
