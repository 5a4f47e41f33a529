"""Separability-aware refinement (SAR): masks and connected components of the points correct each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.ranges import require
from pointsam.geometry.ground import level_m
from pointsam.geometry.se3 import SE3
from pointsam.stages.contraction import Groups, linked_components
from pointsam.stages.ids import canonical_ids
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RefineConfig:
    """Options of refinement; link floors and the traits `vehicle`, `crowd` and `large` are in the taxonomy.

    Args:
        enabled: False only makes the ids canonical (--no-sar).
        range_coef: link distance per metre of range.
        rings: large classes link across this many gaps between the sensor's rings, if that is farther. Windows of a
            vehicle return no points, and the roof would be a separate component (not published).
        dims: 3, or 2 for distance and range in the ground plane.
        min_points: drop components with fewer points; 0 = keep all.
        split_classes: points of different classes never link, except for two vehicle classes.
        same_image_veto: points of two masks of one image never link (not published).

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    enabled: bool = True
    range_coef: float = 0.04
    rings: float = 0.0
    dims: int = 3
    min_points: int = 0
    split_classes: bool = True
    same_image_veto: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.range_coef <= 1e3, "refine.range_coef", self.range_coef, "a number from 0 to 1000, like 0.04")
        require(0 <= self.rings <= 1e3, "refine.rings", self.rings, "a number from 0 to 1000, like 3.5")
        require(self.dims in (2, 3), "refine.dims", self.dims, "3, or 2 for the ground plane")
        require(self.min_points >= 0, "refine.min_points", self.min_points, "0 to keep every component, or more")


def refine(
    xyz_lidar_m: FloatArray,
    labels: PointLabels,
    taxonomy: Taxonomy,
    config: RefineConfig,
    cameras: NDArray[np.uint64] | None = None,
    ring_gap_rad: float | NDArray[np.float64] = 0.0,
    origin_lidar_m: FloatArray | None = None,
    ego_SE3_lidar: SE3 | None = None,
) -> PointLabels:
    """Keep the component that each mask covers most, and give each component the label of the mask that covers it most.

    Two points link iff d2 < t * t, with t = max(range_coef * the larger range, the smaller of the two link floors), and
    iff their classes and masks allow it. Everything is float64; ranges are from the LiDAR's origin. With `rings`, the
    coefficient of large classes is rings * ring_gap_rad if that is larger. The class of a component is the most
    frequent one among the points of its mask in it.

    Ties, which the published code leaves open: of two components that a mask covers equally, the one with the earliest
    point is kept. If a mask covers as many points of a component as no mask does, the component goes to the mask; of
    two masks that cover it equally, to the one with the earliest point in it. Of two equally frequent classes, the
    lower id wins.

    Args:
        xyz_lidar_m: (N,3) positions, metres.
        labels: (N,) labels; instance_id is the mask of each point, any non-negative ids.
        taxonomy: classes of class_id, with their traits.
        config: options.
        cameras: (Q,) uint64 by mask id; bit c is set if an image of camera c supports the mask. Needed for
            `same_image_veto`.
        ring_gap_rad: angle between neighbouring rings of the sweep, or (N,) that of the sweep of each point; 0 leaves
            `rings` without effect.
        origin_lidar_m: (N,3) position of the LiDAR that measured each point, from which its range is measured: the
            density of points depends on it. None for the origin.
        ego_SE3_lidar: mounting of the LiDAR, for `dims` = 2; None if its z axis points up.

    Returns:
        (N,) labels with canonical ids.

    Raises:
        SchemaError: SCH003 if the arrays do not fit together, SCH001 if a class is not in the taxonomy.
        DatasetError: DAT007 if a labelled point is not finite.

    Source: PointSAM (arXiv 2401.16305).
    """
    _check(xyz_lidar_m, labels, taxonomy, config, cameras)
    if not config.enabled:
        return PointLabels(canonical_ids(labels.instance_id), labels.class_id)
    on = np.flatnonzero(labels.instance_id != NO_INSTANCE)
    mask_id, mask = np.unique(labels.instance_id[on], return_inverse=True)
    class_id = labels.class_id[on].astype(np.int64)
    veto = cameras[mask_id] if cameras is not None and config.same_image_veto else None

    xyz_m = _in_dims(xyz_lidar_m[on], config.dims, ego_SE3_lidar)
    away_m = xyz_m
    if origin_lidar_m is not None:
        away_m = _in_dims(xyz_lidar_m[on] - origin_lidar_m[on], config.dims, ego_SE3_lidar)
    range_m = np.sqrt(_square_sum(away_m))
    group, groups = _groups(class_id, mask, taxonomy, config.split_classes, veto)
    large = np.array([spec.is_large for spec in taxonomy.classes])[class_id]
    gap_rad = ring_gap_rad[on] if isinstance(ring_gap_rad, np.ndarray) else ring_gap_rad
    over_rings = np.maximum(config.range_coef, config.rings * gap_rad)
    reach_m = np.where(large, over_rings, config.range_coef) * range_m
    component = _by_first_point(linked_components(xyz_m, reach_m, group, groups))
    winner_class = _vote(component, mask, class_id, config.min_points)

    out = PointLabels.empty(len(labels))
    new_class = winner_class[component]
    out.class_id[on] = new_class
    out.instance_id[on] = np.where(new_class == BACKGROUND, NO_INSTANCE, component)
    return PointLabels(canonical_ids(out.instance_id), out.class_id)


