"""The counts of a finished sweep, by scene, cell and refinement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.robustness.cells import Cell, NoiseDocument
from pointsam.base.errors import StoreError
from pointsam.evaluate.bootstrap import FEWEST_SCENES
from pointsam.evaluate.panoptic import panoptic_quality
from pointsam.store.reader import Labels

_PANOPTIC = ("tp", "fp", "fn", "iou_sum")
_OBJECTS = ("num_objects", "num_found", "object_iou_sum")


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of a sweep.

    Args:
        cells: cells of the sweep, in its order.
        unit: U names of the units that the bootstrap draws: scenes, or frames if scenes are few.
        panoptic: (U,cell,sar,4,C) tp, fp, fn, iou_sum by class; sar 0 is without refinement.
        objects: (U,cell,sar,3) number of objects, number of detected objects, sum of their best IoU.
        failed: number of quarantined frames.
        num_frames: number of frames counted.
        remask: whether masks were made again for every cell, with prompts through its calibration.
    """

    cells: tuple[Cell, ...]
    unit: tuple[str, ...]
    panoptic: NDArray[np.float64]
    objects: NDArray[np.float64]
    failed: int
    num_frames: int
    remask: bool = False

    @property
    def masks(self) -> str:
        """The word for the masks in tables and documents."""
        return "re-made" if self.remask else "reused"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all cells but the clean one."""
        return tuple(sorted({cell.noise.seed for cell in self.cells if cell.kind != "clean"}))


def read_counts(out: Path) -> Counts:
    """Read the counts of a finished sweep.

    Raises:
        StoreError: OUT004 if it was not run, if shards are missing, or if every frame was quarantined.
    """
    labels = Labels(out)
    document = labels.document(NoiseDocument)
    cells = document.cells
    tables = list(labels.cells())
    done = sum(len(set(table["frame_id"].to_pylist())) for _, table in tables)
    left = len(labels.selection("noise")) - done
    if left:
        raise StoreError("OUT004", f"{out}: {left} frames of the sweep are missing", "run the same command again")
    place = {(cell.name, sar): (k, int(sar)) for k, cell in enumerate(cells) for sar in (False, True)}
    few = len({scene for scene, table in tables if "ok" in table["status"].to_pylist()}) < FEWEST_SCENES
    panoptic: dict[str, NDArray[np.float64]] = {}
    objects: dict[str, NDArray[np.float64]] = {}
    failed = num_frames = 0
    num_classes = len(document.taxonomy.classes)
    for scene, table in tables:
        for row in table.to_pylist():
            if row["status"] != "ok":
                failed += 1
                continue
            at = place[row["cell"], row["sar"]]
            unit = row["frame_id"] if few else scene
            panoptic.setdefault(unit, np.zeros((len(cells), 2, 4, num_classes)))[at] += [row[n] for n in _PANOPTIC]
            objects.setdefault(unit, np.zeros((len(cells), 2, 3)))[at] += [row[n] for n in _OBJECTS]
            num_frames += at == (0, 0)
    if not num_frames:
        raise StoreError("OUT004", f"{out}: every frame is quarantined", "correct the data, then --retry-failed")
    by_unit, by_object = (np.stack(list(part.values())) for part in (panoptic, objects))
    return Counts(cells, tuple(panoptic), by_unit, by_object, failed, num_frames, document.remask)


def cell_table(counts: Counts) -> pa.Table:
    """The rows of cells.parquet: one for each cell, without and with refinement."""
    total, objects = counts.panoptic.sum(axis=0), counts.objects.sum(axis=0)
    quality = panoptic_quality(total)
    rows = []
    for k, cell in enumerate(counts.cells):
        for sar in (False, True):
            tp, fp, fn, iou = total[k, int(sar)].sum(axis=1)
            num, found, iou_objects = objects[k, int(sar)]
            figures = {
                "pq": quality[k, int(sar)],
                "tp": int(tp),
                "fp": int(fp),
                "fn": int(fn),
                "sq_all_classes": iou / max(tp, 1),
                "object_recall": found / max(num, 1),
                "object_iou": iou_objects / max(num, 1),
            }
            about = {"cell": cell.name, "kind": cell.kind, "level": cell.level, **vars(cell.noise)}
            rows.append({**about, "masks": counts.masks, "sar": sar, **figures})
    return pa.Table.from_pylist(rows)
