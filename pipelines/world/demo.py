"""`pointsam-label demo`: render a small world, label and evaluate it, and write a page with the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.labelling.jobs import run_clusters, run_masks
from pipelines.labelling.request import Execution, Request
from pipelines.opened import open_run
from pipelines.review.inspect import draw_labels, frame_summary
from pipelines.world.config import SynthConfig
from pipelines.world.render import synthesize
from pointsam.base.files import page_bytes, write_together
from pointsam.base.tables import Table
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.quality import FolderQuality
from pointsam.report.pages import page
from pointsam.stages.recipes import default
from pointsam.store.reader import Labels

_SEED = 13


def run_demo(out: Path, frames: int, workers: int) -> Path:
    """Render, label with and without refinement, evaluate, and draw.

    Args:
        out: output folder; the same call resumes.
        frames: key frames of the world.
        workers: number of processes.

    Returns:
        Path of the page.
    """
    world, labels, plain = out / "world", out / "labels", out / "labels-without-sar"
    synthesize(SynthConfig(scenes=1, frames=frames, seed=_SEED, preset="day"), world, workers=workers)
    request = Request(DataSpec(world), out=labels, config=default(), execution=Execution(workers=workers))
    run_masks(request)
    run_clusters(request)
    without = replace(request.config.clusters, refine=replace(request.config.clusters.refine, enabled=False))
    run_clusters(replace(request, out=plain, config=replace(request.config, clusters=without), masks_from=labels))
    reports = [evaluate_labels(folder, open_run(folder).truth) for folder in (labels, plain)]
    pictures = []
    for frame_id in Labels(labels).frame_ids():
        png = out / f"{frame_id}.png"
        draw_labels(labels, frame_id, png)
        pictures.append((png.name, frame_summary(labels, frame_id).text()))
    index = out / "index.html"
    write_together([(index, page_bytes(_page(reports, pictures, (world, labels, plain))))])
    return index


def _page(reports: Sequence[FolderQuality], pictures: Sequence[tuple[str, str]], folders: Sequence[Path]) -> str:
    names = ("with separability-aware refinement", "without it")
    header = ("", "PQ", "class-agnostic IoU", "recall at IoU 0.5", "precision of labelled points")
    what = ("a nuScenes root", "labels as Parquet", "the same without refinement")
    return page(
        "demo.html",
        title="PointSAM: LiDAR labels from cameras",
        table=Table("", header, [_row(name, report) for name, report in zip(names, reports, strict=True)]),
        details=reports[0].text(),
        pictures=pictures,
        where="\n".join(f"{folder}/  {text}" for folder, text in zip(folders, what, strict=True)),
    )


def _row(name: str, report: FolderQuality) -> tuple[str, float, float, float, float]:
    quality = report.quality
    whole = quality.agnostic.overall
    return name, quality.panoptic.pq, whole.mean_iou, whole.recall, quality.agnostic.point_precision
