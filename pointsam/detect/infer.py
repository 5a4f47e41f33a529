"""Run a trained detector on frames, in batches, in one process or in all of a run."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pointsam.datasets.base import Dataset
from pointsam.detect.data.loader import FrameItems, frame_loader, join_frames
from pointsam.detect.data.sample import PointsConfig
from pointsam.detect.detector import Batch, Detector
from pointsam.detect.devices import Processes, exchanged
from pointsam.detect.predictions_file import FramePredictions
from pointsam.detect.readers import IN_RECIPE, local_processes, nbytes, require_shared_memory
from pointsam.detect.recipe import Precision

FrameResult = FramePredictions | tuple[str, str]
"""Predictions of a frame; of one that cannot be read, its id and the reason."""
_BOXES = ("boxes", "score", "class_id", "velocity")


@dataclass(frozen=True)
class InferConfig:
    """How frames are read and predicted.

    Args:
        points: which points are read.
        batch_size: number of frames that are predicted at once.
        precision: precision of the network, as in training.
        workers: number of processes that read.
        option: what sets this number, for errors.
    """

    points: PointsConfig
    batch_size: int = 1
    precision: Precision = "fp32"
    workers: int = 0
    option: str = IN_RECIPE


def detect_frames(
    detector: Detector,
    dataset: Dataset,
    frame_ids: Sequence[str],
    config: InferConfig,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[FrameResult]:
    """Predictions of each frame, in order.

    Of several processes, each predicts every so many-th batch. The batches are those of one process, so that the
    predictions are the same for any number of processes.

    Args:
        detector: the detector.
        dataset: the data set.
        frame_ids: the frames, the same in all processes.
        config: how they are read and predicted.
        rank: index of this process.
        processes: number of processes.

    Raises:
        TrainingError: TRN003 if the shared memory of the machine is too small for the batches.
    """
    device = next(detector.parameters()).device
    size = config.batch_size
    starts = range(rank * size, len(frame_ids), size * processes)
    mine = [frame_id for start in starts for frame_id in frame_ids[start : start + size]]
    items = FrameItems(dataset, mine, config.points, detector.config.grid.range_m)
    if config.workers:
        readable = (frame for frame in map(items.__getitem__, range(len(items))) if isinstance(frame, Batch))
        sample_bytes = nbytes(next(readable, None))
        require_shared_memory(sample_bytes, size, config.workers * local_processes(), config.option)
    was_training = detector.training
    detector.eval()
    try:
        for frames in frame_loader(items, size, config.workers, device):
            batch = join_frames(frames)
            found: Iterator[FramePredictions] = iter(())
            if batch is not None:
                enabled = config.precision == "bf16"
                with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
                    predictions = detector(batch.to(device))
                found = iter(FramePredictions.of_batch(batch.frame_ids, predictions))
            for frame in frames:
                yield next(found) if isinstance(frame, Batch) else frame
    finally:
        detector.train(was_training)


def gathered(results: Sequence[FrameResult], frame_ids: Sequence[str], processes: Processes) -> list[FrameResult]:
    """The results of all processes in the order of the frames, in the first process; nothing in the others.

    Args:
        results: results of this process.
        frame_ids: all frames.
        processes: the processes; all of them call this.
    """
    if processes.count == 1:
        return list(results)
    parts = exchanged(_packed(results), processes.device)
    every = [result for part in parts if processes.first for result in _unpacked(part)]
    place = {frame_id: k for k, frame_id in enumerate(frame_ids)}
    return sorted(
        every, key=lambda result: place[result.frame_id if isinstance(result, FramePredictions) else result[0]]
    )


def _packed(results: Sequence[FrameResult]) -> bytes:
    """The results as bytes, without pickle: arrays of all frames, one after another, and texts."""
    found = [result for result in results if isinstance(result, FramePredictions)]
    bad = [result for result in results if not isinstance(result, FramePredictions)]
    arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in _BOXES} if found else {}
    texts = {"frame": [one.frame_id for one in found], "bad": [one[0] for one in bad], "why": [one[1] for one in bad]}
    sink = io.BytesIO()
    np.savez(sink, count=[len(one.score) for one in found], **arrays, **{k: np.array(v, "U") for k, v in texts.items()})
    return sink.getvalue()


def _unpacked(content: bytes) -> Iterator[FrameResult]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        ends = np.cumsum(arrays["count"].astype(np.int64))[:-1]
        if len(arrays["frame"]):
            parts = (np.split(arrays[name], ends) for name in _BOXES)
            for frame_id, *row in zip(arrays["frame"], *parts, strict=True):
                yield FramePredictions(str(frame_id), *row)
        yield from ((str(frame_id), str(why)) for frame_id, why in zip(arrays["bad"], arrays["why"], strict=True))
