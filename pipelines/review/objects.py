"""The objects of a tracked scene: their clusters frame by frame, and where they are in the world."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.opened import OpenedRun
from pipelines.poses import NO_ODOMETRY, lack_poses, odometry_version, registered
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.points import read_frame_points
from pointsam.export.objects import ObjectId, ObjectPath, ScenePaths, numbered
from pointsam.geometry.odometry import PACKAGE
from pointsam.geometry.se3 import SE3
from pointsam.store.document import by_scene
from pointsam.store.reader import Labels
from pointsam.store.sources import ODOMETRY
from pointsam.types import Cluster, Frame, FramePoints, FrameRow, Membership, TrackRow


@dataclass(frozen=True)
class Sighting:
    """A cluster of a track.

    Args:
        frame: its frame.
        cluster: the cluster.
        member: how it belongs to its track.
    """

    frame: FrameRow
    cluster: Cluster
    member: Membership


class TrackedScene:
    """The objects of a scene.

    Args:
        labels: reader of the folder, at the stage of tracks. It goes through all frames of the scene.
        scene: its name.

    Attributes:
        scene: likewise.
        frames: its finished frames, in the order of the data set.
        clusters: frame_id -> its clusters, each with its track.
        tracks: its tracks by track_id.

    Raises:
        DatasetError: DAT010 if the folder holds no such scene.
        StoreError: as `Labels.labels`.
    """

    def __init__(self, labels: Labels, scene: str) -> None:
        done, scenes = set(labels.frame_ids()), by_scene(labels.selection("tracks"))
        if scene not in scenes:
            known = f"its scenes are: {', '.join(list(scenes)[:10])}{', ...' if len(scenes) > 10 else ''}"
            raise DatasetError("DAT010", f"{labels.out} holds no tracks of a scene {scene!r}", known)
        self.scene = scene
        frame_ids = [frame_id for frame_id in scenes[scene] if frame_id in done]
        self.frames: list[FrameRow] = []
        self.clusters: dict[str, list[tuple[Cluster, Membership]]] = {}
        for frame_id in frame_ids:
            self.frames.append(labels.frame(frame_id))
            found = zip(labels.clusters(frame_id), labels.members(frame_id), strict=True)
            self.clusters[frame_id] = list(found)
        self.tracks = {track.track_id: track for _, tracks in labels.tracks(scene) for track in tracks}

    @cached_property
    def _sightings(self) -> dict[int, list[Sighting]]:
        found: dict[int, list[Sighting]] = {}
        for frame in sorted(self.frames, key=lambda row: row.t_us):
            for cluster, member in self.clusters[frame.frame_id]:
                found.setdefault(member.track_id, []).append(Sighting(frame, cluster, member))
        return found

    def sightings(self, track_id: int) -> Sequence[Sighting]:
        """The clusters of a track, in the order of time."""
        return self._sightings.get(track_id, ())

    def paths(self, poses: Mapping[str, SE3]) -> ScenePaths:
        """The paths of all tracks.

        Args:
            poses: frame_id -> world_SE3_lidar (`lidar_poses`); clusters of other frames are left out.
        """
        return ScenePaths({track.track_id: self.path(track, poses) for track in self.tracks.values()}, poses)

    def path(self, track: TrackRow, poses: Mapping[str, SE3]) -> ObjectPath:
        """The path of one of the tracks; arguments as of `paths`."""
        seen = [one for one in self.sightings(track.track_id) if one.frame.frame_id in poses]
        centers = [poses[one.frame.frame_id].apply(np.array([one.cluster.center_lidar_m]))[0] for one in seen]
        t_us = np.array([one.frame.t_us for one in seen], dtype=np.int64)
        return ObjectPath(track.track_id, track.class_name, track.moving, t_us, _rows(centers))


class TrackedScenes:
    """The objects of the scenes of a run at the stage of tracks, for frames in any order; one scene is in memory.

    Args:
        run: the run.
        class_id: the class of a class of the run in the format, None if its objects are left out.
    """

    def __init__(self, run: OpenedRun, class_id: Callable[[int], int | None]) -> None:
        self._run, self._class_id = run, class_id
        self._labels = Labels(run.labels.out, "tracks")  # of its own: the shards that `run` reads stay in memory
        self._scene: TrackedScene | None = None
        self._numbers: dict[str, tuple[ObjectId, ...]] | None = None
        self._paths: ScenePaths | None = None

    def ids(self, scene: str, frame_id: str) -> tuple[ObjectId, ...]:
        """The objects of the clusters of a frame that are not left out, in their order."""
        return self._ids(scene)[frame_id]

    def paths(self, scene: str) -> ScenePaths:
        """The paths of the objects of a scene."""
        found = self._opened(scene)
        if self._paths is None:
            self._paths = found.paths(lidar_poses(self._run, found))
        return self._paths

    def _opened(self, scene: str) -> TrackedScene:
        if self._scene is None or self._scene.scene != scene:
            self._scene = TrackedScene(self._labels, scene)
            self._numbers = self._paths = None
        return self._scene

    def _ids(self, scene: str) -> dict[str, tuple[ObjectId, ...]]:
        found = self._opened(scene)
        if self._numbers is None:
            of_frames = {
                frame_id: [
                    (member.track_id, class_id)
                    for cluster, member in clusters
                    if (class_id := self._class_id(cluster.class_id)) is not None
                ]
                for frame_id, clusters in found.clusters.items()
            }
            self._numbers = numbered(scene, of_frames)
        return self._numbers


def _rows(vectors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array(vectors, dtype=np.float64).reshape(-1, 3)


def lidar_poses(run: OpenedRun, scene: TrackedScene) -> dict[str, SE3]:
    """Pose of the reference LiDAR in the world, by frame; frames that cannot be read are left out.

    Where the data set has no poses, they are made as those of its tracks: by odometry, if these used it.
    """
    found: list[Frame] = []
    for row in scene.frames:
        try:
            found.append(read_cloud_frame(run.dataset, row.frame_id))
        except PointSamError as error:  # what needs the frame reports it
            if not error.of_frame:
                raise
    motion: Mapping[str, SE3] = {}
    if lack_poses(found) and _has_motion(run, scene):
        motion = _registered(scene.scene, found)
    return {
        frame.frame_id: motion.get(frame.frame_id, frame.sweep.world_SE3_ego) @ frame.sweep.ego_SE3_lidar
        for frame in found
    }


def _has_motion(run: OpenedRun, scene: TrackedScene) -> bool:
    """Whether the tracks of a scene without poses know the motion of the vehicle."""
    sources = (run.labels.sources("tracks", row.frame_id) for row in scene.frames)
    return any(one.get(ODOMETRY, NO_ODOMETRY) != NO_ODOMETRY for one in sources)


def _registered(scene: str, frames: Sequence[Frame]) -> Mapping[str, SE3]:
    if odometry_version() == NO_ODOMETRY:
        why = "its paths are drawn and measured as if the vehicle stood still"
        print(f"note: scene {scene!r} has no poses, and {PACKAGE} is not installed: {why}", file=sys.stderr)
        return {}
    return registered(frames, _points)


def _points(frame: Frame) -> FramePoints | None:
    """The points of a frame; None if they cannot be read, as for the tracks."""
    try:
        return read_frame_points(frame)
    except PointSamError as error:
        if not error.of_frame:
            raise
        return None
