"""The work of a worker process: one image to masks, or one frame to clusters. A bad frame is quarantined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipelines.data import DataSpec
from pipelines.labelling.together import together
from pipelines.stored_masks import StoredMasks
from pipelines.tasks import Attempt, Task, TaskResult, guarded
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.runtime import Stopwatch, keep_freed_memory
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points, read_sweep_points
from pointsam.masks import load_segmenter
from pointsam.masks.base import BatchSegmenter, in_batches
from pointsam.masks.requests import Request
from pointsam.semantics import load_semantics, result_files
from pointsam.semantics.base import InTurn, SemanticModel, is_concurrent
from pointsam.stages.frame import frame_labels, image_masks
from pointsam.stages.probability import ProbabilityModel
from pointsam.stages.prompt import prompt_cloud
from pointsam.stages.recipes import ClustersConfig, MasksConfig
from pointsam.store.sources import MASKS, UNREAD, digests_of, masks_digest, of_sweeps
from pointsam.taxonomy import LabelMapping, Taxonomy
from pointsam.types import (
    CameraView,
    Detections,
    Frame,
    FrameLabels,
    FrameRow,
    ImageMasks,
    InstanceMap,
    Masks,
)

_Work: TypeAlias = Callable[[Sequence[Task]], list[TaskResult[object]]]


def open_semantics(
    config: MasksConfig, mapping: LabelMapping, semantics_dir: Path | None, device: str, threads: int, root: str
) -> SemanticModel:
    """The source of classes; arguments as of `MaskWorker`, and the root of the data."""
    semantics = load_semantics(
        config.semantics,
        mapping=mapping,
        masks_dir=semantics_dir,
        config=config.semantics_options(),
        seed=config.seed,
        threads=threads,
        device=device,
        data_root=root,
        needs_masks=config.needs_masks,
    )
    return semantics if is_concurrent(semantics) else InTurn(semantics)


def open_segmenter(config: MasksConfig, weights: Path | None, device: str, threads: int) -> BatchSegmenter:
    """The segmenter; arguments as of `MaskWorker`."""
    options = config.segmenter_options()
    return in_batches(load_segmenter(config.backend, weights=weights, device=device, config=options, threads=threads))


class MaskWorker:
    """Holds the data set and the models of the 2D stage.

    Args:
        data: the data set.
        config: configuration of the stage.
        mapping: labels of the detections -> classes.
        semantics_dir: folder that the source of classes reads.
        weights: checkpoint of the segmenter, None for the published one.
        device: device of the segmenter.
        threads: threads of the networks on a CPU.
    """

    def __init__(
        self,
        data: DataSpec,
        config: MasksConfig,
        mapping: LabelMapping,
        semantics_dir: Path | None,
        weights: Path | None,
        device: str,
        threads: int,
    ) -> None:
        keep_freed_memory()
        self.dataset: Dataset = data.open()
        self.config = config
        self.taxonomy: Taxonomy = mapping.taxonomy
        root = str(self.dataset.root)
        self.semantics = open_semantics(config, mapping, semantics_dir, device, threads, root)
        self.results = result_files(config.semantics, semantics_dir, root)
        self.segmenter = open_segmenter(config, weights, device, threads)
        self._of_thread = threading.local()

    def __call__(self, tasks: Sequence[Task]) -> list[TaskResult[ImageMasks]]:
        """Masks of images, of which those of one frame are segmented together."""
        attempts = [Attempt(task, Stopwatch(), {}) for task in tasks]
        rows = together([(attempt, partial(self._steps, attempt)) for attempt in attempts], self.segmenter)
        return [
            attempt.result(_failed(attempt) if row is None else row)
            for attempt, row in zip(attempts, rows, strict=True)
        ]

    def _steps(self, attempt: Attempt) -> Generator[Request, Any, ImageMasks]:
        """The masks of one image."""
        task, stopwatch, sources = attempt.task, attempt.stopwatch, attempt.sources
        frame = read_frame(self.dataset, task.frame_id)
        view = _view(frame, task.camera)
        with stopwatch("read"):
            results = self.results(frame, view)
            sources.update(digests_of(frame, {f"image {view.name}", *results}.__contains__, results))
            sources.update({UNREAD + name: found for name, found in digests_of(frame, of_sweeps).items()})
            image = read_image(view.source, expect=(view.camera.height_px, view.camera.width_px))

        def cloud() -> NDArray[np.float64]:
            values, read = self.cloud(task.frame_id)
            sources.update(read)
            return values

        row = yield from image_masks(
            image, cloud, frame, view, self.semantics, self.segmenter.name, self.taxonomy, self.config, stopwatch
        )
        sources[f"{MASKS} {view.name}"] = masks_digest(row)
        return row

    def cloud(self, frame_id: str) -> tuple[NDArray[np.float64], dict[str, str]]:
        """As `_cloud`. A thread keeps the points of its latest frame for its other images."""
        of_thread = self._of_thread
        if not hasattr(of_thread, "cloud"):
            of_thread.cloud = lru_cache(maxsize=1)(self._cloud)
        found: tuple[NDArray[np.float64], dict[str, str]] = of_thread.cloud(frame_id)
        return found

    def _cloud(self, frame_id: str) -> tuple[NDArray[np.float64], dict[str, str]]:
        """The points that supply prompts, and the digests of their sweeps."""
        frame = read_frame(self.dataset, frame_id)
        wanted = [offset for offset in self.config.prompt.sweeps if offset == 0 or offset in frame.neighbours]
        clouds = {
            k: read_sweep_points(frame, frame.neighbours[k]) if k else read_frame_points(frame).xyz_lidar_m
            for k in wanted
        }
        neighbours = {f"neighbour {k:+d}" for k in wanted}
        read = digests_of(frame, lambda name: name in neighbours or (0 in wanted and of_sweeps(name)))
        return prompt_cloud(frame, clouds, self.config.prompt), read


def _failed(attempt: Attempt) -> ImageMasks:
    """The row of a quarantined image."""
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32), ())
    error, no_prompts = attempt.error, np.zeros((0, 2), np.int32)
    assert error is not None
    return ImageMasks(
        attempt.task.frame_id,
        attempt.task.camera,
        "failed",
        error.code,
        error.message,
        Masks.empty(0, 0),
        none,
        no_prompts,
    )


def _view(frame: Frame, camera: str) -> CameraView:
    """The image of a task. Its camera is missing if the frame has none or could not be read before."""
    for view in frame.cameras:
        if view.name == camera:
            return view
    names = ", ".join(view.name for view in frame.cameras)
    if not names:
        raise DatasetError(
            "DAT011",
            f"frame {frame.frame_id} has no camera",
            "leave the frame out (--frames, --split): only frames with an image can be labelled",
        )
    raise DatasetError(
        "DAT011",
        f"frame {frame.frame_id} has the cameras {names} now, but "
        + (f"it had a camera {camera!r}" if camera else "it could not be read")
        + " when the run listed its images",
        "run the same command again with --retry-failed",
    )


class ClusterWorker:
    """Holds the data set and the stored masks of the 3D stage.

    Args:
        data: the data set.
        config: configuration of the stage.
        masks_folder: output folder with the masks.
        probability: gives the clusters their probability.
        again: frames that are labelled again. Their sweeps may have changed if the masks do not depend on them.
    """

    def __init__(
        self,
        data: DataSpec,
        config: ClustersConfig,
        masks_folder: Path,
        probability: ProbabilityModel,
        again: frozenset[str] = frozenset(),
    ) -> None:
        self.dataset: Dataset = data.open()
        self.config = config
        self.masks = StoredMasks(masks_folder)
        self.probability = probability
        self.again = again

    def __call__(self, tasks: Sequence[Task]) -> list[TaskResult[FrameLabels]]:
        """Clusters of frames."""
        return [self._labels(task) for task in tasks]

    def _labels(self, task: Task) -> TaskResult[FrameLabels]:
        stopwatch, sources = Stopwatch(), dict[str, str]()

        def work() -> FrameLabels:
            with stopwatch("read"):
                images = self.masks.images(task.frame_id)
                frame: Frame = read_frame(self.dataset, task.frame_id)
                sources.update(self.masks.checked_sources(frame, images, task.frame_id in self.again))
                sources.update(digests_of(frame, of_sweeps))
                points = read_frame_points(frame, ring=self.config.refine.rings > 0)

            def painted(camera: str) -> InstanceMap:
                return self.masks.painted(images[camera], self.config)

            return frame_labels(
                frame, points, images, painted, self.masks.taxonomy, self.config, stopwatch, self.probability
            )

        def failed(error: PointSamError) -> FrameLabels:
            row = FrameRow(
                task.frame_id, self.dataset.scene(task.frame_id), 0, 0, 0, "failed", error.code, error.message, ""
            )
            return FrameLabels.empty(row)

        return guarded(work, failed, task, stopwatch, sources)


def start(threads: int, opened: Callable[[], _Work]) -> None:
    """Register this process's worker. The first task opens it, because a pool reports errors of tasks only.

    numpy's BLAS is limited to the worker's threads. Without the limit, lifting took three times as long on busy cores,
    because the threads that invert a 3 x 3 matrix wait for each other.

    Args:
        threads: threads of the worker.
        opened: opens the worker.
    """
    global _worker
    threadpool_limits(threads, user_api="blas")
    _worker = cache(partial(_tried, opened))


def work_on(tasks: Sequence[Task]) -> list[TaskResult[object]]:
    """Process tasks of one frame with this process's worker."""
    with _opening:  # of several threads, the first opens it
        worker = _worker()
    if isinstance(worker, Exception):
        raise worker
    return worker(tasks)


def _tried(opened: Callable[[], _Work]) -> _Work | Exception:
    """The worker, or why it cannot be opened: the other threads need not try for themselves."""
    try:
        return opened()
    except Exception as error:
        return error


_opening = threading.Lock()
_worker: Callable[[], _Work | Exception]
