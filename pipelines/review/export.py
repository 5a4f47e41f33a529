"""`pointsam-label export`: the labels of a run in another tool's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipelines.opened import OpenedRun, open_run
from pipelines.review.parts import true_boxes
from pointsam.base import plugins
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.files import make_folder, require_free, store_errors, temporary_of, write_together
from pointsam.base.paths import path_under, require_name
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.datasets.base import HasLidarTokens, HasRectifiedCamera
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.quality import unfinished_notes
from pointsam.export.base import Exported, Format, Stream
from pointsam.export.frame import ExportFrame, Files

_NAME_HINT = "change the frame's token or id in the data set, or --eval-set: file names are made from these"


@dataclass(frozen=True)
class Written:
    """What an export holds.

    Args:
        frames: number of frames that were written.
        quarantined: number of quarantined frames, which were left out.
        unfinished: number of frames in the plan of the run that it has not labelled yet.
    """

    frames: int
    quarantined: int
    unfinished: int

    def notes(self) -> list[str]:
        """What was left out."""
        left_out = [f"{self.quarantined} quarantined frames were left out"] if self.quarantined else []
        return [*left_out, *unfinished_notes(self.unfinished)]


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
    version: str | None = None,
    split: str = "val",
    masks_from: Path | None = None,
    overwrite: bool = False,
) -> Written:
    """Write every finished frame, with the noise and calibration of the run.

    Args:
        out: output folder of a run.
        data: root of its data set.
        dest: folder to write to.
        form: name of an exporter plug-in.
        version: version folder of nuScenes tables, None for the run's.
        split: name of the split that the files are for.
        masks_from: folder of the masks that the clusters were made from, None for `out`; for formats with masks.
        overwrite: replace existing files.

    Returns:
        Numbers of frames that were written and that were left out.

    Raises:
        SchemaError: SCH005 if there is no such format; SCH004 if the labels were made from other data, if the format
            does not support their classes or data, or if it holds masks and `masks_from` has other ones; SCH006 on ids
            beyond its range.
        PluginError: as `format_of`; PLG003 if the plug-in raises an unexpected error.
        StoreError: OUT003 if a file exists or cannot be written, OUT002 on a full disk.
        DatasetError: DAT009 if there is nothing to write, DAT011 on a token or id that cannot name a file; and what
            reading raises.
    """
    plugin = plugins.find("exporters", form)
    spec = plugin.load(Format)
    run = open_run(out, data, masks_from, version=version)
    labels, truth = run.labels, run.truth
    tokens = truth if isinstance(truth, HasLidarTokens) else None
    if spec.lidar_tokens and tokens is None:
        raise SchemaError("SCH004", f"{form} needs nuScenes' tokens, which {data} lacks", "use another format")
    frames = labels.frames()
    good = [frame.frame_id for frame in frames if frame.status == "ok"]
    written = Written(len(good), len(frames) - len(good), labels.unfinished())
    if not good:
        raise DatasetError(
            "DAT009", f"{out} holds no labelled frame", "correct the quarantined frames, then --retry-failed"
        )
    names = good if tokens is None else [tokens.lidar_token(frame_id) for frame_id in good]
    for name in (split, *names):  # refuse names and other masks before any file is written
        require_name(name, f"{out}: frame or --eval-set", _NAME_HINT)
    if spec.masks:
        _ = run.masks
    items = (
        _item(number, name, frame_id, run) for number, (name, frame_id) in enumerate(zip(names, good, strict=True))
    )
    watched = progress(items, total=len(good), desc="export", unit="frame")
    if spec.stream is not None:
        _record(path_under(dest, f"{split}{spec.suffix}", _NAME_HINT), watched, spec.stream, overwrite, plugin)
        return written
    rows = []
    for item in watched:
        with plugins.failures_of(plugin, f"frame {item.found.frame.frame_id!r}"):
            files = _named(dest, spec.frame(item, split))
            if spec.row is not None:
                rows.append(spec.row(item))
        _write(files, overwrite)
    if spec.close is not None:
        with plugins.failures_of(plugin, f"split {split!r}"):
            files = _named(dest, spec.close(Exported(split, names, rows, labels.taxonomy.names)))
        _write(files, overwrite)
    return written


def _record(
    path: Path,
    items: Iterable[ExportFrame],
    opened: Callable[[Path], AbstractContextManager[Stream]],
    overwrite: bool,
    plugin: plugins.Plugin,
) -> None:
    """Write one file frame by frame; it gets its name when it is complete."""
    require_free(path, overwrite)
    temporary = temporary_of(path)
    with store_errors(path.parent, 0):
        make_folder(path.parent)
        try:
            with plugins.failures_of(plugin, f"file {path.name!r}", OSError), opened(temporary) as stream:
                for item in items:
                    with plugins.failures_of(plugin, f"frame {item.found.frame.frame_id!r}", OSError):
                        stream.add(item)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _item(number: int, name: str, frame_id: str, run: OpenedRun) -> ExportFrame:
    truth, dataset = run.truth, run.dataset
    return ExportFrame(
        number,
        name,
        run.labels.labels(frame_id),
        run.labels.taxonomy,
        lambda: dataset.frame(frame_id),
        lambda: read_frame_points(truth.frame(frame_id), intensity=True).rows(),
        lambda: run.masks.labels.masks(frame_id),
        truth.rect_SE3_lidar(frame_id) if isinstance(truth, HasRectifiedCamera) else None,
        lambda: true_boxes(truth, frame_id),
    )


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
