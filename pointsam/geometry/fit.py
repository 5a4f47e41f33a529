"""Boxes fitted to clusters: what an annotator can start from, no truth.

On the ground plane a rectangle is fitted to the points: the LiDAR sees one or two faces of a vehicle, an L or an I.
What it does not see is filled up to the typical size of the class, away from the sensor.

Source: X. Zhang, W. Xu, C. Dong, J. M. Dolan, Efficient L-shape fitting for vehicle detection using laser scanners, IV
2017 (closeness criterion).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import SchemaError
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, PointLabels

TYPICAL_LWH_M: Mapping[str, tuple[float, float, float]] = {
    "car": (4.63, 1.97, 1.74),
    "truck": (6.93, 2.51, 2.84),
    "construction_vehicle": (6.37, 2.85, 3.19),
    "bus": (10.5, 2.94, 3.47),
    "trailer": (12.29, 2.90, 3.87),
    "barrier": (0.50, 2.53, 0.98),
    "motorcycle": (2.11, 0.77, 1.47),
    "bicycle": (1.70, 0.60, 1.28),
    "pedestrian": (0.73, 0.67, 1.77),
    "traffic_cone": (0.41, 0.41, 1.07),
    "cyclist": (1.76, 0.60, 1.73),
    "tram": (16.0, 2.6, 3.5),
    "other_vehicle": (8.0, 2.6, 3.0),
    "person": (0.73, 0.67, 1.77),
    "bicyclist": (1.76, 0.60, 1.73),
    "motorcyclist": (2.11, 0.77, 1.73),
}
"""Mean sizes of annotated boxes, nuScenes' where it has the class, else KITTI's; a guess for "other_vehicle"."""

_ANGLES = np.deg2rad(np.arange(0.0, 90.0, 1.0))
_CLOSEST_M = 0.05
"""Distances to an edge below this are all as good."""
_MOST_POINTS = 400
_TOO_LONG = 1.2
"""An extent above so many widths is a length."""


def fit_boxes(
    xyz_lidar_m: FloatArray,
    labels: PointLabels,
    taxonomy: Taxonomy,
    sizes_lwh_m: Mapping[str, tuple[float, float, float]] = TYPICAL_LWH_M,
) -> Boxes:
    """One box a cluster, upright in the LiDAR frame; which end is the front nobody knows.

    Args:
        xyz_lidar_m: (N,3) the sweep.
        labels: (N,) its clusters.
        taxonomy: their classes.
        sizes_lwh_m: typical length, width and height by class name.

    Returns:
        Boxes in the order of the ids; a token is the id as text.

    Raises:
        SchemaError: SCH001 on a class without a size.
    """
    missing = [name for name in taxonomy.names if name not in sizes_lwh_m]
    if missing:
        raise SchemaError("SCH001", f"no typical size of: {', '.join(missing)}", "give sizes of all classes")
    xyz = np.asarray(xyz_lidar_m, dtype=np.float64)
    member = np.flatnonzero(labels.instance_id != NO_INSTANCE)
    order = member[np.argsort(labels.instance_id[member], kind="stable")]
    ids, first = np.unique(labels.instance_id[order], return_index=True)
    centers, sizes, yaws, classes = [], [], [], []
    for points in np.split(order, first[1:]) if len(ids) else []:
        class_id = labels.class_id[points[0]]
        center, size, yaw = fit_box(xyz[points], sizes_lwh_m[taxonomy.names[class_id]])
        centers.append(center)
        sizes.append(size)
        yaws.append(yaw)
        classes.append(class_id)
    c, s = np.cos(yaws), np.sin(yaws)
    rotation = np.zeros((len(ids), 3, 3))
    rotation[:, 0, 0], rotation[:, 0, 1], rotation[:, 1, 0], rotation[:, 1, 1], rotation[:, 2, 2] = c, -s, s, c, 1
    return Boxes(
        np.array(centers).reshape(-1, 3),
        np.array(sizes).reshape(-1, 3),
        rotation,
        np.array(classes, dtype=np.uint8),
        tuple(str(k) for k in ids),
    )


def fit_box(
    xyz_lidar_m: NDArray[np.float64], typical_lwh_m: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centre, (length, width, height) and yaw of one object.

    Args:
        xyz_lidar_m: (K,3) its points, one at least; the sensor is at the origin.
        typical_lwh_m: of its class.
    """
    step = -(-len(xyz_lidar_m) // _MOST_POINTS)
    angle = rectangle_angle(xyz_lidar_m[::step, :2])
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along = xyz_lidar_m[:, :2] @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    length, width, height = typical_lwh_m
    if _lies_across(high - low, length, width):
        axes, low, high = np.array([axes[1], -axes[0]]), np.array([low[1], -high[0]]), np.array([high[1], -low[0]])
    low, high = _filled(low, high, np.array([length, width]))
    bottom = float(xyz_lidar_m[:, 2].min())
    top = max(float(xyz_lidar_m[:, 2].max()), bottom + height)
    middle = (low + high) / 2 @ axes
    center = np.array([*middle, (bottom + top) / 2])
    return center, np.array([*(high - low), top - bottom]), float(np.arctan2(axes[0, 1], axes[0, 0]))


def rectangle_angle(xy_m: NDArray[np.float64]) -> float:
    """Angle in [0, 90) degrees, in radians, of the rectangle whose edges the points lie closest to."""
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
    """Whether the second axis is the object's length: the longer one, or, where an end alone is seen, the shorter."""
    longer_second = bool(extent[1] > extent[0])
    side_seen = bool(extent.max() > _TOO_LONG * min(length, width))
    return longer_second == (side_seen == (length >= width))


def _filled(
    low: NDArray[np.float64], high: NDArray[np.float64], typical: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Extents of the typical size at least: the side that faces the sensor stays."""
    lack = np.maximum(typical - (high - low), 0)
    away = (low + high) > 0
    return np.where(away, low, low - lack), np.where(away, high + lack, high)
