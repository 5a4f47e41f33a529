"""The work of a worker process of the stage `looks`: a whole scene, or frames that are alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from pipelines.data import DataSpec
from pipelines.documents import LooksDocument
from pipelines.labelling.scene_frames import FrameWork
from pipelines.labelling.scene_tracks import NOT_FOLLOWED, SceneTracks, follow_scene
from pipelines.labelling.scenes import DoneScene, DoneShard, SceneTask
from pipelines.labelling.together import together
from pipelines.labelling.worker import open_segmenter, open_semantics
from pipelines.stored_masks import StoredMasks
from pipelines.tasks import LESS_MEMORY, Attempt, Task
from pointsam.base.errors import OutOfMemoryError
from pointsam.base.runtime import Stopwatch, keep_freed_memory, peak_mb
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.masks.requests import Request
from pointsam.stages.looks.image import image_looks, that_gave_a_cluster
from pointsam.stages.looks.labels import looked_labels
from pointsam.stages.looks.plan import FramePlan, plan_looks
from pointsam.stages.probability import BUNDLED, read_probability
from pointsam.stages.recipes import ClustersConfig
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.values import Tracks
from pointsam.store.document import Shard, ShardStats
from pointsam.store.manifest import Run
from pointsam.store.reader import Labels
from pointsam.store.schema import looked_tables
from pointsam.store.sources import CLUSTERS, digests_of, of_sweeps, require_same_masks
from pointsam.taxonomy import LabelMapping
from pointsam.types import CameraView, Detections, Frame, FrameLabels, FramePoints, ImageMasks


class _FirstRound(threading.local):
    """Readers of the first round of a folder. Each thread has its own, because a reader keeps the latest shard.

    Args:
        out: the folder.
        masks_folder: folder of its masks.
    """

    def __init__(self, out: Path, masks_folder: Path) -> None:
        self.labels, self.masks = Labels(out), StoredMasks(masks_folder)


class LookWorker:
    """Holds the data set, the first round of a folder, and the 2D models. Threads beside a GPU share it.

    Args:
        run: the stage.
        data: the data set, with the noise and calibration of the clusters.
        document: inputs of the stage.
        clusters: configuration of the clusters.
        metadata: metadata of the tables.
        mapping: labels of the detections -> classes.
        masks_folder: folder of the masks of the first round.
        semantics_dir, weights, device, threads: as of `MaskWorker`.
        probability: file that gives the clusters their probability, None for the one in the package.
    """

    def __init__(
        self,
        run: Run,
        data: DataSpec,
        document: LooksDocument,
        clusters: ClustersConfig,
        metadata: Mapping[str, object],
        mapping: LabelMapping,
        masks_folder: Path,
        semantics_dir: Path | None,
        weights: Path | None,
        device: str,
        threads: int,
        probability: Path | None,
    ) -> None:
        keep_freed_memory()
        self.run, self.config, self.clusters, self.metadata = run, document.config, clusters, metadata
        self.rules = document.tracks or TracksConfig()
        self.taxonomy = mapping.taxonomy
        self.dataset: Dataset = data.open()
        self._first = _FirstRound(run.out, masks_folder)
        self.probability = read_probability(probability or BUNDLED).model
        config, root = self._masks.document.config, str(self.dataset.root)
        ask = document.crops and document.config.components.enabled
        self.semantics = open_semantics(config, mapping, semantics_dir, device, threads, root) if ask else None
        self._open = cache(partial(open_segmenter, config, weights, device, threads))
        self._opening = threading.Lock()

    @property
    def _labels(self) -> Labels:
        return self._first.labels

    @property
    def _masks(self) -> StoredMasks:
        return self._first.masks

    def __call__(self, task: SceneTask) -> DoneScene:
        """Look again in a scene: its tracks first, then its frames one by one."""
        died = OutOfMemoryError("BCK007", f"two workers died of scene {task.scene!r}", LESS_MEMORY)
        frames = {frame_id: FrameWork(frame_id, error=died if task.lost else None) for frame_id in task.frame_ids}
        known = self._known(task, frames)
        counts = {"crops": 0, "boxes of tracks": 0, "masks": 0, "clusters before": 0, "clusters after": 0}
        shards = []
        for shard in task.shards:
            done = [self._frame(frames[frame_id], known.of(frame_id), counts) for frame_id in shard.frame_ids]
            shards.append(self._encoded(task, shard, frames, done, known.sources))
        return DoneScene(task, tuple(shards), counts, known.remarks)

    def _known(self, task: SceneTask, frames: Mapping[str, FrameWork]) -> SceneTracks:
        """The tracks of the clusters of the first round, made as the stage of tracks makes them."""
        if not self.config.tracks.enabled:
            return NOT_FOLLOWED
        return follow_scene(self.dataset, self._labels, task, list(frames.values()), self.taxonomy, self.rules)

    def _frame(
        self, one: FrameWork, tracks: Tracks | None, counts: dict[str, int]
    ) -> tuple[FrameLabels, list[ImageMasks]]:
        """The labels of a frame after looks, and their masks. A quarantined frame stays quarantined."""
        found = self._labels.labels(one.frame_id)
        if found.frame.status != "ok":
            return found, []
        done = self._looked(one, found, tracks, counts) if one.error is None else None
        if done is None:
            return one.failed(found.frame), []
        counts["clusters before"] += len(found.clusters)
        counts["clusters after"] += len(done[0].clusters)
        return done

    def _looked(
        self, one: FrameWork, found: FrameLabels, tracks: Tracks | None, counts: dict[str, int]
    ) -> tuple[FrameLabels, list[ImageMasks]] | None:
        """The same for a good frame; None if it is quarantined."""

        def ready() -> tuple[Frame, FramePoints, dict[str, ImageMasks], FramePlan]:
            images = self._masks.images(one.frame_id)
            frame = read_frame(self.dataset, one.frame_id)
            self._masks.checked_sources(frame, images)
            made = self._labels.sources("clusters", one.frame_id)
            require_same_masks(made, self._masks.labels.sources("masks", one.frame_id), one.frame_id)
            one.sources.update(digests_of(frame, of_sweeps))
            points = read_frame_points(frame, ring=self.clusters.refine.rings > 0)
            plan = plan_looks(
                frame, points, found, tracks, self.taxonomy, self.config, self.rules, self.semantics is not None
            )
            return frame, points, images, plan

        first = one.guarded("plan", ready)
        if first is None:
            return None
        frame, points, images, plan = first
        counts["crops"] += plan.num_crops
        counts["boxes of tracks"] += sum(len(image.prompts) for image in plan.images.values())
        known = {camera: that_gave_a_cluster(row, found) for camera, row in images.items()}
        rows = self._images(one, frame, known, plan)
        if rows is None:
            return None
        counts["masks"] += sum(len(row.masks) for row in rows.values())
        if not rows:
            return found, []
        stopwatch = Stopwatch()
        numbers = {camera: len(row.masks) for camera, row in images.items()}
        overlap = self._masks.document.config.semantic_overlap
        made = one.guarded(
            "relabel",
            lambda: looked_labels(
                frame,
                points,
                found,
                rows,
                numbers,
                self.taxonomy,
                overlap,
                self.clusters,
                stopwatch,
                self.probability,
            ),
        )
        return None if made is None else (made, list(rows.values()))

    def _images(
        self, one: FrameWork, frame: Frame, known: Mapping[str, Detections], plan: FramePlan
    ) -> dict[str, ImageMasks] | None:
        """The masks of the looks by camera, of images that have some; None if the frame is quarantined."""
        stopwatch = Stopwatch()
        views = [view for view in frame.cameras if view.name in plan.images]
        if not views:
            return {}
        with self._opening:  # loading takes seconds, and most frames have no looks
            segmenter = self._open()
        attempts = [Attempt(Task(one.frame_id, view.name, True, None), stopwatch, one.sources) for view in views]
        steps = [
            (attempt, partial(self._steps, attempt, frame, view, plan, known[view.name]))
            for attempt, view in zip(attempts, views, strict=True)
        ]
        rows = together(steps, segmenter)
        one.add(stopwatch.seconds)
        failed = [attempt.error for attempt in attempts if attempt.error is not None]
        if failed:
            one.error = failed[0]
            return None
        return {view.name: row for view, row in zip(views, rows, strict=True) if row is not None}

    def _steps(
        self, attempt: Attempt, frame: Frame, view: CameraView, plan: FramePlan, known: Detections
    ) -> Generator[Request, Any, ImageMasks | None]:
        with attempt.stopwatch("read"):
            attempt.sources.update(digests_of(frame, {f"image {view.name}"}.__contains__))
            image = read_image(view.source, expect=(view.camera.height_px, view.camera.width_px))
        riders = self._masks.document.config.riders
        return (
            yield from image_looks(
                image,
                frame,
                view,
                plan,
                known,
                self.semantics,
                self.taxonomy,
                self.config,
                riders,
                attempt.stopwatch,
            )
        )

    def _encoded(
        self,
        task: SceneTask,
        shard: Shard,
        frames: Mapping[str, FrameWork],
        done: list[tuple[FrameLabels, list[ImageMasks]]],
        of_tracks: Mapping[str, str],
    ) -> DoneShard:
        """The files of a shard."""
        rows, looks = [row for row, _ in done], [image for _, images in done for image in images]
        files, failed = self.run.encoded(shard, looked_tables(rows, looks, self.metadata))
        its = [frames[frame_id] for frame_id in shard.frame_ids]
        bad = [row.frame for row in rows if row.frame.error_code]
        failures = {row.frame_id: f"[{row.error_code}] {row.error}" for row in bad}
        stats = ShardStats({one.frame_id: one.seconds for one in its}, failures, round(peak_mb(), 1))
        of_scene = {CLUSTERS: task.made_of, **of_tracks}
        sources = {one.frame_id: {**one.sources, **of_scene} for one in its}
        return DoneShard(shard, files, failed, stats, sources)


def start(threads: int, opened: Callable[[], LookWorker]) -> None:
    """Register this process's worker; the first task opens it, because a pool reports errors of tasks only."""
    global _worker
    threadpool_limits(threads, user_api="blas")
    _worker = cache(partial(_tried, opened))


def look(task: SceneTask) -> DoneScene:
    """Look again in a scene with this process's worker."""
    with _opening:  # of several threads, the first opens it
        worker = _worker()
    if isinstance(worker, Exception):
        raise worker
    return worker(task)


def _tried(opened: Callable[[], LookWorker]) -> LookWorker | Exception:
    """The worker, or why it cannot be opened: the other threads need not try for themselves."""
    try:
        return opened()
    except Exception as error:
        return error


_opening = threading.Lock()
_worker: Callable[[], LookWorker | Exception]
