"""`mixsup-train show`: boxes, clusters and detections of some frames as pictures, and as a Rerun recording."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError, PointSamError, SchemaError
from pointsam.base.files import make_folder, replacing, require_free
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.predictions_file import FramePredictions, predicted_data, read_predictions, scored
from pointsam.export.frame import ExportFrame
from pointsam.report.compose import draw_frame
from pointsam.report.page_folder import page_folder, require_replaceable
from pointsam.report.pages import page
from pointsam.store.reader import Labels
from pointsam.store.sources import require_unchanged
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import Boxes, Frame, FrameLabels, FrameRow

if TYPE_CHECKING:
    from PIL import Image

    from pointsam.export.recording import Recording

Detections = Callable[[str], "Boxes | None"]
"""Detections of a frame in the LiDAR frame, with their texts as tokens; None without a detector."""


@dataclass(frozen=True, eq=False)
class ShowRequest:
    """One call of `show`.

    Args:
        dataset: the data set.
        frame_ids: the frames.
        dest: folder of the page.
        labels: clusters to show; None for none.
        detections: detections to show; None for none.
        detector: where they come from, for the page.
        min_score: detections with a lower score are not shown.
        rerun: file of a recording; None for none.
        overwrite: whether an earlier page and recording may be replaced.
        sources: folders that the page is made from.
    """

    dataset: Dataset
    frame_ids: Sequence[str]
    dest: Path
    labels: Labels | None = None
    detections: Detections | None = None
    detector: str = ""
    min_score: float = 0.3
    rerun: Path | None = None
    overwrite: bool = False
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Shown:
    """The page: its file, the captions of its frames, and why frames or images could not be shown."""

    path: Path
    captions: tuple[str, ...]
    bad: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Parts:
    """What is drawn of a frame."""

    frame: Frame
    values: NDArray[np.float32]
    images: dict[str, NDArray[np.uint8]]
    found: FrameLabels
    has_labels: bool
    boxes: Boxes | None
    detected: Boxes | None


def show(request: ShowRequest) -> Shown:
    """Draw frames.

    Raises:
        StoreError: OUT003 if `dest` or the recording may not be replaced or written.
        BackendError: BCK005 without the Rerun SDK, if a recording is asked for.
        PointSamError: what reading the first frame raises, if no frame can be shown.
    """
    require_replaceable(request.dest, request.overwrite, request.sources)
    if request.rerun is not None:
        require_free(request.rerun, request.overwrite)
    captions, bad, first = list[str](), dict[str, str](), None
    with page_folder(request.dest, request.overwrite) as folder, ExitStack() as stack:
        (folder / "frames").mkdir()
        recording = None if request.rerun is None else _recorder(request.rerun, stack)
        for frame_id in progress(request.frame_ids, desc="show", unit="frame"):
            try:
                parts = _parts(request, frame_id, bad)
            except PointSamError as error:
                if not error.of_frame:
                    raise
                first, bad[frame_id] = first or error, f"[{error.code}] {error.message}"
                continue
            content = io.BytesIO()
            _draw(parts, request.dataset.taxonomy).save(content, format="PNG", compress_level=3)
            (folder / "frames" / f"{len(captions):03d}.png").write_bytes(content.getvalue())
            if recording is not None:
                recording.add(_exported(parts, len(captions), request.dataset.taxonomy))
            captions.append(_caption(parts))
        if not captions:
            raise first or DatasetError("DAT009", "no frame to show", "give a split with frames")
        text = page(
            "show.html",
            title=f"Frames of {request.dataset.root}",
            root=request.dataset.root,
            run=request.detector,
            labels="" if request.labels is None else request.labels.out,
            min_score=request.min_score,
            figures=[{"name": f"{k:03d}", "caption": caption} for k, caption in enumerate(captions)],
            notes="\n".join(f"{what}: {why}" for what, why in bad.items()),
        )
        (folder / "index.html").write_text(text, encoding="utf-8")
    return Shown(request.dest / "index.html", tuple(captions), bad)


def _recorder(path: Path, stack: ExitStack) -> Recording:
    """A recording that replaces `path` when the block ends without an error.

    Raises:
        BackendError: BCK005 without the Rerun SDK.
    """
    from pointsam.export.recording import Recording

    make_folder(path.resolve().parent)
    return stack.enter_context(Recording(stack.enter_context(replacing(path.resolve()))))


def of_predictions(
    predict: Callable[[Sequence[str]], Sequence[FramePredictions]], dataset: Dataset, least: float
) -> Detections:
    """Detections by a detector, frame by frame.

    Args:
        predict: predicts frames; one that cannot be read has no predictions.
        dataset: the data set.
        least: smallest score.
    """
    names = dataset.taxonomy.names

    def detections(frame_id: str) -> Boxes | None:
        for found in predict([frame_id]):
            kept = found.score >= least
            boxes = MapFrame.of(read_cloud_frame(dataset, frame_id)).lidar_boxes(found.boxes[kept])
            class_id = found.class_id[kept].astype(np.uint8)
            texts = tuple(scored(names[k], float(value)) for k, value in zip(class_id, found.score[kept], strict=True))
            return replace(boxes, class_id=class_id, token=texts)
        return None

    return detections


def of_file(path: Path, dataset: Dataset, least: float, frame_ids: Sequence[str]) -> tuple[Detections, list[str]]:
    """Detections of a file of `mixsup-train predict`, and what looks wrong with it.

    Args:
        path: the file. A frame that it does not have has no detections: it has a row for each box, and none for a
            frame in which nothing was found.
        dataset: the data set.
        least: smallest score.
        frame_ids: the frames to show.

    Raises:
        SchemaError: SCH003 if it was made from other data, and has none of the frames; and as `read_predictions`.
    """
    every, source = read_predictions(path, dataset.taxonomy.names), predicted_data(path)
    met = sum(frame_id in every for frame_id in frame_ids)
    counts = f"{path} has detections of {met} of the {counted(len(frame_ids), 'frame')} to show, and of "
    counts += f"{counted(len(every), 'frame')} in all"
    foreign = source not in (None, dataset.fingerprint())
    if every and not met and (foreign or not set(every) & set(dataset.frame_ids())):
        raise SchemaError(
            "SCH003",
            f"{counts}, such as {next(iter(every))!r}; they are of other data than {dataset.root}",
            "give the data that were predicted, or predict these: mixsup-train predict RUN --data DATA --dest DIR",
        )
    notes = [f"{path} was made from other data than {dataset.root}, or these have changed since"] if foreign else []
    notes += [f"{counts}: the others have none, or were not predicted"] if met < len(frame_ids) else []
    none = Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, dtype=np.uint8), ())

    def detections(frame_id: str) -> Boxes:
        boxes, score = every.get(frame_id, (none, np.zeros(0)))
        return chosen(boxes, score >= least)

    return detections, notes


def chosen(boxes: Boxes, kept: NDArray[np.bool_]) -> Boxes:
    """Some of the boxes."""
    token = tuple(text for text, keep in zip(boxes.token, kept, strict=True) if keep)
    return Boxes(boxes.center_m[kept], boxes.size_lwh_m[kept], boxes.rotation[kept], boxes.class_id[kept], token)


def _parts(request: ShowRequest, frame_id: str, bad: dict[str, str]) -> _Parts:
    """Read a frame. Images that cannot be read are left out and named in `bad`."""
    dataset, images = request.dataset, dict[str, NDArray[np.uint8]]()
    try:
        frame = dataset.frame(frame_id)
    except PointSamError as error:
        if not error.of_frame:
            raise
        frame = read_cloud_frame(dataset, frame_id)  # its points, if the images are missing
        bad[frame_id] = f"shown without images: [{error.code}] {error.message}"
    for view in frame.cameras:
        try:
            images[view.name] = read_image(view.source)
        except DatasetError as error:
            bad[f"{frame_id} {view.name}"] = f"[{error.code}] {error.message}"
    points = read_frame_points(frame, intensity=True)
    detected = None if request.detections is None else request.detections(frame_id)
    found = _found(request.labels, frame, len(points.xyz_lidar_m))
    boxes, has_labels = dataset.boxes(frame_id), request.labels is not None
    return _Parts(frame, points.rows(), images, found, has_labels, boxes, detected)


def _found(labels: Labels | None, frame: Frame, num_points: int) -> FrameLabels:
    """The clusters of a frame; none without labels, or in a frame that they do not have.

    Raises:
        DatasetError: DAT013 if the frame's files have changed since.
    """
    if labels is not None and frame.frame_id in labels.frame_ids():
        found = labels.labels(frame.frame_id)
        if found.frame.status == "ok":
            require_unchanged(labels.sources("clusters", frame.frame_id), frame, "clusters")
            return found
    return FrameLabels.empty(FrameRow(frame.frame_id, frame.scene, frame.sweep.t_us, num_points))


def _draw(parts: _Parts, taxonomy: Taxonomy) -> Image.Image:
    return draw_frame(
        parts.frame,
        parts.images,
        parts.values[:, :3],
        parts.found.labels if parts.has_labels else None,
        {},
        parts.boxes,
        taxonomy,
        parts.found.grown,
        parts.detected,
        edges=True,
    )


def _exported(parts: _Parts, number: int, taxonomy: Taxonomy) -> ExportFrame:
    shown = tuple(view for view in parts.frame.cameras if view.name in parts.images)
    return ExportFrame(
        number,
        parts.frame.frame_id,
        parts.found,
        taxonomy,
        lambda: replace(parts.frame, cameras=shown),
        lambda: parts.values,
        dict,
        read_true_boxes=lambda: parts.boxes,
        detected=parts.detected,
    )


def _caption(parts: _Parts) -> str:
    texts = [f"{parts.frame.scene} {parts.frame.frame_id}"]
    if parts.has_labels:
        texts.append(counted(len(parts.found.clusters), "cluster"))
    if parts.boxes is not None:
        texts.append(counted(int((parts.boxes.class_id != BACKGROUND).sum()), "box"))
    if parts.detected is not None:
        texts.append(counted(len(parts.detected), "detection"))
    return ", ".join(texts)
