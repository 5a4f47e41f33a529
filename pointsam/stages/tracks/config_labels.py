"""Options of what tracks change in labels: classes, misses, missing points, flickers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pointsam.base.ranges import require, require_between
from pointsam.stages.grow import GrowConfig


@dataclass(frozen=True)
class VoteConfig:
    """Classes by vote over tracks.

    Args:
        enabled: give every cluster the class of its track.
    """

    enabled: bool = False


@dataclass(frozen=True)
class ClaimConfig:
    """Which points of a frame lie where a track's points are.

    Args:
        floor_m: smallest distance from a point of the track.
        range_coef: distance per metre of range.
        taken: largest fraction of the points there that other clusters may hold.
        low_m: claimed clusters also get points nearer to the ground than growth does, if they are so near to a point of
            the track: feet and wheels.
        align_m: distance over which points of moving tracks are aligned with free points before they claim any.
        others_s: points of moving tracks are taken from frames at most so far away in time.
        grow: how claimed points grow to their LiDAR components; heights also limit what is claimed.
    """

    floor_m: float = 0.4
    range_coef: float = 0.015
    taken: float = 0.3
    low_m: float = 0.2
    align_m: float = 1.5
    others_s: float = 1.1
    grow: GrowConfig = field(default_factory=lambda: GrowConfig(enabled=True))

    def __post_init__(self) -> None:
        require_between(self, "tracks.claim", 0, 1e3, ("floor_m", "range_coef", "low_m", "align_m", "others_s"))
        require(0 <= self.taken <= 1, "tracks.claim.taken", self.taken, "a fraction from 0 to 1")


@dataclass(frozen=True)
class RecoverConfig:
    """Objects in frames in which none of their masks gave a cluster.

    Args:
        enabled: recover misses.
        least_seen: a static track needs clusters in so many frames.
        least_seen_moving: likewise a moving one.
        least_share: a track needs clusters in this fraction of the frames in which a camera should have seen it.
        least_points: smallest number of points of a recovered cluster.
        least_part: a recovered cluster has this fraction of the points above the ground within its track's extents.
        ends_s: time before the first and after the last cluster of a moving track in which it is looked for.
    """

    enabled: bool = False
    least_seen: int = 3
    least_seen_moving: int = 4
    least_share: float = 0.4
    least_points: int = 3
    least_part: float = 0.5
    ends_s: float = 1.1

    def __post_init__(self) -> None:
        require(1 <= self.least_seen <= 1e6, "tracks.recover.least_seen", self.least_seen, "a number from 1")
        least = self.least_seen_moving
        require(1 <= least <= 1e6, "tracks.recover.least_seen_moving", least, "a number from 1")
        require(1 <= self.least_points <= 1e6, "tracks.recover.least_points", self.least_points, "a number from 1")
        for name in ("least_share", "least_part"):
            require(0 <= getattr(self, name) <= 1, f"tracks.recover.{name}", getattr(self, name), "a fraction, 0 to 1")
        require_between(self, "tracks.recover", 0, 1e3, ("ends_s",))


@dataclass(frozen=True)
class ExtendConfig:
    """Points for clusters that are there, by the points of their tracks.

    Args:
        enabled: extend clusters.
    """

    enabled: bool = False


@dataclass(frozen=True)
class DropConfig:
    """Flickers: clusters of short tracks that should have been seen more often.

    Args:
        enabled: drop flickers.
        most_seen: tracks with clusters in more frames stay.
        window_s: time around the track in which frames are asked.
        unseen: number of frames in which a camera and the LiDAR saw its place, but it was not found.
        longest_step_s: scenes whose frames are farther apart are not judged.
        sure: clusters with a higher probability stay.
    """

    enabled: bool = False
    most_seen: int = 2
    window_s: float = 0.6
    unseen: int = 4
    longest_step_s: float = 0.25
    sure: float = 0.9

    def __post_init__(self) -> None:
        require(0 <= self.most_seen <= 1e6, "tracks.drop.most_seen", self.most_seen, "a number from 0")
        require(1 <= self.unseen <= 1e6, "tracks.drop.unseen", self.unseen, "a number from 1")
        require_between(self, "tracks.drop", 0, 1e4, ("window_s", "longest_step_s"))
        require(0 <= self.sure <= 1, "tracks.drop.sure", self.sure, "a fraction from 0 to 1")
