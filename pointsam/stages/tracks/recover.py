"""The labels of a frame with what its tracks know: classes, misses, missing points, flickers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.stages.ids import canonical_ids
from pointsam.stages.summarize import summarize
from pointsam.stages.tracks.complete import completed
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.values import Track, Tracks
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import (
    NO_INSTANCE,
    NO_TRACK,
    Cluster,
    Frame,
    FrameLabels,
    FramePoints,
    Membership,
    PointLabels,
    TrackedLabels,
)
from pointsam.types.tracks import Origin


def tracked_labels(
    frame: Frame, points: FramePoints, found: FrameLabels, tracks: Tracks, taxonomy: Taxonomy, config: TracksConfig
) -> TrackedLabels:
    """Apply the tracks of a scene to one of its frames.

    No labelled point goes to another cluster. Without `config.enabled`, the labels stay as they are.

    Args:
        frame: the frame, for mountings; its pose is that of `tracks`.
        points: its points.
        found: its labels, from which the tracks were made.
        tracks: the tracks of its scene.
        taxonomy: the classes.
        config: the rules.

    Raises:
        SchemaError: SCH003 if points, labels and tracks do not belong together.

    Source: ours (docs/tracks.md).
    """
    if len(points) != len(found.labels):
        raise SchemaError(
            "SCH003",
            f"frame {frame.frame_id}: {len(found.labels)} labels for {len(points)} points",
            "pass labels of this frame",
        )
    if not config.enabled:
        return untracked(found)
    index = tracks.index(frame.frame_id)
    own = tracks.at(index)
    labels = _voted(found, own, tracks.frame_ids[index], tracks, config)
    track_of = {cluster: track.track_id for cluster, track in own.items()}
    before = labels
    if config.recover.enabled or config.extend.enabled:
        labels, new = completed(frame, points, labels, len(found.clusters), tracks, index, taxonomy, config)
        track_of |= new
    claimed = (before.instance_id == NO_INSTANCE) & (labels.instance_id != NO_INSTANCE)
    return _summarized(frame, points, found, labels, track_of, tracks, taxonomy, claimed)


def untracked(found: FrameLabels) -> TrackedLabels:
    """The labels of a frame as they are: every cluster is kept, and has no track."""
    members = tuple(Membership(NO_TRACK, "kept", k) for k in range(len(found.clusters)))
    return TrackedLabels(found, np.zeros(found.frame.num_points, dtype=np.bool_), members)


def _voted(
    found: FrameLabels, own: Mapping[int, Track], frame_id: str, tracks: Tracks, config: TracksConfig
) -> PointLabels:
    """The labels without flickers, with the classes of the tracks."""
    instance_id, class_id = found.labels.instance_id.copy(), found.labels.class_id.copy()
    classes = np.array([cluster.class_id for cluster in found.clusters] + [BACKGROUND], dtype=np.uint8)
    kept = np.ones(len(classes), dtype=np.bool_)
    kept[[one.cluster_id for one in tracks.dropped if one.frame_id == frame_id]] = False
    if config.vote.enabled:
        for cluster, track in own.items():
            classes[cluster] = track.class_id
    class_id = classes[instance_id]
    gone = ~kept[instance_id]
    instance_id[gone], class_id[gone] = NO_INSTANCE, BACKGROUND
    return PointLabels(instance_id, class_id)


def _summarized(
    frame: Frame,
    points: FramePoints,
    found: FrameLabels,
    labels: PointLabels,
    track_of: Mapping[int, int],
    tracks: Tracks,
    taxonomy: Taxonomy,
    claimed: NDArray[np.bool_],
) -> TrackedLabels:
    """The labels with canonical ids. Clusters keep the scores of their masks; recovered ones have that of the track."""
    numbered = canonical_ids(labels.instance_id)
    held = np.flatnonzero(numbered != NO_INSTANCE)
    _, first = np.unique(numbered[held], return_index=True)
    old = labels.instance_id[held[first]]
    added = np.bincount(numbered[claimed], minlength=len(old)) > 0
    _, described = summarize(
        points.xyz_lidar_m, labels, (), taxonomy, found.grown & ~claimed & (numbered >= 0), frame.sweep.ego_SE3_lidar
    )
    clusters: list[Cluster] = []
    members: list[Membership] = []
    for cluster, before, more in zip(described, old.tolist(), added.tolist(), strict=True):
        track = track_of.get(before, NO_TRACK)
        is_new = before >= len(found.clusters)
        origin: Origin = "recovered" if is_new else "extended" if more else "kept"
        members.append(Membership(track, origin, -1 if is_new else before))
        if is_new:
            trust = tracks.tracks[track].trust
            clusters.append(replace(cluster, confidence=trust, probability=trust))
        else:
            clusters.append(_with_masks(cluster, found.clusters[before]))
    row = replace(found.frame, num_clusters=len(clusters))
    grown = found.grown & (numbered != NO_INSTANCE)
    whole = FrameLabels(row, PointLabels(numbered, labels.class_id), found.views, found.covered, grown, tuple(clusters))
    return TrackedLabels(whole, claimed, tuple(members))


def _with_masks(cluster: Cluster, before: Cluster) -> Cluster:
    """A cluster with what the masks of the single frame said of it."""
    return replace(
        before,
        cluster_id=cluster.cluster_id,
        class_id=cluster.class_id,
        class_name=cluster.class_name,
        num_points=cluster.num_points,
        center_lidar_m=cluster.center_lidar_m,
        size_aabb_m=cluster.size_aabb_m,
        radius_bev_m=cluster.radius_bev_m,
        range_m=cluster.range_m,
    )
