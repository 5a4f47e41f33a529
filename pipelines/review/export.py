"""`pointsam-label export`: the labels of a run in another tool's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.review.opened import Source
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.files import make_folder, require_free, store_errors, temporary_of, write_together
from pointsam.base.paths import path_under, require_name
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.points import read_frame_points
from pointsam.export.boxes import kitti, nuscenes_results, nuscenes_rows
from pointsam.export.clouds import pcd, ply
from pointsam.export.coco import coco_rows, coco_split
from pointsam.export.detection import mmdet3d, mmdet3d_info, mmdet3d_split, openpcdet, openpcdet_split
from pointsam.export.item import Files, Item
from pointsam.export.lidarseg import lidarseg
from pointsam.export.nuscenes_panoptic import panoptic, submission
from pointsam.export.recording import Recording
from pointsam.export.semantickitti import semantickitti


@dataclass(frozen=True)
class Done:
    """What is known at the end of an export.

    Args:
        split: its name.
        names: of the frames.
        rows: what `Format.row` gave for each.
        class_names: of the taxonomy.
    """

    split: str
    names: Sequence[str]
    rows: Sequence[Any]
    class_names: Sequence[str]


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        frame: files of a frame, given the split's name.
        row: what a frame adds to the files of the whole; kept until the end.
        close: files of the whole.
        nuscenes: whether frames are named by nuScenes' own tokens.
        masks: whether it holds masks; the others need no folder of masks.
        note: a warning worth saying.
    """

    frame: Callable[[Item, str], Files] = lambda _item, _split: {}
    row: Callable[[Item], Any] = lambda _item: None
    close: Callable[[Done], Files] = lambda _done: {}
    nuscenes: bool = False
    masks: bool = False
    note: str = ""


_MEND_NAME = "mend the frame's token or id in the data set, or --eval-set: file names are made of these"
_GUESSED = "boxes are fitted to clusters: sizes are guessed from the class, and which end is the front nobody knows"

FORMATS: dict[str, Format] = {
    "nuscenes-panoptic": Format(panoptic, close=lambda done: submission(done.split), nuscenes=True),
    "nuscenes-lidarseg": Format(lidarseg, nuscenes=True),
    "nuscenes-boxes": Format(
        row=lambda item: (item.frame.frame_id, nuscenes_rows(item)),
        close=lambda done: nuscenes_results(dict(done.rows)),
        nuscenes=True,
        note=_GUESSED,
    ),
    "semantickitti": Format(lambda item, _: semantickitti(item)),
    "kitti": Format(lambda item, _: kitti(item), note=_GUESSED),
    "openpcdet": Format(
        lambda item, _: openpcdet(item), close=lambda done: openpcdet_split(done.names, done.split), note=_GUESSED
    ),
    "mmdet3d": Format(
        lambda item, _: mmdet3d(item),
        mmdet3d_info,
        lambda done: mmdet3d_split(done.rows, done.class_names, done.split),
        note=f"{_GUESSED}; the annotation file is JSON, which mmengine loads as it does pickle",
    ),
    "coco": Format(
        row=coco_rows,
        close=lambda done: coco_split([row for rows in done.rows for row in rows], done.class_names, done.split),
        masks=True,
    ),
    "ply": Format(lambda item, _: ply(item)),
    "pcd": Format(lambda item, _: pcd(item)),
    "rerun": Format(masks=True, note="open it with the viewer of the same release: rerun FILE"),
}


def export(
    out: Path,
    data: Path,
    dest: Path,
    form: str,
    version: str | None = None,
    split: str = "val",
    masks_from: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Write every finished frame, through the cameras as the run saw them: with its noise and its calibration.

    Args:
        out: output folder of a run.
        data: root of its data.
        dest: folder to write to.
        form: one of FORMATS.
        version: version folder of nuScenes tables, None for the run's.
        split: name of the split that the frames are meant for.
        masks_from: folder whose masks the clusters were made of, None for `out`; for formats that hold masks.
        overwrite: replace files that are there.

    Returns:
        Number of frames written; quarantined ones are left out.

    Raises:
        SchemaError: SCH004 if the format knows no such classes or data, or holds masks and `masks_from` has others than
            those of the clusters, SCH006 on ids beyond its range.
        StoreError: OUT003 if a file is there already or cannot be written, OUT002 on a full disk.
        DatasetError: DAT009 if there is nothing to write, DAT011 on a token or id that cannot name a file; and what
            reading raises.
    """
    source, spec = Source(out, data, masks_from, version), FORMATS[form]
    labels = source.labels
    if spec.nuscenes and not isinstance(source.truth, NuScenes):
        raise SchemaError("SCH004", f"{form} names frames by nuScenes' tokens: {data} has none", "use another format")
    good = [frame.frame_id for frame in labels.frames() if frame.status == "ok"]
    if not good:
        raise DatasetError("DAT009", f"{out} holds no labelled frame", "mend what was set aside, then --retry-failed")
    truth = source.truth
    names = [truth.lidar_token(frame_id) if isinstance(truth, NuScenes) else frame_id for frame_id in good]
    for name in (split, *names):  # refuse names and other masks before any file is written
        require_name(name, f"{out}: frame or --eval-set", _MEND_NAME)
    if spec.masks:
        _ = source.masks_source
    items = (
        _item(number, name, frame_id, source) for number, (name, frame_id) in enumerate(zip(names, good, strict=True))
    )
    watched = progress(items, total=len(good), desc="export", unit="frame")
    if form == "rerun":
        _record(path_under(dest, f"{split}.rrd", _MEND_NAME), watched, source.truth, overwrite)
        return len(good)
    rows = []
    for item in watched:
        _write(dest, spec.frame(item, split), overwrite)
        rows.append(spec.row(item))
    _write(dest, spec.close(Done(split, names, rows, labels.taxonomy.names)), overwrite)
    return len(good)


def _record(path: Path, items: Iterable[Item], truth: Dataset, overwrite: bool) -> None:
    """A recording is one file, written as frames come; it has its name when it is whole."""
    require_free(path, overwrite)
    temporary = temporary_of(path)
    with store_errors(path.parent, 0):
        make_folder(path.parent)
        try:
            with Recording(temporary) as recording:
                for item in items:
                    recording.add(item, truth.boxes(item.frame.frame_id))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _item(number: int, name: str, frame_id: str, source: Source) -> Item:
    truth, dataset = source.truth, source.dataset
    return Item(
        number,
        name,
        source.labels.labels(frame_id),
        source.labels.taxonomy,
        lambda: dataset.frame(frame_id),
        lambda: read_frame_points(truth.frame(frame_id), intensity=True).rows(),
        lambda: source.masks_source.masks(frame_id),
        truth.rect_SE3_lidar(frame_id) if isinstance(truth, Kitti) else None,
    )


def _write(dest: Path, files: Files, overwrite: bool) -> None:
    """Files that are there already, and the same, are left alone; a name that leaves the folder is refused."""
    new = [(path_under(dest, name, _MEND_NAME), content) for name, content in files.items()]
    new = [(path, content) for path, content in new if not (path.is_file() and path.read_bytes() == content)]
    for path, _ in new:
        require_free(path, overwrite)
    if new:
        write_together(new)
