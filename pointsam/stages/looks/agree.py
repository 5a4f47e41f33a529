"""Which detections of a crop are the object that the LiDAR asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.geometry.projection import project
from pointsam.semantics.boxes import area, intersection, iou
from pointsam.stages.looks.config import ComponentsConfig, LooksConfig
from pointsam.stages.looks.standing import Cloud
from pointsam.taxonomy import Taxonomy
from pointsam.types import CameraView, Detections, Frame

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]
_LEAST_SEEN = 0.5
"""Fraction of the points of a component that an image must show."""
_EDGE_PX = 2.0
"""A box that is nearer to a border of the image may show a part of its object only."""
_SLACK_M = 1.0
"""Smallest difference in depth at which points count as those of something else."""


@dataclass(frozen=True, eq=False)
class ImagePoints:
    """The points of a frame in one image.

    Args:
        uv_px: (N,2) pixels.
        foot_uv_px: (N,2) pixels of the places on the ground below them.
        depth_m: (N,) depths.
        valid: (N,) bool, whether a point is in the image.
        size_px: width and height of the image.
        focal_px: focal lengths along both axes.
    """

    uv_px: _Floats
    foot_uv_px: _Floats
    depth_m: _Floats
    valid: _Bools
    size_px: tuple[int, int]
    focal_px: tuple[float, float]

    @staticmethod
    def of(cloud: Cloud, frame: Frame, view: CameraView) -> ImagePoints:
        """Project the points of a frame."""
        there, foot = (project(xyz, frame, view) for xyz in (cloud.xyz_lidar_m, cloud.foot_lidar_m))
        camera = view.camera
        focal = (float(camera.K[0, 0]), float(camera.K[1, 1]))
        return ImagePoints(
            there.uv_px, foot.uv_px, there.depth_m, there.valid, (camera.width_px, camera.height_px), focal
        )

    def seen(self, members: _Ints) -> _Ints:
        """The points that are in the image, if they are enough; else none."""
        inside = members[self.valid[members]]
        return inside if len(inside) >= _LEAST_SEEN * len(members) else members[:0]

    def box_of(self, members: _Ints) -> _Floats:
        """(4,) box around points in the image and their feet, within the image."""
        uv = np.concatenate([self.uv_px[members], self.foot_uv_px[members]])
        uv = np.clip(uv[np.isfinite(uv).all(axis=1)], 0, self.size_px)
        return np.concatenate([uv.min(axis=0), uv.max(axis=0)])

    def within(self, points: _Ints, box_xyxy_px: FloatArray) -> _Bools:
        """(P,) whether points are in the image and in a box."""
        uv = self.uv_px[points]
        inside: _Bools = ((uv >= box_xyxy_px[:2]) & (uv <= box_xyxy_px[2:])).all(axis=1)
        return inside & self.valid[points]


def agreeing(
    found: Detections,
    members: _Ints,
    standing: _Ints,
    held: _Bools,
    place: ImagePoints,
    taxonomy: Taxonomy,
    config: LooksConfig,
) -> int:
    """Index of the detection that agrees with a component, -1 for none; of several the one with the best score.

    Most of the component lies in its box, and the box is about as large as the component with its foot. Most standing
    points in the box are as deep as the component, and few of these are held by clusters. At that depth, the box is as
    high and as wide as an object of its class.

    Args:
        found: detections in the image.
        members: points of the component that are in the image.
        standing: all standing points.
        held: (N,) bool, whether a cluster holds a point.
        place: the points in the image.
        taxonomy: the classes.
        config: the rules.
    """
    rules, best = config.components, -1
    around = place.box_of(members)[None]
    depth_m = float(np.median(place.depth_m[members]))
    overlap = iou(found.box_xyxy_px, around)[:, 0]
    for k in np.lexsort((np.arange(len(found)), -found.score)):
        box, spec = found.box_xyxy_px[k], taxonomy.classes[found.class_id[k]]
        if found.score[k] < rules.least_score or overlap[k] < rules.box_iou:
            continue
        if place.within(members, box).mean() < rules.inside:
            continue
        inside = standing[place.within(standing, box)]
        length = max(spec.typical_lwh_m) if spec.typical_lwh_m else 0.0
        same = inside[np.abs(place.depth_m[inside] - depth_m) <= max(_SLACK_M, length / 2)]
        if len(same) < rules.depth * len(inside) or np.count_nonzero(held[same]) > config.taken * len(same):
            continue
        if fits_size(box, depth_m, spec.typical_lwh_m, place, rules):
            best = int(k)
            break
    return best


def fits_size(
    box_xyxy_px: FloatArray,
    depth_m: float,
    typical_lwh_m: tuple[float, float, float] | None,
    place: ImagePoints,
    rules: ComponentsConfig,
) -> bool:
    """Whether a box at a depth is as wide and high as an object of a class; at borders of the image it may be smaller.

    Args:
        box_xyxy_px: (4,) the box.
        depth_m: the depth.
        typical_lwh_m: typical size of the class; every size fits a class without one.
        place: size and focal lengths of the image.
        rules: the factors.
    """
    if typical_lwh_m is None:
        return True
    length, width, height = typical_lwh_m
    left, top, right, bottom = (float(value) for value in box_xyxy_px)
    wide, tall = (right - left) * depth_m / place.focal_px[0], (bottom - top) * depth_m / place.focal_px[1]
    cut_x = left < _EDGE_PX or right > place.size_px[0] - _EDGE_PX
    cut_y = top < _EDGE_PX or bottom > place.size_px[1] - _EDGE_PX
    large = wide > rules.largest_size * max(length, width) or tall > rules.largest_size * height
    small = (not cut_x and wide < rules.smallest_size * min(length, width)) or (
        not cut_y and tall < rules.smallest_size * height
    )
    return not (large or small)


def fresh(looks: Detections, known: Detections, taxonomy: Taxonomy, config: LooksConfig) -> NDArray[np.intp]:
    """Indices of looks that are no duplicates of known detections or of better looks, by falling score.

    Two boxes show one object if their IoU is large. Two looks also do if they are of one class, or of two vehicle
    classes, and share most of the smaller one. A look may lie in a known box: an object behind another one does.

    Args:
        looks: boxes of looks, of one image.
        known: detections there that gave a cluster.
        taxonomy: the classes.
        config: the rules.
    """
    vehicle = np.array([spec.vehicle for spec in taxonomy.classes], dtype=np.bool_)
    old = (iou(looks.box_xyxy_px, known.box_xyxy_px) > config.duplicate_iou).any(axis=1)
    kept = list[int]()
    for k in np.lexsort((*looks.box_xyxy_px.T[::-1], looks.class_id, -looks.score)):
        one, others = looks.box_xyxy_px[k : k + 1], looks.box_xyxy_px[kept]
        shared = intersection(one, others)[0] / np.minimum(area(one), area(others))
        its, theirs = looks.class_id[k], looks.class_id[kept]
        alike = (theirs == its) | (vehicle[theirs] & vehicle[its])
        same = (iou(one, others)[0] > config.duplicate_iou) | (alike & (shared > config.duplicate_share))
        if not (old[k] or same.any()):
            kept.append(int(k))
    return np.array(kept, dtype=np.intp)