def _in_dims(xyz_lidar_m: FloatArray, dims: int, ego_SE3_lidar: SE3 | None) -> NDArray[np.float64]:
    """(N,dims) float64 positions: as they are, or in the ground plane."""
    if dims == 2 and ego_SE3_lidar is not None:
        return level_m(xyz_lidar_m, ego_SE3_lidar)[:, :2]
    return xyz_lidar_m[:, :dims].astype(np.float64)


def _square_sum(xyz_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) sums of squares, axis by axis in order; this order defines the exact result."""
    total = np.zeros(len(xyz_m))
    for axis in xyz_m.T:
        total += axis * axis
    return total


def _groups(
    class_id: _Ints, mask: _Ints, taxonomy: Taxonomy, split_classes: bool, veto: NDArray[np.uint64] | None
) -> tuple[_Ints, Groups]:
    """Group the points for which the link rule differs by position only: by class, and by mask if masks matter."""
    vehicle = np.array([spec.vehicle for spec in taxonomy.classes])
    crowd = np.array([spec.crowd for spec in taxonomy.classes])
    floor_m = np.array([max(spec.link_floor_m, 0.0) for spec in taxonomy.classes], dtype=np.float64)
    by_mask = np.where(crowd[class_id] if veto is None else True, mask + 1, 0)
    base = mask.max(initial=0) + 2
    key, group = np.unique(class_id * base + by_mask, return_inverse=True)
    of_class, of_mask = key // base, key % base
    seen_by = np.zeros(len(key), dtype=np.uint64) if veto is None else veto[of_mask - 1]

    def may_link(g: _Ints, h: _Ints) -> NDArray[np.bool_]:
        same_class, same_mask = of_class[g] == of_class[h], of_mask[g] == of_mask[h]
        allowed = same_class | (vehicle[of_class[g]] & vehicle[of_class[h]]) | (not split_classes)
        crowded = same_class & crowd[of_class[g]]
        vetoed = (seen_by[g] & seen_by[h]) != 0
        return np.asarray(allowed & (same_mask | ~(crowded | vetoed)))

    # Masks of a crowd class have separate spaces (but vehicles may link across classes), and all masks have if one
    # camera supports them all.
    alone = (crowd & ~vehicle)[of_class] & split_classes | (np.bitwise_and.reduce(seen_by) != 0)
    by_class = np.where(vehicle[of_class], 0, 1 + of_class) if split_classes else 0
    space = np.unique(by_class * base + np.where(alone, of_mask, 0), return_inverse=True)[1]
    return group, Groups(floor_m[of_class], space, may_link)


def _by_first_point(component: _Ints) -> _Ints:
    """Number components in the order of their first points."""
    _, first, index = np.unique(component, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[index])


def _best(of: _Ints, count: _Ints, tie: _Ints) -> _Ints:
    """Index of the largest count for each value of `of`, by rising value; of equal counts that with smallest `tie`."""
    order = np.lexsort((tie, -count, of))
    return np.asarray(order[np.diff(of[order], prepend=-1) != 0])


def _vote(component: _Ints, mask: _Ints, class_id: _Ints, min_points: int) -> NDArray[np.uint8]:
    """(K,) class of each component, BACKGROUND if it is dropped."""
    size = np.bincount(component)
    base = mask.max(initial=0) + 1
    share, first, share_of_point, count = np.unique(
        component * base + mask, return_index=True, return_inverse=True, return_counts=True
    )
    home = _best(share % base, count, share // base)
    k = share[home] // base
    assigned = np.bincount(k, weights=count[home], minlength=len(size)).astype(np.int64)
    winner = home[_best(k, count[home], first[home])]
    k = share[winner] // base
    kept = (count[winner] >= size[k] - assigned[k]) & (size[k] >= min_points)

    votes, votes_count = np.unique(share_of_point * (BACKGROUND + 1) + class_id, return_counts=True)
    share_class = votes[_best(votes // (BACKGROUND + 1), votes_count, votes)] % (BACKGROUND + 1)
    out = np.full(len(size), BACKGROUND, dtype=np.uint8)
    out[k[kept]] = share_class[winner[kept]]
    return out


def _check(
    xyz_lidar_m: FloatArray,
    labels: PointLabels,
    taxonomy: Taxonomy,
    config: RefineConfig,
    cameras: NDArray[np.uint64] | None,
) -> None:
    if xyz_lidar_m.shape != (len(labels), 3):
        raise SchemaError(
            "SCH003",
            f"refine: xyz_lidar_m has shape {xyz_lidar_m.shape}, labels have {len(labels)} points",
            "pass all points that were labelled, in file order",
        )
    on = labels.instance_id != NO_INSTANCE
    if (labels.class_id[on] >= len(taxonomy.classes)).any():
        raise SchemaError(
            "SCH001",
            f"refine: class_id {int(labels.class_id[on].max())} is not in taxonomy {taxonomy.name!r}",
            "refine with the taxonomy that the labels were made with",
        )
    if not np.isfinite(xyz_lidar_m[on]).all():
        raise DatasetError(
            "DAT007", "refine: a labelled point has a coordinate that is not finite", "leave such points unlabelled"
        )
    num_masks = int(labels.instance_id.max(initial=NO_INSTANCE)) + 1
    num_known = 0 if cameras is None else len(cameras)
    if config.enabled and config.same_image_veto and num_known < num_masks:
        raise SchemaError(
            "SCH003",
            f"refine: same_image_veto needs the cameras of {num_masks} masks, got {num_known}",
            "pass `cameras` with one entry per mask id",
        )
