"""The budget of a data set: gather the objects, draw, write, and print the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError, PointSamError, StoreError
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.budget import Budget, BudgetConfig, Objects, sample_budget
from pointsam.detect.data.budget_file import write_budget
from pointsam.geometry.boxes import count_points
from pointsam.taxonomy import BACKGROUND
from pointsam.types import Boxes


def draw_budget(
    dataset: Dataset, split: str | None, config: BudgetConfig, path: Path, objects: Objects | None = None
) -> tuple[Budget, Mapping[str, str]]:
    """Draw the budget of a split and write it.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        config: how to draw.
        path: the file. It must not exist, because a training run may depend on it.
        objects: the objects of the split, with the number of their points, if they were counted before.

    Returns:
        The budget, and why frames that are not in it could not be read, by frame id.

    Raises:
        StoreError: OUT001 if the file exists.
        DatasetError: DAT011 if no frame has boxes to draw from.
        SchemaError: SCH005 if no object is a candidate.
    """
    if path.exists():
        raise StoreError("OUT001", f"{path} exists already", "give another name, or delete the file if no run needs it")
    if objects is None:
        objects = objects_of(dataset, split, count=config.min_points > 0 or config.rule == "stratified")
    budget = sample_budget(objects, dataset.taxonomy.names, config)
    write_budget(path, Budget(budget.frames, replace(budget.description, dataset=dataset.name, split=split)))
    return budget, objects.bad


def objects_of(dataset: Dataset, split: str | None, count: bool) -> Objects:
    """All boxes of the taxonomy's classes in a split, but for frames whose boxes or points cannot be read.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        count: whether to count the points of each box, which reads every sweep.

    Raises:
        DatasetError: DAT011 if no frame has boxes that can be read.
    """
    frame_ids, bad = list[str](), dict[str, str]()
    frame, token, class_id, range_m, num_points, velocity = [], [], [], [], [], []
    for frame_id in progress(dataset.frame_ids(split), desc="objects", unit="frame"):
        try:
            boxes, points, known = _boxes_of(dataset, frame_id, count)
        except PointSamError as error:
            if not error.of_frame:
                raise
            bad[frame_id] = str(error)
            continue
        ours = np.flatnonzero(boxes.class_id != BACKGROUND)
        frame.append(np.full(len(ours), len(frame_ids), dtype=np.int64))
        frame_ids.append(frame_id)
        token += [boxes.token[k] for k in ours]
        class_id.append(boxes.class_id[ours])
        range_m.append(np.linalg.norm(boxes.center_m[ours, :2], axis=1))
        num_points.append(points[ours])
        velocity.append(known[ours])
    if not frame_ids:
        why = next(iter(bad.values()))
        raise DatasetError(
            "DAT011",
            f"{dataset.root}: none of {counted(len(bad), 'frame')} has boxes that can be read; the first: {why}",
            "choose a split that has them (--split train)",
        )
    return Objects(
        tuple(frame_ids),
        np.concatenate(frame),
        tuple(token),
        np.concatenate(class_id),
        np.concatenate(range_m),
        np.concatenate(num_points),
        np.concatenate(velocity),
        bad,
    )


def _boxes_of(dataset: Dataset, frame_id: str, count: bool) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float64]]:
    """Boxes of a frame, the number of their points (0 without counting), and their velocities, NaN if unknown."""
    boxes = dataset.boxes(frame_id)
    if boxes is None:
        raise DatasetError(
            "DAT011",
            f"{dataset.root}: frame {frame_id!r} has no box labels",
            "choose a split that has them (--split train)",
        )
    points = np.zeros(len(boxes), dtype=np.int64)
    if count:
        points = count_points(read_frame_points(dataset.frame(frame_id)).xyz_lidar_m, boxes)
    known = dataset.velocities_mps(frame_id)
    return boxes, points, np.full((len(boxes), 2), np.nan) if known is None else known


def summary(budget: Budget) -> str:
    """A table of the classes, the cost, and classes without a box."""
    about = budget.description
    rows = [(name, counts.objects, counts.boxes) for name, counts in about.classes.items()]
    bare = [name for name, counts in about.classes.items() if not counts.boxes]
    rows.append(("all", about.objects, about.boxes))
    return "\n".join(
        [
            text_table(("class", "objects", "boxes"), rows),
            f"{about.labelled_frames} of {about.frames} frames are labelled. Relative to boxes for all objects, "
            f"{about.boxes} boxes cost {about.cost_boxes_only:.1%}, and with clusters for the other {about.clusters} "
            f"objects {about.cost_with_clusters:.1%}.",
            *([f"No box of {', '.join(bare)}: fit leaves them out."] if bare else []),
        ]
    )
