"""The files that a finished sweep leaves: a table of every cell, curves, and a page."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipelines.noise_cells import KINDS
from pipelines.noise_curves import LOSSES, Counts, Curve, cell_table, curves, read_counts, tables
from pipelines.quality import without_nan
from pointsam.report.curves import Line, draw
from pointsam.store.files import write_together

_PUBLISHED_M = np.array([0.0, 0.05, 0.1])
_PUBLISHED_PQ = {True: np.array([0.637, 0.628, 0.606]), False: np.array([0.449, 0.438, 0.414])}
"""MixSup, table 14: nuScenes, uniform noise (method.md)."""


def write_sweep(out: Path) -> str:
    """Write cells.parquet, noise.json, noise.md and the curves of a finished sweep.

    Returns:
        The tables.

    Raises:
        StoreError: OUT004 if it is not finished, OUT002 or OUT003 if it cannot be written.
        BackendError: BCK005 without matplotlib.
    """
    counts = read_counts(out)
    found = curves(counts)
    pages = tables(found)
    files = [(out / "cells.parquet", _parquet(cell_table(counts))), (out / "noise.json", _json(counts, found))]
    page = [f"# Calibration errors\n\n{_about(counts)}", *(table.markdown() for table in pages)]
    for kind in dict.fromkeys(curve.kind for curve in found):
        drawn = draw(kind, (KINDS[kind].unit, "PQ"), _lines(kind, found))
        files += [(out / f"{kind}{suffix}", content) for suffix, content in drawn.items()]
        page.append(f"![{kind}]({kind}.png)")
    files.append((out / "noise.md", ("\n\n".join(page) + "\n").encode()))
    write_together(files)
    return "\n\n".join([*(table.text() for table in pages), _about(counts)])


def _about(counts: Counts) -> str:
    drawn = "frames" if len(counts.unit) == counts.num_frames else "scenes"
    told = f"{counts.num_frames} frames, {len(counts.cells)} cells; bands: {len(counts.unit)} {drawn} and seeds redrawn"
    return f"{told}; {counts.failed} frames set aside" if counts.failed else told


def _lines(kind: str, found: list[Curve]) -> list[Line]:
    lines = []
    for curve in found:
        if curve.kind == kind:
            band = np.stack([curve.low, curve.high], axis=1)
            name = "with SAR" if curve.sar else "without SAR"
            lines.append(Line(name, curve.level, curve.pq, band, dashed=not curve.sar))
    if kind == "published":
        for sar, quality in _PUBLISHED_PQ.items():
            name = f"published, {'with' if sar else 'without'} SAR"
            lines.append(Line(name, _PUBLISHED_M, quality, marks=True))
    return lines


def _parquet(table: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _json(counts: Counts, found: list[Curve]) -> bytes:
    document = {
        "num_frames": counts.num_frames,
        "failed": counts.failed,
        "curves": [
            {
                "kind": curve.kind,
                "unit": KINDS[curve.kind].unit,
                "sar": curve.sar,
                "level": curve.level.tolist(),
                "pq": curve.pq.tolist(),
                "low": curve.low.tolist(),
                "high": curve.high.tolist(),
                "seeds": curve.seeds.tolist(),
                "breaks": [
                    {"lost": share, "level": _finite(level), "low": _finite(low), "high": _finite(high)}
                    for share, (level, low, high) in zip(LOSSES, curve.breaks, strict=True)
                ],
            }
            for curve in found
        ],
    }
    return (json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
