"""Data loaders: worker processes read and augment samples, in an order that depends only on the epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader, Dataset

from pointsam.base.errors import PointSamError
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset as Frames
from pointsam.detect.data.cloud import in_view, read_cloud
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.data.paste import PasteBank
from pointsam.detect.data.sample import PointsConfig
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.detector import Batch
from pointsam.detect.labels import BatchLabels
from pointsam.detect.readers import shared

Item = TypeVar("Item")
_SUBSTITUTES = 10
"""Number of consecutive frames that are tried until one can be read."""


@dataclass(frozen=True)
class Key:
    """The key of a sample.

    Args:
        index: index of its frame in the training set.
        epoch: index of the epoch.
        position: position in the order of the epoch.
        paste: whether objects are pasted.
    """

    index: int
    epoch: int
    position: int
    paste: bool


@dataclass(frozen=True, eq=False)
class LoadedBatch:
    """A batch of samples, and the frames that could not be read.

    Args:
        batch: the samples; other frames replace those that could not be read. None if too many in a row were bad.
        bad: frame ids of those that could not be read, with the reasons.
    """

    batch: Batch | None
    bad: tuple[tuple[str, str], ...] = ()

    def pin_memory(self) -> LoadedBatch:
        """The batch in pinned memory; torch's data loader calls it."""
        return self if self.batch is None else LoadedBatch(self.batch.pin_memory(), self.bad)

    def to(self, device: torch.device) -> LoadedBatch:
        """The batch on a device."""
        return self if self.batch is None else LoadedBatch(self.batch.to(device), self.bad)

    def used_by(self, stream: torch.cuda.Stream) -> LoadedBatch:
        """The batch, whose memory is not given away before a stream has used it."""
        return self if self.batch is None else LoadedBatch(self.batch.used_by(stream), self.bad)


class TrainingItems(Dataset[LoadedBatch]):
    """Samples of a training set by key."""

    def __init__(self, data: TrainingSet) -> None:
        self.data = data

    def __getitem__(self, key: Key) -> LoadedBatch:
        """One sample; if its frame cannot be read, the sample of the next frame that can."""
        bad = []
        for offset in range(_SUBSTITUTES):
            index = (key.index + offset) % len(self.data.frame_ids)
            try:
                sample = self.data.sample(index, key.epoch, key.position, key.paste)
            except PointSamError as error:
                bad.append((self.data.frame_ids[index], str(error)))
                continue
            points = torch.from_numpy(sample.points)
            labels = BatchLabels.join((sample.labels(),))
            return LoadedBatch(Batch((sample.frame_id,), (points,), (sample.num_key,), labels), tuple(bad))
        return LoadedBatch(None, tuple(bad))


Cuts = Iterable[PasteBank | None]
"""Objects of each frame, None for a frame that cannot be read."""


class _Cut(Dataset[PasteBank | None]):
    """The objects of each frame that may be pasted; None for a frame that cannot be read."""

    def __init__(self, data: TrainingSet) -> None:
        self.data, self.indices = data, data.with_boxes()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> PasteBank | None:
        try:
            sample = self.data.pasteable(int(self.indices[index]))
        except PointSamError:  # reported when training reads the frame
            return None
        return PasteBank.cut(sample, self.data.config.paste.min_points)


def cut_bank(data: TrainingSet, workers: int, wrap_loop: Callable[[Cuts, int], Cuts] = lambda x, _: x) -> PasteBank:
    """Collect the objects of the budget's boxes from their frames, for copy-paste.

    Args:
        data: the training set.
        workers: number of processes that read.
        wrap_loop: wraps the loop, given its length; for a progress bar.
    """
    cuts = _Cut(data)
    loader = _loader(cuts, workers, batch_size=None)
    return PasteBank.join(bank for bank in wrap_loop(loader, len(cuts)) if bank is not None)


