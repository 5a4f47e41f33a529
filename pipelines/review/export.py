"""`pointsam-label export`: the labels of a run in another tool's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.data import AS_FOUND, Reading
from pipelines.opened import OpenedRun, open_run
from pipelines.remarks import label_notes
from pipelines.review.eval_set import eval_set
from pipelines.review.objects import TrackedScenes
from pipelines.review.parts import true_boxes
from pointsam.base import plugins
from pointsam.base.errors import DatasetError, PointSamError, SchemaError
from pointsam.base.files import replacing, require_free, store_errors, write_together
from pointsam.base.paths import path_under, require_name
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasLidarTokens, HasRectifiedCamera, HasSequences
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.quality import unfinished_notes
from pointsam.export.base import Exported, Format, Stream
from pointsam.export.classes import Renaming
from pointsam.export.frame import ExportFrame, Files
from pointsam.export.objects import ScenePaths
from pointsam.report.page_folder import require_outside
from pointsam.store.reader import LabelStage
from pointsam.types import FrameLabels

_NAME_HINT = "change the frame's token or id in the data set, or --eval-set: file names are made from these"


@dataclass(frozen=True)
class Written:
    """What an export holds.

    Args:
        frames: number of frames that were written.
        split: name of the split that they are for.
        notes: what was left out, or is missing.
    """

    frames: int
    split: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Chosen:
    """A frame to write.

    Args:
        frame_id: the frame.
        name: name of its files.
        sweep_points: numbers of points of the sweeps of a quarantined frame, which is written without objects; None for
            a labelled one.
    """

    frame_id: str
    name: str
    sweep_points: tuple[int, ...] | None = None


def format_of(form: str) -> Format[object]:
    """The export format of a name.

    Raises:
        SchemaError: SCH005 if there is no such format.
        PluginError: PLG001 if it cannot be loaded, PLG002 if there are two.
    """
    return plugins.load("exporters", form, Format)


def export(
    out: Path,
    data: DataPath,
    dest: Path,
    form: str,
    reading: Reading = AS_FOUND,
    split: str | None = None,
    masks_from: Path | None = None,
    overwrite: bool = False,
    classes: Mapping[str, str] | None = None,
    stage: LabelStage | None = None,
) -> Written:
    """Write every finished frame of a split, with the noise and calibration of the run.

    Args:
        out: output folder of a run.
        data: root of its data set.
        dest: folder to write to.
        form: name of an exporter plug-in.
        reading: how the data set is read; what is left out is as in the run.
        split: name of the split that the files are for; None for that of the run's frames.
        masks_from: folder of the masks that the clusters were made from, None for `out`; for formats with masks.
        overwrite: replace existing files.
        classes: name in the format by class of the run (`Renaming`).
        stage: the stage whose labels are written, None for the last one that is finished.

    Raises:
        SchemaError: SCH005 if there is no such format or the split does not fit (`eval_set`); SCH004 if the labels were
            made from other data, if the format does not support their classes or data, or if it holds masks and
            `masks_from` has other ones; SCH006 on ids beyond its range.
        PluginError: as `format_of`; PLG003 if the plug-in raises an unexpected error.
        StoreError: OUT003 if `dest` lies in the labels or the data, or if a file exists or cannot be written, OUT002 on
            a full disk.
        DatasetError: DAT009 if there is nothing to write, DAT013 if a file has changed since, DAT011 on a token
            or id that cannot name a file; and what reading raises.
    """
    plugin = plugins.find("exporters", form)
    spec = plugin.load(Format)
    run = open_run(out, data, masks_from, reading, stage=stage)
    require_outside(dest, run.folders())
    _require_data(run.truth, spec, form)
    renaming = Renaming(run.labels.taxonomy, classes or {}, spec.classes, form)
    status = {frame.frame_id: frame.status for frame in run.labels.frames()}
    if "ok" not in status.values():
        raise DatasetError(
            "DAT009", f"{out} holds no labelled frame", "correct the quarantined frames, then --retry-failed"
        )
    if split is not None:
        require_name(split, f"{out}: --eval-set", _NAME_HINT)
    planned = [frame_id for _, frame_id in run.labels.selection(run.labels.stage)]
    frames = eval_set(run.truth, planned, list(status), split, spec.lidar_tokens)
    chosen, left_out = [], 0
    for frame_id in frames.frame_ids:
        if status[frame_id] == "ok":
            chosen.append(_Chosen(frame_id, _name(run.truth, frame_id)))
        elif spec.every_frame and (bad := _quarantined(run.truth, frame_id, spec.row is None)):
            chosen.append(bad)
        else:
            left_out += 1
    for one in chosen:  # refuse names and other masks before any file is written
        require_name(one.name, f"{out}: frame", _NAME_HINT)
    if spec.masks:
        _ = run.masks
    for one in progress(chosen, desc="files", unit="frame"):
        if one.sweep_points is None:
            run.require_unchanged(one.frame_id, images=spec.masks)
    lenses: set[str] = set()
    tracked = TrackedScenes(run, renaming.class_id) if run.labels.stage == "tracks" else None
    items = progress(
        (_noted(_item(number, one, run, renaming, tracked), spec, lenses) for number, one in enumerate(chosen)),
        total=len(chosen),
        desc="export",
        unit="frame",
    )
    if spec.stream is not None:
        _record(path_under(dest, f"{frames.name}{spec.suffix}", _NAME_HINT), items, spec.stream, overwrite, plugin)
    else:
        _write_frames(dest, items, spec, frames.name, renaming, overwrite, plugin, tracked is not None)
    empty = sum(one.sweep_points is not None for one in chosen)
    notes = [f"{counted(left_out, 'quarantined frame')} left out"] if left_out else []
    notes += [f"{counted(empty, 'quarantined frame')} written without objects"] if empty else []
    dropped = ", ".join(f"{number} {name}" for name, number in renaming.left_out.items())
    notes += [f"clusters left out by --class: {dropped}"] if dropped else []
    if lenses:
        named = ", ".join(sorted(lenses))
        notes.append(f"{form} holds a matrix for each camera: the lens or row times of {named} are left out")
    notes += [*label_notes(run.labels), *frames.notes(), *unfinished_notes(run.labels.unfinished())]
    return Written(len(chosen), frames.name, tuple(notes))


def _require_data(dataset: Dataset, spec: Format[object], form: str) -> None:
    """Reject data that a format cannot hold."""
    if spec.lidar_tokens and not isinstance(dataset, HasLidarTokens):
        raise SchemaError("SCH004", f"{form} needs nuScenes' tokens, which {dataset.root} lacks", "use another format")
    if spec.rectified and not isinstance(dataset, HasRectifiedCamera):
        raise SchemaError(
            "SCH004",
            "the format takes KITTI data only: its boxes are in the rectified frame of KITTI's camera",
            "write boxes of these data with --to openpcdet or --to mmdet3d",
        )


def _name(dataset: Dataset, frame_id: str) -> str:
    return dataset.lidar_token(frame_id) if isinstance(dataset, HasLidarTokens) else frame_id


def _noted(item: ExportFrame, spec: Format[object], lenses: set[str]) -> ExportFrame:
    """The frame; adds its cameras whose lens or row times the format cannot hold."""
    if spec.matrices:
        lenses |= {
            view.name for view in item.frame.cameras if view.camera.model is not None or view.shutter is not None
        }
    return item


def _quarantined(dataset: Dataset, frame_id: str, per_point: bool) -> _Chosen | None:
    """A quarantined frame to write without objects; None if its points are needed and cannot be read."""
    try:
        name = _name(dataset, frame_id)
        if not per_point:
            return _Chosen(frame_id, name, ())
        index = read_frame_points(read_cloud_frame(dataset, frame_id)).sweep_index
        return _Chosen(frame_id, name, tuple(np.bincount(index).tolist()))
    except PointSamError as error:
        if not error.of_frame:
            raise
        return None if per_point else _Chosen(frame_id, frame_id, ())


def _write_frames(
    dest: Path,
    items: Iterable[ExportFrame],
    spec: Format[object],
    split: str,
    renaming: Renaming,
    overwrite: bool,
    plugin: plugins.Plugin,
    tracked: bool,
) -> None:
    """Write the files of every frame, then those of the split."""
    names, rows = [], []
    for item in items:
        names.append(item.name)
        with plugins.failures_of(plugin, f"frame {item.found.frame.frame_id!r}"):
            files = _named(dest, spec.frame(item, split))
            if spec.row is not None:
                rows.append(spec.row(item))
        _write(files, overwrite)
    if spec.close is not None:
        with plugins.failures_of(plugin, f"split {split!r}"):
            files = _named(dest, spec.close(Exported(split, names, rows, renaming.taxonomy.names, tracked)))
        _write(files, overwrite)


def _record(
    path: Path,
    items: Iterable[ExportFrame],
    opened: Callable[[Path], AbstractContextManager[Stream]],
    overwrite: bool,
    plugin: plugins.Plugin,
) -> None:
    """Write one file frame by frame; it gets its name when it is complete."""
    require_free(path, overwrite)
    with (
        store_errors(path.parent, 0),
        replacing(path) as temporary,
        plugins.failures_of(plugin, f"file {path.name!r}", OSError),
        opened(temporary) as stream,
    ):
        for item in items:
            with plugins.failures_of(plugin, f"frame {item.found.frame.frame_id!r}", OSError):
                stream.add(item)


def _item(number: int, one: _Chosen, run: OpenedRun, renaming: Renaming, tracked: TrackedScenes | None) -> ExportFrame:
    truth, dataset, frame_id = run.truth, run.dataset, one.frame_id
    found = renaming(run.labels.labels(frame_id))
    if one.sweep_points is not None:
        found = _without_objects(found, one.sweep_points)
    scene = found.frame.scene
    return ExportFrame(
        number,
        one.name,
        found,
        renaming.taxonomy,
        lambda: dataset.frame(frame_id),
        lambda: read_frame_points(truth.frame(frame_id), intensity=True).rows(),
        lambda: run.masks.labels.masks(frame_id),
        truth.rect_SE3_lidar(frame_id) if isinstance(truth, HasRectifiedCamera) else None,
        lambda: true_boxes(truth, frame_id),
        truth.place(frame_id) if isinstance(truth, HasSequences) else None,
        _sweep_names(truth, one, len(found.frame.sweep_points)),
        None,
        None if tracked is None else tracked.ids(scene, frame_id),
        ScenePaths if tracked is None else lambda: tracked.paths(scene),
    )


def _sweep_names(dataset: Dataset, one: _Chosen, count: int) -> tuple[str, ...]:
    """Names of the files of the sweeps of a frame: their tokens, or the name of the frame with that of the LiDAR."""
    if count < 2:
        return ()
    if isinstance(dataset, HasLidarTokens):
        return tuple(dataset.lidar_token(one.frame_id, k) for k in range(count))
    return tuple(f"{one.name}_{sweep.sensor}" for sweep in read_cloud_frame(dataset, one.frame_id).sweeps)


def _without_objects(found: FrameLabels, sweep_points: tuple[int, ...]) -> FrameLabels:
    return FrameLabels.empty(replace(found.frame, num_points=sum(sweep_points), sweep_points=sweep_points))


def _named(dest: Path, files: Files) -> list[tuple[Path, bytes]]:
    """The files of a format with their paths; refuse names outside the folder, and contents that are not bytes."""
    for name, content in files.items():
        if not isinstance(content, bytes):
            raise TypeError(f"the content of {name!r} is of type {type(content).__name__}, not bytes")
    return [(path_under(dest, name, _NAME_HINT), content) for name, content in files.items()]


def _write(files: Sequence[tuple[Path, bytes]], overwrite: bool) -> None:
    """Write the files whose content changes."""
    new = [(path, content) for path, content in files if not (path.is_file() and path.read_bytes() == content)]
    for path, _ in new:
        require_free(path, overwrite)
    if new:
        write_together(new)
