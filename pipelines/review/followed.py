"""The frames of a run as the checks without ground truth see them: clusters with their tracks, in the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipelines.opened import OpenedRun
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.bare import bare_components
from pointsam.evaluate.tracked_frames import TrackedFrame, tracked_frame
from pointsam.store.reader import Labels
from pointsam.types import NO_TRACK, FrameLabels, FrameRow


@dataclass(eq=False)
class FollowedFrames:
    """Reads the finished frames of a run, scene by scene and in the order of time.

    Labels of single frames have no tracks. A frame whose points cannot be read, or have changed since, is passed on
    without what depends on them.

    Args:
        run: the run.

    Attributes:
        unread: frame_id -> error, of frames whose points were not used.
    """

    run: OpenedRun
    unread: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._single = Labels(self.run.labels.out)

    def scenes(self) -> Iterator[tuple[TrackedFrame, ...]]:
        """The frames of one scene after another; one scene is in memory."""
        by_scene: dict[str, list[FrameRow]] = {}
        for frame in self.run.labels.frames():
            by_scene.setdefault(frame.scene, []).append(frame)
        with progress(total=sum(map(len, by_scene.values())), desc="check", unit="frame") as bar:
            for rows in by_scene.values():
                some = []
                for row in sorted(rows, key=lambda row: row.t_us):
                    some.append(self._frame(row.frame_id))
                    bar.update()
                yield tuple(some)

    def __iter__(self) -> Iterator[TrackedFrame]:
        for scene in self.scenes():
            yield from scene

    def notes(self) -> list[str]:
        """What of the checks is missing."""
        if not self.unread:
            return []
        frame_id, why = next(iter(self.unread.items()))
        return [
            f"of {counted(len(self.unread), 'frame')} the points were not used, because they cannot be read or have "
            f"changed since; {frame_id}: {why}"
        ]

    def _frame(self, frame_id: str) -> TrackedFrame:
        labels = self.run.labels
        found = labels.labels(frame_id)
        tracks, class_ids = self._tracks(frame_id, found)
        if found.frame.status == "ok":
            try:
                self.run.require_unchanged(frame_id)
                frame = read_cloud_frame(self.run.dataset, frame_id)
                points = read_frame_points(frame)
                if len(points) != found.frame.num_points:  # labels of 0.1.0 do not know their files
                    raise DatasetError(
                        "DAT013",
                        f"its sweeps have {len(points)} points, its labels {found.frame.num_points}",
                        "restore the file, or make the labels again",
                    )
                seen = tracked_frame(found, tracks, frame.sweep, points.xyz_lidar_m, class_ids)
                return replace(seen, components=bare_components(frame, points, found, labels.taxonomy))
            except PointSamError as error:
                if not error.of_frame:
                    raise
                self.unread[frame_id] = f"[{error.code}] {error.message}"
        return tracked_frame(found, tracks, None, None, class_ids)

    def _tracks(self, frame_id: str, found: FrameLabels) -> tuple[Sequence[int], Sequence[int]]:
        """Track of each cluster, and its class in the labels of the single frame."""
        classes = [cluster.class_id for cluster in found.clusters]
        if self.run.labels.stage != "tracks":
            return [NO_TRACK] * len(classes), classes
        single = self._single.clusters(frame_id)
        members = self.run.labels.tracked(frame_id).members
        own = [
            voted if member.single_id < 0 else single[member.single_id].class_id
            for voted, member in zip(classes, members, strict=True)
        ]
        return [member.track_id for member in members], own