class Steps:
    """The keys of every step of an epoch, for one of several processes.

    A step takes the next `batch_size` positions for each process in turn, so N processes see the same samples as
    one process with N times the batch. An incomplete last step is dropped.

    Args:
        data: the training set.
        batch_size: samples per process and step.
        rank: index of this process.
        processes: number of processes.
    """

    def __init__(self, data: TrainingSet, batch_size: int, rank: int, processes: int) -> None:
        self.data, self.batch_size, self.rank, self.processes = data, batch_size, rank, processes
        self.epoch, self.first, self.paste = 0, 0, True

    def __len__(self) -> int:
        return len(self.data.order(self.epoch)) // (self.batch_size * self.processes) - self.first

    def __iter__(self) -> Iterator[list[Key]]:
        order = self.data.order(self.epoch)
        whole = self.batch_size * self.processes
        for step in range(self.first, len(order) // whole):
            start = step * whole + self.rank * self.batch_size
            positions = range(start, start + self.batch_size)
            yield [Key(int(order[position]), self.epoch, position, self.paste) for position in positions]


class FrameItems(Dataset[Batch | tuple[str, str]]):
    """Points of frames, without labels.

    Args:
        frames: the data set.
        frame_ids: ids of the frames.
        config: which points are read.
        range_m: range of the detector's grid, x0, y0, z0, x1, y1, z1.
    """

    def __init__(
        self, frames: Frames, frame_ids: Sequence[str], config: PointsConfig, range_m: Sequence[float]
    ) -> None:
        self.frames, self.frame_ids, self.config = frames, list(frame_ids), config
        self.low, self.high = np.array(range_m[:2]), np.array(range_m[3:5])

    def __len__(self) -> int:
        return len(self.frame_ids)

    def __getitem__(self, index: int) -> Batch | tuple[str, str]:
        """The points of a frame inside the range in the ground plane, or its id and the reason why it is unreadable."""
        frame_id = self.frame_ids[index]
        try:
            in_view_only = self.config.in_view_only
            frame = self.frames.frame(frame_id) if in_view_only else read_cloud_frame(self.frames, frame_id)
            cloud, num_key = read_cloud(self.frames, frame, self.config)
            points = MapFrame.of(frame).points(cloud)
            (x, y), low, high = points[:, :2].T, self.low, self.high
            kept = (x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1])
            if in_view_only:
                kept &= in_view(cloud, frame)
        except PointSamError as error:
            return frame_id, str(error)
        return Batch((frame_id,), (torch.from_numpy(points[kept]),), (int(kept[:num_key].sum()),))


def join_samples(items: Sequence[LoadedBatch]) -> LoadedBatch:
    """The samples of a step as one batch."""
    batches = [item.batch for item in items if item.batch is not None]
    bad = tuple(part for item in items for part in item.bad)
    if len(batches) < len(items):
        return LoadedBatch(None, bad)
    return LoadedBatch(_joined(batches), bad)


def _joined_in_shared_memory(items: Sequence[LoadedBatch]) -> LoadedBatch:
    return shared(join_samples(items))


def training_loader(steps: Steps, workers: int, device: torch.device) -> DataLoader[LoadedBatch]:
    """Batches of the epoch that `steps` is set to when an iteration starts; the workers serve all epochs."""
    return _loader(
        TrainingItems(steps.data),
        workers,
        batch_sampler=steps,
        collate_fn=_joined_in_shared_memory,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )


def on_device(batches: Iterable[LoadedBatch], device: torch.device) -> Iterator[LoadedBatch]:
    """The batches on a device. On CUDA, the next one is copied while the network works on the one before."""
    if device.type != "cuda":
        yield from (item.to(device) for item in batches)
        return
    side, ahead = torch.cuda.Stream(device), None  # type: ignore[no-untyped-call]
    for item in batches:
        with torch.cuda.stream(side):
            copied = item.to(device)
        if ahead is not None:
            yield ahead
        torch.cuda.current_stream(device).wait_stream(side)
        ahead = copied.used_by(torch.cuda.current_stream(device))
    if ahead is not None:
        yield ahead


def _one_thread(_: int) -> None:
    """Restrict a worker to one thread of torch and of numpy's BLAS: there are as many workers as cores."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def frame_loader(
    items: FrameItems, batch_size: int, workers: int, device: torch.device
) -> Iterable[list[Batch | tuple[str, str]]]:
    """Lists of `batch_size` frames, in order."""
    pins = device.type == "cuda"
    return _loader(items, workers, batch_size=batch_size, collate_fn=_listed_in_shared_memory, pin_memory=pins)


def _listed_in_shared_memory(frames: Sequence[Batch | tuple[str, str]]) -> list[Batch | tuple[str, str]]:
    return shared(list(frames))


def _loader(items: Dataset[Item], workers: int, **options: Any) -> DataLoader[Item]:
    """A data loader with one thread in each worker; it does not warn of fewer cores than workers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        return DataLoader(items, num_workers=workers, worker_init_fn=_one_thread, **options)


def join_frames(frames: Sequence[Batch | tuple[str, str]]) -> Batch | None:
    """The frames that could be read as one batch; None if there are none."""
    batches = [frame for frame in frames if isinstance(frame, Batch)]
    return _joined(batches) if batches else None


def _joined(batches: Sequence[Batch]) -> Batch:
    fields = ("frame_ids", "points", "num_key")
    joined = {name: tuple(part for batch in batches for part in getattr(batch, name)) for name in fields}
    labels = [own for batch in batches if batch.labels is not None for own in batch.labels.samples()]
    return Batch(**joined, labels=BatchLabels.join(labels) if labels else None)
