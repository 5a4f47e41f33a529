"""The images of frames: as tasks of a stage, and as names that 2D results are found by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from pointsam.base.errors import PointSamError
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.semantics.places import ImageName


def whole_frame(frame_id: str) -> list[tuple[str, str]]:
    """(frame_id, ""): the single task of a frame in a stage that processes whole frames."""
    return [(frame_id, "")]


def images_of(dataset: Dataset, frame_id: str) -> list[tuple[str, str]]:
    """(frame_id, camera) of each image. A frame that cannot be read, or that has no camera, is a single task, whose
    worker reports the error.
    """
    try:
        cameras = read_frame(dataset, frame_id).cameras
    except PointSamError:
        cameras = ()
    return [(frame_id, view.name) for view in cameras] or whole_frame(frame_id)


def image_names(dataset: Dataset, frames: Sequence[tuple[str, str]]) -> Iterator[ImageName]:
    """The images of the run and of the data set, of frames that can be read, first one frame of every scene."""
    of_run = {frame_id for _, frame_id in frames}
    try:
        known = dataset.frame_ids()
    except PointSamError:  # none without --split
        known = []
    scenes: dict[str, list[str]] = {}
    for scene, frame_id in frames:
        scenes.setdefault(scene, []).append(frame_id)
    for frame_id in known:
        if frame_id not in of_run:
            scenes.setdefault(dataset.scene(frame_id), []).append(frame_id)

    def named(frame_ids: Sequence[str]) -> Iterator[list[ImageName]]:
        for frame_id in frame_ids:
            try:
                frame = read_frame(dataset, frame_id)
            except PointSamError:
                continue  # its frame is quarantined
            if frame.cameras:
                root = str(dataset.root)
                yield [ImageName.of(frame, view, root, frame_id in of_run) for view in frame.cameras]

    by_frame = [named(frame_ids) for frame_ids in scenes.values()]
    for names in by_frame:
        yield from next(names, ())
    for names in by_frame:
        yield from chain.from_iterable(names)
