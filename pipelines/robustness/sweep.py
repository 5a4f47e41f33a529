"""`pointsam-label noise`: label the same frames with many calibration errors, and compare with the ground truth.

Each frame is read once, painted once (once per cell if masks are made again), and lifted once per cell, without and
with refinement. Only counts are kept; `pointsam-label clusters --noise` with the fields of a cell makes its labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from pipelines.data import DataSpec
from pipelines.labelling.images import whole_frame
from pipelines.labelling.jobs import Summary, begin, drive, run_masks
from pipelines.labelling.pending import pending_work
from pipelines.labelling.request import Request
from pipelines.opened import open_masks, read_as_in
from pipelines.robustness.cells import Cell, NoiseDocument
from pipelines.stored_masks import StoredMasks
from pipelines.tasks import Task, TaskResult, guarded
from pointsam import __version__
from pointsam.base.errors import DatasetError, PointSamError, SchemaError
from pointsam.base.runtime import Stopwatch
from pointsam.calibration.correction import corrects
from pointsam.calibration.perturb import perturb
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.mapped import with_classes
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.semantics.precomputed import layout_kind
from pointsam.stages.frame import lifted_labels, refined_labels
from pointsam.stages.recipes import ClustersConfig
from pointsam.store.cells import CellRow, cells_table
from pointsam.store.sources import digests_of, of_sweeps
from pointsam.types import ImageMasks, InstanceMap, PointLabels, PointTruth


class NoiseWorker:
    """Labels and counts the frames of a sweep in one process.

    Args:
        data: the data set, with its true calibration.
        config: configuration of the clusters stage.
        cells: the calibration errors.
        masks: the folder with the masks of each cell.
        again: frames that are counted again, as for `ClusterWorker`.
    """

    def __init__(
        self,
        data: DataSpec,
        config: ClustersConfig,
        cells: tuple[Cell, ...],
        masks: tuple[Path, ...],
        again: frozenset[str] = frozenset(),
    ) -> None:
        self.cells, self.folders, self.again = cells, masks, again
        self.configs = {sar: replace(config, refine=replace(config.refine, enabled=sar)) for sar in (True, False)}
        self.masks = {folder: StoredMasks(folder) for folder in dict.fromkeys(masks)}
        self.taxonomy = self.masks[masks[0]].taxonomy
        self.dataset: Dataset = with_classes(data.open(), self.taxonomy)

    def __call__(self, tasks: Sequence[Task]) -> list[TaskResult[list[CellRow]]]:
        """The counts of frames in every cell, without and with refinement."""
        return [self._counts(task) for task in tasks]

    def _counts(self, task: Task) -> TaskResult[list[CellRow]]:
        stopwatch, sources = Stopwatch(), dict[str, str]()

        def work() -> list[CellRow]:
            with stopwatch("read"):
                frame = read_frame(self.dataset, task.frame_id)
                for masks in self.masks.values():
                    masks.checked_sources(frame, masks.images(task.frame_id), task.frame_id in self.again)
                sources.update(digests_of(frame, of_sweeps))
                points = read_frame_points(frame, ring=self.configs[True].refine.rings > 0)
                truth = self.dataset.point_truth(task.frame_id)
            if truth is None:
                raise DatasetError(
                    "DAT011",
                    f"frame {task.frame_id} of {self.dataset.root} has no ground truth",
                    "choose frames that have boxes or panoptic labels: --split, --frames",
                )
            truth = truth.of_points(points.present)
            rows = []
            folder: Path | None = None
            for cell, wanted in zip(self.cells, self.folders, strict=True):
                if wanted != folder:
                    folder, images = wanted, self.masks[wanted].images(task.frame_id)
                    painted = cache(self._painter(self.masks[wanted], images))
                seen = perturb(frame, cell.noise)
                lifted = lifted_labels(seen, points, images, painted, self.configs[True], stopwatch)
                for sar, config in self.configs.items():
                    found = refined_labels(seen, points, lifted, self.taxonomy, config, stopwatch)
                    with stopwatch("judge"):
                        rows.append(self._row(task.frame_id, cell.name, sar, found.labels, truth))
            return rows

        def failed(error: PointSamError) -> list[CellRow]:
            none = np.zeros(0, np.int32)
            row = CellRow(task.frame_id, "", False, none, none, none, none, 0, 0, 0.0)
            return [replace(row, status="failed", error_code=error.code, error=error.message)]

        return guarded(work, failed, task, stopwatch, sources)

    def _painter(self, masks: StoredMasks, images: Mapping[str, ImageMasks]) -> Callable[[str], InstanceMap]:
        def paint(camera: str) -> InstanceMap:
            return masks.painted(images[camera], self.configs[True])

        return paint

    def _row(self, frame_id: str, cell: str, sar: bool, labels: PointLabels, truth: PointTruth) -> CellRow:
        seen = overlaps(labels, truth, self.taxonomy)
        panoptic = PanopticAccumulator(self.taxonomy, MIN_POINTS_PANOPTIC)
        agnostic = AgnosticAccumulator(self.taxonomy, MIN_POINTS_OBJECTS)
        panoptic.add_overlaps(seen)
        agnostic.add_overlaps(seen)
        classes, objects = panoptic.result().classes, agnostic.result().overall
        tp, fp, fn, iou_sum = (np.array([getattr(c, name) for c in classes]) for name in ("tp", "fp", "fn", "iou_sum"))
        iou = objects.mean_iou * objects.num_objects if objects.num_objects else 0.0
        found = round(objects.recall * objects.num_objects) if objects.num_objects else 0
        return CellRow(frame_id, cell, sar, tp, fp, fn, iou_sum, objects.num_objects, found, iou)


def frames_of(request: Request, cells: Sequence[Cell], remask: bool = False) -> list[tuple[str, str]]:
    """(scene, frame_id) of the frames of a sweep; nothing is written.

    Args:
        request: the request, as for `run_noise`.
        cells: the calibration errors, as for `run_noise`.
        remask: whether masks are made again for every cell, as for `run_noise`.

    Raises:
        SchemaError: SCH003 if the masks were made with a calibration error or a corrected calibration, SCH004 if they
            are of another data set, SCH005 if a cell applies to no frame, or if new masks would be the same in
            every cell.
        StoreError, DatasetError: as `run_clusters`.
    """
    if remask:
        _require_point_prompts(request)
        dataset = request.data.open()
        frames = request.selection.of(dataset)
    else:
        masks, dataset = open_masks(request.masks_folder, request.data)
        if masks.perturbation != "none":
            raise SchemaError(
                "SCH003",
                f"the masks in {masks.labels.out} were made with a perturbed calibration ({masks.perturbation}), but a "
                "sweep starts from the true calibration",
                "give masks made with the true calibration, or --remask instead of --masks-from",
            )
        if corrects(masks.document.calibration):
            raise SchemaError(
                "SCH003",
                f"the masks in {masks.labels.out} were made with a corrected calibration (--calibration), but a sweep "
                "starts from that of the data set, which is then not the true one",
                "write the corrected calibration into the data set, or give masks made without --calibration",
            )
        frames = request.selection.of_masks(masks.labels, dataset)
    for cell in cells:
        wrong = replace(request.data, noise=cell.noise)
        wrong.require_fit(wrong.seen(dataset), [frame_id for _, frame_id in frames], cell.name)
    return frames


def run_noise(request: Request, cells: tuple[Cell, ...], remask: bool = False) -> Summary:
    """Count every frame in every cell. The same call resumes an interrupted sweep.

    Args:
        request: the data set with its true calibration, the output folder, and the masks to use.
        cells: the calibration errors, from `cells_of`.
        remask: make masks again for every cell, with prompts through its calibration, below OUT/masks_of.

    Raises:
        SchemaError, StoreError, DatasetError, BackendError: as `frames_of`, `run_masks`.
    """
    if not remask:
        request = replace(request, data=read_as_in(request.masks_folder, request.data))
    frames = frames_of(request, cells, remask)
    folders = tuple(_masks_of(request, cell) if remask else request.masks_folder for cell in cells)
    if remask:
        for cell, folder in zip(cells, folders, strict=True):
            run_masks(replace(request, out=folder, data=replace(request.data, noise=cell.noise)))
    sources = [StoredMasks(folder) for folder in dict.fromkeys(folders)]
    made = sources[0].document
    document = NoiseDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=made.dataset,
        taxonomy=made.taxonomy,
        masks_keys=tuple(masks.key for masks in sources),
        config=request.config.clusters,
        remask=remask,
        cells=cells,
    )
    swept = f"a sweep of {len(cells)} cells"
    run, metadata = begin(request.out, frames, document, made.weights_sha256, swept, request.data.root)
    work = pending_work(run, request.execution, request.data.open())
    return drive(
        run,
        request.execution,
        work,
        partial(NoiseWorker, request.data, request.config.clusters, cells, folders, work.again),
        whole_frame,
        lambda rows: {"cells": cells_table([cell for row in rows for cell in row], metadata)},
    )


def _require_point_prompts(request: Request) -> None:
    """Reject --remask without point prompts: masks from box prompts do not depend on the calibration."""
    masks, folder = request.config.masks, request.semantics_dir
    by_boxes = masks.prompts == "boxes"
    if by_boxes and masks.semantics == "precomputed" and folder is not None:
        by_boxes = layout_kind(folder).instances  # a mask of a whole class has no box, so that points prompt
    if by_boxes:
        raise SchemaError(
            "SCH005",
            "--remask with box prompts (masks.prompts=boxes): the masks would be the same in every cell",
            "use point prompts: --set masks.prompts=points or --recipe paper; or reuse masks with --masks-from",
        )


def _masks_of(request: Request, cell: Cell) -> Path:
    return request.out / "masks_of" / cell.name.replace("/", "-")
