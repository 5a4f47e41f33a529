"""Points for objects that masks missed, wholly or in part: those where the points of their tracks are.

Points that stand above the ground are claimed by the nearest track. A track without a cluster in the frame makes a new
one of them, one with a cluster extends it. Both grow to their LiDAR components (`pointsam.stages.grow`), and get points
near the ground that are very near to points of the track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointsam.geometry.extent import fits
from pointsam.geometry.ground import OWN_M, height_above_ground_m, level_m
from pointsam.geometry.origins import origin_of_point_m
from pointsam.stages.grow import grow
from pointsam.stages.tracks.align import align
from pointsam.stages.tracks.claim import Models, claims, models
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.values import Track, Tracks
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, Frame, FramePoints, PointLabels

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_BELOW_M = 0.2
"""Points farther below the ground are stray returns."""


@dataclass(frozen=True, eq=False)
class _Cloud:
    """The points of a frame.

    Args:
        xyz_lidar_m: (N,3) points.
        level_m: (N,3) the same with z up.
        range_m: (N,) range in the ground plane from the LiDAR that measured them.
        height_m: (N,) height above the ground.
        origin_m: (N,3) position of that LiDAR, None for the origin.
    """

    xyz_lidar_m: _Floats
    level_m: _Floats
    range_m: _Floats
    height_m: _Floats
    origin_m: NDArray[np.float64] | None

    @staticmethod
    def of(frame: Frame, points: FramePoints) -> _Cloud:
        mount = frame.sweep.ego_SE3_lidar
        xyz = points.xyz_lidar_m.astype(np.float64)
        level, origin = level_m(xyz, mount), origin_of_point_m(frame, points.sweep_index)
        away = level if origin is None else level_m(xyz - origin, mount)
        height = height_above_ground_m(mount.apply(xyz))
        return _Cloud(xyz, level, np.hypot(away[:, 0], away[:, 1]), height, origin)


def completed(
    frame: Frame,
    points: FramePoints,
    labels: PointLabels,
    fresh: int,
    tracks: Tracks,
    index: int,
    taxonomy: Taxonomy,
    config: TracksConfig,
) -> tuple[PointLabels, dict[int, int]]:
    """Labels with claimed points, and the track of each new cluster by its id.

    Args:
        frame: the frame.
        points: its points.
        labels: its labels.
        fresh: the id of the first new cluster.
        tracks: the tracks of the scene.
        index: index of the frame.
        taxonomy: the classes.
        config: the rules.
    """
    cloud, rules = _Cloud.of(frame, points), config.claim.grow
    own = {track.track_id: cluster for cluster, track in tracks.at(index).items()}
    high = (cloud.height_m >= rules.clearance_m) & (cloud.height_m <= rules.highest_m) & (cloud.range_m > OWN_M)
    standing = np.flatnonzero(high)
    wanted = [one for one in tracks.tracks if one.track_id in own or _reliable(one, config)]
    at = models(tracks, wanted, index, config.claim, config.recover)
    free = standing[labels.instance_id[standing] == NO_INSTANCE]
    lost = [one.track_id for one in wanted if one.moving and one.track_id not in own]
    at = align(at, lost, cloud.xyz_lidar_m[free], cloud.range_m[free], config.claim)
    claimer = claims(cloud.xyz_lidar_m[standing], cloud.range_m[standing], at, config.claim)
    seeded, new = _seeded(cloud, standing, claimer, labels, own, fresh, tracks, taxonomy, config)
    whole, _ = grow(points.xyz_lidar_m, frame.sweep.ego_SE3_lidar, seeded, taxonomy, rules, cloud.origin_m)
    changed = np.unique(seeded.instance_id[seeded.instance_id != labels.instance_id])
    grown = (seeded.instance_id == NO_INSTANCE) & np.isin(whole.instance_id, changed)
    instance_id = np.where(grown, whole.instance_id, seeded.instance_id)
    class_id = np.where(grown, whole.class_id, seeded.class_id)
    track_of = {**{cluster: track for track, cluster in own.items()}, **new}
    _add_feet(cloud, instance_id, class_id, {int(one): track_of[int(one)] for one in changed}, at, config)
    few = [one for one, track in new.items() if _is_fragment(cloud, standing, instance_id == one, at, track, config)]
    gone = np.isin(instance_id, few)
    instance_id[gone], class_id[gone] = NO_INSTANCE, BACKGROUND
    return PointLabels(instance_id, class_id), {one: track for one, track in new.items() if one not in few}


def _is_fragment(
    cloud: _Cloud, standing: _Ints, its: NDArray[np.bool_], at: Models, track: int, config: TracksConfig
) -> bool:
    """Whether a new cluster has too few points, or too few of those above the ground within the extents of its track.

    Such a cluster is a part of another object, or of one that is elsewhere than its track.
    """
    if np.count_nonzero(its) < config.recover.least_points:
        return True
    model = at.xyz_lidar_m[at.track == track]
    xyz = cloud.xyz_lidar_m[standing]
    inside = ((xyz >= model.min(axis=0)) & (xyz <= model.max(axis=0))).all(axis=1)
    return bool(np.count_nonzero(inside & its[standing]) < config.recover.least_part * np.count_nonzero(inside))


def _reliable(track: Track, config: TracksConfig) -> bool:
    rules = config.recover
    least = rules.least_seen_moving if track.moving else rules.least_seen
    return rules.enabled and len(track.frames) >= least and track.seen_share >= rules.least_share


def _seeded(
    cloud: _Cloud,
    standing: _Ints,
    claimer: _Ints,
    labels: PointLabels,
    own: dict[int, int],
    fresh: int,
    tracks: Tracks,
    taxonomy: Taxonomy,
    config: TracksConfig,
) -> tuple[PointLabels, dict[int, int]]:
    """Labels with the claims that hold, and the track of each new cluster.

    A claim does not hold if other clusters have too many of the points there: the object has another track. Nor does it
    if the result is too large for the class.

    Args:
        cloud: the points.
        standing: (S,) indices of those above the ground.
        claimer: (S,) track that claims each of these.
        labels: (N,) labels so far.
        own: cluster of each track that has one here.
        fresh: the id of the first new cluster.
        tracks: the tracks of the scene.
        taxonomy: the classes.
        config: the rules.
    """
    instance_id, class_id = labels.instance_id.copy(), labels.class_id.copy()
    owner, new = labels.instance_id[standing], {}
    for number in np.unique(claimer[claimer >= 0]).tolist():
        track, its = tracks.tracks[number], claimer == number
        free = standing[its & (owner == NO_INSTANCE)]
        cluster = own.get(number, fresh)
        others = np.count_nonzero(its & (owner != NO_INSTANCE) & (owner != cluster))
        if len(free) == 0 or others > config.claim.taken * np.count_nonzero(its):
            continue
        if cluster == fresh:
            if _fits(cloud.level_m[free], track.class_id, taxonomy, config):
                instance_id[free], class_id[free] = fresh, track.class_id
                new[fresh] = number
                fresh += 1
        elif config.extend.enabled:
            mine = np.flatnonzero(labels.instance_id == cluster)
            if _fits(cloud.level_m[np.append(mine, free)], int(class_id[mine[0]]), taxonomy, config):
                instance_id[free], class_id[free] = cluster, class_id[mine[0]]
    return PointLabels(instance_id, class_id), new


def _fits(level: _Floats, class_id: int, taxonomy: Taxonomy, config: TracksConfig) -> bool:
    """Whether points are as small as a class can be; those of a class without a typical size always are."""
    size = taxonomy.classes[class_id].typical_lwh_m
    return size is None or fits(level[:, :2], size, config.claim.grow.largest)


def _add_feet(
    cloud: _Cloud,
    instance_id: NDArray[np.int32],
    class_id: NDArray[np.uint8],
    track_of: dict[int, int],
    at: Models,
    config: TracksConfig,
) -> None:
    """Give clusters the free points near the ground that are very near to points of their tracks."""
    near_ground = (cloud.height_m >= -_BELOW_M) & (cloud.height_m < config.claim.grow.clearance_m)
    low = np.flatnonzero(near_ground & (instance_id == NO_INSTANCE) & (cloud.range_m > OWN_M))
    cluster_of = {track: cluster for cluster, track in track_of.items()}
    its = np.isin(at.track, list(cluster_of))
    if len(low) == 0 or not its.any():
        return
    owner = np.array([cluster_of[track] for track in at.track[its].tolist()])
    reach = config.claim.low_m
    nearest, which = cKDTree(at.xyz_lidar_m[its]).query(cloud.xyz_lidar_m[low], distance_upper_bound=reach)
    for point, cluster in zip(low[nearest < reach], owner[which[nearest < reach]], strict=True):
        instance_id[point] = cluster
    for cluster in track_of:
        members = np.flatnonzero(instance_id == cluster)
        class_id[members] = class_id[members[class_id[members] != BACKGROUND][0]]
