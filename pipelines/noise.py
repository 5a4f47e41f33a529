"""`pointsam-label noise`: label the same frames through many wrong calibrations, and count what becomes of them.

Masks are made once. Every frame is read and painted once, lifted once a cell, and refined or not; only counts are kept.
A cell's labels can be had as `pointsam-label clusters --noise` with the cell's fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.config import MasksConfig, parse
from pipelines.jobs import SHARD_FRAMES, Summary, drive, metadata_of, opened, run_masks, select
from pipelines.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC
from pipelines.label import Stopwatch, instance_map, lifted_labels, refined_labels
from pipelines.request import Request
from pipelines.worker import Done, Task, guarded, images_read
from pointsam import __version__
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_points
from pointsam.errors import DatasetError, PointSamError, SchemaError
from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.store.cells import CellRow, cells_table
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.taxonomy import Taxonomy
from pointsam.types import InstanceMap, PointLabels, PointTruth


@dataclass(frozen=True)
class Kind:
    """One way in which a calibration is wrong.

    Args:
        unit: of the levels, for axes.
        field: of `Noise` that takes the level.
        levels: the default ones.
        how: other fields of `Noise`.
    """

    unit: str
    field: str
    levels: tuple[float, ...]
    how: Mapping[str, Any]


_DEGREES, _METRES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0), (0.05, 0.1, 0.2, 0.3, 0.5)
KINDS: Mapping[str, Kind] = {
    "published": Kind("m, uniform on each axis", "translation_m", (0.05, 0.1), {"axis": "each", "law": "uniform"}),
    "rotation": Kind("degrees", "rotation_deg", _DEGREES, {}),
    "pitch": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "x"}),
    "yaw": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "y"}),
    "roll": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "z"}),
    "translation": Kind("m", "translation_m", _METRES, {}),
    "time": Kind("ms", "time_ms", (10.0, 25.0, 50.0, 75.0, 100.0), {}),
    "focal": Kind("share of the focal length", "focal", (0.005, 0.01, 0.02, 0.05), {}),
    "center": Kind("px", "center_px", (5.0, 10.0, 20.0, 40.0), {}),
    "pose": Kind("m, at each exposure", "ego_m", _METRES, {}),
    "heading": Kind("degrees, at each exposure", "ego_deg", _DEGREES, {}),
    "dropped": Kind("cameras", "dropped", (1, 2, 3, 4, 5), {}),
}


@dataclass(frozen=True)
class Cell:
    """One calibration error of a sweep.

    Args:
        name: unique in the sweep.
        kind: "clean" or one of KINDS.
        level: its size.
        noise: the error itself.
    """

    name: str
    kind: str
    level: float
    noise: Noise


def cells_of(
    kinds: Sequence[str], levels: Mapping[str, Sequence[float]], seeds: int, base: Noise = CLEAN
) -> tuple[Cell, ...]:
    """The clean cell, then every kind, level and seed.

    Args:
        kinds: of KINDS.
        levels: of a kind, where the default ones will not do.
        seeds: draws a level.
        base: fields that all cells share, such as its scope or an error under the swept one; a kind's own win.

    Raises:
        SchemaError: SCH005 on an unknown kind, or a level that is none.
    """
    unknown = [name for name in (*kinds, *levels) if name not in KINDS]
    if unknown or not kinds:
        raise SchemaError("SCH005", f"no kind of noise {unknown or 'at all'}", f"name some of {', '.join(KINDS)}")
    cells = [Cell("clean", "clean", 0.0, base)]
    for name in dict.fromkeys(kinds):
        kind = KINDS[name]
        for level in levels.get(name, kind.levels):
            if level == 0:
                continue  # the clean cell
            for seed in range(seeds):
                size = int(level) if name == "dropped" else float(level)
                how = {**asdict(base), **kind.how, "seed": base.seed + seed, kind.field: size}
                noise: Noise = parse(Noise, how, f"--levels {name}={level:g}")
                cells.append(Cell(f"{name}={level:g}/{seed}", name, float(level), noise))
    return tuple(cells)


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
        made: MasksConfig = parse(MasksConfig, self.masks[masks[0]].document("masks")["config"], "run.json")
        self.overlap = made.semantic_overlap

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


def run_noise(request: Request, cells: tuple[Cell, ...], remask: bool = False) -> Summary:
    """Count every frame in every cell; running again goes on.

    Args:
        request: the data, where to write, and whose masks to use, its calibration clean.
        cells: from `cells_of`.
        remask: make masks anew for every cell, prompts through its calibration, below OUT/masks_of.

    Raises:
        SchemaError, StoreError, DatasetError, BackendError: as `run_clusters`, `run_masks`.
    """
    folders = tuple(_masks_of(request, cell) if remask else request.masks_from or request.out for cell in cells)
    if remask:
        for cell, folder in zip(cells, folders, strict=True):
            run_masks(replace(request, out=folder, noise=cell.noise))
    request = replace(request, masks_from=folders[0])
    source, dataset = opened(request)
    made = source.document("masks")
    document = {
        "tool_version": __version__,
        "recipe": request.config.recipe,
        "dataset": made["dataset"],
        "masks_keys": [Labels(folder).key("masks") for folder in dict.fromkeys(folders)],
        "taxonomy": made["taxonomy"],
        "config": asdict(request.config.clusters),
        "remask": remask,
        "cells": [asdict(cell) for cell in cells],
    }
    shards = plan_shards(select(request, dataset, "clusters"), SHARD_FRAMES)
    metadata = metadata_of(document, made["weights_sha256"], f"a sweep of {len(cells)} cells")
    run = Run.open(request.out, "noise", document, shards, metadata, data_root=request.data)
    taxonomy: Taxonomy = parse(Taxonomy, made["taxonomy"], "run.json")
    return drive(
        request,
        run,
        (NoiseWorker, request, taxonomy, cells, folders),
        lambda shard: [(frame_id, "") for frame_id in shard.frame_ids],
        lambda rows: {"cells": cells_table([cell for row in rows for cell in row], metadata)},
    )


def _masks_of(request: Request, cell: Cell) -> Path:
    return request.out / "masks_of" / cell.name.replace("/", "-")
