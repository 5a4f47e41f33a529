"""The probability of clusters after tracking: what their frame says of them, and what their track says.

The model is that of `pointsam.stages.probability`, with other features. All are in the tables of a scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.probability import TRACKED_FEATURES, ProbabilityModel
from pointsam.stages.tracks.values import Track
from pointsam.types import Cluster, FrameLabels, Membership

_LEAST = 1e-3


@dataclass(frozen=True)
class TrackTraits:
    """What is known of a track.

    Args:
        frames: number of frames in which the single-frame labels have it.
        share: that number over the number of frames from the first to the last of these.
        votes: share of its votes that its class has; 1 without votes.
        trust: mean probability of its single-frame clusters, by points.
    """

    frames: int
    share: float
    votes: float
    trust: float


ALONE = TrackTraits(1, 1.0, 1.0, 0.0)
"""Of a cluster without a track."""


def traits_of(track: Track) -> TrackTraits:
    """What the stage knows of a track."""
    frames = len(track.frames)
    return TrackTraits(frames, frames / (frames + track.gaps), share_of_votes(dict(track.votes)), track.trust)


def share_of_votes(votes: Mapping[int, float] | Mapping[str, float]) -> float:
    """Share of the votes of the class with most; 1 without votes."""
    total = sum(votes.values())
    return max(votes.values()) / total if total > 0 else 1.0


def tracked_features(
    clusters: Sequence[Cluster],
    members: Sequence[Membership],
    single: Sequence[float],
    traits: Mapping[int, TrackTraits],
) -> NDArray[np.float64]:
    """(M,8) what is known of each cluster, by column of `TRACKED_FEATURES`.

    single: logit of the probability by its own frame, of a recovered cluster of the trust in its track. points, range:
    logarithms of the number of its points and of its distance in metres. frames: logarithm of the number of frames of
    its track; share, votes: as in `TrackTraits`. recovered, extended: 1 for clusters of this origin, otherwise 0.

    Args:
        clusters: clusters after tracking.
        members: the track of each.
        single: probability of each in the single-frame labels; not used for recovered ones.
        traits: the tracks by track_id.
    """
    rows = []
    for cluster, member, own in zip(clusters, members, single, strict=True):
        track = traits.get(member.track_id, ALONE)
        alone = cluster.confidence if np.isnan(own) else own  # labels of 0.1.0 have no probability
        known = track.trust if member.origin == "recovered" else alone
        likely = min(max(known, _LEAST), 1 - _LEAST)
        rows.append(
            (
                np.log(likely / (1 - likely)),
                np.log(max(cluster.num_points, 1)),
                np.log(max(cluster.range_m, 1.0)),
                np.log(track.frames),
                track.share,
                track.votes,
                float(member.origin == "recovered"),
                float(member.origin == "extended"),
            )
        )
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(TRACKED_FEATURES))


def with_tracked_probability(
    found: FrameLabels, members: Sequence[Membership], traits: Mapping[int, TrackTraits], model: ProbabilityModel
) -> FrameLabels:
    """The labels of a frame after tracking, with the probability of every cluster.

    Args:
        found: the labels; the probability of a cluster that is not recovered is that by its own frame.
        members: the track of each cluster.
        traits: the tracks by track_id.
        model: the probability to use.
    """
    single = [cluster.probability for cluster in found.clusters]
    values = tracked_features(found.clusters, members, single, traits)
    known = zip(found.clusters, model.probability(values, TRACKED_FEATURES).tolist(), strict=True)
    return replace(found, clusters=tuple(replace(one, probability=value) for one, value in known))
