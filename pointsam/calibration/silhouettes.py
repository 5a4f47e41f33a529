"""What an image and a sweep say about each other: objects that a mask and the LiDAR both show.

The LiDAR alone, without any camera, falls into ground and components: points that link at a distance which grows with
range. A component that lies mostly in a mask is that object, all of it, also what sticks out; other components, and the
ground in front of the object, are not. A calibration is right if the first lie in the mask and the second do not.

What would bias the answer is left out, on both sides of the edge alike: objects cut by the image's border; components
that are partly in a mask; points just above the ground or about the object's foot, for masks hold shadows; points that
the camera sees from elsewhere than the LiDAR by more than the object itself (parallax): they may be hidden from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from pointsam.geometry.height import above_lowest_m
from pointsam.geometry.motion import tells_motion, twist
from pointsam.geometry.projection import in_camera, project
from pointsam.geometry.visibility import occluded, parallax
from pointsam.stages.contraction import Groups, linked_components
from pointsam.types import Frame, FramePoints, InstanceMap

MARGIN_PX = 48
"""Distances from an edge are told so far."""
_MIN_AREA_PX, _MIN_POINTS = 150, 8
_OWN_M = 2.5
"""Returns of the vehicle itself."""
_GROUND_M, _ABOVE_M = 0.12, 0.3
"""Above the lowest point within a cell or two: below the first a point is ground, above the second it is not."""
_CELL_M = 1.0
_FOOT_M = 0.6
_PARALLAX = 0.003
"""Radians between how far the object and a point shift from the LiDAR's eye to the camera's."""
_PARTLY = 0.15
_DEPTH_M, _DEPTH_SHARE = 3.0, 0.15
"""How far from its middle depth an object reaches."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Silhouette:
    """One mask.

    Args:
        origin_px: (2,) column and row of the field's first cell.
        field_px: (h,w) float16 distance to the mask's edge, positive inside.
    """

    origin_px: _Floats
    field_px: NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Look:
    """One image and the points it may see, of which nothing depends on a small change of the calibration.

    Args:
        camera: name.
        xyz_ego_m: (V,3) in the vehicle's frame at the exposure.
        rate: (4,4) the vehicle's `twist`, zero where it is not told.
        component: (V,) of the LiDAR's own, -1 for none.
        ground: (V,) bool.
        parallax: (V,2) radians.
        silhouettes: of the image.
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
    """Points about a silhouette: (n,) index into the look's points, whether each is the object's, and its weight."""

    point: NDArray[np.int64]
    inside: NDArray[np.bool_]
    weight: _Floats


def look(frame: Frame, points: FramePoints, painted: Mapping[str, InstanceMap]) -> list[Look]:
    """All images of a frame.

    Args:
        frame: the frame.
        points: of the frame.
        painted: partition of each image by camera.
    """
    xyz_lidar_m = points.xyz_lidar_m
    height = above_lowest_m(frame.sweep.ego_SE3_lidar.apply(xyz_lidar_m), _CELL_M)
    away = np.linalg.norm(xyz_lidar_m[:, :2], axis=1) > _OWN_M
    component = _components(xyz_lidar_m, away & (height > _ABOVE_M))
    ground = away & (height < _GROUND_M)
    looks = []
    for view in frame.cameras:
        seen = project(xyz_lidar_m, frame, view)
        kept = seen.valid & ~occluded(points, seen, frame, view) & (ground | (component >= 0))
        xyz_ego_m = view.ego_SE3_cam.apply(in_camera(xyz_lidar_m[kept], frame, view))
        shift = parallax(points.keep(kept), frame, view) / view.camera.K[0, 0]
        rate = twist(frame, view.t_us) if tells_motion(frame) else np.zeros((4, 4))
        cut = silhouettes(painted[view.name].instance_id)
        looks.append(Look(view.name, xyz_ego_m, rate, component[kept], ground[kept], shift, cut))
    return looks


def silhouettes(instance_id: NDArray[np.int32]) -> tuple[Silhouette, ...]:
    """Of every instance of an image that is large enough and whole.

    Args:
        instance_id: (H,W), below 0 for none.
    """
    found = []
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
        found.append(Silhouette(origin, np.clip(distance, -MARGIN_PX, MARGIN_PX).astype(np.float16)))
    return tuple(found)


def evidence(of: Look, uv_px: _Floats, depth_m: _Floats, share: float) -> list[SilhouettePoints | None]:
    """What each silhouette has to go by, None for nothing.

    Args:
        of: the image.
        uv_px: (V,2) its points as the calibration at hand has them.
        depth_m: (V,) likewise.
        share: a component with so much of it in the mask is the object.
    """
    total = np.bincount(of.component[of.component >= 0])
    return [_evidence(of, cut, uv_px, depth_m, share, total) for cut in of.silhouettes]


def _evidence(
    of: Look, cut: Silhouette, uv_px: _Floats, depth_m: _Floats, share: float, total: NDArray[np.int64]
) -> SilhouettePoints | None:
    high, wide = cut.field_px.shape
    place = uv_px - cut.origin_px
    near = np.flatnonzero((place >= 0).all(axis=1) & (place[:, 0] < wide - 1) & (place[:, 1] < high - 1))
    column, row = place[near].T.astype(np.int64)
    held = near[cut.field_px[row, column] > 0]
    held = held[of.component[held] >= 0]
    if len(held) < _MIN_POINTS:
        return None
    inside = np.bincount(of.component[held], minlength=len(total)) / np.maximum(total, 1)
    state = np.where(of.component >= 0, inside[of.component], 0.0)
    member = state >= share
    sure = held[member[held]]
    if len(sure) < _MIN_POINTS:
        return None
    middle = np.median(depth_m[sure])
    member &= np.abs(depth_m - middle) < max(_DEPTH_M, _DEPTH_SHARE * middle)
    members = np.flatnonzero(member)
    if len(members) < _MIN_POINTS:
        return None
    aside = np.linalg.norm(of.parallax[near] - np.median(of.parallax[members], axis=0), axis=1) < _PARALLAX
    foot, _ = cKDTree(of.xyz_ego_m[members, :2]).query(of.xyz_ego_m[near, :2], distance_upper_bound=_FOOT_M)
    other = ~member[near] & (state[near] < _PARTLY) & aside & (~of.ground[near] | np.isinf(foot))
    ours = member[near]
    if ours.sum() < _MIN_POINTS:
        return None
    kept = ours | other
    weight = np.where(ours, ours.sum(), max(other.sum(), 1)) ** -0.5
    return SilhouettePoints(near[kept], ours[kept], weight[kept])


def _components(xyz_lidar_m: NDArray[np.floating[Any]], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) component of some points, -1 for the others."""
    out = np.full(len(xyz_lidar_m), -1, dtype=np.int64)
    xyz = xyz_lidar_m[which].astype(np.float64)
    everywhere = Groups(np.array([0.35]), np.zeros(1, np.int64), lambda i, j: np.ones(len(i), dtype=np.bool_))
    reach_m = 0.03 * np.linalg.norm(xyz, axis=1)
    out[which] = linked_components(xyz, reach_m, np.zeros(len(xyz), dtype=np.int64), everywhere)
    return out
