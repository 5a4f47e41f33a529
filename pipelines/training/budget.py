"""The budget of a data set: gather the objects, draw, write, and print the cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.training.splits import other_frames, split_frames
from pointsam.base.errors import DatasetError, PointSamError, SchemaError, StoreError
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.datasets.unknown_classes import unknown_text
from pointsam.detect.data.budget import Budget, BudgetConfig, Objects, sample_budget
from pointsam.detect.data.budget_file import write_budget
from pointsam.detect.data.digests import box_digests
from pointsam.detect.data.map_frame import MapFrame
from pointsam.geometry.boxes import count_points
from pointsam.taxonomy import BACKGROUND

_KNOWN_CLASSES = "rename the classes of the ground truth or map them (docs/mapping.md)"


def draw_budget(
    dataset: Dataset, split: str | None, config: BudgetConfig, path: Path, objects: Objects | None = None
) -> Budget:
    """Draw the budget of a split and write it.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        config: how to draw.
        path: the file. It must not exist, because a training run may depend on it.
        objects: the objects of the split, with the number of their points, if they were counted before.

    Raises:
        StoreError: OUT001 if the file exists.
        DatasetError: as `objects_of`.
        SchemaError: SCH005 if no object is a candidate.
    """
    if path.exists():
        raise StoreError("OUT001", f"{path} exists already", "give another name, or delete the file if no run needs it")
    if objects is None:
        objects = objects_of(dataset, split, count=config.min_points > 0 or config.rule == "stratified")
    if not len(objects):
        unknown, where = unknown_text(dataset, objects.frame_ids), counted(len(objects.frame_ids), "frame")
        raise SchemaError(
            "SCH005",
            f"{dataset.root}: none of {where} has a box of {', '.join(dataset.taxonomy.names)}"
            + (f"; {unknown}" if unknown else ""),
            f"{_KNOWN_CLASSES}, or choose another split",
        )
    try:
        budget = sample_budget(objects, dataset.taxonomy.names, config)
    except SchemaError as error:
        unknown = unknown_text(dataset, objects.frame_ids)
        if not unknown:
            raise
        raise SchemaError(error.code, f"{error.message}; {unknown}", f"{error.hint}, or {_KNOWN_CLASSES}") from error
    source = replace(budget.description, dataset=dataset.name, split=split, left_out=objects.left_out or None)
    budget = replace(budget, description=source)
    write_budget(path, budget)
    return budget


def objects_of(dataset: Dataset, split: str | None, count: bool) -> Objects:
    """All boxes of the taxonomy's classes in a split. Frames whose boxes or points cannot be read are left out.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        count: whether to count the points of each box, which reads every sweep.

    Raises:
        DatasetError: if no frame has boxes that can be read: DAT011 if it has none, and what reading raises.
    """
    frames, left_out = dict[str, _FrameObjects](), dict[str, str]()
    first: PointSamError | None = None
    for frame_id in progress(split_frames(dataset, split), desc="objects", unit="frame"):
        try:
            frames[frame_id] = _of_frame(dataset, frame_id, count)
        except PointSamError as error:
            if not error.of_frame:
                raise
            first = first or error
            left_out[frame_id] = f"[{error.code}] {error.message}"
    if first is not None and not frames:
        raise first
    found = list(frames.values())
    return Objects(
        tuple(frames),
        np.repeat(np.arange(len(found), dtype=np.int64), [len(one.token) for one in found]),
        tuple(token for one in found for token in one.token),
        np.concatenate([one.class_id for one in found]),
        np.concatenate([one.range_m for one in found]),
        np.concatenate([one.num_points for one in found]),
        np.concatenate([one.velocity_mps for one in found]),
        tuple(digest for one in found for digest in one.digest),
        left_out,
    )


class _FrameObjects(NamedTuple):
    token: tuple[str, ...]
    class_id: NDArray[np.uint8]
    range_m: NDArray[np.float64]
    num_points: NDArray[np.int64]
    velocity_mps: NDArray[np.float64]
    digest: tuple[str, ...]


def _of_frame(dataset: Dataset, frame_id: str, count: bool) -> _FrameObjects:
    boxes = dataset.boxes(frame_id)
    if boxes is None:
        raise DatasetError(
            "DAT011",
            f"{dataset.root}: frame {frame_id!r} has no box labels",
            "choose a split that has them: --split SPLIT",
        )
    ours = np.flatnonzero(boxes.class_id != BACKGROUND)
    frame, points = read_cloud_frame(dataset, frame_id), np.zeros(len(boxes), dtype=np.int64)
    if count:
        points = count_points(read_frame_points(frame).xyz_lidar_m, boxes)
    known = dataset.velocities_mps(frame_id)
    digests = box_digests(boxes, dataset.taxonomy.names)
    return _FrameObjects(
        tuple(boxes.token[k] for k in ours),
        boxes.class_id[ours],
        np.linalg.norm(MapFrame.of(frame).boxes(boxes).center_m[ours, :2], axis=1),
        points[ours],
        np.full((len(ours), 2), np.nan) if known is None else known[ours],
        tuple(digests[k] for k in ours),
    )


def summary(budget: Budget) -> str:
    """A table of the classes, the cost, and classes without a box."""
    about = budget.description
    rows = [(name, counts.objects, counts.boxes) for name, counts in about.classes.items() if counts.objects]
    bare = [name for name, counts in about.classes.items() if not counts.boxes]
    rows.append(("all", about.objects, about.boxes))
    return "\n".join(
        [
            text_table(("class", "objects", "boxes"), rows),
            f"Labelled frames: {about.labelled_frames} of {about.frames}. Relative to boxes for all objects, these "
            f"boxes cost {about.cost_boxes_only:.1%}, and with clusters for the other "
            f"{counted(about.clusters, 'object')} {about.cost_with_clusters:.1%}.",
            *([f"No box of {', '.join(bare)}: fit leaves them out."] if bare else []),
        ]
    )


def validated_too(dataset: Dataset, budget: Budget) -> str:
    """A line if frames of the split "val", on which `fit` validates by default, are in a budget; else ""."""
    try:
        val_ids = dataset.frame_ids("val")
    except DatasetError:
        return ""
    shared = len(budget.frames.keys() & set(val_ids))
    kept = f"{counted(shared, 'frame')} of the split 'val' {'is' if shared == 1 else 'are'} in the budget"
    return f"note: {kept}: {other_frames(dataset, val_ids)}\n" if shared else ""
