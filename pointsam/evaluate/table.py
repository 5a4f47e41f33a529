"""The figures of an evaluation as a table to read and as values for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from pointsam.evaluate.agnostic import AgnosticQuality, ObjectQuality
from pointsam.evaluate.panoptic import PanopticQuality

_HEADINGS = ("class", "PQ", "SQ", "RQ", "TP", "FP", "FN", "IoU", "recall", "precision", "objects", "clusters")


def as_text(panoptic: PanopticQuality, agnostic: AgnosticQuality) -> str:
    """One line a class and one for all; ratios in per cent, a dash where there was nothing to count."""
    mean = (panoptic.pq, panoptic.sq, panoptic.rq)
    counts = tuple(sum(getattr(c, field) for c in panoptic.classes) for field in ("tp", "fp", "fn"))
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for c, a in zip(panoptic.classes, agnostic.classes, strict=True):
        rows.append(_row(c.name, (c.pq, c.sq, c.rq), (c.tp, c.fp, c.fn), a))
    rows.append(_row("mean / all", mean, counts, agnostic.overall))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]) for row in rows]
    return "\n".join(
        [
            *lines,
            "",
            f"Frames: {panoptic.num_frames}.",
            f"PQ, SQ, RQ: misses and false alarms from {panoptic.min_points} points; mean over classes with any count.",
            f"IoU, recall, precision: whatever the class, objects and clusters from {agnostic.min_points} points.",
            f"Foreground points: precision {_percent(agnostic.point_precision)} %, "
            f"recall {_percent(agnostic.point_recall)} %.",
        ]
    )


def as_values(quality: PanopticQuality | AgnosticQuality) -> dict[str, Any]:
    """Nested dicts and lists, ready for JSON: NaN, which JSON lacks, becomes None."""
    return {key: _without_nan(value) for key, value in asdict(quality).items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _row(name: str, ratios: tuple[float, ...], counts: tuple[int, ...], agnostic: ObjectQuality) -> tuple[str, ...]:
    shares = (agnostic.mean_iou, agnostic.recall, agnostic.precision)
    numbers = (agnostic.num_objects, agnostic.num_clusters)
    return (name, *map(_percent, ratios), *map(str, counts), *map(_percent, shares), *map(str, numbers))


def _percent(ratio: float) -> str:
    return "-" if math.isnan(ratio) else f"{100 * ratio:.1f}"
