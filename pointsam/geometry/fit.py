"""Boxes fitted to clusters: estimates that an annotator can start from, not ground truth.

A rectangle is fitted to the points in the ground plane: the LiDAR sees one or two faces of a vehicle, an L or an I.
Extents that the sensor did not see are completed to the typical size of the class, on the side away from the sensor.

Source: X. Zhang, W. Xu, C. Dong, J. M. Dolan, Efficient L-shape fitting for vehicle detection using laser scanners, IV
2017 (closeness criterion).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, PointLabels

_ANGLES = np.deg2rad(np.arange(0.0, 90.0, 1.0))
_CLOSEST_M = 0.05
"""Smaller distances to an edge do not improve the score."""
_MOST_POINTS = 400
_TOO_LONG = 1.2
"""An extent above this multiple of the shorter typical side is a long side."""
_NO_SIZE_LWH_M = (0.1, 0.1, 0.1)
"""Typical size for classes without one: the box is the extent of the points, at least 10 cm, and its longer side is the
length."""


def fit_boxes(
    xyz_lidar_m: FloatArray,
    labels: PointLabels,
    taxonomy: Taxonomy,
    ego_SE3_lidar: SE3 | None = None,
    origin_lidar_m: FloatArray | None = None,
) -> Boxes:
    """One box per cluster, upright on the vehicle's ground; its front and its back are not distinguished.

    Args:
        xyz_lidar_m: (N,3) points of the frame.
        labels: (N,) clusters of the points.
        taxonomy: classes with their typical sizes.
        ego_SE3_lidar: mounting of the LiDAR; None if its axes are those of the vehicle.
        origin_lidar_m: (N,3) position of the LiDAR that measured each point, None for the origin. The sides of a box
            that face the mean of its points' positions are seen.

    Returns:
        Boxes in the LiDAR frame, in the order of the cluster ids; a token is the id as text.
    """
    ego_R_lidar = np.eye(3) if ego_SE3_lidar is None else ego_SE3_lidar.rotation
    sizes_lwh_m = [spec.typical_lwh_m or _NO_SIZE_LWH_M for spec in taxonomy.classes]
    xyz = np.asarray(xyz_lidar_m, dtype=np.float64) @ ego_R_lidar.T
    member = np.flatnonzero(labels.instance_id != NO_INSTANCE)
    order = member[np.argsort(labels.instance_id[member], kind="stable")]
    ids, first = np.unique(labels.instance_id[order], return_index=True)
    centers, sizes, yaws, classes = [], [], [], []
    for points in np.split(order, first[1:]) if len(ids) else []:
        class_id = labels.class_id[points[0]]
        eye = np.zeros(3) if origin_lidar_m is None else ego_R_lidar @ origin_lidar_m[points].mean(axis=0)
        center, size, yaw = fit_box(xyz[points] - eye, sizes_lwh_m[class_id])
        centers.append(center + eye)
        sizes.append(size)
        yaws.append(yaw)
        classes.append(class_id)
    c, s = np.cos(yaws), np.sin(yaws)
    rotation = np.zeros((len(ids), 3, 3))
    rotation[:, 0, 0], rotation[:, 0, 1], rotation[:, 1, 0], rotation[:, 1, 1], rotation[:, 2, 2] = c, -s, s, c, 1
    return Boxes(
        np.array(centers).reshape(-1, 3) @ ego_R_lidar,
        np.array(sizes).reshape(-1, 3),
        ego_R_lidar.T @ rotation,
        np.array(classes, dtype=np.uint8),
        tuple(str(k) for k in ids),
    )


def fit_box(
    xyz_m: NDArray[np.float64], typical_lwh_m: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centre, (length, width, height) and yaw of one object.

    Args:
        xyz_m: (K,3) points of the object, at least one; the sensor is at the origin, and z points up.
        typical_lwh_m: typical length, width and height of its class.
    """
    step = -(-len(xyz_m) // _MOST_POINTS)
    angle = rectangle_angle(xyz_m[::step, :2])
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along = xyz_m[:, :2] @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    length, width, height = typical_lwh_m
    if _lies_across(high - low, length, width):
        axes, low, high = np.array([axes[1], -axes[0]]), np.array([low[1], -high[0]]), np.array([high[1], -low[0]])
    low, high = _filled(low, high, np.array([length, width]))
    bottom = float(xyz_m[:, 2].min())
    top = max(float(xyz_m[:, 2].max()), bottom + height)
    center = np.array([*((low + high) / 2 @ axes), (bottom + top) / 2])
    return center, np.array([*(high - low), top - bottom]), float(np.arctan2(axes[0, 1], axes[0, 0]))


def rectangle_angle(xy_m: NDArray[np.float64]) -> float:
    """Angle of the rectangle whose edges are closest to the (K,2) points; radians, below 90 degrees."""
    direction = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])
    normal = np.stack([-np.sin(_ANGLES), np.cos(_ANGLES)])
    edges = []
    for axis in (direction, normal):
        place = xy_m @ axis  # (K,A)
        to_high, to_low = place.max(axis=0) - place, place - place.min(axis=0)
        nearer = (to_high**2).sum(axis=0) < (to_low**2).sum(axis=0)
        edges.append(np.where(nearer, to_high, to_low))
    closest = np.minimum(*edges)
    score = (1 / np.maximum(closest, _CLOSEST_M)).sum(axis=0)
    return float(_ANGLES[int(score.argmax())])


def _lies_across(extent: NDArray[np.float64], length: float, width: float) -> bool:
    """Whether the second axis is the object's length: the longer axis, or the shorter one if only an end is visible."""
    longer_second = bool(extent[1] > extent[0])
    side_seen = bool(extent.max() > _TOO_LONG * min(length, width))
    return longer_second == (side_seen == (length >= width))


def _filled(
    low: NDArray[np.float64], high: NDArray[np.float64], typical: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Extents of at least the typical size; the side that faces the sensor stays in place."""
    lack = np.maximum(typical - (high - low), 0)
    away = (low + high) > 0
    return np.where(away, low, low - lack), np.where(away, high + lack, high)
