"""Observations for the calibration: objects that both a mask and the LiDAR show.

Without any camera, the points of a sweep are split into ground and components: points that link at a distance that
grows with range. A component that lies mostly in a mask is the object of the mask, including points outside the mask;
other components, and the ground in front of the object, are background. A calibration is correct if the first lie
inside the mask and the second outside.

Points and objects that would bias the solution are excluded on both sides of the edge: objects at the image border;
components that are partly in a mask; points just above the ground or around the foot of the object, because masks may
include shadows; and points with a much larger or smaller parallax than the object, which may be hidden from the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from pointsam.geometry.ground import OWN_M
from pointsam.geometry.height import above_lowest_m
from pointsam.geometry.motion import has_motion, twist
from pointsam.geometry.projection import in_camera, project
from pointsam.geometry.visibility import occluded, parallax
from pointsam.stages.contraction import components
from pointsam.types import Frame, FramePoints, InstanceMap

MARGIN_PX = 48
"""Distances from an edge are computed up to this."""
_MIN_AREA_PX, _MIN_POINTS = 150, 8
_GROUND_M, _ABOVE_M = 0.12, 0.3
"""Heights above the lowest point within one or two metres: lower points are ground, higher points belong to objects."""
_BIN_M, _STRAY = 1.0, 0.1
"""Bins in which the ground is found, and the fraction of a bin's points that may lie lower: mirrored returns of a wet
road or of the paint of a car lie below the ground."""
_LINK_FLOOR_M, _LINK_COEF = 0.35, 0.03
"""Link distance of the points of an object: the larger of metres and a fraction of the range."""
_FOOT_M = 0.6
"""Ground within this horizontal distance of the object is excluded."""
_PARALLAX = 0.003
"""Largest difference in parallax between the object and a background point, in focal lengths."""
_PARTLY = 0.15
"""A component with at least this fraction of its points in the mask is not background."""
_EVIDENCE = 3.0
"""Sum of the weights of an object's points, and of its background: the number of points that have errors of their own.
Chosen so that the covariance of the solution holds on known errors (docs/robustness.md)."""
_DEPTH_M, _DEPTH_SHARE = 3.0, 0.15
"""Largest distance of an object's points from its median depth: the larger of metres and a fraction of the depth."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Silhouette:
    """The signed distance field of one mask.

    Args:
        origin_px: (2,) column and row of the field's first pixel.
        field_px: (h,w) float16 distance to the mask's edge, positive inside.
    """

    origin_px: _Floats
    field_px: NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class CameraObservations:
    """One image and the points that its camera may see; none of it depends on small changes of the calibration.

    Args:
        camera: name of the camera.
        xyz_ego_m: (V,3) points in the ego frame at the exposure.
        rate: (4,4) the vehicle's `twist`, zero where the motion is unknown.
        component: (V,) component of each point, -1 for none.
        ground: (V,) bool, whether each point is ground.
        parallax: (V,2) shift of each point from the LiDAR's to the camera's viewpoint in the image, in focal lengths.
        silhouettes: silhouettes of the image's instances.
    """

    camera: str
    xyz_ego_m: _Floats
    rate: _Floats
    component: NDArray[np.int64]
    ground: NDArray[np.bool_]
    parallax: _Floats
    silhouettes: tuple[Silhouette, ...]


@dataclass(frozen=True, eq=False)
class SilhouettePoints:
    """The n points around a silhouette that the solution uses.

    Args:
        point: (n,) index into the points of `CameraObservations`.
        inside: (n,) bool, True for points of the object, which must lie inside the mask; False for background.
        weight: (n,) weight of each point.
    """

    point: NDArray[np.int64]
    inside: NDArray[np.bool_]
    weight: _Floats


def observe(frame: Frame, points: FramePoints, painted: Mapping[str, InstanceMap]) -> list[CameraObservations]:
    """Observations of all images of a frame.

    Args:
        frame: the frame.
        points: points of the frame.
        painted: partition of each image into instances, by camera name.

    Raises:
        CalibrationError: as `in_camera`.
    """
    points = points.keep(points.present)
    xyz_lidar_m = points.xyz_lidar_m
    height = above_lowest_m(frame.sweep.ego_SE3_lidar.apply(xyz_lidar_m), _BIN_M, _STRAY)
    away = np.linalg.norm(xyz_lidar_m[:, :2], axis=1) > OWN_M
    component = _components(xyz_lidar_m, away & (height > _ABOVE_M))
    ground = away & (np.abs(height) < _GROUND_M)
    observations = []
    for view in frame.cameras:
        seen = project(xyz_lidar_m, frame, view)
        kept = seen.valid & ~occluded(points, seen, frame, view) & (ground | (component >= 0))
        xyz_ego_m = view.ego_SE3_cam.apply(in_camera(xyz_lidar_m[kept], frame, view))
        shift = parallax(points.keep(kept), frame, view) / view.camera.K[0, 0]
        rate = twist(frame, view.t_us) if has_motion(frame) else np.zeros((4, 4))
        masks = silhouettes(painted[view.name].instance_id)
        observations.append(CameraObservations(view.name, xyz_ego_m, rate, component[kept], ground[kept], shift, masks))
    return observations


