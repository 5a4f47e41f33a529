"""Objects through time, as exporters get them: instance tokens, numbers that stay, and paths.

Rules
    token     SCENE-TRACK, such as scene-0061-12: unique in a data set, the same in all frames.
    number    An object has the number of its track plus 1. Clusters without a track follow, each with its own number:
              no two objects of a scene share one. Numbers within a class count the objects of the class likewise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.motion import slopes
from pointsam.types.tracks import NO_TRACK

_WINDOW_S = 0.5
"""Time around a frame from which the velocity of an object is taken."""


@dataclass(frozen=True)
class ObjectId:
    """The object that a cluster belongs to.

    Args:
        scene: its scene.
        track_id: its track, NO_TRACK if it has none.
        number: its number in the scene, from 1.
        number_in_class: its number among the objects of its class in the scene, from 1.
    """

    scene: str
    track_id: int
    number: int
    number_in_class: int

    @property
    def token(self) -> str | None:
        """SCENE-TRACK; None without a track."""
        return None if self.track_id == NO_TRACK else token(self.scene, self.track_id)


def token(scene: str, track_id: int) -> str:
    """The instance token of a track."""
    return f"{scene}-{track_id}"


def numbered(scene: str, frames: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, tuple[ObjectId, ...]]:
    """The objects of the clusters of a scene, by frame.

    Args:
        scene: its name.
        frames: frame_id -> (track_id, class_id) of each of its clusters; in the order in which clusters without a track
            are numbered.
    """
    tracks = {one for clusters in frames.values() for one in clusters if one[0] != NO_TRACK}
    in_class: dict[tuple[int, int], int] = {}
    used: dict[int, int] = defaultdict(int)
    for track_id, class_id in sorted(tracks):
        used[class_id] += 1
        in_class[track_id, class_id] = used[class_id]
    last = max((track_id for track_id, _ in tracks), default=NO_TRACK) + 1
    out = {}
    for frame_id, clusters in frames.items():
        found = []
        for track_id, class_id in clusters:
            if track_id == NO_TRACK:
                last += 1
                used[class_id] += 1
                found.append(ObjectId(scene, NO_TRACK, last, used[class_id]))
            else:
                found.append(ObjectId(scene, track_id, track_id + 1, in_class[track_id, class_id]))
        out[frame_id] = tuple(found)
    return out


@dataclass(frozen=True, eq=False)
class ObjectPath:
    """Where an object is over time.

    Args:
        track_id: its track.
        class_name: its class.
        moving: whether it moves.
        t_us: (K,) times at which it is labelled, rising.
        center_m: (K,3) centre of the extent of its points at these times, world frame.
        velocity_mps: (K,3) its velocity in the world, from the centres of a window of time; 0 if it does not move.
    """

    track_id: int
    class_name: str
    moving: bool
    t_us: NDArray[np.int64]
    center_m: NDArray[np.float64]
    velocity_mps: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        velocity = slopes(self.t_us * 1e-6, self.center_m, _WINDOW_S) if self.moving else np.zeros_like(self.center_m)
        object.__setattr__(self, "velocity_mps", velocity)

    def velocity_at(self, t_us: int) -> NDArray[np.float64]:
        """(3,) velocity at one of its times; 0 at any other."""
        at = np.flatnonzero(self.t_us == t_us)
        return self.velocity_mps[at[0]] if len(at) else np.zeros(3)


@dataclass(frozen=True, eq=False)
class ScenePaths:
    """The paths of the objects of a scene; the default has none.

    Args:
        by_track: the paths by track_id.
        world_SE3_lidar: pose of the reference LiDAR by frame_id.
    """

    by_track: Mapping[int, ObjectPath] = field(default_factory=dict)
    world_SE3_lidar: Mapping[str, SE3] = field(default_factory=dict)
