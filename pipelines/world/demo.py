"""`pointsam-label demo`: the whole tool on a world of its own, and a page that shows what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from pipelines.labelling.jobs import run_clusters, run_masks
from pipelines.labelling.request import Request
from pipelines.review.inspect import draw, story
from pipelines.world.config import SynthConfig
from pipelines.world.render import synthesize
from pointsam.base.files import write_together
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.quality import Report
from pointsam.stages.recipes import default
from pointsam.store.reader import Labels

_SEED = 13

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>PointSAM demo</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: #121317;
 color: #e8e8ec }}
img {{ width: 100%; border-radius: 4px }} pre {{ overflow-x: auto; background: #1c1e24; padding: 1rem }}
table {{ border-collapse: collapse }} td, th {{ padding: .2rem 1rem; text-align: right }} a {{ color: #8ab4ff }}
td:first-child, th:first-child {{ text-align: left }}
</style></head><body>
<h1>PointSAM: LiDAR labels from cameras</h1>
<p>A made-up street, rendered for six cameras and a LiDAR; MobileSAM and a small COCO detector on its images; masks
carried to the points, refined, and written as clusters. No 3D annotation took part: the true boxes (white) and the
truth of every point only score the result.</p>
<h2>How good</h2>
<table><tr><th></th><th>PQ</th><th>class-agnostic IoU</th><th>recall at IoU 0.5</th>
<th>precision of labelled points</th></tr>{rows}</table>
{details}
{frames}
<h2>Where everything is</h2>
<pre>{where}</pre>
</body></html>
"""


def run_demo(out: Path, frames: int, workers: int) -> Path:
    """Render, label with and without refinement, score, draw.

    Args:
        out: folder to make; running again continues.
        frames: key frames of the world.
        workers: processes.

    Returns:
        The page.
    """
    world, labels, plain = out / "world", out / "labels", out / "labels-without-sar"
    synthesize(SynthConfig(scenes=1, frames=frames, seed=_SEED, preset="day"), world, workers=workers)
    request = Request(data=world, out=labels, config=default(), workers=workers)
    run_masks(request)
    run_clusters(request)
    without = replace(request.config.clusters, refine=replace(request.config.clusters.refine, enabled=False))
    run_clusters(replace(request, out=plain, config=replace(request.config, clusters=without), masks_from=labels))
    dataset = request.open()
    reports = [evaluate_labels(folder, dataset) for folder in (labels, plain)]
    pictures = []
    for frame_id in Labels(labels).frame_ids():
        png = out / f"{frame_id}.png"
        draw(labels, frame_id, png)
        pictures.append((png.name, story(labels, frame_id).text()))
    page = out / "index.html"
    write_together([(page, _page(reports, pictures, (world, labels, plain)).encode())])
    return page


def _page(reports: Sequence[Report], pictures: Sequence[tuple[str, str]], folders: Sequence[Path]) -> str:
    names = ("with separability-aware refinement", "without it")
    rows = "".join(_row(name, report) for name, report in zip(names, reports, strict=True))
    frames = "".join(
        f'<h2>Key frame {k}</h2><a href="{escape(png)}"><img src="{escape(png)}" alt="cameras and points"></a>'
        f"<details><summary>the story of every cluster</summary><pre>{escape(text)}</pre></details>"
        for k, (png, text) in enumerate(pictures)
    )
    details = f"<details><summary>by class</summary><pre>{escape(reports[0].text())}</pre></details>"
    what = ("a nuScenes root", "labels as Parquet", "the same without refinement")
    where = "\n".join(f"{folder}/  {text}" for folder, text in zip(folders, what, strict=True))
    return _PAGE.format(rows=rows, frames=frames, details=details, where=escape(where))


def _row(name: str, report: Report) -> str:
    quality = report.quality
    whole = quality.agnostic.overall
    figures = (quality.panoptic.pq, whole.mean_iou, whole.recall, quality.agnostic.point_precision)
    return f"<tr><td>{name}</td>" + "".join(f"<td>{value:.3f}</td>" for value in figures) + "</tr>"
