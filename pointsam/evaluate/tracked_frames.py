"""What the checks of `pointsam.evaluate.clues` see of a frame: its clusters with their tracks, in the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import SchemaError
from pointsam.geometry.ground import level_m
from pointsam.types import NO_INSTANCE, FrameLabels, Sweep

SPREAD_M = 0.25
"""Width of the rings in `TrackedCluster.spread`."""
_RINGS = 64


@dataclass(frozen=True)
class TrackedCluster:
    """A cluster of a frame.

    Args:
        cluster_id: id in its frame.
        track_id: its track, negative for none.
        class_id: its class by its own frame, before a track votes.
        num_points: number of its points.
        center_world_m: centre of its extent in the world; NaN where the pose is not known.
        length_m: its largest extent seen from above: twice `Cluster.radius_bev_m`. It does not depend on the heading.
        height_m: its extent upwards.
        num_cameras: number of cameras whose masks built it, 0 for a cluster that tracking recovered.
        class_share, num_points_cut, num_points_grown, probability: as in `pointsam.types.Cluster`.
        num_views: number of views of its points that masks gave it: cameras that see them, summed over the points.
        num_covered: number of these views with a mask.
        spread: number of its points in rings of SPREAD_M around their median position, seen from above; the last one
            holds all that are further. Empty where the points were not read.
    """

    cluster_id: int
    track_id: int
    class_id: int
    num_points: int
    center_world_m: tuple[float, float, float]
    length_m: float
    height_m: float
    num_cameras: int = 0
    class_share: float = 0.0
    num_points_cut: int = 0
    num_points_grown: int = 0
    probability: float = math.nan
    num_views: int = 0
    num_covered: int = 0
    spread: tuple[int, ...] = ()


@dataclass(frozen=True)
class TrackedFrame:
    """A frame and its clusters.

    Args:
        scene: the scene.
        frame_id: the frame.
        t_us: time of its sweep, microseconds.
        ok: whether it has labels; False for a quarantined frame.
        clusters: its clusters.
        seen_points: number of its points that a camera sees.
        labelled_points: number of these with a cluster.
        components: number of components of the LiDAR above ground that have the size of an object, and of those
            without a cluster; (0, 0) where it was not counted.
    """

    scene: str
    frame_id: str
    t_us: int
    ok: bool
    clusters: tuple[TrackedCluster, ...] = ()
    seen_points: int = 0
    labelled_points: int = 0
    components: tuple[int, int] = (0, 0)


def tracked_frame(
    found: FrameLabels,
    tracks: Sequence[int],
    sweep: Sweep | None,
    xyz_lidar_m: FloatArray | None = None,
    class_ids: Sequence[int] | None = None,
) -> TrackedFrame:
    """What the checks see of the labels of a frame.

    Args:
        found: the labels.
        tracks: (M) track of each cluster, negative for none.
        sweep: the reference sweep with its pose; None if there are no poses.
        xyz_lidar_m: (N,3) points, metres, LiDAR frame; None leaves `spread` empty.
        class_ids: (M) class of each cluster by its own frame, before tracks voted; None for that of `found`.

    Raises:
        SchemaError: SCH003 on another number of tracks, classes or points.
    """
    frame, clusters = found.frame, found.clusters
    classes = [cluster.class_id for cluster in clusters] if class_ids is None else class_ids
    points = frame.num_points if xyz_lidar_m is None else len(xyz_lidar_m)
    if (len(tracks), len(classes), points) != (len(clusters), len(clusters), frame.num_points):
        raise SchemaError(
            "SCH003",
            f"frame {frame.frame_id} of {len(clusters)} clusters and {frame.num_points} points has {len(tracks)} "
            f"tracks, {len(classes)} classes and {points} points of its sweep",
            "pass the tracks, classes and points of these labels",
        )
    ids = found.labels.instance_id
    masked = np.flatnonzero((ids != NO_INSTANCE) & ~found.grown)
    views, covered = (np.bincount(ids[masked], of[masked], len(clusters)) for of in (found.views, found.covered))
    centers = np.array([cluster.center_lidar_m for cluster in clusters]).reshape(-1, 3)
    world = np.full_like(centers, np.nan)
    spread: list[tuple[int, ...]] = [()] * len(clusters)
    if sweep is not None:
        world = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).apply(centers)
    if xyz_lidar_m is not None:
        spread = _spread(
            xyz_lidar_m if sweep is None else level_m(xyz_lidar_m, sweep.ego_SE3_lidar), ids, len(clusters)
        )
    seen = found.views > 0
    rows = tuple(
        TrackedCluster(
            cluster_id=k,
            track_id=int(tracks[k]),
            class_id=int(classes[k]),
            num_points=one.num_points,
            center_world_m=(float(world[k, 0]), float(world[k, 1]), float(world[k, 2])),
            length_m=2 * one.radius_bev_m,
            height_m=one.size_aabb_m[2],
            num_cameras=len(set(one.cameras)),
            class_share=one.class_share,
            num_points_cut=one.num_points_cut,
            num_points_grown=one.num_points_grown,
            probability=one.probability,
            num_views=int(views[k]),
            num_covered=int(covered[k]),
            spread=spread[k],
        )
        for k, one in enumerate(clusters)
    )
    return TrackedFrame(
        frame.scene,
        frame.frame_id,
        frame.t_us,
        frame.status == "ok",
        rows,
        int(seen.sum()),
        int((seen & (ids != NO_INSTANCE)).sum()),
    )


def _spread(xyz_m: FloatArray, ids: NDArray[np.int32], count: int) -> list[tuple[int, ...]]:
    """`TrackedCluster.spread` of each cluster."""
    held = np.flatnonzero(ids != NO_INSTANCE)
    order = held[np.argsort(ids[held], kind="stable")]
    ends = np.searchsorted(ids[order], np.arange(count + 1))
    out = []
    for first, last in pairwise(ends.tolist()):
        xy = np.asarray(xyz_m[order[first:last], :2], dtype=np.float64)
        away = np.linalg.norm(xy - np.median(xy, axis=0), axis=1) if len(xy) else np.zeros(0)
        ring = np.minimum((away / SPREAD_M).astype(np.int64), _RINGS - 1)
        out.append(tuple(np.bincount(ring).tolist()))
    return out
