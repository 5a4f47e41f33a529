"""What runs in a worker process: one image to masks, or one frame to clusters; a bad frame is set aside."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipelines.documents import MasksDocument
from pipelines.labelling.request import Request
from pipelines.tasks import Done, Task, guarded
from pointsam.base.errors import PointSamError, QuarantinedError
from pointsam.base.runtime import Stopwatch
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image, read_points
from pointsam.masks import load_segmenter
from pointsam.masks.base import Segmenter
from pointsam.semantics import load_semantics
from pointsam.semantics.base import SemanticModel
from pointsam.stages.frame import frame_labels, image_masks, instance_map
from pointsam.stages.prompt import prompt_cloud
from pointsam.stages.recipes import MasksConfig
from pointsam.store.reader import Labels
from pointsam.taxonomy import Taxonomy
from pointsam.types import Detections, Frame, FrameLabels, FrameRow, ImageMasks, InstanceMap, Masks, PointLabels


class MaskWorker:
    """Holds the data set and the models of the 2D stage."""

    def __init__(self, request: Request) -> None:
        self.dataset: Dataset = request.open()
        self.config: MasksConfig = request.config.masks
        mapping = request.label_mapping(self.dataset)
        self.taxonomy: Taxonomy = mapping.taxonomy
        self.semantics: SemanticModel = load_semantics(
            self.config.semantics,
            mapping=mapping,
            masks_dir=request.semantics_dir,
            config=self.config.ssd,
            oracle=self.config.oracle,
            seed=self.config.seed,
            threads=request.threads,
        )
        self.segmenter: Segmenter = load_segmenter(
            self.config.backend,
            weights=request.weights,
            device=request.worker_device,
            config=self.config.segment,
            threads=request.threads,
        )
        self.cloud = lru_cache(maxsize=1)(self._cloud)

    def __call__(self, task: Task) -> Done[ImageMasks]:
        """Masks of one image."""
        watch = Stopwatch()

        def work() -> ImageMasks:
            frame = self.dataset.frame(task.frame_id)
            view = next(view for view in frame.cameras if view.name == task.camera)
            with watch("read"):
                image = read_image(view.image_path, expect=(view.camera.height_px, view.camera.width_px))
            cloud = partial(self.cloud, task.frame_id)
            return image_masks(
                image, cloud, frame, view, self.semantics, self.segmenter, self.taxonomy, self.config, watch
            )

        def failed(error: PointSamError) -> ImageMasks:
            none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32), ())
            no_prompts = np.zeros((0, 2), np.int32)
            return ImageMasks(
                task.frame_id, task.camera, "failed", error.code, error.message, Masks.empty(0, 0), none, no_prompts
            )

        return guarded(work, failed, task, watch)

    def _cloud(self, frame_id: str) -> NDArray[np.float64]:
        frame = self.dataset.frame(frame_id)
        sweeps = {0: frame.sweep, **frame.neighbours}
        wanted = {offset: sweeps[offset] for offset in self.config.prompt.sweeps if offset in sweeps}
        return prompt_cloud(frame, {k: read_points(sweep) for k, sweep in wanted.items()}, self.config.prompt)


class ClusterWorker:
    """Holds the data set and the stored masks of the 3D stage."""

    def __init__(self, request: Request, taxonomy: Taxonomy) -> None:
        self.dataset: Dataset = request.open()
        self.config = request.config.clusters
        self.taxonomy = taxonomy
        self.masks = Labels(request.masks_from or request.out)
        self.overlap = self.masks.document(MasksDocument).config.semantic_overlap

    def __call__(self, task: Task) -> Done[FrameLabels]:
        """Clusters of one frame."""
        watch = Stopwatch()

        def work() -> FrameLabels:
            with watch("read"):
                images = images_read(self.masks, task.frame_id)
                frame: Frame = self.dataset.frame(task.frame_id)
                xyz = read_points(frame.sweep)

            def painted(camera: str) -> InstanceMap:
                return instance_map(images[camera], self.taxonomy, self.overlap, self.config)

            return frame_labels(frame, xyz, images, painted, self.taxonomy, self.config, watch)

        def failed(error: PointSamError) -> FrameLabels:
            row = FrameRow(
                task.frame_id, self.dataset.scene(task.frame_id), 0, 0, 0, "failed", error.code, error.message, ""
            )
            none = np.zeros(0, np.uint8)
            return FrameLabels(row, PointLabels.empty(0), none, none, ())

        return guarded(work, failed, task, watch)


def images_read(source: Labels, frame_id: str) -> dict[str, ImageMasks]:
    """Masks of a frame by camera.

    Raises:
        QuarantinedError: that of an image that was set aside; what reading raises.
    """
    images = source.masks(frame_id)
    for row in images.values():
        if row.status != "ok":
            raise QuarantinedError(row.error_code, row.error, "mend the file, then run with --retry-failed")
    return images


def start(kind: Callable[..., Callable[[Task], Done[Any]]], request: Request, *arguments: object) -> None:
    """Say what this process's worker is. The first task opens it: a pool reports a task's error, not its start's.

    numpy's BLAS is held to the worker's threads: on busy cores, threads for the inverse of a 3 x 3 matrix wait for each
    other, and lifting took three times as long.
    """
    global _worker
    threadpool_limits(request.threads, user_api="blas")
    _worker = cache(lambda: kind(request, *arguments))


def work_on(task: Task) -> Done[Any]:
    """Do one task with this process's worker."""
    return _worker()(task)


_worker: Callable[[], Callable[[Task], Done[Any]]]
