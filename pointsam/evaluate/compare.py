"""`pointsam-label eval --against`: two folders side by side."""

from __future__ import annotations

from pointsam.base.tables import Table
from pointsam.evaluate.quality import Report


def compare(ours: Report, other: Report) -> Table:
    """Classes and bins of both, scored on one data set, and the differences, ours less the other's."""
    theirs = _figures(other)
    rows: list[tuple[object, ...]] = []
    nan = (float("nan"),) * 3
    for name, mine in _figures(ours).items():
        row: list[object] = [name]
        for a, b in zip(mine, theirs.get(name, nan), strict=True):
            row += [a, b, a - b]
        rows.append(tuple(row))
    header = ["", *(f"{figure}{side}" for figure in ("PQ", "IoU", "recall") for side in ("", " other", " +/-"))]
    frames = [report.quality.panoptic.num_frames for report in (ours, other)]
    note = "" if frames[0] == frames[1] else f"of {frames[0]} and {frames[1]} frames: not the same ones"
    return Table(f"{ours.out} against {other.out}", header, rows, note)


def _figures(report: Report) -> dict[str, tuple[float, float, float]]:
    panoptic, agnostic = report.quality.panoptic, report.quality.agnostic
    rows = {"all": (panoptic.pq, agnostic.overall.mean_iou, agnostic.overall.recall)}
    for c, o in zip(panoptic.classes, agnostic.classes, strict=True):
        rows[c.name] = (c.pq, o.mean_iou, o.recall)
    for one in report.quality.bins:
        rows[f"{one.dimension}: {one.bin}"] = (one.pq, one.objects.mean_iou, one.objects.recall)
    return rows
