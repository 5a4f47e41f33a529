"""`pointsam-label report`: a self-contained HTML page about the labels of a run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from pipelines.data import AS_FOUND, Reading
from pipelines.documents import ClustersDocument
from pipelines.opened import OpenedRun, open_run
from pipelines.remarks import label_notes
from pipelines.review.image_quality import image_quality
from pipelines.review.parts import Parts, read_parts
from pipelines.review.queue import ranked_run, reasons_of
from pipelines.review.scored import scored
from pipelines.review.track_figures import TrackFigure, track_figures
from pointsam import __version__
from pointsam.base.errors import CalibrationError, DatasetError, NothingToScoreError, PointSamError
from pointsam.base.files import page_bytes
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.base.tables import Table
from pointsam.base.words import counted
from pointsam.datasets.mapped import MappedDataset
from pointsam.datasets.unknown_classes import unknown_text
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, FrameVerdict, Judge
from pointsam.evaluate.quality import FolderQuality, unfinished_notes
from pointsam.evaluate.verdicts import outcomes_of
from pointsam.geometry.boxes import turned
from pointsam.geometry.level import level_SE3_lidar
from pointsam.geometry.projection import project
from pointsam.report.bev import draw_bev
from pointsam.report.charts import bar_chart, line_chart
from pointsam.report.compose import in_reading_order
from pointsam.report.overlay import draw_camera
from pointsam.report.page_folder import page_folder, require_replaceable
from pointsam.report.pages import page
from pointsam.report.web_frame import frame_script
from pointsam.store.reader import LabelStage

_CAMERA_PX, _ALONE_PX, _BEV_PX, _QUALITY = 720, 1600, 1100, 82
_ASSETS = ("three.js", "viewer.js", "page.css")
_RANKED_FRAMES = 7
"""Scored frames from which some are called worst and best."""
_OUTCOMES = ("TP", "FP", "FN", "")


@dataclass(frozen=True)
class _Figure:
    """A frame of the page: script NAME.js, one picture per camera, NAME-above, and the number of grown points."""

    name: str
    why: str
    caption: str
    cameras: tuple[str, ...]
    num_grown: int


@dataclass(frozen=True)
class WrittenPage:
    """A written page.

    Args:
        path: its file.
        notes: frames and objects that were not scored, and why.
        whole: whether all chosen frames are shown, and all frames with ground truth could be scored.
    """

    path: Path
    notes: tuple[str, ...]
    whole: bool


def write_report(
    out: Path,
    dest: Path,
    data: DataPath | None = None,
    masks_from: Path | None = None,
    count: int = 12,
    overwrite: bool = False,
    frames: Sequence[str] = (),
    reading: Reading = AS_FOUND,
    mapping: Path | None = None,
    stage: LabelStage | None = None,
    queue: bool = False,
) -> WrittenPage:
    """Score the labels of a folder, if there is ground truth, and write the page.

    Args:
        out: output folder.
        dest: folder of the page.
        data: root of the data set, None for its place when the run was made.
        masks_from: folder of the masks that the clusters were made from, None for `out`.
        count: number of frames to show: the worst, the best, and some between.
        overwrite: replace an existing page; other folders are refused.
        frames: ids of the frames to show in place of `count` others.
        reading: how the data set is read; what is left out is as in the run.
        mapping: a mapping file whose `truth` is used in place of the run's.
        stage: the stage whose labels are shown, None for the last one that is finished.
        queue: show the `count` most suspicious frames, with the reasons (`pipelines.review.queue`).

    Raises:
        StoreError: OUT003 if `dest` may not be replaced (`page_folder`) or cannot be written, OUT002 on a full disk.
        SchemaError: SCH004 if the labels were made from other data or other masks.
        DatasetError: DAT009 if no frame was labelled, DAT010 if one of `frames` was not. If none of the frames can be
            shown: DAT013 on changed files, and what reading images and points raises.
    """
    run = open_run(out, data, masks_from, reading, mapping, stage=stage)
    require_replaceable(dest, overwrite, run.folders())
    _ = run.masks  # refuse other masks before anything is scored
    scores: dict[str, float] = {}

    def keep(verdict: FrameVerdict) -> None:
        large = verdict.seen.true_size >= MIN_POINTS_OBJECTS
        if large.any():
            scores[verdict.frame_id] = float(verdict.object_iou[large].mean())

    report, notes = None, list[str]()
    try:
        report = scored(run, on_verdict=keep)
    except NothingToScoreError as error:
        if isinstance(run.truth, MappedDataset):
            notes = [f"the page is without ground truth: {error.message}; {error.hint}"]
    good = [frame.frame_id for frame in run.labels.frames() if frame.status == "ok"]
    if not good:
        raise DatasetError("DAT009", f"{out} holds no labelled frame", "pointsam-label run prints the errors")
    for frame_id in sorted(set(frames).difference(good)):
        way = f"give ids such as {good[0]}; --show states the number of frames"
        raise DatasetError("DAT010", f"{out} holds no labels of frame {frame_id!r}", way)
    reasons = dict[str, str]()
    if queue:
        suspicious = [one for one in ranked_run(run)[1] if one.frame_id in set(good)][:count]
        reasons = {one.frame_id: reasons_of(one) for one in suspicious}
        chosen = [(one.frame_id, f"suspicious, score {one.score:.2f}") for one in suspicious]
        notes += [] if chosen else ["no frame looks suspicious: frames of the whole run are shown"]
    else:
        chosen = [(frame_id, _iou(scores, frame_id)) for frame_id in frames]
    chosen = chosen or choose(good, scores, count)
    with page_folder(dest, overwrite) as folder:
        (folder / "frames").mkdir()
        for name in _ASSETS:
            (folder / name).write_bytes((files("pointsam.report") / "web" / name).read_bytes())
        figures, left_out = list[_Figure](), list[PointSamError]()
        for frame_id, why in progress(chosen, desc="report", unit="frame"):
            try:
                figures.append(_frame(folder, f"{len(figures):03d}", run, frame_id, why, reasons.get(frame_id, "")))
            except PointSamError as error:
                if not error.of_frame:
                    raise
                left_out.append(error)
        if not figures:
            raise left_out[0]
        followed = track_figures(run, folder / "tracks") if run.labels.stage == "tracks" else []
        masks = image_quality(run, good)
        if report is not None:
            notes += _notes(run, report)
        notes += label_notes(run.labels)
        notes += [f"a frame is not shown: {error.message}" for error in left_out]
        content = _page(run, report, masks, figures, followed, len(good), notes, queue)
        (folder / "index.html").write_bytes(page_bytes(content))
    whole = not left_out and (report is None or not report.not_scored)
    return WrittenPage(dest / "index.html", tuple(notes), whole)


def choose(frame_ids: Sequence[str], scores: dict[str, float], count: int) -> list[tuple[str, str]]:
    """Frames to show and why: one third the worst, one third the best, the rest evenly spaced over the run.

    Of fewer than seven scored frames none is called worst or best.

    Args:
        frame_ids: all frames of the run, in order.
        scores: frame_id -> mean IoU of its objects; without frames that have no ground truth.
        count: number of frames to show.
    """
    ranked = sorted(scores, key=lambda frame_id: (scores[frame_id], frame_id))
    third = count // 3 if len(ranked) >= _RANKED_FRAMES else 0
    chosen = {frame_id: f"worst, IoU {scores[frame_id]:.2f}" for frame_id in ranked[:third]}
    for frame_id in ranked[::-1][:third]:
        chosen.setdefault(frame_id, f"best, IoU {scores[frame_id]:.2f}")
    left = [frame_id for frame_id in frame_ids if frame_id not in chosen]
    room = min(count - len(chosen), len(left))
    for k in range(room):
        frame_id = left[k * len(left) // room]
        chosen[frame_id] = _iou(scores, frame_id)
    return list(chosen.items())


def _iou(scores: dict[str, float], frame_id: str) -> str:
    return f"IoU {scores[frame_id]:.2f}" if frame_id in scores else ""


def _frame(folder: Path, name: str, run: OpenedRun, frame_id: str, why: str, reasons: str) -> _Figure:
    """Write the data and the pictures of a frame."""
    parts, taxonomy = read_parts(run, frame_id), run.labels.taxonomy
    outcomes, objects = _outcomes(run, parts)
    upright = level_SE3_lidar(parts.frame.sweep.ego_SE3_lidar)
    boxes = None if parts.boxes is None else turned(parts.boxes, upright)
    xyz_level_m = upright.apply(parts.xyz_lidar_m)
    script = frame_script(name, xyz_level_m, parts.found, taxonomy, boxes, outcomes, objects, parts.tracked)
    (folder / "frames" / f"{name}.js").write_text(script, encoding="utf-8")
    views = in_reading_order([view for view in parts.frame.cameras if view.name in parts.images])
    width = _ALONE_PX if len(views) == 1 else _CAMERA_PX
    pictures = []
    for view in views:
        picture = draw_camera(
            parts.images[view.name],
            view.name,
            project(parts.xyz_lidar_m, parts.frame, view),
            parts.found.labels,
            parts.masks.get(view.name, ()),
            taxonomy,
            width,
            parts.found.grown,
        )
        pictures.append(_picture(folder, f"{name}-{view.name}", picture))
    above = draw_bev(
        parts.xyz_lidar_m,
        parts.found.labels,
        parts.boxes,
        parts.frame.sweep.ego_SE3_lidar,
        taxonomy,
        _BEV_PX,
        parts.found.grown,
    )
    _picture(folder, f"{name}-above", above)
    num_grown = int(parts.found.grown.sum())
    added = f"({counted(num_grown, 'point')} added by growth: pale)" if num_grown else ""
    caption = " ".join(part for part in (parts.frame.scene, frame_id, why, added, reasons) if part)
    return _Figure(name, why, caption, tuple(pictures), num_grown)


def _picture(folder: Path, name: str, picture: Image.Image) -> str:
    """Write a picture and return its name."""
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=_QUALITY)
    (folder / "frames" / f"{name}.jpg").write_bytes(content.getvalue())
    return name


def _outcomes(
    run: OpenedRun, parts: Parts
) -> tuple[dict[int, tuple[str, float]] | None, tuple[NDArray[np.int32], list[dict[str, object]]] | None]:
    """Outcomes of the clusters and of the ground-truth objects of a frame; None without ground truth."""
    try:
        truth = run.truth.point_truth(parts.frame.frame_id)
    except (DatasetError, CalibrationError):  # `evaluate_labels` counted it
        truth = None
    if truth is None:
        return None, None
    cameras = tuple(view.name for view in run.truth.frame(parts.frame.frame_id).cameras)
    try:
        verdict = Judge(run.truth, run.labels.taxonomy, cameras).add(parts.found, truth)
    except (DatasetError, CalibrationError):
        return None, None
    of_objects, of_clusters = outcomes_of(verdict)
    seen, names = verdict.seen, verdict.class_names
    clusters = {
        int(k): (outcome, float(iou))
        for k, outcome, iou in zip(seen.pred_id, of_clusters, verdict.cluster_iou, strict=True)
    }
    objects = [
        {"id": int(k), "class": names[c], "points": int(n), "best_iou": round(float(iou), 3), "outcome": outcome}
        for k, c, n, iou, outcome in zip(
            seen.true_id, seen.true_class, seen.true_size, verdict.object_iou, of_objects, strict=True
        )
    ]
    return clusters, (truth.labels.instance_id, objects)


def _page(
    run: OpenedRun,
    report: FolderQuality | None,
    masks: Table | None,
    figures: Sequence[_Figure],
    tracks: Sequence[TrackFigure],
    good: int,
    notes: Sequence[str],
    queue: bool,
) -> str:
    labels = run.labels
    tables = [_counts(run)] if report is None else report.tables()
    return page(
        "report.html",
        title=f"Labels of {labels.out.name}",
        root=run.truth.root,
        recipe=labels.document(ClustersDocument).recipe,
        version=__version__,
        good=good,
        queue=queue,
        figures=figures,
        tracks=tracks,
        colours=[
            *("cluster", "class", "growth"),
            *(["tracking"] if labels.stage == "tracks" else []),
            *([] if report is None else ["outcome"]),
        ],
        charts="" if report is None else _charts(report),
        tables=tables if masks is None else [*tables, masks],
        notes="\n".join([*(unfinished_notes(labels.unfinished()) if report is None else ()), *notes]),
        classes=list(labels.taxonomy.names),
        outcomes=["none"] if report is None else _OUTCOMES,
    )


def _notes(run: OpenedRun, report: FolderQuality) -> list[str]:
    """Notes on frames that were not scored, and on ground truth that is void."""
    unknown = unknown_text(run.truth, report.scored)
    return [*report.notes(), f"{unknown}: they are void and not scored"] if unknown else report.notes()


def _counts(run: OpenedRun) -> Table:
    """Clusters by class, for data without ground truth."""
    rows = {name: [0, 0] for name in run.labels.taxonomy.names}
    for _, name, size in run.labels.cluster_sizes():
        rows[name][0] += 1
        rows[name][1] += size
    listed = [(name, *counts) for name, counts in rows.items()]
    return Table("No ground truth: clusters by class", ("class", "clusters", "points"), listed)


def _charts(report: FolderQuality) -> Markup:
    charts = []
    for dimension in ("range", "points", "visibility"):
        bins = [one for one in report.quality.bins if one.dimension == dimension]
        if bins:
            names = [one.bin.replace(" and more", "+").replace(" m", "").replace(" %", "") for one in bins]
            series = (
                ("PQ", [one.pq for one in bins]),
                ("IoU", [one.objects.mean_iou for one in bins]),
                ("recall", [one.objects.recall for one in bins]),
            )
            charts.append(bar_chart(f"by {dimension}", names, series))
    curves = [
        (name, [(one.mean_confidence, one.share_right) for one in found.bins])
        for name, found in (("probability", report.quality.probability), ("confidence", report.quality.confidence))
        if found.num_clusters
    ]
    if curves:
        charts.append(line_chart("fraction of right clusters", curves, diagonal=True))
    return Markup("").join(charts)
