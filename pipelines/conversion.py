"""`pointsam-label convert`: a data set in the layout of another one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pipelines.data import AS_FOUND, Reading
from pipelines.engine import ordered_map
from pointsam.base import interrupts
from pointsam.base.errors import DatasetError, PointSamError, SchemaError, StoreError
from pointsam.base.files import make_folder, remove_temporary, store_errors, temporary_of
from pointsam.base.paths import path_under
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.convert.base import FramePlan, Losses, Writer
from pointsam.convert.folder import FolderWriter
from pointsam.convert.kitti import KittiWriter
from pointsam.convert.nuscenes import NuscenesWriter
from pointsam.convert.source import Source
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.types import Frame

TARGETS = ("folder", "kitti", "nuscenes")
_SPLITS = ("train", "val", "test")
_NAME_HINT = "rename the scenes, cameras or images of the data set: names of files are made from theirs"


@dataclass(frozen=True)
class Conversion:
    """What is converted, and how.

    Args:
        root: root of the source.
        reading: how it is read.
        target: one of TARGETS.
        frames: ids of the frames; () for all of `split`.
        split: split or scene of the source; None for all its frames.
        camera: the camera that KITTI's layout gets; None for the first of each frame.
        accept_loss: whether to write although labels of the result can differ.
    """

    root: DataPath
    target: str
    reading: Reading = AS_FOUND
    frames: tuple[str, ...] = ()
    split: str | None = None
    camera: str | None = None
    accept_loss: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        dest: the new root.
        target: its layout.
        frames: number of its frames.
        changing: losses that change labels.
        notes: other losses.
        left_out: why frames were left out, by id.
        wall_seconds: duration.
        megabytes: size of the files.
        options: options of commands that read the result.
    """

    dest: Path
    target: str
    frames: int
    changing: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, str]
    wall_seconds: float
    megabytes: float
    options: str

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {**vars(self), "dest": str(self.dest), "left_out": dict(self.left_out)}

    def text(self) -> str:
        """For the terminal."""
        return (
            f"{self.dest}: {counted(self.frames, 'frame')} as {self.target} in {self.wall_seconds:.1f} s, "
            f"{self.megabytes:.0f} MB"
        )


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
    frame_ids = list(wanted.frames) or dataset.frame_ids(wanted.split)
    source = Source(dataset, frame_ids)
    frames, left_out = _frames(dataset, frame_ids)
    writer = _writer(wanted, frames)
    losses = _survey(writer, source, frames)
    changing, notes = (losses.lines(kind, len(frames)) for kind in (True, False))
    plans = writer.plans(_plans(frames), frames)
    if not plans:
        raise SchemaError("SCH005", f"no frame has a camera {wanted.camera!r}", "name a camera of the data set")
    if changing and not wanted.accept_loss:
        raise SchemaError(
            "SCH004",
            f"labels of the result can differ: {'; '.join(changing)}",
            "give --accept-loss to write it all the same, or choose another layout",
        )
    with _new_folder(dest) as folder:
        rows, written, bad = _write(writer, plans, wanted, frame_ids, folder, workers)
        left_out |= bad
        kept = [plan for plan in plans if plan.frame_id not in bad]
        if not kept:
            raise _nothing(wanted.root, left_out)
        written += _put(folder, {**writer.close(rows, _splits(dataset, kept)), **more})
    wall_s = time.perf_counter() - begin
    options = writer.next_options
    return Converted(
        dest, wanted.target, len(kept), tuple(changing), tuple(notes), left_out, wall_s, written / 1e6, options
    )


def require_empty(dest: Path, root: DataPath) -> None:
    """Refuse a folder that holds something, or that lies in the data.

    Raises:
        StoreError: OUT003.
    """
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise StoreError("OUT003", f"{dest} is not an empty folder", "give a new folder")
    if isinstance(root, Path) and root.resolve() in (dest.resolve(), *dest.resolve().parents):
        raise StoreError("OUT003", f"{dest} lies in the data set {root}", "give a folder outside of it")


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


def _writer(wanted: Conversion, frames: Sequence[Frame]) -> Writer:
    if wanted.target == "kitti":
        return KittiWriter(wanted.camera)
    if wanted.camera is not None:
        raise SchemaError("SCH005", f"--camera {wanted.camera}: {wanted.target} holds all cameras", "leave it out")
    if wanted.target == "folder":
        return FolderWriter.of(frames)
    lidars = dict.fromkeys(sweep.sensor for frame in frames for sweep in frame.sweeps)
    return NuscenesWriter(tuple(lidars))


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


def _splits(dataset: Dataset, plans: Sequence[FramePlan]) -> dict[str, list[int]]:
    """Positions of the frames of the usual splits, of those that the data set has."""
    place = {plan.frame_id: k for k, plan in enumerate(plans)}
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
    return row, _put(folder, files), ""


def _put(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write files into the folder that is not complete yet; number of bytes."""
    size = sum(map(len, files.values()))
    with store_errors(folder, size):
        for name, content in files.items():
            path = path_under(folder, name, _NAME_HINT)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return size


@contextmanager
def _new_folder(dest: Path) -> Iterator[Path]:
    """A hidden folder beside `dest`, which takes its place at the end of the block and goes if that is not reached."""
    temporary = temporary_of(dest.absolute())

    def remove() -> None:
        remove_temporary(temporary)

    with store_errors(dest, 0), interrupts.undone_by(remove):
        try:
            make_folder(temporary.parent)
            temporary.mkdir()
            yield temporary
            if dest.is_dir():
                dest.rmdir()  # empty
            os.replace(temporary, dest)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary, ignore_errors=True)


_job: tuple[Writer, Source, Path]
