"""The files of a finished sweep: a table of all cells, the figures as JSON, curves, and a page."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.robustness.cells import KINDS
from pipelines.robustness.counts import Counts, cell_table, read_counts
from pipelines.robustness.curves import LOSSES, Banded, Curve, by_kind, curves, shift
from pipelines.robustness.sweep_document import sweep_document
from pointsam.base.document import document_bytes
from pointsam.base.files import page_bytes, write_together
from pointsam.base.hardware import hardware
from pointsam.base.locks import claimed
from pointsam.base.tables import Table
from pointsam.report.curves import Line, Panel, line_charts

_PUBLISHED_M = np.array([0.0, 0.05, 0.1])
_PUBLISHED_PQ = {False: np.array([0.449, 0.438, 0.414]), True: np.array([0.637, 0.628, 0.606])}
"""MixSup, table 14: nuScenes, uniform noise (docs/method.md A.6)."""
_PUBLISHED_LOST = {sar: 1 - quality / quality[0] for sar, quality in _PUBLISHED_PQ.items()}
_REPORTED = "published (MixSup, table 14: nuScenes)"
_NOTE = (
    "95 % confidence intervals are bootstrapped over scenes and seeds; losses and shifts are computed within each "
    "draw. beyond: the largest size does not reach this loss. open: no bound, because one of the two curves does not "
    "reach the loss."
)


def write_sweep(out: Path, command: str) -> str:
    """Write cells.parquet, noise.json, noise.md and the curves of a finished sweep.

    Args:
        out: folder of the sweep.
        command: the command line, for the page.

    Returns:
        The tables.

    Raises:
        StoreError: OUT004 if the sweep is not finished, OUT002 or OUT003 if it cannot be written.
    """
    counts = read_counts(out)
    found = curves(counts)
    pages = tables(found)
    document = document_bytes(sweep_document(counts, found), indent=1, sort_keys=False)
    files = [(out / "cells.parquet", _parquet(cell_table(counts))), (out / "noise.json", document)]
    page = [f"# Calibration errors\n\n{_about(counts)}", *(table.markdown() for table in pages)]
    page += [f"`{command}`", f"Seeds: {', '.join(map(str, counts.seeds))}. Written on {hardware()}."]
    for name, figure, axis in (("noise", "pq", "PQ"), ("noise_lost", "lost", "fraction of the clean PQ that is lost")):
        panels = [_panel(kind, pair, figure, axis) for kind, pair in by_kind(found)]
        files += [(out / f"{name}{suffix}", content) for suffix, content in line_charts(panels).items()]
        page.append(f"![{axis}]({name}.png)")
    files.append((out / "noise.md", page_bytes("\n\n".join(page) + "\n")))
    with claimed(out):  # calls of other shards may finish at the same time
        write_together(files)
    return "\n\n".join([*(table.text() for table in pages), _about(counts)])


def tables(found: Sequence[Curve]) -> list[Table]:
    """PQ and its loss by size of the error, the sizes at which LOSSES are reached, and their shift by refinement."""
    names = ("PQ without SAR", "PQ with SAR", "loss without SAR", "loss with SAR")
    header = [column for name in names for column in (name, "95 % CI")]
    pages, breaks = [], []
    for kind, (without, refined) in by_kind(found):
        unit, figures = KINDS[kind].unit, (without.pq, refined.pq, without.lost, refined.lost)
        rows = [
            (f"{level:g}", *(text for of in figures for text in _banded(*of[k])), refined.pq[k, 0] - without.pq[k, 0])
            for k, level in enumerate(without.level)
        ]
        pages.append(Table(kind, (unit, *header, "gain by SAR"), rows))
        if kind == "published":
            reported = (*_PUBLISHED_PQ.values(), *_PUBLISHED_LOST.values())
            figures_at = zip(_PUBLISHED_M.tolist(), *(values.tolist() for values in reported), strict=True)
            pages.append(Table(_REPORTED, (unit, *names), [(f"{level:g}", *rest) for level, *rest in figures_at]))
        for curve in (without, refined):
            sizes = (_size(one, "beyond") for one in curve.breaks)
            breaks.append((f"{kind}, {_name(curve)}", unit, *sizes))
        shifts = (_size(shift(without, refined, k), "open", "+") for k in range(len(LOSSES)))
        breaks.append((f"{kind}, shift by SAR", unit, *shifts))
    title = "Size of the error at a loss of " + " and ".join(f"{100 * loss:g} %" for loss in LOSSES)
    return [*pages, Table(title, ("error", "unit", *(f"{x:.0%} of PQ lost" for x in LOSSES)), breaks, _NOTE)]


def _name(curve: Curve) -> str:
    return f"{'with' if curve.sar else 'without'} SAR"


def _banded(value: float, low: float, high: float) -> tuple[float, str]:
    return float(value), "-" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _size(found: Banded, infinite: str, sign: str = "") -> str:
    level, low, high = (infinite if not math.isfinite(value) else f"{value:{sign}.3g}" for value in found)
    if math.isnan(found[1]):
        return "-" if math.isnan(found[0]) else level
    return f"{level} ({low} to {high})"


def _about(counts: Counts) -> str:
    drawn = "frames" if len(counts.unit) == counts.num_frames else "scenes"
    units = len(counts.unit)
    text = f"{counts.num_frames} frames, {len(counts.cells)} cells, masks {counts.masks} in every cell. "
    if units > 1:
        text += f"Confidence bands: bootstrap over {units} {drawn} and the seeds."
    else:
        text += "No confidence bands: there is only one frame or scene."
    return f"{text} {counts.failed} frames are quarantined." if counts.failed else text


def _panel(kind: str, pair: Sequence[Curve], figure: str, axis: str) -> Panel:
    lines = []
    for curve in pair:
        values = getattr(curve, figure)
        lines.append(Line(_name(curve), curve.level, values[:, 0], values[:, 1:], dashed=not curve.sar))
    if kind == "published":
        reported = _PUBLISHED_PQ if figure == "pq" else _PUBLISHED_LOST
        lines += [
            Line(f"published, {'with' if sar else 'without'} SAR", _PUBLISHED_M, values, marks=True)
            for sar, values in reported.items()
        ]
    return Panel(kind, KINDS[kind].unit, axis, lines, from_zero=figure == "pq")


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
