"""The work of a worker process of the stage `tracks`: a whole scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

from pipelines.data import DataSpec
from pipelines.labelling.scene_frames import FrameWork
from pipelines.labelling.scene_tracks import follow_scene
from pipelines.labelling.scenes import DoneScene, DoneShard, SceneTask
from pipelines.tasks import LESS_MEMORY
from pointsam.base.errors import OutOfMemoryError
from pointsam.base.runtime import peak_mb
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.stages.probability import ProbabilityModel
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.probability import TrackTraits, traits_of, with_tracked_probability
from pointsam.stages.tracks.recover import tracked_labels, untracked
from pointsam.stages.tracks.values import Track, Tracks
from pointsam.store.document import Shard, ShardStats
from pointsam.store.manifest import Run
from pointsam.store.reader import Labels, LabelStage
from pointsam.store.schema import tracked_tables
from pointsam.taxonomy import Taxonomy
from pointsam.types import TrackedLabels, TrackRow


class SceneWorker:
    """Holds the data set and the clusters of a folder.

    Args:
        run: the stage.
        data: the data set, with the noise and calibration of the clusters.
        taxonomy: the classes of the clusters.
        config: configuration of the stage.
        metadata: metadata of the tables.
        probability: probability of clusters after tracking, None to keep that of their frames.
        base: stage whose labels are tracked.
    """

    def __init__(
        self,
        run: Run,
        data: DataSpec,
        taxonomy: Taxonomy,
        config: TracksConfig,
        metadata: Mapping[str, object],
        probability: ProbabilityModel | None = None,
        base: LabelStage = "clusters",
    ) -> None:
        self.probability = probability
        self.run, self.taxonomy, self.config, self.metadata = run, taxonomy, config, metadata
        self.dataset: Dataset = data.open()
        self.labels = Labels(run.out, base)

    def __call__(self, task: SceneTask) -> DoneScene:
        """Track a scene: its clusters first, then its frames one by one, so that memory holds one cloud at a time."""
        died = OutOfMemoryError("BCK007", f"two workers died of scene {task.scene!r}", LESS_MEMORY)
        lost = died if task.lost else None
        frames = {frame_id: FrameWork(frame_id, error=lost) for shard in task.shards for frame_id in shard.frame_ids}
        known = follow_scene(self.dataset, self.labels, task, list(frames.values()), self.taxonomy, self.config)
        tracks = known.tracks
        counts = {"tracks": 0, "recovered": 0, "extended": 0, "dropped": 0}
        if tracks is not None:
            counts |= {"tracks": len(tracks.tracks), "dropped": len(tracks.dropped)}
        traits = {} if tracks is None else {track.track_id: traits_of(track) for track in tracks.tracks}
        recovered: dict[int, list[int]] = {}
        shards = []
        for shard in task.shards:
            rows = [self._labels(frames[frame_id], known.of(frame_id), traits) for frame_id in shard.frame_ids]
            for row in rows:
                for member in row.members:
                    if member.origin != "kept":
                        counts[member.origin] += 1
                    if tracks is not None and member.origin == "recovered":
                        recovered.setdefault(member.track_id, []).append(tracks.index(row.found.frame.frame_id))
            # All tracks of a scene are in the table of its last shard: only then it is known where they are recovered.
            listed = self._listed(tracks, recovered) if tracks is not None and shard is task.shards[-1] else []
            members = [frames[frame_id] for frame_id in shard.frame_ids]
            shards.append(self._encoded(task, shard, members, rows, listed, known.sources))
        return DoneScene(task, tuple(shards), counts, known.remarks)

    def _listed(self, tracks: Tracks, recovered: Mapping[int, Sequence[int]]) -> list[TrackRow]:
        """The rows of all tracks of a scene."""
        cuts = {tracks.index(cut.after): cut.reason for cut in tracks.cuts}
        names = self.taxonomy.names
        return [_row(one, tracks, recovered.get(one.track_id, ()), cuts, names) for one in tracks.tracks]

    def _encoded(
        self,
        task: SceneTask,
        shard: Shard,
        frames: Sequence[FrameWork],
        rows: Sequence[TrackedLabels],
        tracks: Sequence[TrackRow],
        of_tracks: Mapping[str, str],
    ) -> DoneShard:
        """The files of a shard."""
        files, failed = self.run.encoded(shard, tracked_tables(rows, tracks, self.metadata))
        stats = ShardStats(
            {one.frame_id: one.seconds for one in frames},
            {
                row.frame_id: f"[{row.error_code}] {row.error}"
                for row in (one.found.frame for one in rows)
                if row.error_code
            },
            round(peak_mb(), 1),
        )
        of_scene = {self.labels.stage: task.made_of, **of_tracks}
        sources = {one.frame_id: {**one.sources, **of_scene} for one in frames}
        return DoneShard(shard, files, failed, stats, sources)

    def _labels(self, one: FrameWork, tracks: Tracks | None, traits: Mapping[int, TrackTraits]) -> TrackedLabels:
        """The labels of a frame after tracking. A quarantined frame stays quarantined."""
        found = self.labels.labels(one.frame_id)
        if found.frame.status != "ok":
            return untracked(found)
        done = None
        if one.error is None and tracks is None:  # it does not follow other frames
            return untracked(found)
        if one.error is None and tracks is not None:

            def work() -> TrackedLabels:
                frame = read_cloud_frame(self.dataset, one.frame_id)
                points = read_frame_points(frame)
                made = tracked_labels(frame, points, found, tracks, self.taxonomy, self.config)
                if self.probability is None:
                    return made
                after = with_tracked_probability(made.found, made.members, traits, self.probability)
                return replace(made, found=after)

            done = one.guarded("relabel", work)
        if done is None:
            return untracked(one.failed(found.frame))
        return done


def _row(
    track: Track, tracks: Tracks, recovered: Sequence[int], cuts: Mapping[int, str], names: Sequence[str]
) -> TrackRow:
    """The row of a track.

    Args:
        track: the track.
        tracks: those of its scene.
        recovered: indices of the frames in which it was recovered.
        cuts: reason of each cut by the index of the frame after it.
        names: names of the classes.
    """
    speed = np.linalg.norm(track.path.velocity_mps[:, :2], axis=1) if track.moving else np.zeros(1)
    frames = sorted([*track.frames.tolist(), *recovered])
    return TrackRow(
        track_id=track.track_id,
        class_id=track.class_id,
        class_name=names[track.class_id],
        moving=track.moving,
        num_frames=len(track.frames),
        num_recovered=len(recovered),
        first_t_us=int(tracks.t_us[frames[0]]),
        last_t_us=int(tracks.t_us[frames[-1]]),
        speed_mps=float(np.median(speed)),
        class_votes={names[class_id]: weight for class_id, weight in track.votes},
        class_changes=track.class_changes,
        cut=cuts.get(frames[-1] + 1, ""),
    )


def start(threads: int, opened: Callable[[], SceneWorker]) -> None:
    """Register this process's worker; the first task opens it, because a pool reports errors of tasks only."""
    global _worker
    threadpool_limits(threads, user_api="blas")
    _worker = cache(opened)


def track(task: SceneTask) -> DoneScene:
    """Track a scene with this process's worker."""
    return _worker()(task)


_worker: Callable[[], SceneWorker]
