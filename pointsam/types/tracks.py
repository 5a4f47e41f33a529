"""Objects through time: tracks, and the labels of a frame after tracking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsam.types.labels import FrameLabels
from pointsam.types.validation import check_row, check_shapes

Origin: TypeAlias = Literal["kept", "extended", "recovered"]
NO_TRACK = -1
"""track_id of a cluster that belongs to no track."""


@dataclass(frozen=True)
class TrackRow:
    """One object through a scene (one row of the `tracks` table).

    Args:
        track_id: id in its scene, without gaps.
        class_id, class_name: the class that its clusters vote for.
        moving: whether it moves in the world during the scene.
        num_frames: number of frames in which the single-frame labels have it.
        num_recovered: number of further frames in which tracking found it.
        first_t_us, last_t_us: times of the first and the last of these frames, microseconds.
        speed_mps: median speed in the ground plane, metres per second; 0 for a static object.
        class_votes: weight of the votes by class name.
        class_changes: number of times that the class of its clusters changes from one frame to the next.
        cut: why the track ends where the object may go on, such as a jump of the poses; empty if nothing cut it.
    """

    track_id: int
    class_id: int
    class_name: str
    moving: bool
    num_frames: int
    num_recovered: int
    first_t_us: int
    last_t_us: int
    speed_mps: float
    class_votes: Mapping[str, float] = field(default_factory=dict)
    class_changes: int = 0
    cut: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_votes", MappingProxyType(dict(self.class_votes)))


@dataclass(frozen=True)
class Membership:
    """The track of a cluster.

    Args:
        track_id: the track, NO_TRACK for a cluster that cannot be tracked.
        origin: "kept", as the single-frame labels have it; "extended", with points that tracking added; or
            "recovered", a cluster that the single-frame labels lack.
        single_id: its cluster_id in the single-frame labels, -1 if it is recovered.
    """

    track_id: int
    origin: Origin
    single_id: int

    def __post_init__(self) -> None:
        check_row(
            (self.origin == "recovered") == (self.single_id < 0),
            f"a cluster of track {self.track_id} is {self.origin}, but its single-frame cluster is {self.single_id}",
        )


@dataclass(frozen=True, eq=False)
class TrackedLabels:
    """The labels of one frame after tracking.

    Args:
        found: the labels.
        added: (N,) bool, points whose cluster tracking gave them.
        members: (M) the track of each cluster, in the order of cluster_id.

    Raises:
        SchemaError: SCH003 if the numbers of points or of clusters differ.
    """

    found: FrameLabels
    added: NDArray[np.bool_]
    members: tuple[Membership, ...]

    def __post_init__(self) -> None:
        frame = self.found.frame
        check_shapes(self, added=(self.added, (frame.num_points,)))
        check_row(
            len(self.members) == frame.num_clusters,
            f"frame {frame.frame_id} has {frame.num_clusters} clusters and {len(self.members)} tracks of clusters",
        )
