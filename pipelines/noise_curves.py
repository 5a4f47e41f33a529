"""What a sweep says: quality over the size of each error with its band, and the size at which labels break."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.config import parse
from pipelines.noise_cells import KINDS, Cell
from pipelines.tables import Table
from pointsam.draws import generator
from pointsam.errors import StoreError
from pointsam.evaluate.bootstrap import FEWEST_SCENES, times_drawn
from pointsam.store.reader import Labels

_DRAWS = 1000
"""Of the bootstrap."""
LOSSES = (0.05, 0.2)
"""Shares of the clean quality whose loss is looked for."""
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
    """

    cells: tuple[Cell, ...]
    unit: tuple[str, ...]
    panoptic: NDArray[np.float64]
    objects: NDArray[np.float64]
    failed: int
    num_frames: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Quality over the size of one kind of error, its first point the clean calibration.

    Args:
        kind: of KINDS.
        sar: whether labels were refined.
        level: (L,).
        pq: (L,) mean of the seeds.
        low, high: (L,) bounds of 95 % of the bootstrap's draws over scenes and seeds.
        seeds: (L,2) lowest and highest of the seeds.
        breaks: level at which each of LOSSES is lost, its low and high bound; infinity beyond the last level.
    """

    kind: str
    sar: bool
    level: NDArray[np.float64]
    pq: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seeds: NDArray[np.float64]
    breaks: tuple[tuple[float, float, float], ...]


def read_counts(out: Path) -> Counts:
    """The counts of a finished sweep.

    Raises:
        StoreError: OUT004 if nothing was made, or shards are left.
    """
    labels = Labels(out)
    cells: tuple[Cell, ...] = parse(tuple[Cell, ...], labels.document("noise")["cells"], "run.json")
    tables = list(labels.cells())
    done = sum(len(set(table["frame_id"].to_pylist())) for _, table in tables)
    left = len(labels.selection("noise")) - done
    if left:
        raise StoreError("OUT004", f"{out}: {left} frames of the sweep are not done", "run the same command again")
    place = {(cell.name, sar): (k, int(sar)) for k, cell in enumerate(cells) for sar in (False, True)}
    few = len({scene for scene, _ in tables}) < FEWEST_SCENES
    panoptic: dict[str, NDArray[np.float64]] = {}
    objects: dict[str, NDArray[np.float64]] = {}
    failed = num_frames = 0
    num_classes = len(labels.metadata("noise")["taxonomy"]["classes"])
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
        raise StoreError("OUT004", f"{out}: every frame of the sweep was set aside", "see the closing table, mend them")
    by_unit, by_object = (np.stack(list(part.values())) for part in (panoptic, objects))
    return Counts(cells, tuple(panoptic), by_unit, by_object, failed, num_frames)


def panoptic_quality(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) mean over the classes that were counted, of (...,4,C) tp, fp, fn, iou_sum."""
    tp, fp, fn, iou = np.moveaxis(counts, -2, 0)
    weight = tp + (fp + fn) / 2
    counted = (weight > 0).sum(axis=-1)
    total = (iou / np.where(weight > 0, weight, 1)).sum(axis=-1)
    quality: NDArray[np.float64] = np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
    return quality


def curves(counts: Counts) -> list[Curve]:
    """Every kind of the sweep, without and with refinement."""
    draws = _resampled(counts)
    whole = panoptic_quality(counts.panoptic.sum(axis=0))
    return [
        _curve(counts.cells, kind, sar, whole[:, int(sar)], draws[:, :, int(sar)])
        for kind in KINDS
        if any(cell.kind == kind for cell in counts.cells)
        for sar in (False, True)
    ]


def _resampled(counts: Counts) -> NDArray[np.float64]:
    """(draw,cell,sar) quality of scenes drawn with replacement; all cells see the same draws."""
    units = len(counts.unit)
    weights = times_drawn(units, _DRAWS, "noise")
    flat = counts.panoptic.reshape(units, -1)
    return panoptic_quality((weights @ flat).reshape(_DRAWS, *counts.panoptic.shape[1:]))


