"""What a sweep counted, read back: by scene, cell, and with refinement or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.robustness.cells import Cell, NoiseDocument
from pointsam.base.errors import StoreError
from pointsam.evaluate.bootstrap import FEWEST_SCENES
from pointsam.store.reader import Labels

_PANOPTIC = ("tp", "fp", "fn", "iou_sum")
_OBJECTS = ("num_objects", "num_found", "object_iou_sum")


@dataclass(frozen=True, eq=False)
class Counts:
    """A sweep, read.

    Args:
        cells: in the sweep's order.
        unit: (U) what the bootstrap draws: scenes, or frames where scenes are few.
        panoptic: (U,cell,sar,4,C) tp, fp, fn, iou_sum by class; sar 0 is without refinement.
        objects: (U,cell,sar,3) objects, found, sum of best IoU.
        failed: frames set aside.
        num_frames: frames counted.
        remask: whether every cell had masks of its own, prompts through its calibration.
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
        """What tables say of the masks."""
        return "re-made" if self.remask else "reused"

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the cells that are drawn."""
        return tuple(sorted({cell.noise.seed for cell in self.cells if cell.kind != "clean"}))


def read_counts(out: Path) -> Counts:
    """The counts of a finished sweep.

    Raises:
        StoreError: OUT004 if nothing was made, or shards are left.
    """
    labels = Labels(out)
    document = labels.document(NoiseDocument)
    cells = document.cells
    tables = list(labels.cells())
    done = sum(len(set(table["frame_id"].to_pylist())) for _, table in tables)
    left = len(labels.selection("noise")) - done
    if left:
        raise StoreError("OUT004", f"{out}: {left} frames of the sweep are not done", "run the same command again")
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
        raise StoreError("OUT004", f"{out}: every frame of the sweep was set aside", "mend them, then --retry-failed")
    by_unit, by_object = (np.stack(list(part.values())) for part in (panoptic, objects))
    return Counts(cells, tuple(panoptic), by_unit, by_object, failed, num_frames, document.remask)


def panoptic_quality(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) mean over the classes that were counted, of (...,4,C) tp, fp, fn, iou_sum."""
    tp, fp, fn, iou = np.moveaxis(counts, -2, 0)
    weight = tp + (fp + fn) / 2
    counted = (weight > 0).sum(axis=-1)
    total = (iou / np.where(weight > 0, weight, 1)).sum(axis=-1)
    quality: NDArray[np.float64] = np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
    return quality


def cell_table(counts: Counts) -> pa.Table:
    """One row a cell and choice of refinement, as an Arrow table."""
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
