"""Objects that tracks expect in a frame without a cluster of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.extent import fits
from pointsam.stages.looks.config import ExpectedConfig
from pointsam.stages.looks.standing import Cloud
from pointsam.stages.tracks.align import align
from pointsam.stages.tracks.claim import claims, models
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.values import Track, Tracks
from pointsam.taxonomy import Taxonomy

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Expected:
    """An object that should be there.

    Args:
        track_id: its track.
        class_id: the class that its track votes for.
        score: how much the track is believed.
        members: (P,) indices of the free points that lie where those of the track are, rising.
        model_lidar_m: (M,3) points of the track at the time of the frame.
    """

    track_id: int
    class_id: int
    score: float
    members: _Ints
    model_lidar_m: NDArray[np.float64]


def expected(
    cloud: Cloud, tracks: Tracks, index: int, taxonomy: Taxonomy, config: ExpectedConfig, rules: TracksConfig
) -> list[Expected]:
    """The objects that tracks expect in a frame, by track.

    A track expects an object if it is reliable enough to be recovered (`tracks.recover`), has no cluster in the frame,
    and enough points lie where its own are, of which clusters hold few.

    Args:
        cloud: the points of the frame.
        tracks: the tracks of its scene.
        index: index of the frame.
        taxonomy: the classes.
        config: options of these looks.
        rules: the rules of tracks.
    """
    own = {track.track_id for track in tracks.at(index).values()}
    wanted = [track for track in tracks.tracks if track.track_id not in own and reliable(track, rules)]
    grow = rules.claim.grow
    standing = cloud.standing(grow.clearance_m, grow.highest_m)
    at = models(tracks, wanted, index, rules.claim, rules.recover)
    if len(at.track) == 0 or len(standing) == 0:
        return []
    free = standing[~cloud.held[standing]]
    lost = [track.track_id for track in wanted if track.moving]
    at = align(at, lost, cloud.xyz_lidar_m[free], cloud.range_m[free], rules.claim)
    claimer = claims(cloud.xyz_lidar_m[standing], cloud.range_m[standing], at, rules.claim)
    found = []
    for track in wanted:
        its = standing[claimer == track.track_id]
        members = its[~cloud.held[its]]
        if len(members) < config.least_points or len(its) - len(members) > rules.claim.taken * len(its):
            continue
        size = taxonomy.classes[track.class_id].typical_lwh_m
        if size is not None and not fits(cloud.level_m[members, :2], size, grow.largest):
            continue
        model = at.xyz_lidar_m[at.track == track.track_id]
        found.append(Expected(track.track_id, track.class_id, track.trust, members, model))
    return found


def reliable(track: Track, rules: TracksConfig) -> bool:
    """Whether a track is seen often enough to say that its object should be there."""
    least = rules.recover.least_seen_moving if track.moving else rules.recover.least_seen
    return len(track.frames) >= least and track.seen_share >= rules.recover.least_share