def _curve(
    cells: tuple[Cell, ...], kind: str, sar: bool, whole: NDArray[np.float64], draws: NDArray[np.float64]
) -> Curve:
    mine = [k for k, cell in enumerate(cells) if cell.kind == kind]
    level = np.unique([0.0, *(cells[k].level for k in mine)])
    seeds = sorted({cells[k].noise.seed for k in mine})
    # (L,S) cell of each level and seed; without an error all seeds are the clean cell
    at = np.zeros((len(level), len(seeds)), dtype=np.int64)
    for k in mine:
        at[np.searchsorted(level, cells[k].level), seeds.index(cells[k].noise.seed)] = k
    chosen = generator(0, "noise", "seeds").integers(0, len(seeds), (len(draws), len(seeds)))
    means = draws[np.arange(len(draws))[:, None, None], at[:, chosen].transpose(1, 0, 2)].mean(axis=2)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    by_seed = whole[at]
    pq = by_seed.mean(axis=1)
    spread = np.stack([by_seed.min(axis=1), by_seed.max(axis=1)], axis=1)
    breaks = tuple(_break(level, pq, means, share) for share in LOSSES)
    return Curve(kind, sar, level, pq, low, high, spread, breaks)


def _break(
    level: NDArray[np.float64], pq: NDArray[np.float64], means: NDArray[np.float64], share: float
) -> tuple[float, float, float]:
    drawn = np.sort([_crossing(level, mean, share) for mean in means])  # inf, never reached, comes last
    low, high = (float(drawn[round(q * (len(drawn) - 1))]) for q in (0.025, 0.975))
    return _crossing(level, pq, share), low, high


def _crossing(level: NDArray[np.float64], pq: NDArray[np.float64], share: float) -> float:
    """Where a piecewise linear curve first falls to (1 - share) of its beginning; infinity if it does not."""
    wanted = pq[0] * (1 - share)
    below = np.flatnonzero(pq <= wanted)
    if len(below) == 0 or below[0] == 0:
        return math.inf
    k = below[0]
    part = (pq[k - 1] - wanted) / (pq[k - 1] - pq[k])
    return float(level[k - 1] + part * (level[k] - level[k - 1]))


def cell_table(counts: Counts) -> Any:
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
            rows.append({"cell": cell.name, "kind": cell.kind, "level": cell.level, **vars(cell.noise), "sar": sar})
            rows[-1] |= figures
    return pa.Table.from_pylist(rows)


def tables(found: list[Curve]) -> list[Table]:
    """Quality by level, and where it breaks."""
    pages = []
    for kind in dict.fromkeys(curve.kind for curve in found):
        without, with_sar = (curve for curve in found if curve.kind == kind)
        rows = [
            (f"{level:g}", a, f"{al:.3f}-{ah:.3f}", b, f"{bl:.3f}-{bh:.3f}", b / (with_sar.pq[0] or math.nan), b - a)
            for level, a, al, ah, b, bl, bh in zip(
                without.level,
                without.pq,
                without.low,
                without.high,
                with_sar.pq,
                with_sar.low,
                with_sar.high,
                strict=True,
            )
        ]
        header = (KINDS[kind].unit, "PQ without SAR", "95 %", "PQ with SAR", "95 %", "of clean", "SAR gains")
        pages.append(Table(kind, header, rows))
    breaks = [
        (f"{curve.kind}, {'with' if curve.sar else 'without'} SAR", KINDS[curve.kind].unit, *map(_told, curve.breaks))
        for curve in found
    ]
    pages.append(Table("Where labels break", ("error", "unit", *(f"{x:.0%} of PQ lost" for x in LOSSES)), breaks))
    return pages


def _told(found: tuple[float, float, float]) -> str:
    level, low, high = ("beyond" if math.isinf(value) else f"{value:.3g}" for value in found)
    return f"{level} ({low} to {high})"
