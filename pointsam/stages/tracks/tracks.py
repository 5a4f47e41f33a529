"""The tracks of a scene: chains of clusters, joined over gaps, with their class, motion and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.cuts import find_cuts, segments
from pointsam.stages.tracks.flicker import flickers
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.join import join
from pointsam.stages.tracks.link import link
from pointsam.stages.tracks.motion import at_frame_time, is_static, moving_path, static_path
from pointsam.stages.tracks.scene import Observations, SceneFrame, members_m, observations
from pointsam.stages.tracks.sighting import unseen_frames
from pointsam.stages.tracks.standing import standing
from pointsam.stages.tracks.thin import thin
from pointsam.stages.tracks.values import Dropped, Track, Tracks
from pointsam.taxonomy import Taxonomy

_Ints = NDArray[np.int64]


def track_scene(frames: Sequence[SceneFrame], taxonomy: Taxonomy, config: TracksConfig) -> Tracks:
    """Join the clusters of a scene over time.

    The result does not depend on the order of the frames, of their clusters, or of their points.

    Args:
        frames: the labelled frames of one scene, in any order.
        taxonomy: the classes of the labels.
        config: the rules.

    Raises:
        SchemaError: SCH003 if there are no frames, two have one id or one time, or a class is not in the taxonomy.

    Source: ours (docs/tracks.md).
    """
    frames = sorted(frames, key=lambda frame: frame.t_us)
    _require_scene(frames, taxonomy)
    ids, t_us = tuple(frame.frame_id for frame in frames), np.array([frame.t_us for frame in frames], dtype=np.int64)
    poses = tuple(frame.world_SE3_lidar for frame in frames)
    cuts = find_cuts(ids, t_us, poses, config.cut)
    segment = segments(len(frames), cuts)
    tracks: list[Track] = []
    dropped: tuple[Dropped, ...] = ()
    if config.enabled:
        seen, gates = observations(frames), Gates.of(taxonomy, config.link, config.motion)
        chains = link(seen, segment, standing(seen, segment, gates, config.motion), gates, config.link)
        members = join(seen, chains, segment, gates, config.link, config.motion.quantile)
        tracks = [_track(np.array(one), seen, frames, segment, gates, config) for one in members]
        tracks, dropped = flickers(tracks, frames, config.drop)
    return Tracks(ids, t_us, poses, segment, _numbered(tracks), dropped, tuple(cuts[k] for k in sorted(cuts)))


def _require_scene(frames: Sequence[SceneFrame], taxonomy: Taxonomy) -> None:
    ids, times = [frame.frame_id for frame in frames], [frame.t_us for frame in frames]
    classes = [cluster.class_id for frame in frames for cluster in frame.clusters]
    for wrong, message in (
        (not frames, "a scene without frames"),
        (len(set(ids)) < len(ids), "a scene with two frames of one id"),
        (len(set(times)) < len(times), "a scene with two frames of one time"),
        (max(classes, default=0) >= len(taxonomy.classes), "clusters of a class that is not in the taxonomy"),
    ):
        if wrong:
            raise SchemaError("SCH003", f"tracks cannot be made of {message}", "pass the frames of one scene once")


def _track(
    members: _Ints, seen: Observations, frames: Sequence[SceneFrame], segment: _Ints, gates: Gates, config: TracksConfig
) -> Track:
    """A track of observations, without its number."""
    moving = not is_static(seen, members, gates, config.motion.quantile)
    path = moving_path(seen, members, config.motion.window_s) if moving else static_path(seen, members)
    clouds = []
    for k, one in enumerate(members):
        xyz, time_s = members_m(frames[seen.frame[one]], int(seen.cluster_id[one]))
        if moving:
            xyz = at_frame_time(xyz, time_s, path.velocity_mps[k])
        clouds.append(thin(xyz, config.motion.voxel_m))
    points = tuple(clouds) if moving else (thin(np.concatenate(clouds), config.motion.voxel_m),)
    evidence = np.bincount(seen.class_id[members], weights=seen.evidence[members], minlength=len(gates.near_m))
    count = np.bincount(seen.class_id[members], minlength=len(gates.near_m))
    ranked = np.lexsort((np.arange(len(evidence)), -count, -evidence))
    votes = tuple((int(c), float(evidence[c])) for c in ranked if count[c])
    observed = seen.frame[members]
    return Track(
        -1,
        votes[0][0],
        votes,
        int(np.count_nonzero(np.diff(seen.class_id[members]))),
        observed,
        seen.cluster_id[members],
        moving,
        path,
        int(segment[observed[0]]),
        points,
        seen.num_points[members],
        unseen_frames(observed, points, path, moving, frames, segment, config.drop.window_s),
        float(seen.evidence[members].sum() / seen.num_points[members].sum()),
    )


def _numbered(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """Tracks with their numbers."""
    ranked = sorted(tracks, key=lambda one: (one.frames[0], -one.num_points[0], *one.path.position_m[0].tolist()))
    return tuple(replace(one, track_id=number) for number, one in enumerate(ranked))
