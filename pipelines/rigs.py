"""Errors of the calibration of each rig, estimated from the masks of a run and the LiDAR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.stored_masks import StoredMasks
from pipelines.tasks import Task, guarded
from pointsam.base.arrays import evenly
from pointsam.base.progress import progress
from pointsam.base.runtime import Stopwatch
from pointsam.calibration.correction import rig_of
from pointsam.calibration.estimate import rig_result, unseen_rig
from pointsam.calibration.file import RigResult
from pointsam.calibration.silhouettes import CameraObservations, observe
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.motion import has_motion
from pointsam.stages.recipes import ClustersConfig
from pointsam.types import Frame

_T = TypeVar("_T")

MOVED_M = 1.0
"""Of frames of a scene between which the vehicle moved by less, the first is used: the others show the same points of
the same objects, so that two halves of them agree whatever the calibration is."""


@dataclass(frozen=True)
class EstimatedRigs:
    """What was estimated.

    Args:
        rigs: result of each rig, by its id.
        frames: by rig, ids of the frames that were looked at.
        failed: frame_id -> reason, of frames that labelling would quarantine.
        still: number of frames that were left out because the vehicle stood.
        left_out: number of rigs that were left out because `most_in_all` frames of others were looked at.
    """

    rigs: Mapping[str, RigResult]
    frames: Mapping[str, Sequence[str]]
    failed: Mapping[str, str]
    still: int
    left_out: int


def estimate_rigs(
    masks: StoredMasks,
    config: ClustersConfig,
    dataset: Dataset,
    frame_ids: Sequence[str],
    most_frames: int,
    most_in_all: int | None = None,
) -> EstimatedRigs:
    """Estimate the errors of the calibration of a data set.

    Args:
        masks: the masks.
        config: how they are painted.
        dataset: the data set, with the calibration to check.
        frame_ids: frames with masks.
        most_frames: largest number of frames of a rig, spread evenly over its recordings; frames that labelling would
            quarantine, and those before which the vehicle stood, are left out.
        most_in_all: number of frames after which no further rig is looked at, those with most frames first; None for
            all rigs.
    """
    every, failed, still = _rigs(dataset, frame_ids)
    chosen = {rig: evenly(ids, most_frames) for rig, ids in every.items()}
    if most_in_all is not None:
        chosen = _within(chosen, most_in_all)
    found = dict[str, RigResult]()
    with progress(total=sum(map(len, chosen.values())), desc="calibrate", unit="frame") as bar:
        for rig, ids in chosen.items():
            seen = []
            for frame_id in ids:
                seen += _tried(partial(_seen, masks, config, dataset, frame_id), frame_id, failed)
                bar.update()
            found[rig] = rig_result(*zip(*seen, strict=True)) if seen else unseen_rig(dataset.frame(ids[0]))
    return EstimatedRigs(found, chosen, failed, still, len(every) - len(chosen))


def _within(chosen: Mapping[str, list[str]], most: int) -> dict[str, list[str]]:
    """The rigs with most frames, until `most` frames are reached."""
    kept, count = dict[str, list[str]](), 0
    for rig, ids in sorted(chosen.items(), key=lambda item: -len(item[1])):
        if count >= most:
            break
        kept[rig] = ids
        count += len(ids)
    return kept


def _seen(
    masks: StoredMasks, config: ClustersConfig, dataset: Dataset, frame_id: str
) -> tuple[Frame, list[CameraObservations]]:
    frame = read_frame(dataset, frame_id)
    images = masks.images(frame_id)
    masks.checked_sources(frame, images)
    painted = {name: masks.painted(image, config) for name, image in images.items()}
    return frame, observe(frame, read_frame_points(frame), painted)


def _rigs(dataset: Dataset, frame_ids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str], int]:
    """Frames of each rig, reasons of those that cannot be read, and the number of those before which the vehicle stood.

    Where the motion of the vehicle is unknown, all frames are used.
    """
    rigs: dict[str, list[str]] = {}
    failed, still = dict[str, str](), 0
    at: dict[tuple[str, str], NDArray[np.float64]] = {}
    for frame_id in frame_ids:
        for frame in _tried(partial(read_frame, dataset, frame_id), frame_id, failed):
            rig, place = rig_of(frame), frame.sweep.world_SE3_ego.translation_m
            last = at.get((rig, frame.scene))
            if last is not None and has_motion(frame) and np.linalg.norm(place - last) < MOVED_M:
                still += 1
                continue
            at[rig, frame.scene] = place
            rigs.setdefault(rig, []).append(frame_id)
    return rigs, failed, still


def _tried(work: Callable[[], _T], frame_id: str, failed: dict[str, str]) -> list[_T]:
    """The result of `work` in a list; empty if labelling would quarantine the frame, with the reason in `failed`."""
    done = guarded(lambda: [work()], lambda _: [], Task(frame_id, "", True, None), Stopwatch())
    if done.error is not None:
        failed[frame_id] = str(done.error)
    return done.row
