"""The values that tracking gives: tracks, dropped clusters and cuts of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.cuts import Cut
from pointsam.stages.tracks.motion import Path

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Track:
    """One object over time.

    Args:
        track_id: number, dense in its scene, by first frame, then by falling number of points there.
        class_id: class with the most evidence.
        votes: (class_id, evidence) by falling evidence, the sum of probability times points.
        class_changes: how often the class differs from one cluster to the next.
        frames: (K,) indices of the frames with a cluster, rising.
        clusters: (K,) its id in each of them.
        moving: whether it moves.
        path: its positions at these frames.
        segment: uncut part of the scene.
        points_m: points in the world, thinned: of a static object all together, of a moving one those of each frame,
            moved to the time of the frame.
        num_points: (K,) number of points of each cluster.
        unseen: (U,) indices of frames between the first and the last, or near them, in which it should have been seen.
        trust: mean probability of its clusters, by points.
    """

    track_id: int
    class_id: int
    votes: tuple[tuple[int, float], ...]
    class_changes: int
    frames: _Ints
    clusters: _Ints
    moving: bool
    path: Path
    segment: int
    points_m: tuple[_Floats, ...]
    num_points: _Ints
    unseen: _Ints
    trust: float

    @property
    def gaps(self) -> int:
        """Number of frames between the first and the last that have no cluster of it."""
        return int(self.frames[-1] - self.frames[0]) + 1 - len(self.frames)

    @property
    def seen_share(self) -> float:
        """Fraction of the frames with a cluster among those in which a camera should have seen it."""
        return len(self.frames) / (len(self.frames) + len(self.unseen))


@dataclass(frozen=True)
class Dropped:
    """A cluster that is taken for no object.

    Args:
        frame_id: its frame.
        cluster_id: its id there.
        reason: why, for people.
    """

    frame_id: str
    cluster_id: int
    reason: str


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of one scene.

    Args:
        frame_ids: (F) frames in order of time.
        t_us: (F,) their times.
        world_SE3_lidar: (F) their poses.
        segment: (F,) uncut part of the scene that each belongs to.
        tracks: the tracks by track_id.
        dropped: clusters of no object, which no track holds.
        cuts: where poses jump.
    """

    frame_ids: tuple[str, ...]
    t_us: _Ints
    world_SE3_lidar: tuple[SE3, ...]
    segment: _Ints
    tracks: tuple[Track, ...]
    dropped: tuple[Dropped, ...]
    cuts: tuple[Cut, ...]
    _index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {frame_id: k for k, frame_id in enumerate(self.frame_ids)})

    def index(self, frame_id: str) -> int:
        """Index of a frame.

        Raises:
            SchemaError: SCH003 if the tracks are of another scene.
        """
        if frame_id not in self._index:
            raise SchemaError(
                "SCH003", f"frame {frame_id} is none of the frames of the tracks", "pass the tracks of its scene"
            )
        return self._index[frame_id]

    def t_s(self, index: int) -> float:
        """Seconds from the first frame."""
        return float(self.t_us[index] - self.t_us[0]) * 1e-6

    def at(self, index: int) -> dict[int, Track]:
        """Track of each cluster of a frame, by cluster_id; dropped clusters have none."""
        return self._by_frame.get(index, {})

    @cached_property
    def _by_frame(self) -> dict[int, dict[int, Track]]:
        out: dict[int, dict[int, Track]] = {}
        for track in self.tracks:
            for frame, cluster in zip(track.frames.tolist(), track.clusters.tolist(), strict=True):
                out.setdefault(frame, {})[cluster] = track
        return out
