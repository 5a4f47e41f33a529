"""`pointsam-label noise`: label the same frames through many wrong calibrations, and count what becomes of them.

Every frame is read once, painted once (if masks are made anew, once a cell), lifted once a cell, and refined or not;
only counts are kept. A cell's labels can be had as `pointsam-label clusters --noise` with its fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.calibrated import require_fit
from pipelines.documents import MasksDocument
from pipelines.labelling.jobs import SHARD_FRAMES, Summary, drive, opened, run_masks, select
from pipelines.labelling.request import Request
from pipelines.labelling.worker import images_read
from pipelines.robustness.cells import Cell, NoiseDocument
from pipelines.tasks import Done, Task, guarded
from pointsam import __version__
from pointsam.base.errors import DatasetError, PointSamError, SchemaError
from pointsam.base.runtime import Stopwatch
from pointsam.calibration.perturb import perturb
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_points
from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.semantics.precomputed import layout_kind
from pointsam.stages.frame import instance_map, lifted_labels, refined_labels
from pointsam.store.cells import CellRow, cells_table
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.taxonomy import Taxonomy
from pointsam.types import InstanceMap, PointLabels, PointTruth


class NoiseWorker:
    """Holds the data set and the stored masks of a sweep.

    Args:
        request: with clean calibration.
        taxonomy: the run's classes.
        cells: the errors.
        masks: folder of each cell's masks.
    """

    def __init__(self, request: Request, taxonomy: Taxonomy, cells: tuple[Cell, ...], masks: tuple[Path, ...]) -> None:
        self.dataset: Dataset = request.open()
        self.taxonomy, self.cells, self.folders = taxonomy, cells, masks
        clusters = request.config.clusters
        self.configs = {sar: replace(clusters, refine=replace(clusters.refine, enabled=sar)) for sar in (True, False)}
        self.masks = {folder: Labels(folder) for folder in dict.fromkeys(masks)}
        self.overlap = self.masks[masks[0]].document(MasksDocument).config.semantic_overlap

    def __call__(self, task: Task) -> Done[list[CellRow]]:
        """Counts of one frame in every cell."""
        watch = Stopwatch()

        def work() -> list[CellRow]:
            with watch("read"):
                frame = self.dataset.frame(task.frame_id)
                xyz = read_points(frame.sweep)
                truth = self.dataset.point_truth(task.frame_id)
            if truth is None:
                raise DatasetError(
                    "DAT011",
                    f"frame {task.frame_id} of {self.dataset.root} has no truth to compare with",
                    "sweep over frames that have boxes or panoptic labels: --split, --frames",
                )
            rows = []
            folder: Path | None = None
            for cell, wanted in zip(self.cells, self.folders, strict=True):
                if wanted != folder:
                    folder, images = wanted, images_read(self.masks[wanted], task.frame_id)
                    painted = cache(self._painter(images))
                seen = perturb(frame, cell.noise)
                lifted = lifted_labels(seen, xyz, images, painted, self.configs[True], watch)
                for sar, config in self.configs.items():
                    found = refined_labels(seen, xyz, lifted, self.taxonomy, config, watch)
                    with watch("judge"):
                        rows.append(self._row(task.frame_id, cell.name, sar, found.labels, truth))
            return rows

        def failed(error: PointSamError) -> list[CellRow]:
            none = np.zeros(0, np.int32)
            row = CellRow(task.frame_id, "", False, none, none, none, none, 0, 0, 0.0)
            return [replace(row, status="failed", error_code=error.code, error=error.message)]

        return guarded(work, failed, task, watch)

    def _painter(self, images: Mapping[str, Any]) -> Any:
        def paint(camera: str) -> InstanceMap:
            return instance_map(images[camera], self.taxonomy, self.overlap, self.configs[True])

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
        request: as for `run_noise`.
        cells: likewise.
        remask: likewise.

    Raises:
        SchemaError: SCH003 on masks of a wrong calibration, SCH004 on masks of other data, SCH005 if a cell fits no
            frame, or if masks are to be made anew that would be the same in every cell.
        StoreError, DatasetError: as `run_clusters`.
    """
    if remask:
        _require_asking(request)
        dataset = request.open()
        frames = request.select(dataset)
    else:
        source, dataset = opened(request)
        made = source.metadata("masks").calibration_perturbation
        if made != "none":
            told = f"the masks in {source.out} were made with a perturbed calibration ({made})"
            hint = "give masks of the true calibration, or --remask in place of --masks-from"
            raise SchemaError("SCH003", f"{told}: a sweep starts from the true one", hint)
        frames = select(request, dataset, "clusters")
    require_fit(dataset, [frame_id for _, frame_id in frames], {cell.name: cell.noise for cell in cells})
    return frames


def run_noise(request: Request, cells: tuple[Cell, ...], remask: bool = False) -> Summary:
    """Count every frame in every cell; running again goes on.

    Args:
        request: the data, where to write, and whose masks to use, its calibration clean.
        cells: from `cells_of`.
        remask: make masks anew for every cell, prompts through its calibration, below OUT/masks_of.

    Raises:
        SchemaError, StoreError, DatasetError, BackendError: as `frames_of`, `run_masks`.
    """
    shards = plan_shards(frames_of(request, cells, remask), SHARD_FRAMES)
    folders = tuple(_masks_of(request, cell) if remask else request.masks_from or request.out for cell in cells)
    if remask:
        for cell, folder in zip(cells, folders, strict=True):
            run_masks(replace(request, out=folder, noise=cell.noise))
    made = Labels(folders[0]).document(MasksDocument)
    document = NoiseDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=made.dataset,
        taxonomy=made.taxonomy,
        masks_keys=tuple(Labels(folder).key("masks") for folder in dict.fromkeys(folders)),
        config=request.config.clusters,
        remask=remask,
        cells=cells,
    )
    metadata = document.metadata(made.weights_sha256, f"a sweep of {len(cells)} cells")
    run = Run.open(request.out, "noise", document, shards, metadata, data_root=request.data)
    return drive(
        request,
        run,
        (NoiseWorker, request, made.taxonomy, cells, folders),
        lambda shard: [(frame_id, "") for frame_id in shard.frame_ids],
        lambda rows: {"cells": cells_table([cell for row in rows for cell in row], metadata)},
    )


def _require_asking(request: Request) -> None:
    """Refuse masks that no calibration changes: where boxes prompt, no point does."""
    masks, folder = request.config.masks, request.semantics_dir
    by_boxes = masks.prompts == "boxes"
    if by_boxes and masks.semantics == "precomputed" and folder is not None:
        by_boxes = layout_kind(folder).instances  # a mask of a whole class has no box: points prompt
    if by_boxes:
        raise SchemaError(
            "SCH005",
            "--remask: boxes prompt (masks.prompts=boxes), so masks would be the same in every cell",
            "let points prompt: --set masks.prompts=points, or --recipe paper; else reuse masks with --masks-from",
        )


def _masks_of(request: Request, cell: Cell) -> Path:
    return request.out / "masks_of" / cell.name.replace("/", "-")
