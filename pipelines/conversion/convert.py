"""`pointsam-label convert`: a data set in the layout of another one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from pipelines.conversion.new_root import new_folder, put, require_empty
from pipelines.conversion.values import Conversion, Converted
from pipelines.data import Reading
from pipelines.engine import ordered_map
from pointsam.base.errors import DatasetError, PointSamError, SchemaError
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.convert.base import RENAMED, FramePlan, Losses, Writer, is_timed
from pointsam.convert.folder import FolderWriter
from pointsam.convert.kitti import KittiWriter
from pointsam.convert.nuscenes import NuscenesWriter
from pointsam.convert.source import Source
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.types import Frame

_SPLITS = ("train", "val", "test")


def convert(
    wanted: Conversion, dest: Path, workers: int = 1, more: Mapping[str, bytes] = MappingProxyType({})
) -> Converted:
    """Write a data set in another layout. The new root is there when it is complete, or not at all.

    Frames that cannot be read are left out and named.

    Args:
        wanted: what is converted.
        dest: the new root; a folder that is missing or empty.
        workers: number of processes.
        more: content of further files of the new root by name.

    Raises:
        SchemaError: SCH004 if labels of the result can differ and `accept_loss` is false, naming every loss; SCH005 if
            no frame has the camera.
        StoreError: OUT003 if the folder is not empty, lies in the data or cannot be written, OUT002 on a full disk.
        DatasetError: as `open_dataset`; DAT009 if no frame can be read, DAT012 if times cannot tell frames apart.
    """
    require_empty(dest, wanted.root)
    begin = time.perf_counter()
    dataset = wanted.reading.open(wanted.root)
    frame_ids = _in_order(dataset, wanted.frames) if wanted.frames else dataset.frame_ids(wanted.split)
    source = Source(dataset, frame_ids)
    frames, left_out = _frames(dataset, frame_ids)
    writer = _writer(wanted, frames, _splits(dataset, [frame.frame_id for frame in frames]))
    losses = _survey(writer, source, frames)
    plans = writer.plans(_plans(frames), frames)
    losses.add(RENAMED, _renamed(plans, frames))
    changing, notes = (losses.lines(kind, len(frames)) for kind in (True, False))
    if not plans:
        raise SchemaError("SCH005", f"no frame has a camera {wanted.camera!r}", "name a camera of the data set")
    if changing and not wanted.accept_loss:
        raise SchemaError(
            "SCH004",
            f"labels of the result can differ: {'; '.join(changing)}",
            "give --accept-loss to write it all the same, or choose another layout",
        )
    with new_folder(dest) as folder:
        rows, written, bad = _write(writer, plans, wanted, frame_ids, folder, workers)
        left_out |= bad
        kept = [plan for plan in plans if plan.frame_id not in bad]
        if not kept:
            raise _nothing(wanted.root, left_out)
        splits = _splits(dataset, [plan.frame_id for plan in kept])
        written += put(folder, {**writer.close(rows, splits), **more})
    wall_s = time.perf_counter() - begin
    options = writer.next_options
    return Converted(
        dest, wanted.target, len(kept), tuple(changing), tuple(notes), left_out, wall_s, written / 1e6, options
    )


def _in_order(dataset: Dataset, frame_ids: Sequence[str]) -> list[str]:
    """Frames once each, in the order of the data set; those that it does not list come last."""
    try:
        place = {frame_id: k for k, frame_id in enumerate(dataset.frame_ids())}
    except DatasetError:  # a root of KITTI that has testing/ only lists none
        place = {}
    return sorted(dict.fromkeys(frame_ids), key=lambda frame_id: place.get(frame_id, len(place)))


def _frames(dataset: Dataset, frame_ids: Sequence[str]) -> tuple[list[Frame], dict[str, str]]:
    """The frames that can be read, and why others cannot."""
    frames, left_out = list[Frame](), dict[str, str]()
    for frame_id in progress(frame_ids, desc="frames", unit="frame"):
        try:
            frame = read_frame(dataset, frame_id)
        except PointSamError as error:
            if not error.of_frame:
                raise
            left_out[frame_id] = f"[{error.code}] {error.message}"
        else:
            frames.append(frame)
    if not frames:
        raise _nothing(dataset.root, left_out)
    return frames, left_out


def _nothing(root: DataPath, left_out: Mapping[str, str]) -> DatasetError:
    first = next(iter(left_out.values()), "there are none")
    return DatasetError("DAT009", f"{root}: no frame can be read: {first}", "correct the data: pointsam-label check")


def _writer(wanted: Conversion, frames: Sequence[Frame], splits: Mapping[str, Sequence[int]]) -> Writer:
    if wanted.target == "kitti":
        return KittiWriter(wanted.camera, is_timed(frames))
    if wanted.camera is not None:
        raise SchemaError("SCH005", f"--camera {wanted.camera}: {wanted.target} holds all cameras", "leave it out")
    if wanted.target == "folder":
        return FolderWriter.of(frames)
    return NuscenesWriter.of(frames, splits)


def _survey(writer: Writer, source: Source, frames: Sequence[Frame]) -> Losses:
    losses = Losses()
    for frame in progress(frames, desc="survey", unit="frame"):
        writer.survey(frame, losses)
        try:
            writer.survey_truth(source.of(frame), losses)
        except PointSamError as error:
            if not error.of_frame:
                raise
    return losses


def _plans(frames: Sequence[Frame]) -> list[FramePlan]:
    plans, before = list[FramePlan](), dict[str, dict[str, int]]()
    last = {frame.scene: frame.frame_id for frame in frames}
    for number, frame in enumerate(frames):
        known = before.get(frame.scene)
        is_last = last[frame.scene] == frame.frame_id
        plans.append(FramePlan(number, frame.frame_id, frame.scene, dict(known) if known else None, is_last))
        before.setdefault(frame.scene, {}).update({sweep.sensor: sweep.t_us for sweep in frame.sweeps})
    return plans


def _renamed(plans: Sequence[FramePlan], frames: Sequence[Frame]) -> int:
    """Number of frames that have an image whose name changes."""
    stems = {frame.frame_id: {view.name: view.stem for view in frame.cameras} for frame in frames}
    return sum(any(stems[plan.frame_id][name] != new for name, new in plan.images.items()) for plan in plans)


def _splits(dataset: Dataset, frame_ids: Sequence[str]) -> dict[str, list[int]]:
    """Positions in `frame_ids` of the frames of the usual splits, of those that the data set has."""
    place = {frame_id: k for k, frame_id in enumerate(frame_ids)}
    found = {}
    for name in _SPLITS:
        try:
            its = dataset.frame_ids(name)
        except DatasetError:
            continue
        found[name] = [place[frame_id] for frame_id in its if frame_id in place]
    return {name: its for name, its in found.items() if its}


def _write(
    writer: Writer,
    plans: Sequence[FramePlan],
    wanted: Conversion,
    frame_ids: Sequence[str],
    folder: Path,
    workers: int,
) -> tuple[list[object], int, dict[str, str]]:
    """Write the files of all frames; rows of the frames, bytes, and why others could not be read."""
    rows, written, bad = list[object](), 0, dict[str, str]()
    arguments = (writer, wanted.root, wanted.reading, tuple(frame_ids), folder)
    results = ordered_map(_write_frame, plans, min(workers, len(plans)), _start, arguments)
    with closing(results):
        for plan, (row, size, why) in zip(
            plans, progress(results, total=len(plans), desc="write", unit="frame"), strict=True
        ):
            written += size
            if why:
                bad[plan.frame_id] = why
            else:
                rows.append(row)
    return rows, written, bad


def _start(writer: Writer, root: DataPath, reading: Reading, frame_ids: tuple[str, ...], folder: Path) -> None:
    """Prepare this process."""
    global _job
    _job = (writer, Source(reading.open(root), frame_ids), folder)


def _write_frame(plan: FramePlan) -> tuple[object, int, str]:
    """Write the files of a frame; its row, its bytes, and why it cannot be read."""
    writer, source, folder = _job
    try:
        files, row = writer.files(plan, source.frame(plan.frame_id, plan.after_us, plan.last))
    except PointSamError as error:
        if not error.of_frame:
            raise
        return None, 0, f"[{error.code}] {error.message}"
    return row, put(folder, files), ""


_job: tuple[Writer, Source, Path]
