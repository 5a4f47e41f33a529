"""Two export formats: one CSV of clusters with their fitted boxes, and a text file of cluster ids per frame."""

from __future__ import annotations

from pointsam.export.base import GUESSED, Exported, Format
from pointsam.export.frame import ExportFrame, Files


def _rows(item: ExportFrame) -> list[str]:
    return [
        f"{item.name},{cluster.class_name},{cluster.num_points},{','.join(f'{value:.2f}' for value in size)}\n"
        for cluster, size in zip(item.found.clusters, item.boxes.size_lwh_m, strict=True)
    ]


def _close(done: Exported[list[str]]) -> Files:
    text = "frame,class,points,length,width,height\n" + "".join(row for rows in done.rows for row in rows)
    return {f"{done.split}.csv": text.encode()}


CSV = Format(row=_rows, close=_close, note=GUESSED)


def _ids(item: ExportFrame, split: str) -> Files:
    """A line per point, in file order: its cluster, or -1."""
    text = "".join(f"{cluster_id}\n" for cluster_id in item.found.labels.instance_id)
    return {f"{split}/{item.name}.txt": text.encode()}


TXT: Format[None] = Format(frame=_ids)
