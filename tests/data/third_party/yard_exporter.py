"""An export format: one CSV of clusters with their fitted boxes."""

from __future__ import annotations

from pointsam.export.base import GUESSED, Exported, Format
from pointsam.export.frame import ExportFrame, Files


def _rows(item: ExportFrame) -> list[str]:
    return [
        f"{item.name},{cluster.class_name},{cluster.num_points},{','.join(f'{value:.2f}' for value in size)}\n"
        for cluster, size in zip(item.found.clusters, item.boxes.size_lwh_m, strict=True)
    ]


def _close(done: Exported) -> Files:
    text = "frame,class,points,length,width,height\n" + "".join(row for rows in done.rows for row in rows)
    return {f"{done.split}.csv": text.encode()}


CSV = Format(row=_rows, close=_close, note=GUESSED)