def silhouettes(instance_id: NDArray[np.int32]) -> tuple[Silhouette, ...]:
    """Silhouettes of all instances of an image that are large enough and do not touch the image border.

    Args:
        instance_id: (H,W) instance of each pixel, below 0 for none.
    """
    out = []
    height, width = instance_id.shape
    for k in range(int(instance_id.max(initial=-1)) + 1):
        rows, columns = np.nonzero(instance_id == k)
        if len(rows) < _MIN_AREA_PX:
            continue
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        if top <= 2 or left <= 2 or bottom >= height - 3 or right >= width - 3:
            continue
        mask = np.zeros((bottom - top + 2 * MARGIN_PX + 1, right - left + 2 * MARGIN_PX + 1), dtype=np.bool_)
        mask[rows - top + MARGIN_PX, columns - left + MARGIN_PX] = True
        distance = np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask))
        origin = np.array([left - MARGIN_PX, top - MARGIN_PX], dtype=np.float64)
        out.append(Silhouette(origin, np.clip(distance, -MARGIN_PX, MARGIN_PX).astype(np.float16)))
    return tuple(out)


def silhouette_points(
    image: CameraObservations, uv_px: _Floats, depth_m: _Floats, share: float
) -> list[SilhouettePoints | None]:
    """The points of object and background around each silhouette, None for a silhouette with too few points.

    Args:
        image: observations of the image.
        uv_px: (V,2) pixels of its points under the current calibration.
        depth_m: (V,) depths of its points under the current calibration.
        share: a component with at least this fraction of its points in the mask is the object.
    """
    total = np.bincount(image.component[image.component >= 0])
    return [_silhouette_points(image, mask, uv_px, depth_m, share, total) for mask in image.silhouettes]


def _silhouette_points(
    image: CameraObservations,
    silhouette: Silhouette,
    uv_px: _Floats,
    depth_m: _Floats,
    share: float,
    total: NDArray[np.int64],
) -> SilhouettePoints | None:
    high, wide = silhouette.field_px.shape
    position = uv_px - silhouette.origin_px
    near = np.flatnonzero((position >= 0).all(axis=1) & (position[:, 0] < wide - 1) & (position[:, 1] < high - 1))
    column, row = position[near].T.astype(np.int64)
    in_mask = near[silhouette.field_px[row, column] > 0]
    in_mask = in_mask[image.component[in_mask] >= 0]
    if len(in_mask) < _MIN_POINTS:
        return None
    inside = np.bincount(image.component[in_mask], minlength=len(total)) / np.maximum(total, 1)
    state = np.where(image.component >= 0, inside[image.component], 0.0)
    member = state >= share
    certain = in_mask[member[in_mask]]
    if len(certain) < _MIN_POINTS:
        return None
    median_depth_m = np.median(depth_m[certain])
    member &= np.abs(depth_m - median_depth_m) < max(_DEPTH_M, _DEPTH_SHARE * median_depth_m)
    members = np.flatnonzero(member)
    if len(members) < _MIN_POINTS:
        return None
    similar_parallax = (
        np.linalg.norm(image.parallax[near] - np.median(image.parallax[members], axis=0), axis=1) < _PARALLAX
    )
    foot, _ = cKDTree(image.xyz_ego_m[members, :2]).query(image.xyz_ego_m[near, :2], distance_upper_bound=_FOOT_M)
    background = ~member[near] & (state[near] < _PARTLY) & similar_parallax & (~image.ground[near] | np.isinf(foot))
    object_points = member[near]
    if object_points.sum() < _MIN_POINTS:
        return None
    kept = object_points | background
    weight = _EVIDENCE / np.where(object_points, object_points.sum(), max(background.sum(), 1))
    return SilhouettePoints(near[kept], object_points[kept], weight[kept])


def _components(xyz_lidar_m: NDArray[np.float32], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) component of the selected points, -1 for the others."""
    out = np.full(len(xyz_lidar_m), -1, dtype=np.int64)
    xyz = xyz_lidar_m[which].astype(np.float64)
    out[which] = components(xyz, np.maximum(_LINK_FLOOR_M, _LINK_COEF * np.linalg.norm(xyz, axis=1)))
    return out
